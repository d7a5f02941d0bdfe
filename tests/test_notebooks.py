"""The notebooks as papermill runs them, in their smoke profile."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROFILES = sorted((ROOT / "notebooks" / "params").glob("*/*.yaml"))


def execute(folder, name, **parameters):
    return papermill.execute_notebook(
        ROOT / "notebooks" / f"{name}.ipynb", folder / "executed.ipynb",
        parameters | {"output": str(folder)}, progress_bar=False,
    )


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    parameters = yaml.safe_load((ROOT / "notebooks/params/smoke/imagenet.yaml").read_text())
    notebook = execute(folder, "imagenet", **parameters)
    return nbformat.from_dict(notebook), folder / "smoke" / "imagenet"


def test_smoke_leaves_its_files(smoke):
    _, folder = smoke
    assert {path.name for path in folder.iterdir()} == {
        "fig1.png", "fig2-a.png", "fig2-b.png", "perturbation.png", "k.csv", "table1.csv", "viewer.json",
        "metrics.json",
    }


def test_smoke_writes_numbers_with_provenance(smoke):
    written = json.loads((smoke[1] / "metrics.json").read_text())
    assert written["provenance"]["profile"] == "smoke"
    assert written["provenance"]["parameters"]["photos"] == ["coffee", "shuttle"]
    assert written["values"]["arms"].keys() == {"full", "l2", "none"}
    assert len(written["values"]["arms"]["none"]["K"]) == 2
    for metric in "PSNR", "UQI", "SCC", "VIF":
        assert written["values"]["table1"]["end"]["full"][metric] is not None


def test_the_executed_copy_has_no_noise(smoke):
    for cell in smoke[0].cells:
        for output in cell.get("outputs", []):
            assert output.output_type in {"display_data", "execute_result"}, output
            text = json.dumps(output.data)
            assert "progress" not in text and str(ROOT) not in text and "Error" not in text


def test_every_figure_of_the_executed_copy_has_an_alt_text(smoke):
    shown = [c for c in smoke[0].cells if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))]
    assert len(shown) == 4
    for cell in shown:
        assert len(cell.metadata.mystnb["image"]["alt"]) > 40


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_stripped(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_profiles_set_only_parameters(path):
    known = papermill.inspect_notebook(ROOT / "notebooks" / f"{path.stem}.ipynb")
    given = yaml.safe_load(path.read_text())
    assert given["profile"] == path.parent.name
    assert given.keys() <= known.keys()


@pytest.mark.parametrize(
    "wrong, message",
    [({"alhpa": 2.0}, "unknown parameter alhpa; imagenet has profile"),
     ({"machine": "googlenett"}, "unknown machine 'googlenett'; there is googlenet"),
     ({"photos": ["astronuat"]}, "no photo 'astronuat'"),
     ({"size": 20}, "vif needs images of at least 25x25 pixels"),
     ({"target_rank": 102}, "rank 102 is out of range"),
     ({"photos": ["cat", "coffee"]}, r"curves = \[1, 2\]: name two of the photos 0\.\.1")],
)
def test_wrong_parameters_stop_before_the_descent(tmp_path, wrong, message):
    with pytest.raises(papermill.PapermillExecutionError, match=message):
        execute(tmp_path, "imagenet", **wrong)
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)  # kept all the same
    done = [c.source for c in executed.cells if c.cell_type == "code" and c.get("execution_count")]
    assert not any("find_jnd(" in source for source in done)


def test_the_pipeline_names_the_profiles_it_knows():
    snakemake = [sys.executable, "-m", "snakemake", "--dry-run", "--config", "profile=papr"]
    done = subprocess.run(snakemake, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode
    assert "unknown profile 'papr': choose one of bundled, paper, smoke" in done.stdout + done.stderr
