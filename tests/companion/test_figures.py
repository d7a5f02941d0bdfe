"""The figures show the values they are given; how they look is for eyes."""

import numpy as np
import pytest
import torch

from companion import figures
from companion.style import ARM_NAMES, log_scale, panels, styled
from jnd.cost import Cost
from jnd.descent import find_jnd
from units import GREY


@pytest.fixture
def trajectory():
    """Two classes that swap when the first pixel has grown by 3."""

    class Pixel(torch.nn.Module):
        def forward(self, x):
            grown = x[:, 0, 0, 0] - 13.5
            return torch.stack((-grown, grown), 1)

    return find_jnd(
        Pixel(),
        torch.full((2, 3, 8, 8), 10.0),
        target=1,
        alpha=1.0 / GREY,
        max_iter=9,
        cost=Cost.arm("none"),
    )


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


def test_gallery_shows_the_pixels_and_the_answers():
    images = torch.stack([torch.full((3, 4, 4), 40.4), torch.full((3, 4, 4), 300.0)])
    figure = figures.gallery(
        {"original": images, "x(K)": images}, {"original": ["a", "b"], "x(K)": ["c", "d"]}
    )
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c", "d"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["original", "", "x(K)", ""]
    assert np.unique(figure.axes[0].images[0].get_array()) == [40]
    assert np.unique(figure.axes[1].images[0].get_array()) == [255]


def test_gallery_breaks_what_is_wider_than_a_picture():
    images = torch.full((6, 3, 4, 4), 40.0)
    answers = ["drilling platform, 0.23", *["cat, 0.9"] * 5]
    figure = figures.gallery({"end, unregularised": images}, {"end, unregularised": answers})
    assert figure.axes[0].get_title() == "drilling\nplatform, 0.23"
    assert figure.axes[0].get_ylabel() == "end,\nunregularised"
    assert figure.axes[1].get_title() == "cat, 0.9"


def test_gallery_says_where_there_is_no_image():
    figure = figures.gallery({"x(K)": torch.full((1, 3, 4, 4), torch.nan)}, {"x(K)": [""]})
    assert not figure.axes[0].images and figure.axes[0].texts[0].get_text() == "not noticed"


def test_confidence_curves_mark_K(trajectory):
    figure = figures.confidence_curves({"full": trajectory, "none": trajectory}, 0, ("cat", "cup"))
    top, bottom = figure.axes
    assert np.allclose(lines(top)["cup"].get_ydata(), trajectory.confidence[:, 0, 1])
    assert np.allclose(lines(bottom)[ARM_NAMES["none"]].get_ydata(), trajectory.distance[:, 0])
    assert f"K = {trajectory.K[0]}" in [text.get_text() for text in bottom.texts]


def test_first_flips_are_dots_hollow_where_they_do_not_last_and_dashes_where_there_are_none():
    arms = {
        "full": {
            "K": torch.tensor([2, -1, 40]),
            "jnd": torch.tensor([0.1, torch.nan, 0.3]),
            "stays_adversarial": torch.tensor([True, False, False]),
        },
        "none": {
            "K": torch.tensor([3, 5, 7]),
            "jnd": torch.tensor([0.2, 0.4, 0.6]),
            "stays_adversarial": torch.tensor([True, True, True]),
        },
    }
    figure = figures.first_flips(arms, ["cat", "cup", "car"])
    of_K, of_jnd = figure.axes
    assert [label.get_text() for label in of_K.get_yticklabels()] == ["cat", "cup", "car"]
    for axis, expected in (of_K, [[2], [40], [3, 5, 7]]), (of_jnd, [[0.1], [0.3], [0.2, 0.4, 0.6]]):
        dots = [line for line in axis.lines if line.get_marker() == "o" and len(line.get_xdata())]
        assert [line.get_xdata() for line in dots] == [pytest.approx(x) for x in expected]
        assert [line.get_markerfacecolor() == "white" for line in dots] == [False, True, False]
        rows = [np.round(line.get_ydata()).tolist() for line in dots]
        assert rows == [[0], [2], [0, 1, 2]]
        (dash,) = [x for x in axis.lines if x.get_marker() == "_" and len(x.get_ydata())]
        assert np.round(dash.get_ydata()).tolist() == [1]


def test_perturbations_show_the_signed_change():
    x0 = torch.full((1, 3, 32, 32), 100.0)
    changed = x0.clone()
    changed[..., :16] += 2
    changed[..., 16:] -= 1
    figure = figures.perturbations(x0, {"full": changed}, ["cat"])
    shown = [axis.images[0].get_array() for axis in figure.axes[:3]]
    assert figure.axes[0].get_ylabel() == "cat,\nfull"
    assert np.unique(shown[1]).tolist() == [-1, 2]
    assert shown[2][0, 0] == pytest.approx(2) and shown[2][0, -1] == pytest.approx(1)
    assert "grey levels" in [axis.get_ylabel() for axis in figure.axes]


def test_side_by_side_shows_every_change_on_a_scale_that_it_names():
    x0 = torch.full((3, 8, 8), 100.0)
    changed = {f"a{i}": x0 + i for i in range(1, 6)} | {"none": torch.full_like(x0, torch.nan)}
    panels = figures.side_by_side(x0, changed).axes
    titles = [axis.get_title() for axis in panels]
    assert titles[:5] == ["original", "a1", "a2", "a3", "a4"] and titles[10:12] == ["a5", "none"]
    below = {title: panels[i + 5] for i, title in enumerate(titles) if title}
    for i in range(1, 6):
        (change,) = below[f"a{i}"].images
        assert np.unique(change.get_array()).tolist() == [i] and change.get_clim() == (-i, i)
        assert below[f"a{i}"].get_xlabel() == f"± {i}"
    assert not below["original"].images and not below["none"].images


@styled
def powers(low, high):
    figure, axes = panels(1, 3, 2.0)
    for axis in axes[0]:
        axis.plot([low, high], [low, high])
        log_scale(axis, "x", "y")
    return figure


@pytest.mark.parametrize("low", [0.00207, 0.7])
@pytest.mark.parametrize("factor", [1.001, 3, 18, 90, 300, 1e5])
def test_labels_of_a_logarithmic_side_are_two_or_more_and_do_not_overlap(low, factor):
    figure = powers(low, low * factor)
    figure.draw_without_rendering()
    axis = figure.axes[0]
    for side, start, end in (axis.xaxis, "x0", "x1"), (axis.yaxis, "y0", "y1"):
        first, last = side.get_view_interval()
        ticks = zip(side.get_majorticklocs(), side.get_ticklabels(), strict=True)
        boxes = [label.get_window_extent() for at, label in ticks if first <= at <= last]
        assert len(boxes) >= 2
        for box, after in zip(boxes, boxes[1:], strict=False):
            assert getattr(box, end) < getattr(after, start)
        assert not any(label.get_text() for label in side.get_ticklabels(minor=True))
