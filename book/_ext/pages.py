"""The pages that show executed notebooks, each with its code folded and its provenance once.

A page is made of parts, executed notebooks and Markdown files of book/parts, one below the other.
companion.run marks what a notebook displays in the metadata of the outputs, under ``jnd``: its
``kind``, "figure", "table" or, for the line below it, "provenance", and the ``name`` of a figure or
table.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

from companion.provenance import provenance_line

PAGES = {
    "idea": ["idea.ipynb", "method.md"],
    "imagenet": ["real-photos.md", "imagenet.ipynb", "prediction.md"],
    "cifar10": ["real-cifar10.md", "cifar10.ipynb"],
    "detection": ["detection.ipynb", "real-road.md"],
    "reading": ["reading.ipynb", "derivation.ipynb"],
    "forensics": ["forensics.ipynb", "measuring.md"],
    "comparison": ["comparison.ipynb", "pictures.ipynb"],
    "psychometrics": ["psychometrics.ipynb"],
}
"""Page -> its parts, in this order."""
PARTS = [part for parts in PAGES.values() for part in parts]
NOTEBOOKS = [part.removesuffix(".ipynb") for part in PARTS if part.endswith(".ipynb")]
# links to the files of parts lead to their places on a page
LINK = re.compile(r"\]\((?:\.\./)?(" + "|".join(map(re.escape, PARTS)) + r")\)")


def label_of(part: str) -> str:
    """Return the label in front of a part's first heading."""
    return f"part-{part.partition('.')[0]}"


def join_parts(parts: Sequence[NotebookNode], names: Sequence[str]) -> NotebookNode:
    """Join notebooks to a page: below the first, headings are a level lower."""
    cells = []
    for i, (part, name) in enumerate(zip(parts, names, strict=True)):
        for cell in part.cells:
            cell.id = f"{label_of(name)}-{cell.id}"
            if cell.cell_type == "markdown":
                text = LINK.sub(lambda link: f"](#{label_of(link[1])})", cell.source)
                cell.source = re.sub(r"(?m)^(?=#+ )", "#" if i else "", text)
        title = next(cell for cell in part.cells if cell.cell_type == "markdown")
        title.source = f"({label_of(name)})=\n{title.source}"
        cells += part.cells
    executed = [part for part in parts if part.metadata]
    return new_notebook(cells=cells, metadata=executed[0].metadata if executed else {})


def text_part(markdown: str) -> NotebookNode:
    return new_notebook(cells=[new_markdown_cell(markdown, id="text")])


def prepare_notebook(notebook: NotebookNode, provenance: Mapping[str, Any]) -> None:
    """Change an executed notebook into a part of a page.

    The code is folded except in cells tagged ``show-input``. The parameters that papermill injected
    are dropped; those of the run go under the first heading, with its provenance. Below a figure
    or a table are a link to its numbers, and what its provenance has that the run's lacks. What
    anchors.py calls an output or the parameters goes into the metadata of their cell.

    Args:
        notebook: of nbformat 4, changed in place.
        provenance: of its metrics.json.
    """
    name = provenance["notebook"]
    line = provenance_line(provenance)
    cells = [cell for cell in notebook.cells if "injected-parameters" not in tags(cell)]
    for cell in cells:
        if cell.cell_type != "code":
            continue
        if "show-input" not in tags(cell):
            cell.metadata["tags"] = [*tags(cell), "hide-input"]
        cell.metadata["notebook"] = name
        cell.metadata["shows"] = []
        file = ""
        for output in cell.outputs:
            mark = output.get("metadata", {}).get("jnd", {})
            if mark.get("kind") == "provenance":
                text = output.data["text/markdown"].strip("*")
                output.data["text/markdown"] = small_print(text, line, f"../figures/{name}/{file}")
            elif "name" in mark:
                cell.metadata["shows"].append(mark["name"])
                file = f"{mark['name']}.csv" if mark["kind"] == "table" else "metrics.json"
    notebook.cells = under_the_title(cells, banner(line, name, provenance["parameters"]))


def tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def small_print(line: str, above: str, file: str) -> str:
    """Return a link to the numbers, and what a provenance line has that the run's lacks."""
    different = [part for part in line.split(" · ") if part not in above.split(" · ")]
    return f"*{' · '.join([f'[Numbers]({file})', *different])}*"


def banner(line: str, name: str, parameters: Mapping[str, Any]) -> NotebookNode:
    """Return a line that opens to show the parameters of the run."""
    values = "\n".join(
        f"{parameter} = {value!r}"
        for parameter, value in parameters.items()
        if parameter != "output"  # a folder, perhaps anywhere
    )
    files = f"../figures/{name}"
    return new_markdown_cell(
        f":::{{dropdown}} Made by: {line}\n:name: {name}-provenance\n"
        ":class-container: provenance\n\n"
        f"{{download}}`The executed notebook <{files}/executed.ipynb>` and "
        f"{{download}}`all of its numbers <{files}/metrics.json>`. What each parameter means is "
        "said next to its default in the notebook; [Status](../status.md) has the packages.\n\n"
        f"```python\n{values}\n```\n:::",
        id="provenance",
    )


def under_the_title(cells: list[NotebookNode], banner: NotebookNode) -> list[NotebookNode]:
    """Insert a cell below the first heading, which begins the first Markdown cell."""
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "markdown")
    title, _, rest = cells[first].source.partition("\n")
    inserted = (
        new_markdown_cell(title, id="title"),
        banner,
        new_markdown_cell(rest.strip(), id="begin"),
    )
    return [*cells[:first], *inserted, *cells[first + 1 :]]
