"""That the figures show what they are given; how they look is for eyes."""

import numpy as np
import pandas as pd
import pytest
import torch

from jnd import figures
from jnd.cost import Cost
from jnd.descent import find_jnd


@pytest.fixture
def found():
    """Two classes that swap when the first pixel has grown by 3."""

    class Pixel(torch.nn.Module):
        def forward(self, x):
            grown = x[:, 0, 0, 0] - 13.5
            return torch.stack((-grown, grown), 1)

    return find_jnd(Pixel(), torch.full((2, 3, 8, 8), 10.0), target=1, alpha=1.0, max_iter=9,
                    cost=Cost.arm("none"))


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


def test_gallery_shows_the_pixels_and_the_answers():
    images = torch.stack([torch.full((3, 4, 4), 40.4), torch.full((3, 4, 4), 300.0)])
    figure = figures.gallery({"original": images, "x(K)": images}, {"original": ["a", "b"], "x(K)": ["c", "d"]})
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c", "d"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["original", "", "x(K)", ""]
    assert np.unique(figure.axes[0].images[0].get_array()) == [40]
    assert np.unique(figure.axes[1].images[0].get_array()) == [255]


def test_detections_are_boxed_and_named():
    pictures = torch.full((2, 3, 8, 12), 40.4)
    box, planted = torch.tensor([1.0, 2.0, 5.0, 6.0]), torch.tensor([2.0, 2.0, 4.0, 5.0])
    figure = figures.detections(
        {"original": pictures, "end": pictures},
        {"original": [[], []], "end": [[], [("car, 0.91", box)]]},
        ["box and class", "class only"], planted,
    )
    boxes = [[patch.get_bbox().extents.tolist() for patch in axis.patches] for axis in figure.axes]
    assert boxes == [[planted.tolist()]] * 3 + [[planted.tolist(), box.tolist()]]
    assert [text.get_text() for axis in figure.axes for text in axis.texts] == ["car, 0.91"]
    assert [axis.get_title() for axis in figure.axes] == ["original", "end", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["box and class", "", "class only", ""]


def test_gallery_says_where_there_is_no_image():
    figure = figures.gallery({"x(K)": torch.full((1, 3, 4, 4), torch.nan)}, {"x(K)": [""]})
    assert not figure.axes[0].images and figure.axes[0].texts[0].get_text() == "not noticed"


def test_confidence_curves_mark_K(found):
    figure = figures.confidence_curves({"full": found, "none": found}, 0, ("cat", "cup"))
    top, bottom = figure.axes
    assert np.allclose(lines(top)["cup"].get_ydata(), found.confidence[:, 0, 1])
    assert np.allclose(lines(bottom)["arm none"].get_ydata(), found.distance[:, 0])
    assert f"K = {found.K[0]}" in [text.get_text() for text in top.texts]


def test_perturbations_show_the_signed_change():
    x0 = torch.full((1, 3, 32, 32), 100.0)
    changed = x0.clone()
    changed[..., :16] += 2
    changed[..., 16:] -= 1
    figure = figures.perturbations(x0, {"full": changed}, ["cat"])
    shown = [axis.images[0].get_array() for axis in figure.axes[:3]]
    assert figure.axes[0].get_ylabel() == "cat, full"
    assert np.unique(shown[1]).tolist() == [-1, 2]
    assert shown[2][0, 0] == pytest.approx(2) and shown[2][0, -1] == pytest.approx(1)
    assert "grey levels" in [axis.get_ylabel() for axis in figure.axes]


def test_small_images_are_shown_pixel_by_pixel():
    figure = figures.gallery({"original": torch.zeros(1, 3, 32, 32)}, {"original": [""]})
    assert figure.axes[0].images[0].get_interpolation() == "nearest"


def test_paired_differences_mark_mean_and_interval(generator):
    differences = {"PSNR": torch.randn(50, generator=generator).double(), "UQI": torch.full((50,), torch.nan)}
    differences["UQI"][:20] = torch.linspace(0, 1, 20)
    test = pd.DataFrame({"difference": [0.1, 0.5], "low": [0.0, 0.4], "high": [0.2, 0.6]}, index=["PSNR", "UQI"])
    figure = figures.paired_differences(differences, test)
    left, right = figure.axes
    assert left.get_title() == "PSNR, dB" and right.get_title() == "UQI"
    assert [line.get_xdata()[0] for line in right.lines] == [0, 0.5]
    assert sum(bar.get_height() for bar in right.patches[:25]) == 20
