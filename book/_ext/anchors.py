"""Names for what a notebook shows, so that a page can link to the very output.

The output of a cell that calls `show_figure(…, "fig1")` or `show_table(…, "fig1")` in the notebook
imagenet is `imagenet-fig1`, the cell of its parameters `imagenet-parameters`. In Markdown:
`[Figure 1](#imagenet-fig1)`.
"""

import re

from docutils import nodes

SHOWS = re.compile(r'\.show_(?:figure|table)\(.*?"([\w-]+)"\s*,?\s*\)$', re.MULTILINE | re.DOTALL)


def parts(inside: nodes.Element, kind: str) -> list[nodes.Element]:
    return [node for node in inside.findall(nodes.container) if kind in node["classes"]]


def name_outputs(app, doctree: nodes.document) -> None:
    """Give cells and outputs their names, as ids of the page and as labels of the book."""
    page = app.env.docname
    if not page.startswith("notebooks/"):
        return
    named = [("parameters", cell) for cell in parts(doctree, "tag_parameters")]
    for cell in parts(doctree, "cell"):
        for source in parts(cell, "cell_input"):
            outputs = parts(cell, "cell_output")[:1]
            named += [(name, o) for name in SHOWS.findall(source.astext()) for o in outputs]
    for name, node in named:
        label = f"{page.removeprefix('notebooks/')}-{name}"
        node["ids"].append(label)
        app.env.get_domain("std").note_hyperlink_target(label, page, label)


def setup(app) -> dict:
    app.connect("doctree-read", name_outputs)
    return {"parallel_read_safe": True}
