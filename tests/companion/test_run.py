import json
import math

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch.nn.functional import conv2d

from jnd.companion.run import Run
from jnd.companion.tables import closeness, paired_table, quality_table
from jnd.metrics import METRICS, scores, vif
from jnd.support.checkout import ROOT, read_data


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
    name, sha256, mean, precision = "toy", "ab" * 32, torch.zeros(1), "bfloat16"


@pytest.fixture
def run(namespace):
    run = Run("imagenet", namespace)
    run.uses(FakeMachine(), "1 photo", {"cat": "cd" * 32})
    return run


def test_provenance_is_complete(run):
    run.finish({"x": 1})
    written = json.loads((run.folder / "metrics.json").read_text())["provenance"]
    assert written.keys() == {
        "profile",
        "notebook",
        "parameters",
        "machine",
        "machine_sha256",
        "data",
        "data_sha256",
        "device",
        "commit",
        "packages",
        "seconds",
        "date",
    }
    assert written["parameters"]["max_iter"] == 1000
    assert written["device"] == f"CPU, {torch.get_num_threads()} threads, bfloat16"
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
    line = b"machine toy abababab \xb7 1 photo \xb7 CPU, "
    assert line in (run.folder / "fig1.png").read_bytes()
    assert (run.folder / "k.csv").read_text() == ",K\ncat,3\n"


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (
            {"profile": "bundeld"},
            ValueError,
            "unknown profile 'bundeld': use one of bundled, paper, smoke",
        ),
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
    values = {
        name: torch.tensor([1.0, 2.0, torch.nan, 9.0]) for name in ("PSNR", "UQI", "SCC", "VIF")
    }
    table = quality_table("table1", {"jnd": {"full": values}}, slice(3))
    assert list(table.columns) == ["paper, with", "paper, without", "x(K), full"]
    assert table.loc["UQI"].tolist() == [0.99, 0.90, 1.5]
    assert table.loc["PSNR + 331.17 dB"].tolist() == pytest.approx(
        [370, 350, 1.5 + 331.167], abs=1e-3
    )
    assert table.loc["PSNR"].tolist() == pytest.approx([38.833, 18.833, 1.5], abs=1e-3)


def test_quality_table_without_the_paper():
    values = {name: torch.tensor([2.0]) for name in ("PSNR", "UQI", "SCC", "VIF")}
    table = quality_table(None, {"end": {"full": values}})
    assert list(table.columns) == ["end, full"] and list(table.index) == [
        "PSNR",
        "UQI",
        "SCC",
        "VIF",
    ]


def test_the_papers_tables_have_all_four_metrics():
    for table in read_data("paper")["tables"].values():
        assert table["with"].keys() == table["without"].keys() == {"PSNR", "UQI", "SCC", "VIF"}


def test_scores_are_nan_where_an_image_is(generator):
    x0 = (255 * torch.rand(3, 3, 32, 32, generator=generator)).round()
    x = x0 + torch.randn(x0.shape, generator=generator)
    x[1] = torch.nan
    measured = scores(x0, x)
    assert measured["PSNR"].isnan().tolist() == [False, True, False]
    assert torch.equal(measured["VIF"][[0, 2]], vif(x0[[0, 2]], x[[0, 2]]))


def ssim_by_definition(x, y):
    """Wang et al. 2004, Eq. 13, with their Gaussian window of 11×11 pixels and σ = 1.5."""
    taps = torch.exp(-torch.arange(-5, 6, dtype=x.dtype).square() / (2 * 1.5**2))
    window = torch.outer(taps, taps)[None, None] / taps.sum() ** 2
    mean_x, mean_y, xx, yy, xy = (conv2d(z[:, None], window) for z in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (xx - mean_x**2 + yy - mean_y**2 + c2)
    return (above / below).mean().item()


def test_closeness_is_in_the_photos_units_and_ssim_is_as_defined(generator):
    x0 = (255 * torch.rand(3, 3, 32, 40, generator=generator)).round()
    x = x0 + 20 * torch.randn(x0.shape, generator=generator)
    x[1], x[2] = torch.nan, x0[2] + 0.5
    measured = closeness(x0, x)
    assert measured["largest change"].tolist() == pytest.approx(
        [(x - x0)[0].abs().max().item(), math.nan, 0.5], nan_ok=True
    )
    share = (x - x0).flatten(1).norm(dim=1) / x0.flatten(1).norm(dim=1)
    assert measured["‖Δ‖ / ‖x‖"].tolist() == pytest.approx(share.tolist(), nan_ok=True)
    expected = [ssim_by_definition(x0[i].double(), x[i].double()) for i in (0, 2)]
    assert measured["SSIM"][[0, 2]].tolist() == pytest.approx(expected)
    assert measured["SSIM"][1].isnan() and measured["VIF"].isnan().tolist() == [False, True, False]


def test_holms_correction(generator):
    """p sorted, times 4, 3, 2, 1, never falling, never above 1."""
    first = {name: torch.randn(25, generator=generator) for name in METRICS}
    second = {
        name: first[name] + shift * torch.rand(25, generator=generator) - 0.1
        for name, shift in zip(METRICS, (0.2, 0.3, 0.25, 1.0), strict=True)
    }
    table = paired_table(first, second)
    in_order = table.sort_values("p")
    expected, highest = [], 0.0
    for factor, p in zip((4, 3, 2, 1), in_order["p"], strict=True):
        highest = max(highest, min(1.0, factor * p))
        expected.append(highest)
    assert in_order["p, Holm"].tolist() == pytest.approx(expected)
    assert table.loc["PSNR", "with"] == pytest.approx(first["PSNR"].mean().item())
    assert table.loc["PSNR", "without, sd"] == pytest.approx(second["PSNR"].std().item())


def test_a_paired_table_takes_the_images_that_have_both():
    first = {name: torch.tensor([1.0, 2.0, torch.nan, 5.0]) for name in METRICS}
    second = {name: torch.tensor([0.0, 1.0, 1.0, torch.nan]) for name in METRICS}
    table = paired_table(first, second)
    assert table["images"].tolist() == [2] * 4 and table["difference"].tolist() == [1.0] * 4


def test_a_paired_table_of_no_image():
    nothing = {name: torch.full((2,), torch.nan) for name in METRICS}
    table = paired_table(nothing, nothing)
    assert table["images"].tolist() == [0] * 4 and table["p, Holm"].isna().all()


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
