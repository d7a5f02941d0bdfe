"""Buttons that open a notebook of the repository in Binder or Colab, once CITATION.cff names it."""

from pathlib import Path

import yaml


def options(citation: dict) -> dict:
    """The theme's options for the buttons; without a repository there are none."""
    if "repository-code" not in citation:
        return {}
    return {
        "repository_url": citation["repository-code"],
        "repository_branch": "main",
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }


def add_buttons(app, config) -> None:
    citation = yaml.safe_load((Path(app.srcdir).parent / "CITATION.cff").read_text("utf-8"))
    config.html_theme_options.update(options(citation))


def setup(app) -> dict:
    app.connect("config-inited", add_buttons)
    return {"parallel_read_safe": True}
