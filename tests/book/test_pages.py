"""Executed notebooks as pages."""

import nbformat
from nbformat import v4

from companion.provenance import provenance_line
from pages import join_parts, prepare_notebook, text_part

PROVENANCE = {
    **{"notebook": "toy", "profile": "smoke", "machine": "cup", "machine_sha256": "ab" * 32},
    **{"data": "2 photos", "device": "CPU", "commit": "cd" * 20, "date": "2020-02-01T00:00:00"},
    "parameters": {"alpha": 0.5, "output": "/somewhere/else"},
}
LINE = provenance_line(PROVENANCE)


def displayed(text, **mark):
    metadata = {"jnd": mark} if mark else {}
    return v4.new_output("display_data", data={"text/markdown": text}, metadata=metadata)


def test_code_is_folded_and_provenance_is_said_once():
    elsewhere = LINE.replace("2 photos", "3 photos")
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Title\n\nWhat comes out."),
            v4.new_code_cell("alpha = 1.0", metadata={"tags": ["parameters"]}),
            v4.new_code_cell("alpha = 0.5", metadata={"tags": ["injected-parameters"]}),
            v4.new_code_cell("from jnd import find_jnd"),
            v4.new_code_cell(
                "find_jnd(M, x0)",
                metadata={"tags": ["show-input"]},
                outputs=[
                    displayed("a figure", name="fig1", kind="figure"),
                    displayed(f"*{LINE}*", kind="provenance"),
                ],
            ),
            v4.new_code_cell(
                "find_jnd(M, x1)",
                outputs=[
                    displayed("a figure", name="fig2", kind="figure"),
                    displayed("a table", name="table1", kind="table"),
                    displayed(f"*{elsewhere}*", kind="provenance"),
                    displayed("*words*"),
                ],
            ),
        ]
    )
    prepare_notebook(notebook, PROVENANCE)
    nbformat.validate(notebook)
    title, banner, begin, *code = notebook.cells
    assert title.source == "# Title" and begin.source == "What comes out."
    assert LINE in banner.source and ":name: toy-provenance" in banner.source
    assert "alpha = 0.5" in banner.source and "somewhere" not in banner.source
    assert [cell.source for cell in code if "hide-input" not in cell.metadata.get("tags", [])] == [
        "find_jnd(M, x0)"
    ]
    assert code[0].metadata.tags == ["parameters", "hide-input"] and len(code) == 4
    assert [cell.metadata.shows for cell in code] == [[], [], ["fig1"], ["fig2", "table1"]]
    texts = [output.data["text/markdown"] for cell in code for output in cell.outputs]
    assert texts == [
        "a figure",
        "*[Numbers](../figures/toy/metrics.json)*",
        "a figure",
        "a table",
        "*[Numbers](../figures/toy/table1.csv) · 3 photos*",
        "*words*",
    ]


def test_a_page_is_made_of_parts_whose_headings_go_a_level_down():
    first = text_part("# One\n\nSee [the other](method.md).")
    second = text_part("# Two\n\n## Three")
    page = join_parts([first, second], ["idea.ipynb", "method.md"])
    nbformat.validate(page)
    assert [cell.source for cell in page.cells] == [
        "(part-idea)=\n# One\n\nSee [the other](#part-method).",
        "(part-method)=\n## Two\n\n### Three",
    ]
