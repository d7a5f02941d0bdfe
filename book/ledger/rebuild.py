"""Results from an archive, fit to become a book: our text, and what their run put out.

Text and structure of a page are those of this checkout; from the archive come code, which is only
shown, and outputs without scripts, links or foreign markup.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path

import bleach
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output

from claims import judge_all
from companion.checkout import ROOT
from pages import tags
from unpack import Refused, is_plain, read_json, unpack

TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
STYLE = re.compile(r"<style.*?</style>", re.DOTALL)


def results_of(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a folder and return results from which build.py makes a book.

    Raises:
        Refused: it is no sound archive, or was run from notebooks with another text.
    """
    results = unpack(archive, folder)
    try:
        for executed in results.glob("*/executed.ipynb"):
            nbformat.write(page_of(executed), executed)
        verdicts = [asdict(verdict) for verdict in judge_all(results)]
    except Refused:
        raise
    except Exception as error:  # whatever a stranger's files lead to
        raise Refused(f"no book can be made of it ({error!r}); run the notebooks again") from error
    (results / "claims.json").write_text(json.dumps(verdicts), "utf-8")
    return results


def page_of(executed: Path) -> NotebookNode:
    """Return our notebook with the code and outputs of theirs, which must have the same text."""
    name = executed.parent.name
    theirs = nbformat.read(executed, as_version=4)
    ours = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    if text_of(theirs) != text_of(ours):
        commit = read_json(executed.with_name("metrics.json"))["provenance"]["commit"]
        raise Refused(
            f"{name} has another text in this checkout; check out the commit of the run, {commit}"
        )
    for cell, run in zip(ours.cells, own_cells(theirs), strict=True):
        if cell.cell_type == "code":
            cell.source = run.source
            cell.outputs = [plain_output(output) for output in run.outputs]
    return ours


def own_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if "injected-parameters" not in tags(cell)]


def text_of(notebook: NotebookNode) -> list[str | None]:
    """Return the Markdown of each cell, None for code."""
    cells = own_cells(notebook)
    return [None if cell.cell_type == "code" else cell.source for cell in cells]


def plain_output(output: NotebookNode) -> NotebookNode:
    """Return a copy of an output without anything that a browser or Sphinx would act on."""
    if output.output_type == "stream":
        return new_output("stream", name="stdout", text=output.text)
    if output.output_type not in ("display_data", "execute_result"):
        raise ValueError(f"it has an output of the kind {output.output_type!r}")
    data = {mime: output.data[mime] for mime in ("image/png", "text/plain") if mime in output.data}
    if "text/html" in output.data:
        html = STYLE.sub("", output.data["text/html"])
        data["text/html"] = bleach.clean(html, TABLE, {"*": ["class", "colspan"]}, strip=True)
    markdown = output.data.get("text/markdown", "")
    if markdown and all(is_plain(line) for line in markdown.splitlines()):
        data["text/markdown"] = markdown
    mark = output.metadata.get("jnd", {})
    kept = {name: str(mark[name]) for name in ("kind", "name") if name in mark}
    for text in kept.values():
        if not re.fullmatch("[a-z0-9-]+", text):
            raise ValueError(f"an output is named {text!r}")
    return new_output("display_data", data=data, metadata={"jnd": kept} if kept else {})
