import json
import math

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from companion.checkout import ROOT
from companion.run import Run
from jnd import find_jnd


@pytest.fixture
def namespace(tmp_path):
    """The parameters cell of the notebook, as the notebook itself would run it."""
    cells = json.loads((ROOT / "notebooks" / "imagenet.ipynb").read_text())["cells"]
    names = {}
    exec(
        "".join(next(c for c in cells if c["metadata"].get("tags") == ["parameters"])["source"]),
        names,
    )
    return names | {"output": str(tmp_path)}


class FakeMachine:
    name = "toy"
    sha256 = "ab" * 32
    mean = torch.zeros(1)


@pytest.fixture
def run(namespace):
    run = Run("imagenet", namespace)
    run.uses(FakeMachine(), "1 photo", {"cat": "cd" * 32})
    return run


def test_provenance_is_complete(run):
    run.finish({"x": 1})
    written = json.loads((run.folder / "metrics.json").read_text())["provenance"]
    names = "profile notebook parameters machine machine_sha256 data data_sha256 device commit"
    assert written.keys() == {*names.split(), "packages", "seconds", "image_updates", "date"}
    assert written["parameters"]["max_iter"] == 1000
    assert written["device"].startswith(f"CPU, {torch.get_num_threads()} thread")
    assert written["data_sha256"] == {"cat": "cd" * 32}


def test_tensors_become_lists_and_infinite_numbers_null(run):
    run.finish({"a": torch.tensor([1.5, math.nan]), "b": {"c": (math.inf, 2)}})
    written = json.loads((run.folder / "metrics.json").read_text())["values"]
    assert written == {"a": [1.5, None], "b": {"c": [None, 2]}}


def test_finish_leaves_no_checkpoint_and_no_half_written_file(run):
    run.checkpoint("full").save({"x": torch.zeros(1)}, now=True)
    run.finish({})
    assert [path.name for path in run.folder.iterdir()] == ["metrics.json"]


def test_figures_and_tables_are_files_too(run, capsys):
    run.show_figure(Figure(), "fig1")
    run.show_table(pd.DataFrame({"K": [3]}, index=["cat"]), "k")
    assert (run.folder / "fig1.png").read_bytes().startswith(b"\x89PNG")
    line = b"machine toy abababab \xb7 1 photo \xb7 CPU, "
    assert line in (run.folder / "fig1.png").read_bytes()
    assert (run.folder / "k.csv").read_text() == ",K\ncat,3\n"


def test_a_figure_says_whether_it_shows_a_picture(run, monkeypatch):
    marks = []
    monkeypatch.setattr("companion.run.display", lambda _, metadata: marks.append(metadata["jnd"]))
    figure = Figure()
    run.show_figure(figure, "curve")
    figure.subplots().imshow([[0.0, 1.0]])
    run.show_figure(figure, "photo")
    assert [mark.get("pictures") for mark in marks] == [False, None, True, None]


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (
            {"profile": "bundeld"},
            ValueError,
            "unknown profile 'bundeld': use one of bundled, paper, smoke",
        ),
        ({"alpha": "fast"}, TypeError, "alpha = 'fast' must be of type float"),
        ({"alpha": "1e-3"}, TypeError, "YAML reads 1e-3 as text: write 1.0e-3 or 0.001"),
        ({"alhpa": 0.1}, ValueError, "unknown parameter alhpa; imagenet has profile, output,"),
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


def test_the_output_is_relative_to_the_current_folder(namespace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for output, folder in {"here": tmp_path / "here", "~/x": tmp_path / "home" / "x"}.items():
        run = Run("imagenet", namespace | {"output": output})
        assert run.folder.resolve() == folder / "bundled" / "imagenet"


def test_an_output_that_cannot_be_written_is_refused_before_the_work(namespace):
    with pytest.raises(OSError, match="nothing can be written into the folder /dev/null/below"):
        Run("imagenet", namespace | {"output": "/dev/null/below"})


def test_a_whole_number_serves_as_a_float(namespace):
    assert Run("imagenet", namespace | {"alpha": 2}).parameters["alpha"] == 2


def test_a_cell_that_runs_again_may_follow_other_variables(namespace):
    run = Run("imagenet", namespace)
    again = Run("imagenet", namespace | {"run": run, "my_number": 3})
    assert again.parameters == run.parameters


def descent(run, network, x0, name="to K", stop=None, **options):
    def interrupt(recording):
        if recording.k == stop:
            raise KeyboardInterrupt

    watch = run.long(name, interrupt)
    return find_jnd(network, x0, alpha=1e-4, **watch, **options)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 5))


