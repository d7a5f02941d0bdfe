"""Everything that needs the repository's address.

Buttons that open a notebook in Binder or Colab, links to source, edit and issues, tags for the
preview of a shared page, the citation.
"""

from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import yaml

DESCRIPTION = (
    "How little must a photo change before a neural network calls it something else? A paper of "
    "2020 rebuilt and judged claim by claim; try it on a photo of your own."
)


def options(citation: dict) -> dict:
    """Return the theme's options; without a repository there are none."""
    if "repository-code" not in citation:
        return {}
    buttons = ("repository", "source", "edit_page", "issues")
    return {
        "repository_url": citation["repository-code"],
        "repository_branch": "main",
        **{f"use_{name}_button": True for name in buttons},
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }


def pages_address(repository: str) -> str:
    """Return where GitHub Pages shows the book of a repository."""
    owner, name = urlsplit(repository).path.strip("/").split("/")
    return f"https://{owner}.github.io/{name}/"


def bibtex(citation: dict) -> str:
    """Return the entry for this companion; the paper's own is in references.bib."""
    fields = {
        "title": f"{{{citation['title']}}}",
        "author": f"{{{citation['authors'][0]['name']}}}",
        "version": citation["version"],
        "year": str(citation.get("date-released", ""))[:4],
        "doi": citation.get("doi"),
        "url": citation.get("repository-code"),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return ",\n".join(["```bibtex\n@software{jnd_companion", *lines]) + "\n}\n```"


def read_citation(app, config) -> None:
    citation = yaml.safe_load((Path(app.srcdir).parent / "CITATION.cff").read_text("utf-8"))
    config.html_theme_options.update(options(citation))
    url = citation.get("repository-code")
    config.myst_substitutions |= {
        "citation": citation,
        "bibtex": bibtex(citation),
        "repository_line": f"[The repository]({url})."
        if url
        else "Its repository is not yet public.",
    }


def describe_page(app, page: str, template: str, context: dict, doctree) -> None:
    """Add what a link to a page shows elsewhere, and the page's place in the repository."""
    repository = app.config.html_theme_options.get("repository_url")
    home = pages_address(repository) if repository else ""
    tags = {
        "description": DESCRIPTION,
        "og:type": "article",
        "og:title": context.get("title") or app.config.html_title,
        "og:site_name": app.config.html_title,
        "og:description": DESCRIPTION,
        "og:image": f"{home}_static/preview.jpg",
        "twitter:card": "summary_large_image",
    }
    if repository:
        context["doc_path"] = "" if page.startswith("notebooks/") else "book"
        tags["og:url"] = f"{home}{page}.html"
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {"property" if ":" in name else "name"}="{name}" content="{escape(text)}" />'
        for name, text in tags.items()
    )


def setup(app) -> dict:
    app.connect("config-inited", read_citation)
    app.connect("html-page-context", describe_page)
    return {"parallel_read_safe": True}
