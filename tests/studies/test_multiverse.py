"""The pipelines against what numpy and Pillow do to arrays; the errors by their definition."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from jnd.metrics import INT64_DB, psnr, scc, uqi, vif
from jnd.studies.multiverse import (
    KEPT,
    LABEL,
    PAIRINGS,
    PIPELINES,
    UNITS,
    Multiverse,
    Pipeline,
    narrow,
)
from jnd.support.checkout import read_data

PLAIN = Pipeline("itself", "0..255", "0..255", "floats")


@pytest.fixture
def x0(generator):
    return torch.randint(0, 256, (3, 3, 32, 32), generator=generator).double()


def as_planes(array):
    return torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2)


def test_the_plain_pipeline_is_the_metrics(x0, generator):
    x = x0 + torch.randn(x0.shape, generator=generator)
    measured = PLAIN.measure(x0, x)
    assert torch.equal(measured["PSNR"], psnr(x0, x)) and torch.equal(measured["UQI"], uqi(x0, x))
    assert torch.equal(measured["SCC"], scc(x0, x)) and torch.equal(measured["VIF"], vif(x0, x))


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
    """Of floating point; a plane of slopes stays itself but at the borders."""
    rows = np.arange(32, dtype=np.float32)[:, None] * 5 + np.arange(32, dtype=np.float32) * 2
    picture = Image.fromarray(rows, mode="F").resize((299, 299), Image.BILINEAR)
    expected = torch.from_numpy(np.array(picture.resize((32, 32), Image.BILINEAR))).double()
    found = PAIRINGS["enlarged to 299 and back"](
        torch.from_numpy(rows).double().expand(1, 3, 32, 32)
    )
    assert torch.allclose(found[0, 0], expected, atol=1e-3)


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


@pytest.fixture
def images(x0, generator):
    def changed(size):
        return x0 + size * torch.randn(x0.shape, generator=generator)

    return {
        "x0": x0,
        "x_jnd.full": changed(1),
        "x_end.full": changed(4),
        "x_jnd.none": changed(2),
        "x_end.none": changed(30),
        "x_jnd.l2": changed(1),
    }


def test_means_are_of_the_moments_named(x0, images):
    found = Multiverse("table2", images, [PLAIN])
    assert found.means.index.get_level_values("images").tolist() == ["x(K)", "end", "x(K), end"]
    for title, arms in {
        "x(K)": ("x_jnd.full", "x_jnd.none"),
        "x(K), end": ("x_jnd.full", "x_end.none"),
    }.items():
        row = found.means.loc[title].iloc[0]
        assert row["PSNR, with"] == pytest.approx(psnr(x0, images[arms[0]]).mean().item())
        assert row["SCC, without"] == pytest.approx(scc(x0, images[arms[1]]).mean().item())


def test_errors_are_in_units_of_what_chance_allows(x0, images, monkeypatch):
    table = {
        arm: {"PSNR": 340.0, "UQI": 0.9, "SCC": 0.5, "VIF": 0.2} for arm in ("with", "without")
    }
    monkeypatch.setitem(read_data("paper")["tables"], "table2", table)
    found = Multiverse("table2", images, [PLAIN])
    values = uqi(x0, images["x_jnd.full"])
    unit = 2 * values.std().item() / 3**0.5 + 0.005
    expected = abs(values.mean().item() - 0.9) / unit
    assert found.errors.loc["x(K)"].iloc[0]["UQI, with"] == pytest.approx(expected)
    both = [
        vif(x0, images["x_jnd.full"], form=form).mean().item() for form in ("sewar", "sewar 0.4.1")
    ]
    assert found.means.loc["x(K)"].iloc[0]["VIF, with"] in [pytest.approx(value) for value in both]


def test_a_pipeline_that_made_the_numbers_is_found(x0, images, monkeypatch):
    """A table printed from known arrays is explained by the pipeline that made them, exactly."""
    culprit = Pipeline("mirrored", "0..255", "−1..1, × 255", "8 bits, wrapped")
    table = {}
    for column, name in {"with": "x_jnd.full", "without": "x_end.none"}.items():
        measured = culprit.measure(x0, images[name])
        table[column] = {
            k: round(measured[k].mean().item(), 2) for k in ("PSNR", "UQI", "SCC", "VIF")
        }
        table[column]["PSNR"] = round(table[column]["PSNR"] + INT64_DB, 2)
    monkeypatch.setitem(read_data("paper")["tables"], "table2", table)
    found = Multiverse("table2", images, [PLAIN, culprit])
    row = ("x(K), end", *vars(culprit).values())
    assert found.errors.loc[row].max() < 1 < found.errors.loc[("end", *vars(PLAIN).values())].max()
    best = found.best(2)
    assert best.index[0][0] == "the paper" and row in best.index
    assert best["near"][row] == 8 and found.by_number()["near, of 6"].min() >= 1


def test_a_page_gets_one_readable_label_and_few_columns(images):
    mixed = Pipeline("BGR", "0..255", "−1..1, × 255", "8 bits, wrapped")
    best = Multiverse("table2", images, [PLAIN, mixed]).best(6)
    assert best.index.names == LABEL
    table = narrow(best)
    assert list(table.columns) == ["PSNR", "UQI", "SCC", "VIF"] and len(table) == 2 * len(best)
    names = table.index.unique("pipeline")
    assert names[0] == "the paper"
    for label, name in zip(best.index[1:], names[1:], strict=True):
        near, worst = best.loc[label, "near"], best.loc[label, "worst"]
        assert name.endswith(f" ({near:.0f} near, worst {worst:.2g})")
    assert {name.split(" (")[0] for name in names if not name.startswith("x(K)")} == {
        "the paper",
        "end; itself; both 0..255; floats",
        "end; BGR; 0..255 beside −1..1, × 255; 8 bits, wrapped",
    }
    for name, (_, row) in zip(names, best.iterrows(), strict=True):
        for column in "with", "without":
            for metric in table.columns:
                assert table.loc[(name, column), metric] == row[f"{metric}, {column}"]


def test_images_that_are_missing_are_left_out(images):
    images["x_jnd.none"][1] = torch.nan
    found = Multiverse("table2", images, [PLAIN])
    expected = psnr(images["x0"][[0, 2]], images["x_end.full"][[0, 2]]).mean().item()
    assert found.means.loc["end"].iloc[0]["PSNR, with"] == pytest.approx(expected)


def test_without_x_of_K_the_ends_are_compared(images):
    images["x_jnd.none"][1:] = torch.nan
    found = Multiverse("table2", images, PIPELINES[:4])
    expected = psnr(images["x0"], images["x_end.none"]).mean().item()
    assert found.means.loc["end"].iloc[0]["PSNR, without"] == pytest.approx(expected)
    assert found.means.loc["x(K)"].iloc[0].filter(like="without").isna().all()
    assert (found.errors.loc["x(K)"].filter(like="without") == math.inf).all(axis=None)
    assert found.best(1).index[1][0] == "end"
    assert "near, of 12" in found.by_number()


def test_a_single_image_is_too_few(images):
    with pytest.raises(ValueError, match="at least 2 images"):
        Multiverse("table2", {name: x[:1] for name, x in images.items()}, [PLAIN])


def test_identical_arrays_explain_no_psnr(x0, images):
    images |= {name: x0 / 2 for name in images}
    found = Multiverse("table2", images, [Pipeline("itself", "0..1", "0..1", "whole numbers")])
    assert (found.errors["PSNR, with"] == float("inf")).all()


def test_every_pipeline_is_there_once():
    assert len(set(PIPELINES)) == len(PIPELINES) == len(PAIRINGS) * 11 * len(KEPT)
