"""Executed notebooks as pages."""

import nbformat
from nbformat import v4

from jnd.companion.pages import page
from jnd.companion.provenance import provenance_line

PROVENANCE = {
    **{"notebook": "toy", "profile": "smoke", "machine": "cup", "machine_sha256": "ab" * 32},
    **{"data": "2 photos", "device": "CPU", "commit": "cd" * 20, "date": "2020-02-01T00:00:00"},
    "parameters": {"alpha": 0.5, "output": "/somewhere/else"},
}
LINE = provenance_line(PROVENANCE)


def shown(text):
    return v4.new_output("display_data", data={"text/markdown": text})


def test_code_is_folded_and_what_made_all_is_said_once():
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Title\n\nWhat comes out."),
            v4.new_code_cell("alpha = 1.0", metadata={"tags": ["parameters"]}),
            v4.new_code_cell("alpha = 0.5", metadata={"tags": ["injected-parameters"]}),
            v4.new_code_cell("from jnd import find_jnd"),
            v4.new_code_cell("find_jnd(M, x0)", outputs=[shown(f"*{LINE}*")]),
            v4.new_code_cell(
                "find_jnd(M, x1)",
                outputs=[shown(f"*{LINE.replace('2 photos', '3 photos')}*"), shown("*words*")],
            ),
        ]
    )
    page(notebook, PROVENANCE)
    nbformat.validate(notebook)
    title, banner, begin, *code = notebook.cells
    assert title.source == "# Title" and begin.source == "What comes out."
    assert LINE in banner.source and ":name: toy-provenance" in banner.source
    assert "alpha = 0.5" in banner.source and "somewhere" not in banner.source
    assert [cell.source for cell in code if "hide-input" not in cell.metadata.get("tags", [])] == [
        "find_jnd(M, x0)"
    ]
    assert code[0].metadata.tags == ["parameters", "hide-input"] and len(code) == 4
    said = [output.data["text/markdown"] for cell in code for output in cell.outputs]
    assert said == [
        "*[how it was made](#toy-provenance)*",
        "*3 photos · [how it was made](#toy-provenance)*",
        "*words*",
    ]
