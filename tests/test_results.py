import json
import math

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from jnd import results
from jnd.results import PAPER, Run, quality_table


@pytest.fixture
def namespace(tmp_path):
    """The parameters cell of the notebook, as the notebook itself would run it."""
    cells = json.loads((results.ROOT / "notebooks" / "imagenet.ipynb").read_text())["cells"]
    names = {}
    exec("".join(next(c for c in cells if c["metadata"].get("tags") == ["parameters"])["source"]), names)
    return names | {"output": str(tmp_path)}


class FakeMachine:
    name, sha256, mean = "toy", "ab" * 32, torch.zeros(1)


@pytest.fixture
def run(namespace):
    run = Run("imagenet", namespace)
    run.uses(FakeMachine(), {"cat": "cd" * 32})
    return run


def test_provenance_is_complete(run):
    run.finish({"x": 1})
    written = json.loads((run.folder / "metrics.json").read_text())["provenance"]
    assert written.keys() == {
        "profile", "notebook", "parameters", "machine", "machine_sha256", "data_sha256", "device",
        "commit", "packages", "seconds", "date",
    }
    assert written["parameters"]["max_iter"] == 150
    assert written["data_sha256"] == {"cat": "cd" * 32}


def test_tensors_become_lists_and_what_is_not_finite_null(run):
    run.finish({"a": torch.tensor([1.5, math.nan]), "b": {"c": (math.inf, 2)}})
    written = json.loads((run.folder / "metrics.json").read_text())["values"]
    assert written == {"a": [1.5, None], "b": {"c": [None, 2]}}


def test_finish_leaves_no_checkpoint_and_no_half_written_file(run):
    run.checkpoint("full").write_bytes(b"state")
    run.finish({})
    assert [path.name for path in run.folder.iterdir()] == ["metrics.json"]


def test_figures_and_tables_are_files_too(run, capsys):
    run.show_figure(Figure(), "fig1")
    run.show_table(pd.DataFrame({"K": [3]}, index=["cat"]), "k")
    assert (run.folder / "fig1.png").read_bytes().startswith(b"\x89PNG")
    assert b"machine toy abababab" in (run.folder / "fig1.png").read_bytes()
    assert (run.folder / "k.csv").read_text() == ",K\ncat,3\n"


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"profile": "bundeld"}, ValueError, "unknown profile 'bundeld': use one of bundled, paper, smoke, custom"),
        ({"alpha": "fast"}, TypeError, "alpha = 'fast' must be of type float"),
        ({"max_iter": 2.5}, TypeError, "max_iter = 2.5 must be of type int"),
        ({"size": True}, TypeError, "size = True must be of type int"),
        ({"photos": "cat"}, TypeError, "photos = 'cat' must be of type list"),
    ],
)
def test_wrong_parameters(namespace, wrong, error, message):
    with pytest.raises(error, match=message):
        Run("imagenet", namespace | wrong)


def test_a_run_with_other_parameters_than_its_profile_is_custom(namespace):
    assert Run("imagenet", namespace).parameters["profile"] == "bundled"
    changed = Run("imagenet", namespace | {"alpha": 5.0})
    assert changed.parameters["profile"] == "custom" and changed.folder.parent.name == "custom"


def test_a_whole_number_serves_as_a_float(namespace):
    assert Run("imagenet", namespace | {"alpha": 2}).parameters["alpha"] == 2


def test_quality_table_sets_the_paper_beside_the_means():
    measured = {"x(K), full": {name: torch.tensor([1.0, 2.0]) for name in ("PSNR", "UQI", "SCC", "VIF")}}
    table = quality_table("table1", measured)
    assert list(table.columns) == ["paper, with", "paper, without", "x(K), full"]
    assert table.loc["UQI"].tolist() == [0.99, 0.90, 1.5]
    assert table.loc["PSNR + 331.17 dB"].tolist() == pytest.approx([370, 350, 1.5 + 331.167], abs=1e-3)
    assert table.loc["PSNR"].tolist() == pytest.approx([38.833, 18.833, 1.5], abs=1e-3)


def test_the_papers_tables_have_all_four_metrics():
    for table in PAPER["tables"].values():
        assert table["with"].keys() == table["without"].keys() == {"PSNR", "UQI", "SCC", "VIF"}
