"""Psychometric functions, against machines and curves whose thresholds are known in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from companion.distortions import DISTORTIONS, along, brightness
from companion.observer import jod
from companion.studies.idea import Plane
from companion.studies.psychometrics import (
    BATCH,
    Exponent,
    Psychometric,
    border,
    constant_stimuli,
    dependence,
    fit,
    fit_exponent,
    jnd_distribution,
    jod_at_threshold,
    just_noticeable,
    psychometric_functions,
    weber,
)
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.trajectory import distance
from units import GREY


def images(count, size=8, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 255


def plane(mean=127.5, size=8):
    normal = torch.randn(3, size, size, generator=torch.Generator().manual_seed(1))
    return Plane(normal, torch.full_like(normal, mean), ("left", "right"))


def descend(machine, x0, alpha=5.0 / GREY, **options):
    label = machine(x0).argmax(1)
    options |= dict(cost=Cost.arm("none"), alpha=alpha, max_iter=4000)
    return label, *just_noticeable(machine, x0, label, 1 - label, **options)


def test_the_border_is_as_far_as_the_plane():
    machine = plane()
    x0 = images(6)
    label, K, x_jnd = descend(machine, x0)
    assert (K > 0).all()
    measured = distance(border(machine, x0, x_jnd, label, halvings=12), x0)
    assert torch.allclose(measured, machine.distance(x0), rtol=1e-3, atol=0.05)


def test_many_images_give_what_they_give_alone():
    machine = plane()
    x0 = images(BATCH + 3)
    label, K, x_jnd = descend(machine, x0)
    alone = find_jnd(
        machine,
        x0[-1:],
        target=1 - label[-1:],
        cost=Cost.arm("none"),
        alpha=5.0 / GREY,
        max_iter=4000,
    )
    assert K[-1] == alone.K[0] and torch.equal(x_jnd[-1], alone.x_jnd[0])


def test_the_batches_are_numbered():
    """So that each can keep its state."""
    batches = []

    def long(batch):
        batches.append(batch)
        return {"watch": [lambda recording: batches.append((batch, len(recording.x)))]}

    descend(plane(), images(BATCH + 3), long=long)
    assert set(batches[: batches.index(1)]) == {0, (0, BATCH)}
    assert set(batches[batches.index(1) :]) == {1, (1, 3)}


def test_the_psychometric_function_of_a_machine_is_that_of_its_borders():
    machine = plane()
    x0 = images(40)
    label, _, x_jnd = descend(machine, x0)
    size, noticed = constant_stimuli(machine, x0, label, along(x0, x_jnd))
    known = machine.distance(x0) / torch.linalg.vector_norm(x0.flatten(1), dim=1)
    clear = (size / known - 1).abs() > 1e-3
    assert torch.equal(noticed[clear], (size > known)[clear])
    assert clear.float().mean() > 0.9 and noticed.any() and not noticed[-1].all()


def observers(count, seed=0):
    """Levels shown and whether images noticed them whose thresholds are log-uniform in 0.001..0.1.

    The share noticed is then a straight line in the logarithm, and the median threshold is 0.01.
    """
    generator = torch.Generator().manual_seed(seed)
    thresholds = 10 ** (2 * torch.rand(count, generator=generator) - 3)
    sizes = torch.logspace(-3, -1, 6)[:, None].expand(-1, count)
    return sizes, sizes >= thresholds


def counted(counts, images, levels):
    """Levels, and at each as many images noticed as counted, not always the same ones."""
    numbers = torch.arange(images)
    noticed = torch.stack([(numbers < n).roll(level) for level, n in enumerate(counts)])
    return torch.tensor(levels, dtype=torch.float64)[:, None].expand(-1, images), noticed


def test_the_threshold_is_the_median_of_the_images_own():
    own = torch.tensor(stats.lognorm.ppf((np.arange(999) + 0.5) / 999, s=0.8, scale=0.02))
    sizes = torch.logspace(-3, -0.5, 100)[:, None].expand(-1, len(own))
    assert fit(sizes, sizes >= own).threshold == pytest.approx(0.02, rel=2e-3)


def test_a_plateau_below_one_leaves_the_threshold_where_the_shares_cross_a_half():
    """On the bundled CIFAR-10 machine's noise a normal ogive that must reach 1 says 0.168."""
    psi = fit(*counted([10, 50, 115, 160, 160], 200, [0.03, 0.08, 0.16, 0.32, 0.64]))
    # from 50 to 115 of 200 in one doubling
    assert psi.threshold == pytest.approx(0.08 * 2 ** ((100 - 50) / (115 - 50)), rel=1e-9)
    assert psi.shares == pytest.approx([0.05, 0.25, 115 / 200, 0.8, 0.8])


