"""An executed notebook as the book shows it: its code folded, its provenance once at the top.

companion.run marks what it displays in the metadata of the outputs, under ``jnd``: its ``kind``,
"figure", "table" or, for the line below it, "provenance", and the ``name`` of a figure or table.
"""

from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from companion.provenance import provenance_line


def make_page(notebook: NotebookNode, provenance: Mapping[str, Any]) -> None:
    """Change an executed notebook into a page.

    The code is folded except in cells tagged ``show-input``. The parameters that papermill injected
    are dropped; those of the run stand under the page's first heading, with the rest of its
    provenance. Below a figure or a table only the differences from that are repeated, with a link
    up. The names of a cell's figures and tables go into its metadata, for anchors.py.

    Args:
        notebook: of nbformat 4, changed in place.
        provenance: of its metrics.json.
    """
    label = f"{provenance['notebook']}-provenance"
    line = provenance_line(provenance)
    cells = [cell for cell in notebook.cells if "injected-parameters" not in tags(cell)]
    for cell in cells:
        if cell.cell_type == "code":
            if "show-input" not in tags(cell):
                cell.metadata["tags"] = [*tags(cell), "hide-input"]
            marked = [output for output in cell.outputs if "jnd" in output.get("metadata", {})]
            names = [output.metadata.jnd.get("name") for output in marked]
            cell.metadata["shows"] = [name for name in names if name]
            for output in marked:
                if output.metadata.jnd.get("kind") == "provenance":
                    text = output.data["text/markdown"].strip("*")
                    output.data["text/markdown"] = differences(text, line, label)
    notebook.cells = under_the_title(cells, banner(line, label, provenance["parameters"]))


def tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def differences(line: str, above: str, label: str) -> str:
    """Return what a provenance line has that the one above lacks, with a link to that."""
    different = [part for part in line.split(" · ") if part not in above.split(" · ")]
    return f"*{' · '.join([*different, f'[how it was made](#{label})'])}*"


def banner(line: str, label: str, parameters: Mapping[str, Any]) -> NotebookNode:
    """Return a line that opens to show the parameters of the run."""
    values = "\n".join(
        f"{name} = {value!r}"
        for name, value in parameters.items()
        if name != "output"  # a folder, perhaps anywhere
    )
    return new_markdown_cell(
        f":::{{dropdown}} Made by: {line}\n:name: {label}\n:class-container: provenance\n\n"
        "The parameters of this run. What each means stands beside its default in the notebook; "
        "packages, hashes and the time it took are under [Status](../status.md).\n\n"
        f"```python\n{values}\n```\n:::",
        id="provenance",
    )


def under_the_title(cells: list[NotebookNode], banner: NotebookNode) -> list[NotebookNode]:
    """Insert a cell below the first heading, which begins the first Markdown cell."""
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "markdown")
    title, _, rest = cells[first].source.partition("\n")
    parts = (
        new_markdown_cell(title, id="title"),
        banner,
        new_markdown_cell(rest.strip(), id="begin"),
    )
    return [*cells[:first], *parts, *cells[first + 1 :]]
