"""The pipelines against what numpy and Pillow do to arrays; the errors by their definition."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from companion.checkout import read_data
from companion.distortions import noise_of
from companion.studies.forensics import (
    GRAINS,
    KEPT,
    LABEL,
    PAIRINGS,
    PIPELINES,
    UNITS,
    Multiverse,
    Pipeline,
    metrics_against_psnr,
    pipelines_beside_paper,
    readable,
    weakened,
)
from jnd.metrics import INT64_DB, psnr, scc, uqi, vif

PLAIN = Pipeline("white", "itself", "0..255", "0..255", "floats")
WRAPPED = Pipeline("white", "itself", "0..255", "0..255", "8 bits, wrapped")


@pytest.fixture
def x0(generator):
    return torch.randint(0, 256, (3, 3, 32, 32), generator=generator).double()


def as_planes(array):
    return torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2)


def test_the_plain_pipeline_is_the_metrics(x0, generator):
    x = x0 + torch.randn(x0.shape, generator=generator)
    early = vif(x0, x, form="sewar 0.4.1")
    assert torch.equal(PLAIN.psnr(x0, x), psnr(x0, x))
    both_uqi, both_scc, both_vif = PLAIN.measure(x0, x)
    assert all(torch.equal(version, uqi(x0, x)) for version in both_uqi)
    assert all(torch.equal(version, scc(x0, x)) for version in both_scc)
    assert torch.equal(both_vif, torch.stack((vif(x0, x), early)))


def test_pairings_are_the_slips_of_numpy(x0):
    pixels = x0.permute(0, 2, 3, 1).numpy()  # (B, H, W, 3), as pictures are
    planes = x0.numpy()
    slips = {
        "BGR": as_planes(pixels[..., ::-1]),
        "mirrored": as_planes(pixels[:, :, ::-1]),
        "upside down": as_planes(pixels[:, ::-1]),
        "rows as columns": as_planes(pixels.transpose(0, 2, 1, 3)),
        "planes read as pixels": as_planes(planes.reshape(3, 32, 32, 3)),
        "pixels read as planes": torch.from_numpy(pixels.reshape(3, 3, 32, 32)),
        "another image": as_planes(pixels[[2, 0, 1]]),
    }
    assert slips.keys() | {"itself", "enlarged to 299 and back"} == PAIRINGS.keys()
    for name, expected in slips.items():
        assert torch.equal(PAIRINGS[name](x0), expected), name


def test_enlarged_and_back_is_what_pillow_makes_of_a_plane():
    """In floating point; a linear ramp changes only at the borders."""
    rows = np.arange(32, dtype=np.float32)[:, None] * 5 + np.arange(32, dtype=np.float32) * 2
    picture = Image.fromarray(rows, mode="F").resize((299, 299), Image.BILINEAR)
    expected = torch.from_numpy(np.array(picture.resize((32, 32), Image.BILINEAR))).double()
    plane = torch.from_numpy(rows).double().expand(1, 3, 32, 32)
    paired = PAIRINGS["enlarged to 299 and back"](plane)
    assert torch.allclose(paired[0, 0], expected, atol=1e-3)


def test_units_are_those_of_the_usual_preprocessing(x0):
    from torchvision.transforms.v2.functional import normalize

    half = [0.5] * 3
    imagenet = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    assert torch.allclose(UNITS["−1..1"](x0), normalize(x0 / 255, half, half))
    assert torch.allclose(UNITS["normalised"](x0), normalize(x0 / 255, *imagenet))
    assert torch.allclose(UNITS["−1..1, × 255"](x0), 255 * normalize(x0 / 255, half, half))
    assert torch.allclose(UNITS["normalised, × 255"](x0), 255 * normalize(x0 / 255, *imagenet))


def test_what_is_kept_is_what_numpy_and_pillow_keep():
    values = torch.linspace(-300, 600, 3 * 8 * 8).view(1, 3, 8, 8).double()
    array = values.numpy()
    wrapped = array.astype(np.int64).astype(np.uint8)  # defined, as a direct cast is not
    assert np.array_equal(KEPT["8 bits, wrapped"](values).numpy(), wrapped)
    assert np.array_equal(KEPT["whole numbers"](values).numpy(), array.astype(np.int64))
    file = io.BytesIO()
    picture = np.clip(np.rint(array[0]), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(picture).save(file, "png")
    read = np.asarray(Image.open(file)).transpose(2, 0, 1)
    assert np.array_equal(KEPT["8 bits, clipped"](values)[0].numpy(), read)


@pytest.mark.parametrize("grain", GRAINS)
def test_noise_has_the_strength_that_its_psnr_says(x0, grain):
    noise = noise_of(x0, 0.0, GRAINS[grain]) - x0
    for strength in 10.0, 40.0:
        assert torch.allclose(
            psnr(x0, weakened(x0, noise, strength)), torch.full((3,), strength).double()
        )
        plain = Pipeline(grain, "itself", "0..255", "0..255", "floats")
        assert plain.strength(x0, noise, strength) == pytest.approx(strength, abs=0.1)


def test_a_pipeline_gets_the_noise_that_gives_it_the_psnr(x0):
    noise = noise_of(x0, 0.0) - x0
    strength = WRAPPED.strength(x0, noise, 12.0)
    decibels = WRAPPED.psnr(x0, weakened(x0, noise, strength)).mean().item()
    assert decibels == pytest.approx(12, abs=0.2)
    assert strength > 12.5  # less noise than the plain pipeline needs
    mirrored = Pipeline("white", "mirrored", "0..255", "0..255", "floats")
    assert mirrored.strength(x0, noise, 30.0) is None


def test_what_is_no_whole_number_has_the_psnr_of_its_grey_levels(x0, generator):
    x = x0 + torch.randn(x0.shape, generator=generator)
    small = Pipeline("white", "itself", "−1..1", "−1..1", "floats")
    assert torch.equal(small.psnr(x0, x), psnr(x0, x))
    beside = Pipeline("white", "itself", "0..255", "−1..1", "floats")
    assert torch.equal(beside.psnr(x0, x), psnr(x0, x / 127.5 - 1))


@pytest.fixture
def printed(monkeypatch):
    """Put numbers into the paper's Table II: (UQI, SCC, VIF) with and without, at 30 and 20 dB."""

    def table(**columns):
        names = ("UQI", "SCC", "VIF")
        decibels = {"with": 30, "without": 20}
        content = {
            arm: dict(zip(names, numbers, strict=True)) | {"PSNR": decibels[arm] + INT64_DB}
            for arm, numbers in columns.items()
        }
        monkeypatch.setitem(read_data("paper")["tables"], "table2", content | {"examples": 6})

    return table


