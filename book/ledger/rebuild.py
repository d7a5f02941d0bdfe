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
    for executed in results.glob("*/executed.ipynb"):
        name = executed.parent.name
        try:
            theirs = nbformat.read(executed, as_version=4)
            page = harmless(theirs, nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4))
        except (OSError, ValueError, AttributeError, KeyError) as error:
            commit = read_json(executed.with_name("metrics.json"))["provenance"]["commit"]
            raise Refused(
                f"{name}/executed.ipynb is not the notebook {name} of this checkout ({error}); "
                f"check out the commit that it was run from, {commit}"
            ) from error
        nbformat.write(page, executed)
    verdicts = [asdict(verdict) for verdict in judge_all(results)]
    (results / "claims.json").write_text(json.dumps(verdicts), "utf-8")
    return results


def harmless(theirs: NotebookNode, ours: NotebookNode) -> NotebookNode:
    """Put the code and the outputs of an executed notebook into a copy of ours."""
    cells = [cell for cell in theirs.cells if "injected-parameters" not in tags(cell)]
    for cell, executed in zip(ours.cells, cells, strict=True):
        if cell.cell_type != executed.cell_type:
            raise ValueError("its cells are others")
        if cell.cell_type == "code":
            cell.source = executed.source
            cell.execution_count = None
            cell.outputs = [plain_output(o) for o in executed.outputs]
        elif cell.source != executed.source:
            raise ValueError(f"its text differs at {executed.source[:40]!r}")
    return ours


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
