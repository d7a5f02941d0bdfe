"""Numbers and tables for the pages."""

import json

import numpy as np
import pytest

from claims_page import in_words
from companion.checkout import ROOT
from page_text import table
from results import namespace
from speed import GPU_SPEED, full_size, speed


def test_a_missing_K_is_a_dash():
    values = json.loads('{"arms": {"K": [3, -1], "jnd": null}}', object_hook=namespace)
    assert values.arms.K == [3, "–"] and np.isnan(values.arms.jnd)


def row_of(table: str, title: str) -> list[str]:
    """Return the cells of the row that begins with a title."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    (row,) = [cells[1:] for cells in rows if cells[0] == title]
    return row


def test_what_a_gpu_took_is_shown_once_it_is_measured():
    measured = json.loads((ROOT / "data" / "speed.json").read_text())
    measured["values"]["gpu"] = None
    assert speed(measured).gpu.startswith("**Not measured**")
    row = {"ms": 12.34, "ratio": 1.5, "low": 1.25, "high": 1.75}
    measured["values"]["gpu"] = {"inception_v3": {"contenders": {"jnd, full": row}}}
    assert row_of(speed(measured).gpu, "jnd, full") == ["12.3", "1.50 (1.25 to 1.75)", ""]


def test_the_cost_at_full_size_is_updates_times_what_one_takes():
    network = {"seconds": 0.5, "forward": GPU_SPEED / 4, "start": 1000, "image": 50}
    work = {"sure": 7200, "to_K": 7200, "batch": 20}
    job = {"work": work, "machines": ["net"]}
    values = {"networks": {"net": network}, "jobs": {"a": job, "training": job}, "bytes": 4e8}
    p = {"processor": "abacus", "packages": {"torch": "9"}, "commit": "f", "date": "2020-02-01"}
    table = full_size({"provenance": p | {"updates": 4}, "values": values}).table
    # 7200 and 14,400 updates of 0.5 s; on the GPU two forwards, in training three, of 0.25 s
    notebook = ["1.0 to 2.0", "1.0 to 2.0", "2.0"]
    assert row_of(table, "[a](#part-a)") == notebook
    assert row_of(table, "training") == ["1.0 to 2.0", "1.5 to 3.0", "2.0"]
    assert row_of(table, "**in all**") == ["2.0 to 4.0", "2.5 to 5.0", ""]


@pytest.mark.parametrize(
    "value, words",
    [
        (0.18, "0.180"),
        (-2.345, "−2.35"),
        (1263.14, "1263.1"),
        (509, "509"),
        ([1.0, 2.0], "1.50"),
        ([None, 8.0], "8.00"),
        ([None], "–"),
        (None, "–"),
        ({"low": -2.5, "high": 0.094}, "−2.5 to 0.094"),
        ({"low": None, "high": None}, "–"),
    ],
)
def test_a_measured_number_is_short(value, words):
    assert in_words(value) == words


def test_a_table_has_titles_to_the_left_and_numbers_to_the_right():
    rows = [{"": "a", "K": 12, "JND": -0.0123}, {"": "b", "K": None, "JND": 0.5}]
    markdown = table(rows, {"JND": ".1g"})
    assert markdown.splitlines()[1] == "|:---|----:|------:|"
    assert row_of(markdown, "a") == ["12", "−0.01"]
    assert row_of(markdown, "b") == ["–", "0.5"]