def test_errors_are_in_units_of_what_chance_allows(x0, printed):
    printed(**{"with": (0.9, 0.5, 0.2), "without": (0.9, 0.5, 0.2)})
    multiverse = Multiverse("table2", x0, [PLAIN])
    x = noise_of(x0, multiverse.means["noise, with"].item())
    values = uqi(x0, x)
    # standard error of the difference between a mean over 3 images and the paper's over 6
    unit = 2 * values.std().item() * (1 / 3 + 1 / 6) ** 0.5 + 0.005
    assert multiverse.errors["UQI, with"].item() == pytest.approx(
        abs(values.mean().item() - 0.9) / unit, rel=1e-6
    )
    both = [vif(x0, x, form=form).mean().item() for form in ("sewar", "sewar 0.4.1")]
    assert multiverse.means["VIF, with"].item() in [
        pytest.approx(value, rel=1e-6) for value in both
    ]


@pytest.fixture
def culprit(x0, printed):
    """The pipeline that made the numbers now printed in Table II."""
    wrapped = Pipeline("blurred", "itself", "0..255", "−1..1, × 255", "8 bits, wrapped")
    noise = noise_of(x0, 0.0, GRAINS["blurred"]) - x0
    means = {}
    for column, decibels in {"with": 9.0, "without": 8.5}.items():
        strength = wrapped.strength(x0, noise, decibels)
        means[column] = wrapped.measure(x0, weakened(x0, noise, strength))[:, 1].mean(1).tolist()
    printed(**means)
    table = read_data("paper")["tables"]["table2"]
    table["with"]["PSNR"], table["without"]["PSNR"] = 9 + INT64_DB, 8.5 + INT64_DB
    return wrapped


def test_a_pipeline_that_made_the_numbers_is_found(x0, culprit):
    """A table printed from known arrays is explained by the pipeline that made them."""
    multiverse = Multiverse("table2", x0, [PLAIN, WRAPPED, culprit])
    best = multiverse.best(2)
    row = tuple(vars(culprit).values())
    assert best.index[0][0] == "the paper" and best.index[1] == row and best["near"][row] == 6
    errors = multiverse.errors.max(axis=1)
    assert errors.loc[row] < 0.1 < errors.loc[tuple(vars(PLAIN).values())]


