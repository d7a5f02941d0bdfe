"""The slider's file, read back."""

import json
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from units import GREY

from jnd.companion import viewer
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.trajectory import relative_distance


@pytest.mark.parametrize("K", [0, 1, 19, 100, 150])
def test_moments_hold_both_ends_and_K_and_are_densest_there(K):
    ks = viewer.shown_iterations(K, 150)
    assert {0, K, 150} <= set(ks) and ks == sorted(ks) and len(ks) <= 16
    assert {max(K - 1, 0), min(K + 1, 150)} <= set(ks)
    steps = np.diff(ks)
    assert (np.diff(steps[ks.index(K) :]) >= -1).all() and max(steps) > 5


def test_without_K_on_the_way_moments_are_even():
    assert viewer.shown_iterations(-1, 13) == viewer.shown_iterations(14, 13) == list(range(14))


def test_the_strip_has_the_frames_above_and_what_was_added_below():
    frames = torch.full((3, 3, 4, 4), 100.0)
    frames[1] += 2
    frames[2] -= 4
    picture, reach = viewer.strip(frames)
    pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (8, 12, 3) and reach == 4
    assert [pixels[0, column].tolist() for column in (0, 4, 8)] == [[100] * 3, [102] * 3, [96] * 3]
    nothing, more, less = (pixels[4, column] for column in (0, 4, 8))
    assert nothing.min() > 240  # white
    assert more[0] > more[2] + 50 and less[2] > less[0] + 50  # red and blue
    picture, reach = viewer.strip(frames, 1)
    pixels = np.asarray(picture).astype(int)
    assert reach == 2 and pixels[4, 4].sum() < more.sum()  # redder
    assert pixels[4, 8].tolist() == less.tolist()  # as blue as it can be


def test_what_is_written_is_what_the_descent_saw(tmp_path):
    class Pixel(torch.nn.Module):
        def forward(self, x):
            grown = x[:, 0, 0, 0] - 13.5
            return torch.stack((-grown, grown), 1)

    x0 = torch.full((2, 3, 8, 8), 10.0)
    x0[1] += 1
    options = dict(target=1, cost=Cost.arm("none"))
    film = viewer.Film(torch.tensor([5, 3]), 9)
    found = find_jnd(Pixel(), x0, alpha=1 / GREY, max_iter=9, watch=film, **options)
    end = find_jnd(Pixel(), x0, max_iter=4, alpha=0.01, **options)
    for image, frames in enumerate(film.frames):
        assert {0, 9, found.K[image].item()} <= frames.keys()
        assert torch.equal(frames[found.K[image].item()], found.x_jnd[image])
        assert torch.equal(frames[9], found.x_end[image])

    way = viewer.way(film.frames[1], found, end.select(torch.tensor([1])), 1)
    photo = {"photo": "cat", "names": ("cat", "cup"), "ways": {"none": way}}
    viewer.write(tmp_path / "viewer.json", [photo], "how it was made")
    written = json.loads((tmp_path / "viewer.json").read_text())
    assert written["provenance"] == "how it was made"
    kept = written["photos"][0]["ways"]["none"]
    assert kept["K"] == found.K[1].item() and kept["k"] == sorted(film.frames[1])
    assert kept["updates"] == 4
    expected = [*found.confidence[kept["k"], 1].tolist(), end.confidence[4, 1].tolist()]
    assert np.allclose(kept["confidence"], expected, atol=1e-4)
    assert kept["change"][-1] == pytest.approx(relative_distance(end.x_end, x0)[1].item(), abs=1e-6)
    kind, picture = kept["strip"].split(",")
    assert kind == "data:image/webp;base64"
    width = 8 * (len(kept["k"]) + 1)
    assert Image.open(BytesIO(b64decode(picture))).size == (width, 16)
