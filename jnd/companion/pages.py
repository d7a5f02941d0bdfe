"""An executed notebook as the book shows it: its code folded, its provenance once at the top."""

import re
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from jnd.companion.provenance import provenance_line

DESCENT = re.compile(r"\bfind_(jnd|arms)\(")
LINE = re.compile(r"\*(Profile .+)\*")  # what jnd.companion.run shows below figures and tables


def page(notebook: NotebookNode, provenance: Mapping[str, Any]) -> None:
    """Change an executed notebook into a page.

    The code is folded but for the first descent. What papermill injected goes; the parameters of
    the run stand under the page's first heading, with all else of its provenance. Below a figure or
    a table only what differs from that is said again, with a link up.

    Args:
        notebook: of nbformat 4, changed in place.
        provenance: of its metrics.json.
    """
    label, line = f"{provenance['notebook']}-provenance", provenance_line(provenance)
    cells = [cell for cell in notebook.cells if "injected-parameters" not in tags(cell)]
    code = [cell for cell in cells if cell.cell_type == "code"]
    shown = next((cell for cell in code if DESCENT.search(cell.source)), None)
    for cell in code:
        if cell is not shown:
            cell.metadata["tags"] = [*tags(cell), "hide-input"]
        for output in cell.outputs:
            text = output.get("data", {}).get("text/markdown", "")
            if found := LINE.fullmatch(text):
                output.data["text/markdown"] = made_by(found[1], line, label)
    notebook.cells = under_the_title(cells, banner(line, label, provenance["parameters"]))


def tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def made_by(line: str, above: str, label: str) -> str:
    """A link to the line above, behind what differs from it."""
    differs = [part for part in line.split(" · ") if part not in above.split(" · ")]
    return f"*{' · '.join([*differs, f'[how it was made](#{label})'])}*"


def banner(line: str, label: str, parameters: Mapping[str, Any]) -> NotebookNode:
    """A line to open, with the parameters of the run inside."""
    shown = {n: v for n, v in parameters.items() if n != "output"}  # a folder, perhaps anywhere
    values = "\n".join(f"{name} = {value!r}" for name, value in shown.items())
    return new_markdown_cell(
        f":::{{dropdown}} Made by: {line}\n:name: {label}\n:class-container: provenance\n\n"
        "The parameters of this run. What each means stands beside its default in the notebook; "
        "packages, hashes and the time it took are under [Status](../status.md).\n\n"
        f"```python\n{values}\n```\n:::",
        id="provenance",
    )


def under_the_title(cells: list[NotebookNode], banner: NotebookNode) -> list[NotebookNode]:
    """The cells with one more below the first heading, which begins the first Markdown cell."""
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "markdown")
    title, _, rest = cells[first].source.partition("\n")
    parts = (
        new_markdown_cell(title, id="title"),
        banner,
        new_markdown_cell(rest.strip(), id="begin"),
    )
    return [*cells[:first], *parts, *cells[first + 1 :]]