def test_shares_that_fall_are_pooled():
    """By hand: 6, 4, 2 of 10 become their mean, 4, and the crossing is 1/6 of the last decade."""
    psi = fit(*counted([1, 6, 4, 2, 10], 10, [1, 10, 100, 1000, 10_000]))
    assert psi.shares == pytest.approx([0.1, 0.4, 0.4, 0.4, 1])
    assert psi.threshold == pytest.approx(1000 * 10 ** (1 / 6))


@pytest.mark.parametrize(
    "counts, first",
    [
        ((1, 5, 5, 9), 10),
        ((1, 6, 4, 9), 10),
        ((5, 5, 5, 9), 1),
        ((1, 3, 5, 5), 100),
    ],
)
def test_where_the_line_is_flat_at_a_half_its_first_point_is_the_threshold(counts, first):
    assert fit(*counted(counts, 10, [1, 10, 100, 1000])).threshold == pytest.approx(first)


@pytest.mark.parametrize("counts", [(0, 0, 0), (10, 10, 10), (6, 8, 10), (0, 2, 4), (1, 6, 2)])
def test_without_a_half_between_the_levels_there_is_no_threshold(counts):
    psi = fit(*counted(counts, 10, [1, 10, 100]))
    assert all(math.isnan(value) for value in (psi.threshold, psi.low, psi.high))
    assert psi.distortions == pytest.approx([1, 10, 100])


def test_images_that_are_distorted_unequally_count_with_their_geometric_mean():
    sizes, noticed = counted([2, 8], 10, [1, 100])
    unequal = sizes * torch.tensor([4.0, 0.25] * 5)
    assert fit(unequal, noticed).threshold == pytest.approx(10)


def test_the_order_of_the_images_does_not_matter():
    sizes, noticed = observers(51)
    order = torch.randperm(51, generator=torch.Generator().manual_seed(1))
    one = fit(sizes, noticed)
    other = fit(sizes[:, order], noticed[:, order])
    assert other.threshold == pytest.approx(one.threshold) and other.shares == one.shares


def test_the_interval_holds_the_true_threshold_in_95_of_100():
    fits = [fit(*observers(60, seed)) for seed in range(100)]
    # the standard deviation of the count is 2.2
    assert 90 <= sum(f.low < 0.01 < f.high for f in fits) <= 99


def test_the_interval_shrinks_with_the_number_of_images():
    widths = [math.log(f.high / f.low) for f in (fit(*observers(count)) for count in (60, 960))]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.35)  # the root of 16


def test_the_interval_stays_between_the_levels():
    sizes, noticed = counted([2, 4, 11], 20, [1, 10, 100])
    psi = fit(sizes * torch.arange(1, 21), noticed)  # not all equal: resamples have other ends
    assert psi.distortions[1] < psi.low < psi.threshold < psi.high
    assert psi.high == pytest.approx(psi.distortions[-1])


def test_a_distortion_of_nothing_is_allowed():
    sizes, noticed = observers(60)
    more = fit(torch.cat((torch.zeros(1, 60), sizes)), torch.cat((noticed[:1] & False, noticed)))
    assert more.threshold == pytest.approx(fit(sizes, noticed).threshold)


def test_squares_of_one_photo_count_once_in_the_intervals():
    """The same 20 images shown five times over are no more informative than once."""
    sizes, noticed = observers(20)
    once = fit(sizes, noticed)
    source = torch.arange(100) % 20
    again = fit(sizes.repeat(1, 5), noticed.repeat(1, 5), source)
    assert (again.threshold, again.low, again.high) == pytest.approx(
        (once.threshold, once.low, once.high)
    )
    as_if_new = fit(sizes.repeat(1, 5), noticed.repeat(1, 5))
    assert math.log(as_if_new.high / as_if_new.low) < 0.7 * math.log(again.high / again.low)

    thresholds = torch.rand(2, 20, generator=torch.Generator().manual_seed(2)) + 1
    once = fit_exponent([0.5, 1.0], thresholds)
    again = fit_exponent([0.5, 1.0], thresholds.repeat(1, 5), source)
    assert vars(again) == pytest.approx(vars(once))


def test_the_interval_of_photos_holds_as_often_as_it_should():
    """Squares whose thresholds share their photo's: 30 photos, 4 squares each, median 1."""
    generator = torch.Generator().manual_seed(0)
    held = 0
    for seed in range(100):
        own = torch.randn(30, 1, generator=generator) + 0.3 * torch.randn(
            30, 4, generator=generator
        )
        sizes = torch.logspace(-2, 2, 30)[:, None].expand(-1, 120)
        psi = fit(sizes, sizes >= own.exp().flatten(), torch.arange(30).repeat_interleave(4), seed)
        held += psi.low <= 1 <= psi.high
    assert 88 <= held <= 99


def test_shapes_that_differ_are_refused():
    sizes, noticed = observers(5)
    with pytest.raises(ValueError, match=r"two \(L, B\), not \(6, 5\) and \(6, 4\)"):
        fit(sizes, noticed[:, :4])


