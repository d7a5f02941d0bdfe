"""The pipelines against what numpy and Pillow do to arrays, and the errors against their definition."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from jnd import multiverse
from jnd.metrics import psnr, scc, uqi, vif
from jnd.multiverse import KEPT, PAIRINGS, PIPELINES, UNITS, Pipeline, errors
from jnd.results import INT64_DB, PAPER

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
    assert slips.keys() | {"itself"} == PAIRINGS.keys()
    for name, expected in slips.items():
        assert torch.equal(PAIRINGS[name](x0), expected), name


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


def test_errors_are_in_units_of_what_chance_allows():
    """Means that sit on the printed numbers, but for one that is 3 units away."""
    printed = PAPER["tables"]["table2"]["with"]
    spread = torch.tensor([-0.02, -0.01, 0.0, 0.01, 0.02], dtype=torch.float64)
    values = {name: number + spread for name, number in printed.items()}
    values["PSNR"] -= INT64_DB
    values["VIF, sewar 0.4.1"] = values["VIF"] + 1
    unit = 2 * spread.std().item() / 5**0.5 + 0.005
    values["SCC"] = values["SCC"] + 3 * unit
    table = errors("table2", {PLAIN: {"with": values}})
    row = table.loc[PLAIN]
    assert row["SCC, with"] == pytest.approx(3) and row["worst"] == row["SCC, with"]
    for name in "PSNR", "UQI", "VIF":
        assert row[f"{name}, with"] == pytest.approx(0, abs=1e-9)


def test_identical_arrays_explain_no_psnr(x0):
    nothing_left = Pipeline("itself", "0..1", "0..1", "whole numbers")
    table = errors("table2", {nothing_left: {"with": nothing_left.measure(x0 / 2, x0 / 2)}})
    assert table.loc[nothing_left, "PSNR, with"] == float("inf")


def test_every_pipeline_is_there_once_and_measures(x0):
    assert len(set(PIPELINES)) == len(PIPELINES) == len(PAIRINGS) * 11 * len(KEPT)
    assert len({str(p) for p in PIPELINES}) == len(PIPELINES)
    x = (x0 + 1).clamp(max=255)
    measured = multiverse.multiverse(PIPELINES[::23], x0, {"with": x})
    for by_arm in measured.values():
        assert by_arm["with"].keys() == set(multiverse.MEASURES)
        assert all(values.shape == (3,) for values in by_arm["with"].values())
