"""The directive `{pdf}`: a link to the whole book as one PDF, if build.py has printed one.

It prints it before the pages are built (JND_BOOK_PDF); what the page says depends on that file.
"""

import os
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


def printed_pdf() -> Path:
    return Path(os.environ["JND_BOOK_PDF"])


class Pdf(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        pdf = printed_pdf()
        self.env.note_dependency(str(pdf))
        if not pdf.exists():
            return []
        size = f"{pdf.stat().st_size / 1e6:.0f} MB"
        html = f'<p><a href="{pdf.name}">The whole book as one PDF</a>, {size}.</p>'
        return [nodes.raw("", html, format="html")]


def copy_pdf(app, error: Exception | None) -> None:
    """Put it beside the pages, and remove one of an earlier book."""
    if error or app.builder.name != "html":
        return
    pdf = printed_pdf()
    copy = Path(app.outdir, pdf.name)
    if pdf.exists():
        shutil.copyfile(pdf, copy)
    else:
        copy.unlink(missing_ok=True)


def setup(app) -> dict:
    app.add_directive("pdf", Pdf)
    app.connect("build-finished", copy_pdf)
    return {"parallel_read_safe": True}
