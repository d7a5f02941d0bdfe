"""The notebooks: as papermill runs them in the smoke profile, and with wrong parameters."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
import yaml
from IPython.core.interactiveshell import InteractiveShell
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from traitlets.config import Config

from claims import THIS_RUN, judge_all
from companion.checkout import ROOT, read_data
from notebook_files import FILES
from pipeline import copy_repository, environment, run, snakemake

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROFILES = sorted((ROOT / "notebooks" / "params").glob("*/*.yaml"))


def execute(folder, name, **parameters):
    return papermill.execute_notebook(
        ROOT / "notebooks" / f"{name}.ipynb",
        folder / "executed.ipynb",
        parameters | {"output": str(folder)},
        progress_bar=False,
    )


# Run by each kernel at its start. At its end the kernel leaves its status as Linux gives it and the
# number of images that went through a network with a gradient.
METER = """
def start():
    import atexit, os, pathlib, torch
    images = []
    def note(module, inputs):
        if type(module).__name__ in {"Machine", "Detector"} and inputs[0].requires_grad:
            images.append(len(inputs[0]))
    torch.nn.modules.module.register_module_forward_pre_hook(note)
    def leave():
        folder = pathlib.Path(os.environ["IPYTHONDIR"])
        status = pathlib.Path("/proc/self/status")
        if status.exists():
            (folder / "status").write_text(status.read_text())
        (folder / "updates").write_text(str(sum(images)))
    atexit.register(leave)
start()
del start
"""


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The executed notebooks of the smoke profile and their folders, by name."""
    folder, ipython = (tmp_path_factory.mktemp(name) for name in ("smoke", "ipython"))
    startup = ipython / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "meter.py").write_text(METER)
    executed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(ipython))
        for name in FILES:
            parameters = yaml.safe_load(
                (ROOT / "notebooks/params/smoke" / f"{name}.yaml").read_text()
            )
            notebook = nbformat.from_dict(execute(folder, name, **parameters))
            executed[name] = notebook, folder / "smoke" / name
            for record in ("status", "updates"):
                if (ipython / record).exists():
                    (ipython / record).rename(folder / f"{name}.{record}")
    return executed


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux counts it")
@pytest.mark.parametrize("name", FILES)
def test_smoke_stays_under_2_gb_of_memory(smoke, name):
    status = (smoke[name][1].parents[1] / f"{name}.status").read_text()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(peak) * 1024 < 2e9


@pytest.mark.parametrize("name", FILES)
def test_image_updates_are_the_images_that_went_through_a_network_with_a_gradient(smoke, name):
    metrics = json.loads((smoke[name][1] / "metrics.json").read_text())
    counted = int((smoke[name][1].parents[1] / f"{name}.updates").read_text())
    if name != "idea":  # its machine is no network
        assert metrics["provenance"]["image_updates"] == counted


def test_every_notebook_is_tested():
    assert FILES.keys() == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("name", FILES)
def test_smoke_leaves_its_files(smoke, name):
    assert {path.name for path in smoke[name][1].iterdir()} == set(FILES[name].split())


@pytest.mark.parametrize("name", FILES)
def test_smoke_writes_numbers_with_provenance(smoke, name):
    written = json.loads((smoke[name][1] / "metrics.json").read_text())
    assert written["provenance"]["profile"] == "smoke" and written["provenance"]["notebook"] == name
    assert written["provenance"]["machine"] and written["values"]


def test_the_experiments_have_their_numbers(smoke):
    for name, table in {"imagenet": "table1", "cifar10": "table2"}.items():
        values = json.loads((smoke[name][1] / "metrics.json").read_text())["values"]
        assert values["arms"].keys() == {"full", "l2", "none"}
        assert len(values["arms"]["none"]["K"]) == len(values["photos"])
        for metric in "PSNR", "UQI", "SCC", "VIF":
            assert values[table]["end"]["full"][metric] is not None


def test_every_claim_finds_what_decides_it(smoke):
    verdicts = judge_all(smoke["imagenet"][1].parent)
    assert [v.id for v in verdicts] == [claim["id"] for claim in read_data("paper")["claims"]]
    for claim, verdict in zip(read_data("paper")["claims"], verdicts, strict=True):
        if "checks" in claim:
            assert verdict.setups[0].setup == THIS_RUN, verdict
            paper_alone = claim["kind"] == "number" or claim.get("only") == ["paper"]
            assert bool(verdict.checked) != paper_alone, verdict
        else:
            assert verdict.verdict in {"not tested here", "by definition"}, verdict


@pytest.mark.parametrize("name", FILES)
def test_the_executed_copy_has_no_noise(smoke, name):
    for cell in smoke[name][0].cells:
        for output in cell.get("outputs", []):
            assert output.output_type in {"display_data", "execute_result"}, output
            text = json.dumps(output.data)
            assert "progress" not in text and str(ROOT) not in text and "Error" not in text


