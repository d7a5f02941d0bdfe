"""The slider's file, read back."""

import json
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from jnd.companion import viewer
from jnd.cost import Cost
from jnd.descent import find_jnd


@pytest.mark.parametrize("K", [0, 1, 19, 100, 150])
def test_moments_hold_both_ends_and_K_and_are_densest_there(K):
    ks = viewer.shown_iterations(K, 150)
    assert {0, K, 150} <= set(ks) and ks == sorted(ks) and len(ks) <= 36
    steps = dict(zip(ks, np.diff(ks), strict=False))
    assert all(steps[k] <= 2 for k in ks[:-1] if abs(k - K) < 2)
    assert max(steps.values()) > 5


def test_without_K_moments_are_even():
    assert viewer.shown_iterations(-1, 35) == list(range(36))


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


def test_what_is_written_is_what_the_descent_saw(tmp_path):
    class Pixel(torch.nn.Module):
        def forward(self, x):
            grown = x[:, 0, 0, 0] - 13.5
            return torch.stack((-grown, grown), 1)

    frames = {}
    found = find_jnd(
        Pixel(),
        torch.full((1, 3, 8, 8), 10.0),
        target=1,
        max_iter=9,
        cost=Cost.arm("none"),
        watch=lambda k, x: frames.update({k: x[0].clone()}),
    )
    assert list(frames) == list(range(10))
    assert torch.equal(frames[found.K.item()], found.x_jnd[0])
    assert torch.equal(frames[9], found.x_end[0])

    viewer.write(tmp_path / "viewer.json", frames, found, "cat", ("cat", "cup"), "how it was made")
    written = json.loads((tmp_path / "viewer.json").read_text())
    assert written["K"] == found.K.item() and written["k"] == list(range(10))
    assert np.allclose(written["confidence"], found.confidence[:, 0], atol=1e-4)
    kind, picture = written["strip"].split(",")
    assert kind == "data:image/webp;base64"
    assert Image.open(BytesIO(b64decode(picture))).size == (80, 16)
