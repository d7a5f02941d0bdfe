"""Tables: the paper's numbers beside ours."""

import math

import pytest
import torch
from torch.nn.functional import conv2d

from companion.checkout import read_data
from companion.tables import (
    metrics_by_sewar,
    metrics_table,
    paired_table,
    ratio_table,
    similarity,
)
from jnd.metrics import METRICS, table_metrics


def test_metrics_table_has_the_paper_above_the_means():
    values = {name: torch.tensor([1.0, 2.0, torch.nan, 9.0]) for name in METRICS}
    table = metrics_table("table1", {"jnd": {"full": values}}, slice(3))
    assert list(table.index) == ["paper, with", "paper, without", "x(K), all three terms"]
    assert table["UQI"].tolist() == [0.99, 0.90, 1.5]
    assert table["PSNR"].tolist() == pytest.approx([38.833, 18.833, 1.5], abs=1e-3)
    shifted = table["PSNR + 331.17 dB"].tolist()
    assert shifted == pytest.approx([370, 350, 332.667], abs=1e-3)


def test_metrics_table_without_the_paper():
    values = {name: torch.tensor([2.0]) for name in METRICS}
    table = metrics_table(None, {"end": {"full": values}})
    assert list(table.index) == ["end, all three terms"] and list(table.columns) == [*METRICS]


def test_sewars_numbers_are_ours_and_have_rows_of_their_own(generator):
    """Only the moments given have them; the means are over the images chosen."""
    x0 = (255 * torch.rand(3, 3, 48, 64, generator=generator)).round()
    ends = {arm: x0 + 9 * torch.randn(x0.shape, generator=generator) for arm in ("full", "none")}
    by_sewar = metrics_by_sewar(x0, {"end": ends})
    ours = {arm: table_metrics(x0, end) for arm, end in ends.items()}
    for arm, metrics in ours.items():
        for name, values in metrics.items():
            expected = pytest.approx(values.tolist(), rel=1e-6)
            assert by_sewar["end"][arm][name].tolist() == expected
    measured = {"jnd": {"full": ours["full"]}, "end": ours}
    table = metrics_table("table1", measured, slice(2), by_sewar=by_sewar)
    for title, arm in {"all three terms": "full", "unregularised": "none"}.items():
        row = table.loc[f"end, {title}, by sewar"]
        means = [ours[arm][name][:2].mean().item() for name in METRICS]
        assert row[[*METRICS]].tolist() == pytest.approx(means, rel=1e-6)
    assert [title for title in table.index if "sewar" in title] == [*table.index[-2:]]


def test_the_papers_tables_have_all_four_metrics():
    for table in read_data("paper")["tables"].values():
        assert table["with"].keys() == table["without"].keys() == {"PSNR", "UQI", "SCC", "VIF"}


def ssim_by_definition(x, y):
    """Wang et al. 2004, Eq. 13, with their Gaussian window of 11×11 pixels and σ = 1.5."""
    taps = torch.exp(-torch.arange(-5, 6, dtype=x.dtype).square() / (2 * 1.5**2))
    window = torch.outer(taps, taps)[None, None] / taps.sum() ** 2
    mean_x, mean_y, xx, yy, xy = (conv2d(z[:, None], window) for z in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (xx - mean_x**2 + yy - mean_y**2 + c2)
    return (above / below).mean().item()


def test_similarity_is_in_the_photos_units_and_ssim_is_as_defined(generator):
    x0 = (255 * torch.rand(3, 3, 32, 40, generator=generator)).round()
    x = x0 + 20 * torch.randn(x0.shape, generator=generator)
    x[1], x[2] = torch.nan, x0[2] + 0.5
    measured = similarity(x0, x)
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


def test_ratios_count_photos_and_have_a_factor_with_its_interval():
    """Of four photos one has no ratio: three of three larger, so p = 1/4."""
    ratios = {"change": {"FGSM": torch.tensor([2.0, 4.0, 8.0, torch.nan]), "FGV": torch.ones(4)}}
    table = ratio_table(ratios)
    row = table.loc[("‖Δ‖ / ‖x‖", "FGSM")]
    assert row["more than x(K)"] == "3 of 4" and row["p"] == pytest.approx(0.25)
    assert row["factor"] == pytest.approx(4)
    assert [row["low"], row["high"]] == pytest.approx([2, 8], rel=0.1)
    none = ratio_table({"SSIM": {"FGV": torch.full((2,), torch.nan)}}).loc[("1 − SSIM", "FGV")]
    assert none["more than x(K)"] == "0 of 2" and math.isnan(none["p"])
