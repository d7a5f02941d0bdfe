"""Names for what a notebook shows, so that a page can link to the very output.

Figure "fig1" of the notebook imagenet is `imagenet-fig1`, the cell of its parameters
`imagenet-parameters`. In Markdown: `[Figure 1](#imagenet-fig1)`.
"""

from docutils import nodes


def containers(parent: nodes.Element, css_class: str) -> list[nodes.Element]:
    return [node for node in parent.findall(nodes.container) if css_class in node["classes"]]


def name_outputs(app, doctree: nodes.document) -> None:
    """Give outputs and the parameters their names, as ids of the page and labels of the book."""
    for cell in containers(doctree, "cell"):
        metadata = cell["cell_metadata"]
        outputs = containers(cell, "cell_output")
        named = [(name, output) for output in outputs for name in metadata.get("shows", [])]
        if "tag_parameters" in cell["classes"]:
            named.append(("parameters", cell))
        for name, node in named:
            label = f"{metadata['notebook']}-{name}"  # both from pages.py
            node["ids"].append(label)
            app.env.get_domain("std").note_hyperlink_target(label, app.env.docname, label)


def setup(app) -> dict:
    app.connect("doctree-read", name_outputs)
    return {"parallel_read_safe": True}