def test_chance_gives_less_than_the_truth_and_no_less_than_nothing(x0, culprit):
    table = Multiverse("table2", x0, [PLAIN, WRAPPED, culprit]).by_chance(200)
    whole = table.iloc[-1]
    assert whole["hits"] == 6 and 0 < whole["by chance"] < 6 and whole["as many by chance"] < 0.5
    # an arbitrary number is one that a pipeline gives, so that one comes near it at least
    assert table["by chance"][:-1].between(0.99, 3).all()


def test_what_cannot_have_the_printed_psnr_is_out(x0, printed):
    printed(**{"with": (0.9, 0.5, 0.2), "without": (0.9, 0.5, 0.2)})
    mirrored = Pipeline("white", "mirrored", "0..255", "0..255", "floats")
    multiverse = Multiverse("table2", x0, [PLAIN, mirrored])
    assert multiverse.means.index.tolist() == [tuple(vars(PLAIN).values())]


def test_a_page_gets_one_readable_label_and_few_columns(x0, culprit):
    best = Multiverse("table2", x0, [PLAIN, culprit]).best(6)
    assert best.index.names == LABEL
    table = readable(best)
    assert {*table.columns} == {"noise", "UQI", "SCC", "VIF"} and len(table) == 2 * len(best)
    names = table.index.unique("pipeline")
    assert [name.split(" (")[0] for name in names] == [
        "the paper",
        "blurred noise; itself; 0..255 beside −1..1, × 255; 8 bits, wrapped",
        "white noise; itself; both 0..255; floats",
    ]
    for name, (_, row) in zip(names, best.iterrows(), strict=True):
        if name != "the paper":
            assert name.endswith(f" ({row['near']:.0f} near, worst {row['worst']:.2g})")
        for column in "with", "without":
            for metric in "UQI", "SCC", "VIF":
                assert table.loc[(name, column), metric] == row[f"{metric}, {column}"]


def test_a_single_image_is_too_few(x0):
    with pytest.raises(ValueError, match="at least 2 photos"):
        Multiverse("table2", x0[:1], [PLAIN])


def test_each_pipeline_is_tried_once():
    """Rounding is tried where both arrays span 0..255, in five of eleven pairs of units."""
    assert len(set(PIPELINES)) == len(PIPELINES)
    assert len(PIPELINES) == len(GRAINS) * len(PAIRINGS) * (11 + 5 * (len(KEPT) - 1))


def test_each_number_has_its_nearest_pipeline(x0, culprit):
    table = Multiverse("table2", x0, [PLAIN, culprit]).by_number()
    name = "blurred noise; itself; 0..255 beside −1..1, × 255; 8 bits, wrapped"
    assert table["nearest pipeline"].tolist() == [name] * 6 and (table["least error"] < 0.1).all()


def test_metrics_are_drawn_against_their_psnr():
    noise = pd.DataFrame({"PSNR": [20, 30], "UQI": [0.5, 0.8]})
    ours = pd.DataFrame({"PSNR": [25], "UQI": [0.6]})
    printed = pd.DataFrame({"PSNR": [38], "UQI": [0.9]})
    (axis,) = metrics_against_psnr({"white": noise}, ours, printed).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
    assert drawn == {
        "white": [[20, 0.5], [30, 0.8]],
        "our images": [[25, 0.6]],
        "paper": [[38, 0.9]],
    }


def test_pipelines_are_dots_and_the_nearest_has_a_ring():
    means = pd.DataFrame({"UQI, with": [0.1, 0.5], "UQI, without": [0.2, 0.6]}, index=["a", "b"])
    figure = pipelines_beside_paper({"UQI, with": 0.4, "UQI, without": 0.3}, means, "b")
    dots, ring, printed, other_dots, other_ring, other_printed = figure.axes[0].collections
    assert dots.get_offsets()[:, 1].tolist() == [0.1, 0.5]
    assert other_dots.get_offsets()[:, 1].tolist() == [0.2, 0.6]
    assert ring.get_offsets()[:, 1].tolist() == [0.5]
    assert other_ring.get_offsets()[:, 1].tolist() == [0.6]
    assert printed.get_segments()[0][:, 1].tolist() == [0.4, 0.4]
    assert other_printed.get_segments()[0][:, 1].tolist() == [0.3, 0.3]