def test_the_exponent_is_found_whatever_each_image_starts_from():
    scales = [0.25, 0.5, 1.0]
    thresholds = torch.tensor(scales)[:, None] ** 0.7 * torch.tensor([1.0, 5.0, 0.2, 3.0])
    thresholds[0, 1] = torch.nan  # not measured
    thresholds[:2, 3] = torch.nan  # once: says nothing
    fitted = fit_exponent(scales, thresholds)
    assert [fitted.exponent, fitted.low, fitted.high] == pytest.approx([0.7] * 3)
    assert math.isnan(fit_exponent(scales, thresholds * torch.nan).exponent)


@pytest.mark.parametrize("mean, proportional", [(0.0, True), (127.5, False)])
def test_a_homogeneous_machine_obeys_webers_law(mean, proportional):
    """Logits that are linear in the pixels do, and those with a constant do not."""
    machine = plane(mean)
    x0 = images(5)
    scales = [0.5, 1.0]
    measured = []
    for scale in scales:
        x = brightness(x0, scale)
        label, _, x_jnd = descend(machine, x)
        measured.append(distance(border(machine, x, x_jnd, label, halvings=12), x))
        assert torch.allclose(measured[-1], machine.distance(x), rtol=1e-3, atol=0.05)
    assert (abs(fit_exponent(scales, torch.stack(measured)).exponent - 1) < 0.01) == proportional


def test_jnd_distributions_share_an_axis_and_say_the_median():
    jnds = {"one": torch.tensor([1e-4, 2e-4, 8e-4, torch.nan]), "two": torch.tensor([1e-2, 1e-2])}
    figure = jnd_distribution(jnds)
    assert [axis.get_title() for axis in figure.axes] == ["one: median 0.0002", "two: median 0.01"]
    counted = [sum(bar.get_height() for bar in axis.patches) for axis in figure.axes]
    assert counted == [3, 2]  # the largest JND too, and nobody who noticed nothing
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_psychometric_functions_cross_a_half_at_their_thresholds():
    size = torch.tensor([0.01, 0.1, 1.0])[:, None].expand(3, 4)
    noticed = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    noise = Psychometric(0.27, 0.1, 1.0, (0.01, 0.1, 1.0), (0.125, 0.125, 1.0))
    never = Psychometric(*[float("nan")] * 3, (0.01, 0.1, 1.0), (0.0, 0.0, 0.0))
    figure = psychometric_functions(
        {"M": {"noise": (size, noticed), "blur": (size, noticed & False)}},
        {"M": {"noise": noise, "blur": never}},
    )
    dots, line, interval = figure.axes[0].lines[:3]
    assert dots.get_xdata() == pytest.approx([0.01, 0.1, 1]) and dots.get_ydata().tolist() == [
        0.25,
        0,
        1,
    ]
    log_d = np.log(line.get_xdata())
    share = line.get_ydata()
    assert np.interp(np.log(0.27), log_d, share) == pytest.approx(0.5, abs=0.01)
    assert np.allclose(interval.get_xydata(), [(0.1, 0.5), (1, 0.5)])
    assert [t.get_text() for t in figure.legends[0].texts] == ["noise", "blur"]


def test_webers_figure_shows_ratios_to_the_photo_as_it_is():
    thresholds = torch.tensor([[1.0, 20.0, torch.nan], [2.0, 40.0, 7.0]])
    figure = weber(
        [0.5, 1.0],
        {"brightness": {"M": thresholds}},
        {"brightness": {"M": Exponent(1.0, 1.0, 1.0)}},
    )
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["M: exponent 1.00"].get_ydata() == pytest.approx([0.5, 1.0])


def test_dependence_shows_medians_with_a_tick_at_each_value():
    measured = {
        "K": torch.tensor([[4.0, 8.0, 6.0], [2.0, torch.nan, 4.0]]),
        "JND(M)": torch.ones(2, 3),
    }
    figure = dependence(
        {"α": {"M": ([0.5, 2.0], measured)}, "rank": {"M": (["away", 3], measured)}}
    )
    top, _, bottom, other = figure.axes
    assert [t.get_text() for t in other.get_xticklabels()] == ["away", "3"]
    (medians,) = top.lines
    assert medians.get_ydata().tolist() == [6, 2] and top.get_ylabel() == "K"
    assert [t.get_text() for t in bottom.get_xticklabels()] == ["0.5", "2"]
    assert bottom.get_xlabel() == "α"


def test_people_are_shown_one_square_of_each_photo():
    squares = images(5, 64)
    source = torch.tensor([2, 0, 2, 1, 0])
    noise = DISTORTIONS["Gaussian noise"]
    each = jod(squares, noise.apply(squares, 0.1))[[1, 3, 0]]
    assert jod_at_threshold(squares, source, noise, 0.1) == pytest.approx(each.median().item())
    assert math.isnan(jod_at_threshold(squares, source, noise, math.nan))
