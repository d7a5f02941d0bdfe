"""The directive `{live} PHOTO`: the descent on a photo of the reader's own, in the page.

Widget and scripts come from this folder, the network and the packaged photos from the one that
export.py writes (JND_BOOK_LIVE); both go to _static/live. Without JavaScript, and on paper, it is a
picture.
"""

import os
import shutil
from pathlib import Path
from string import Template

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from companion.photos import packaged_photos

SOURCES = Path(__file__).parent
SCRIPTS = (  # in order
    "weights loops kernels network descent photo ladder worker "
    "settings pictures chart choices threshold eyes intake page"
).split()
WIDGET = Template((SOURCES / "widget.html").read_text("utf-8"))
THUMBNAIL = (
    '<button type="button" data-take="{0}">'
    '<img src="{1}/{0}.webp" alt="{0}" width="40" height="40" loading="lazy"></button>'
)
SCRIPT = '<script defer src="{}/{}.js"></script>'


class Live(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        folder = "../" * self.env.docname.count("/") + "_static/live"
        self.env.note_dependency(str(SOURCES / "widget.html"))
        html = WIDGET.substitute(
            folder=folder,
            photo=self.arguments[0],
            thumbnails="\n".join(THUMBNAIL.format(name, folder) for name in packaged_photos()),
            scripts="\n".join(SCRIPT.format(folder, name) for name in SCRIPTS),
        )
        return [nodes.raw("", html, format="html")]


def copy_files(app, exception) -> None:
    """Copy the scripts and what is exported for them, once the pages are there."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_static", "live")
    folder.mkdir(parents=True, exist_ok=True)
    exported = Path(os.environ["JND_BOOK_LIVE"])
    for source in (*SOURCES.glob("*.js"), *SOURCES.glob("*.css"), *exported.glob("[!.]*")):
        shutil.copyfile(source, folder / source.name)


def setup(app) -> dict:
    app.add_directive("live", Live)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True}
