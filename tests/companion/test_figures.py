"""That the figures show what they are given; how they look is for eyes."""

import numpy as np
import pandas as pd
import pytest
import torch
from units import GREY

from jnd.companion import figures
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machines import Plane
from jnd.studies.psychometrics import Exponent, Psychometric
from jnd.studies.statistics import Mean


@pytest.fixture
def found():
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


def test_detections_are_boxed_and_named():
    pictures = torch.full((2, 3, 8, 12), 40.4)
    box, planted = torch.tensor([1.0, 2.0, 5.0, 6.0]), torch.tensor([2.0, 2.0, 4.0, 5.0])
    figure = figures.detections(
        {"original": pictures, "end": pictures},
        {"original": [[], []], "end": [[], [("car, 0.91", box)]]},
        ["box and class", "class only"],
        planted,
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
    assert figure.axes[0].get_ylabel() == "cat, full"
    assert np.unique(shown[1]).tolist() == [-1, 2]
    assert shown[2][0, 0] == pytest.approx(2) and shown[2][0, -1] == pytest.approx(1)
    assert "grey levels" in [axis.get_ylabel() for axis in figure.axes]


def test_side_by_side_shows_every_change_on_a_scale_that_it_names():
    x0 = torch.full((3, 8, 8), 100.0)
    changed = {f"a{i}": x0 + i for i in range(1, 6)} | {"none": torch.full_like(x0, torch.nan)}
    panels = figures.side_by_side(x0, changed).axes
    titles = [axis.get_title() for axis in panels]
    assert titles[:5] == ["original", "a1", "a2", "a3", "a4"] and titles[10:12] == ["a5", "none"]
    below = {title: panels[i + 5] for i, title in enumerate(titles) if title and title[0] != "±"}
    for i in range(1, 6):
        (change,) = below[f"a{i}"].images
        assert np.unique(change.get_array()).tolist() == [i] and change.get_clim() == (-i, i)
        assert below[f"a{i}"].get_title() == f"± {i}"
    assert not below["original"].images and not below["none"].images


def test_against_gradients_has_means_with_their_intervals():
    cheap = {"spent": Mean(9, 2.0, 1.0, 4.0), "loss": Mean(9, 0.3, 0.2, 0.5)}
    dear = {"spent": Mean(9, 50.0, 50.0, 50.0), "loss": Mean(9, 0.1, 0.1, 0.2)}
    (axis,) = figures.against_gradients({"cheap": cheap, "dear": dear}, spent="spent").axes
    across, up, mean = axis.lines[:3]
    assert across.get_xydata().tolist() == [[1, 0.3], [4, 0.3]]
    assert up.get_xydata().tolist() == [[2, 0.2], [2, 0.5]]
    assert mean.get_xydata().tolist() == [[2, 0.3]] and mean.get_label() == "cheap"
    assert (axis.get_title(), axis.get_xlabel()) == ("loss", "spent")


def test_small_images_are_shown_pixel_by_pixel():
    figure = figures.gallery({"original": torch.zeros(1, 3, 32, 32)}, {"original": [""]})
    assert figure.axes[0].images[0].get_interpolation() == "nearest"


def test_paired_differences_mark_mean_and_interval(generator):
    differences = {
        "PSNR": torch.randn(50, generator=generator).double(),
        "UQI": torch.full((50,), torch.nan),
    }
    differences["UQI"][:20] = torch.linspace(0, 1, 20)
    test = pd.DataFrame(
        {"difference": [0.1, 0.5], "low": [0.0, 0.4], "high": [0.2, 0.6]}, index=["PSNR", "UQI"]
    )
    figure = figures.paired_differences(differences, test)
    left, right = figure.axes
    assert left.get_title() == "PSNR, dB" and right.get_title() == "UQI"
    assert [line.get_xdata()[0] for line in right.lines] == [0, 0.5]
    assert sum(bar.get_height() for bar in right.patches[:25]) == 20


def test_paired_differences_of_no_pair():
    test = pd.DataFrame({"difference": [torch.nan]} | dict(low=torch.nan, high=torch.nan), ["PSNR"])
    (axis,) = figures.paired_differences({"PSNR": torch.full((3,), torch.nan)}, test).axes
    assert axis.get_title() == "PSNR, dB" and not axis.containers


def test_psychometric_has_the_step_at_the_border():
    moved = torch.tensor([0.0, 1.0, 2.0, 3.0])
    figure = figures.psychometric(moved, torch.tensor([0.0, 0.2, 0.6, 1.0]), moved / 3, 1.5)
    step, expected, counted = figure.axes[0].lines
    assert step.get_xdata().tolist() == [0, 1.5, 3] and step.get_ydata().tolist() == [0, 1, 1]
    assert np.allclose(expected.get_ydata(), moved / 3) and counted.get_ydata()[1] == pytest.approx(
        0.2
    )


@pytest.fixture
def walk():
    """An image of two pixels that goes right by 0.5 at first, over the line left = 100."""
    machine = Plane(torch.tensor([[[0.1, 0.0]]]), torch.tensor([[[100.0, 0.0]]]), ("night", "day"))
    path = []
    found = find_jnd(
        machine,
        torch.tensor([[[[98.0, 30.0]]]]),
        target=1,
        alpha=10.0 / GREY,
        max_iter=9,
        cost=Cost.arm("none"),
        watch=lambda k, x: path.append(x[0].clone()),
    )
    return machine, torch.stack(path), found


def test_paths_in_the_plane_end_at_K(walk):
    machine, path, found = walk
    (axis,) = figures.paths_in_the_plane(machine, {"none": path}, {"none": found}).axes
    K = found.K.item()
    assert 0 < K < 9 and f"K = {K}," in axis.get_title()
    assert np.allclose(axis.lines[0].get_xydata(), path[: K + 1].view(-1, 2))
    (circle,) = axis.patches
    assert np.allclose(circle.center, (98, 30)) and circle.radius == pytest.approx(2)


def test_paths_in_the_plane_that_never_arrive_are_shown_whole(walk):
    machine, path, _ = walk
    still = find_jnd(
        machine, path[:1], target=1, alpha=1e-3 / GREY, max_iter=9, cost=Cost.arm("none")
    )
    (axis,) = figures.paths_in_the_plane(
        machine, {"none": path[:1].repeat(10, 1, 1, 1)}, {"none": still}
    ).axes
    assert len(axis.lines[0].get_xdata()) == 10 and "x(K)" not in [t.get_text() for t in axis.texts]


def test_ways_mark_K_only_where_there_is_one(walk):
    machine, path, found = walk
    still = find_jnd(
        machine, path[:1], target=1, alpha=1e-3 / GREY, max_iter=9, cost=Cost.arm("none")
    )
    (axis,) = figures.ways({"step": {"long": found, "short": still}}, 2.0).axes
    border, long, mark, short = axis.lines
    assert border.get_ydata()[0] == 2 and np.allclose(long.get_ydata(), found.distance[:, 0])
    assert (mark.get_xdata(), mark.get_ydata()) == (
        found.K.item(),
        found.distance[found.K.item(), 0],
    )
    assert short.get_label() == "short"


def test_relative_outcomes_are_multiples_of_ours():
    ours = {"K": torch.tensor([10.0, 20.0, 5.0]), "jnd": torch.tensor([1.0, 2.0, 4.0])}
    other = {"K": torch.tensor([20.0, 20.0, torch.nan]), "jnd": torch.tensor([3.0, 2.0, torch.nan])}
    figure = figures.relative_outcomes(ours, {"Eq. 1": {"away": other}})
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["", "away"]
    dots = [
        [line.get_xdata().tolist() for line in axis.lines if line.get_marker() == "o"]
        for axis in (left, right)
    ]
    assert dots == [[[2, 1]], [[3, 1]]]
    assert [t.get_text() for t in left.texts] == ["1 of 3 never flip", "Eq. 1"] and not right.texts
    assert left.get_xscale() == "log"


def test_jnd_distributions_share_an_axis_and_say_the_median():
    jnds = {"one": torch.tensor([1e-4, 2e-4, 8e-4, torch.nan]), "two": torch.tensor([1e-2, 1e-2])}
    figure = figures.jnd_distribution(jnds)
    assert [axis.get_title() for axis in figure.axes] == ["one: median 0.0002", "two: median 0.01"]
    counted = [sum(bar.get_height() for bar in axis.patches) for axis in figure.axes]
    assert counted == [3, 2]  # the largest JND too, and nobody who noticed nothing
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_psychometric_functions_cross_a_half_at_their_thresholds():
    size = torch.tensor([0.01, 0.1, 1.0])[:, None].expand(3, 4)
    seen = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    noise = Psychometric(0.27, 0.1, 1.0, (0.01, 0.1, 1.0), (0.125, 0.125, 1.0))
    never = Psychometric(*[float("nan")] * 3, (0.01, 0.1, 1.0), (0.0, 0.0, 0.0))
    figure = figures.psychometric_functions(
        {"M": {"noise": (size, seen), "blur": (size, seen & False)}},
        {"M": {"noise": noise, "blur": never}},
    )
    dots, line, interval = figure.axes[0].lines[:3]
    assert dots.get_xdata() == pytest.approx([0.01, 0.1, 1]) and dots.get_ydata().tolist() == [
        0.25,
        0,
        1,
    ]
    log_d, share = np.log(line.get_xdata()), line.get_ydata()
    assert np.interp(np.log(0.27), log_d, share) == pytest.approx(0.5, abs=0.01)
    assert np.allclose(interval.get_xydata(), [(0.1, 0.5), (1, 0.5)])
    assert [t.get_text() for t in figure.axes[0].get_legend().texts] == ["noise", "blur"]


def test_webers_figure_shows_ratios_to_the_photo_as_it_is():
    thresholds = torch.tensor([[1.0, 20.0, torch.nan], [2.0, 40.0, 7.0]])
    figure = figures.weber(
        [0.5, 1.0],
        {"brightness": {"M": thresholds}},
        {"brightness": {"M": Exponent(1.0, 1.0, 1.0)}},
    )
    assert lines(figure.axes[0])["M: exponent 1.00"].get_ydata() == pytest.approx([0.5, 1.0])


def test_dependence_shows_medians_with_a_tick_at_each_value():
    measured = {
        "K": torch.tensor([[4.0, 8.0, 6.0], [2.0, torch.nan, 4.0]]),
        "JND(M)": torch.ones(2, 3),
    }
    figure = figures.dependence(
        {"α": {"M": ([0.5, 2.0], measured)}, "rank": {"M": (["away", 3], measured)}}
    )
    top, _, bottom, other = figure.axes
    assert [t.get_text() for t in other.get_xticklabels()] == ["away", "3"]
    assert lines(top)["M"].get_ydata().tolist() == [6, 2] and top.get_ylabel() == "K"
    assert [t.get_text() for t in bottom.get_xticklabels()] == ["0.5", "2"]
    assert bottom.get_xlabel() == "α"