def test_a_long_descent_counts_its_image_updates_and_shows_nothing_in_a_pipe(
    run, network, generator, capsys
):
    x0 = 255 * torch.rand(3, 3, 8, 8, generator=generator)
    assert descent(run, network, x0, max_iter=7).K.shape == (3,)
    assert run.image_updates == 3 * 7
    stopped = descent(run, network, x0, name="again", max_iter=7, stop_at_K=True)
    assert run.image_updates == 21 + sum(K + 1 if 0 <= K < 7 else 7 for K in stopped.K.tolist())
    assert capsys.readouterr().out == ""


def test_an_interrupted_descent_resumes_and_gives_the_same_bits_and_count(
    run, network, generator, monkeypatch
):
    monkeypatch.setattr("companion.checkpoint.SECONDS", 0.0)
    x0 = 255 * torch.rand(3, 3, 8, 8, generator=generator)
    whole = find_jnd(network, x0, alpha=1e-4, max_iter=9)
    with pytest.raises(KeyboardInterrupt):
        descent(run, network, x0, max_iter=9, stop=5)
    ks = []
    resumed = find_jnd(
        network, x0, alpha=1e-4, max_iter=9, **run.long("to K", lambda r: ks.append(r.k))
    )
    assert ks == [4, 5, 6, 7, 8, 9]  # x(5) was on its way
    for name in ("x_jnd", "x_end", "K", "confidence", "distance", "noticed"):
        torch.testing.assert_close(
            getattr(whole, name), getattr(resumed, name), rtol=0, atol=0, equal_nan=True
        )
    assert run.image_updates == 3 * 9


def test_a_checkpoint_of_other_parameters_is_not_resumed(run, namespace):
    run.checkpoint("to K").save({"x": torch.ones(1)}, now=True)
    assert run.checkpoint("to K").load() == {"x": torch.ones(1)}
    assert Run("imagenet", namespace | {"alpha": 2.0}).checkpoint("to K").load() is None
    run.uses(FakeMachine(), "1 photo", {"cat": "00" * 32})
    assert run.checkpoint("to K").load() is None


def test_descents_are_shared_where_machine_data_and_parameters_are_the_same(run, namespace):
    other = Run("imagenet", namespace)
    other.notebook = "other"
    other.uses(FakeMachine(), "1 photo", {"cat": "cd" * 32})
    assert other.shared("imagenet", "alpha") is None  # no results yet
    run.finish({})
    assert other.shared("imagenet", "alpha", "photos") == run.folder
    other.parameters["alpha"] = 2.0
    assert other.shared("imagenet", "alpha") is None
    assert other.shared("imagenet", "photos") == run.folder
    other.uses(FakeMachine(), "1 photo", {"cat": "00" * 32})
    assert other.shared("imagenet", "photos") is None


def test_a_run_that_follows_another_is_about_its_subject(run, namespace):
    run.finish({})
    after = Run("imagenet", namespace)
    assert after.follows("imagenet") == run.folder
    assert after.provenance["machine"] == "toy" and after.provenance["data"] == "1 photo"
    other = run.folder.parent / "other"
    other.mkdir()
    provenance = run.provenance | {
        "machine": "plane",
        "data": "2 photos",
        "data_sha256": {"dog": "ef" * 32},
    }
    (other / "metrics.json").write_text(json.dumps({"provenance": provenance}))
    after.follows("other")
    assert after.provenance["machine"] == "plane"  # what comes next is about this one
    after.finish({})  # and the whole about both
    whole = json.loads((after.folder / "metrics.json").read_text())["provenance"]
    assert (whole["machine"], whole["data"]) == ("toy, plane", "1 photo, 2 photos")
    assert whole["data_sha256"] == {"cat": "cd" * 32, "dog": "ef" * 32}
    assert whole["device"] == run.provenance["device"]
    with pytest.raises(
        FileNotFoundError, match=r"none has left no results in bundled: run notebooks/none.ipynb"
    ):
        after.follows("none")