@pytest.mark.parametrize("name", FILES)
def test_every_figure_of_the_executed_copy_has_an_alt_text(smoke, name):
    cells = smoke[name][0].cells
    shown = [
        c for c in cells if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))
    ]
    assert len(shown) == FILES[name].count(".png")
    for cell in shown:
        assert len(cell.metadata.mystnb["image"]["alt"]) > 40


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_stripped(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_run_begins_right_after_the_parameters(path):
    """So misspelt parameters are noticed: nothing else is in the notebook's namespace yet."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert "parameters" in cells[1].metadata.tags
    begin = f'from companion.run import Run\n\nrun = Run("{path.stem}", globals())'
    assert cells[2].source == begin


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_profiles_set_only_parameters(path):
    known = papermill.inspect_notebook(ROOT / "notebooks" / f"{path.stem}.ipynb")
    given = yaml.safe_load(path.read_text())
    assert given["profile"] == path.parent.name
    assert given.keys() <= known.keys()


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """An IPython in this process: a kernel takes far longer to start than a notebook to refuse."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    yield shell
    shell.cleanup()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    "name, wrong, message",
    [
        ("imagenet", {"alhpa": 2.0}, "unknown parameter alhpa; imagenet has profile"),
        ("imagenet", {"machine": "googlenett"}, "unknown machine 'googlenett'; there is googlenet"),
        ("imagenet", {"photos": ["shutle"]}, "no photo 'shutle'"),
        ("imagenet", {"size": 20}, "vif needs images of at least 25x25 pixels"),
        ("imagenet", {"target_rank": 1002}, "rank 1002 is out of range"),
        (
            "imagenet",
            {"photos": ["cat", "coffee"]},
            r"curves = \[0, 2\]: name two of the photos 0\.\.1",
        ),
        ("derivation", {"max_iter": 10}, "imagenet has left no results in custom: run"),
        ("cifar10", {"data": "none.npz"}, 'no data file none.npz; "official" fetches CIFAR-10'),
        ("cifar10", {"examples": 300}, "examples = 300: show 1 to count = 100 images"),
        (
            "detection",
            {"machine": "retinanet"},
            "unknown detector 'retinanet': use 'retinanet_googlenet_fpn'",
        ),
        (
            "detection",
            {"category": "cart"},
            "retinanet_googlenet_fpn has no category 'cart'; try car",
        ),
        (
            "detection",
            {"box": [120, 112, 400, 172]},
            "must have x1 < x2 and y1 < y2 and lie within",
        ),
        ("forensics", {"high_resolution": "imagnet"}, "imagnet has left no results in custom: run"),
        ("comparison", {"max_iter": 0}, "budget = 0, but an attack needs at least 1 gradient"),
        ("pictures", {"ranks": []}, "ranks: name at least one"),
        ("pictures", {"shown": "tea"}, "shown = 'tea': name one of the photos"),
        ("comparison", {"shrinking_alphas": [0.001]}, "name two or more, each half the one before"),
        ("comparison", {"shown": "tea"}, "shown = 'tea': name one of the photos"),
        (
            "comparison",
            {"crop": [140, 140, 96]},
            r"crop = \[140, 140, 96\] is not within 224×224 pixels",
        ),
        (
            "psychometrics",
            {"sizes": [160]},
            "machines, weights, sizes and alphas: give as many of each",
        ),
        ("psychometrics", {"swept": 300}, "swept = 300: take 1 to count = 36 photos"),
        ("psychometrics", {"data": "nowhere"}, 'no folder nowhere; "packaged" needs none'),
        ("forensics", {"pairings": ["itslef"]}, "unknown pairing 'itslef'; use one of itself, BGR"),
    ],
)
def test_wrong_parameters_stop_before_the_descent(shell, tmp_path, name, wrong, message):
    notebook = load_notebook_node(str(ROOT / "notebooks" / f"{name}.ipynb"))
    notebook = parameterize_notebook(notebook, wrong | {"output": str(tmp_path)})
    begun = []
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                begun.append(cell.source)
                shell.run_cell(cell.source, store_history=True).raise_error()
    # long work has a progress bar
    assert not any("run.long(" in source or "bar(" in source for source in begun)


def test_labels_of_other_images_are_noticed(tmp_path):
    """Files whose labels have been shuffled are refused before the descent."""
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "shuffled.npz", images=images, labels=generator.integers(10, size=40))
    with pytest.raises(papermill.PapermillExecutionError, match="agrees with only .* labels"):
        execute(tmp_path, "cifar10", data=str(tmp_path / "shuffled.npz"), count=10)
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)  # kept all the same
    assert any("companion.run" in c.source for c in executed.cells if c.get("execution_count"))


def test_the_pipeline_names_the_profiles_it_knows():
    command = snakemake("--dry-run", "--config", "profile=papr")
    message = "unknown profile 'papr': use one of bundled, paper, smoke"
    assert message in run(command, ROOT, fails=True)


def test_papermill_runs_a_notebook_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    notebook = ROOT / "notebooks" / "idea.ipynb"
    parameters = ROOT / "notebooks" / "params" / "smoke" / "idea.yaml"
    command = [sys.executable, "-m", "papermill", notebook, "out.ipynb", "-f", parameters]
    command += ["-p", "output", tmp_path / "results"]
    subprocess.run([*map(str, command)], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "results" / "smoke" / "idea" / "metrics.json").exists()


def test_a_notebook_says_what_comes_and_where_it_failed(tmp_path):
    root = copy_repository(tmp_path)
    parameters = 'profile: str = "bundled"\noutput: str = "results/by-hand"'
    cells = [
        nbformat.v4.new_markdown_cell("# A cup of tea\n\nWith milk."),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("1 / 0"),
    ]
    metadata = nbformat.read(NOTEBOOKS[0], as_version=4).metadata
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(notebook, root / "notebooks" / "tea.ipynb")
    (root / "notebooks" / "params" / "tiny").mkdir()
    (root / "notebooks" / "params" / "tiny" / "tea.yaml").write_text("profile: tiny\n")
    command = [sys.executable, "notebooks/run.py", "tea", "tiny"]
    process = subprocess.run(
        command, cwd=root, text=True, capture_output=True, env=environment(root)
    )
    assert process.returncode and process.stdout == "A cup of tea: into results/tiny/tea/\n"
    *_, error, _, where = process.stderr.splitlines()
    assert error == "ZeroDivisionError: division by zero"
    assert where == "That was In [3] of results/tiny/tea/executed.ipynb"
