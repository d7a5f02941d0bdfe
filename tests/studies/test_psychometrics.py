"""Psychometric functions, against machines and curves whose thresholds are known in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from units import GREY

from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machines import Plane
from jnd.studies.distortions import (
    DISTORTIONS,
    along,
    blurred,
    brightness,
    compressed,
    contrast,
    darker,
    noisy,
)
from jnd.studies.psychometrics import (
    BATCH,
    border,
    constant_stimuli,
    fit,
    fit_exponent,
    just_noticeable,
)
from jnd.trajectory import distance, relative_distance


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
    machine, x0 = plane(), images(6)
    label, K, x_jnd = descend(machine, x0)
    assert (K > 0).all()
    found = distance(border(machine, x0, x_jnd, label, steps=12), x0)
    assert torch.allclose(found, machine.distance(x0), rtol=1e-3, atol=0.05)


def test_many_images_give_what_they_give_alone():
    machine, x0 = plane(), images(BATCH + 3)
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


def test_each_batch_keeps_its_state(tmp_path):
    machine, x0 = plane(), images(BATCH + 3)
    expected = descend(machine, x0, checkpoint=tmp_path / "JND.checkpoint")
    assert {file.name for file in tmp_path.iterdir()} == {"JND, 0.checkpoint", "JND, 1.checkpoint"}
    calls = []
    machine.register_forward_hook(lambda *_: calls.append(1))
    again = descend(machine, x0, checkpoint=tmp_path / "JND.checkpoint")
    assert len(calls) == 1 + 2  # the label, and what find_jnd itself asks of each batch
    assert all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))


def test_the_psychometric_function_of_a_machine_is_that_of_its_borders():
    machine, x0 = plane(), images(40)
    label, _, x_jnd = descend(machine, x0)
    size, seen = constant_stimuli(machine, x0, label, along(x0, x_jnd))
    known = machine.distance(x0) / torch.linalg.vector_norm(x0.flatten(1), dim=1)
    clear = (size / known - 1).abs() > 1e-3
    assert torch.equal(seen[clear], (size > known)[clear])
    assert clear.float().mean() > 0.9 and seen.any() and not seen[-1].all()


@pytest.mark.parametrize("distort", [noisy, darker])
@pytest.mark.parametrize("level", [0.05, 0.4])
def test_noise_and_darkness_have_the_size_asked_for(distort, level):
    x0 = images(4)
    sizes = relative_distance(distort(x0, level), x0)
    assert torch.allclose(sizes, torch.full((4,), level), rtol=1e-4)


def test_noise_is_white():
    change = noisy(torch.full((1, 3, 200, 200), 100.0), 0.1) - 100
    assert abs(stats.kurtosis(change.flatten().numpy())) < 0.05
    neighbours = (change[..., 1:] * change[..., :-1]).mean() / change.square().mean()
    assert abs(neighbours) < 0.02


def test_blur_spreads_a_point_by_its_standard_deviation():
    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1000.0
    spread = blurred(point, 2.5)
    offset = torch.arange(41) - 20.0
    assert spread[0, 0].sum().item() == pytest.approx(1000, rel=1e-4)
    assert (spread[0, 0].sum(0) * offset.square()).sum().item() / 1000 == pytest.approx(
        2.5**2, rel=0.01
    )


def test_jpeg_keeps_what_is_flat_and_coarse():
    """A grey level that is a multiple of what the first coefficient is rounded to comes back."""
    grey = torch.full((2, 3, 32, 32), 128.0)
    assert torch.equal(compressed(grey, 100), grey)
    fine = grey + 4 * (torch.arange(32) % 2)
    assert relative_distance(compressed(fine, 1), fine).max() < 0.01
    assert torch.equal(
        compressed(fine, 20), compressed(fine, 20).mean((2, 3), keepdim=True).expand_as(fine)
    )


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_higher_levels_distort_more(kind):
    x0 = torch.nn.functional.interpolate(images(3, 6), (32, 32), mode="bicubic").clamp(0, 255)
    how = DISTORTIONS[kind]
    sizes = torch.stack([relative_distance(how.apply(x0, level), x0) for level in how.levels])
    assert (sizes.diff(dim=0) > 0).all() and (sizes > 0).all()


def observers(count, seed=0):
    """Levels shown and whether images noticed them whose thresholds are log-uniform in 0.001..0.1.

    The share noticed is then a straight line in the logarithm, and the median threshold is 0.01.
    """
    generator = torch.Generator().manual_seed(seed)
    thresholds = 10 ** (2 * torch.rand(count, generator=generator) - 3)
    sizes = torch.logspace(-3, -1, 6)[:, None].expand(-1, count)
    return sizes, sizes >= thresholds


def counted(counts, of, levels):
    """Levels shown to ``of`` images each and noticed by so many, not always by the same ones."""
    seen = torch.stack([(torch.arange(of) < n).roll(level) for level, n in enumerate(counts)])
    return torch.tensor(levels, dtype=torch.float64)[:, None].expand(-1, of), seen


def test_the_threshold_is_the_median_of_the_images_own():
    own = torch.tensor(stats.lognorm.ppf((np.arange(999) + 0.5) / 999, s=0.8, scale=0.02))
    sizes = torch.logspace(-3, -0.5, 100)[:, None].expand(-1, len(own))
    assert fit(sizes, sizes >= own).threshold == pytest.approx(0.02, rel=2e-3)


def test_a_plateau_below_one_leaves_the_threshold_where_the_shares_cross_a_half():
    """On the bundled CIFAR-10 machine's noise a normal ogive that must reach 1 says 0.168."""
    found = fit(*counted([10, 50, 115, 160, 160], 200, [0.03, 0.08, 0.16, 0.32, 0.64]))
    # from 50 to 115 of 200 in one doubling
    assert found.threshold == pytest.approx(0.08 * 2 ** ((100 - 50) / (115 - 50)), rel=1e-9)
    assert found.shares == pytest.approx([0.05, 0.25, 115 / 200, 0.8, 0.8])


def test_shares_that_fall_are_pooled():
    """By hand: 6, 4, 2 of 10 become their mean, 4, and the crossing is 1/6 of the last decade."""
    found = fit(*counted([1, 6, 4, 2, 10], 10, [1, 10, 100, 1000, 10_000]))
    assert found.shares == pytest.approx([0.1, 0.4, 0.4, 0.4, 1])
    assert found.threshold == pytest.approx(1000 * 10 ** (1 / 6))


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
    found = fit(*counted(counts, 10, [1, 10, 100]))
    assert all(math.isnan(value) for value in (found.threshold, found.low, found.high))
    assert found.distortions == pytest.approx([1, 10, 100])


def test_images_that_are_distorted_unequally_count_with_their_geometric_mean():
    sizes, seen = counted([2, 8], 10, [1, 100])
    unequal = sizes * torch.tensor([4.0, 0.25] * 5)
    assert fit(unequal, seen).threshold == pytest.approx(10)


def test_the_order_of_the_images_does_not_matter():
    sizes, seen = observers(51)
    order = torch.randperm(51, generator=torch.Generator().manual_seed(1))
    one, other = fit(sizes, seen), fit(sizes[:, order], seen[:, order])
    assert other.threshold == pytest.approx(one.threshold) and other.shares == one.shares


def test_the_interval_holds_the_true_threshold_in_95_of_100():
    found = [fit(*observers(60, seed)) for seed in range(100)]
    # the standard deviation of the count is 2.2
    assert 90 <= sum(f.low < 0.01 < f.high for f in found) <= 99


def test_the_interval_shrinks_with_the_number_of_images():
    widths = [math.log(f.high / f.low) for f in (fit(*observers(count)) for count in (60, 960))]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.35)  # the root of 16


def test_the_interval_stays_between_the_levels():
    sizes, seen = counted([2, 4, 11], 20, [1, 10, 100])
    found = fit(sizes * torch.arange(1, 21), seen)  # not all equal: resamples have other ends
    assert found.distortions[1] < found.low < found.threshold < found.high
    assert found.high == pytest.approx(found.distortions[-1])


def test_a_distortion_of_nothing_is_allowed():
    sizes, seen = observers(60)
    more = fit(torch.cat((torch.zeros(1, 60), sizes)), torch.cat((seen[:1] & False, seen)))
    assert more.threshold == pytest.approx(fit(sizes, seen).threshold)


def test_squares_of_one_photo_count_once_in_the_intervals():
    """The same 20 images shown five times over tell no more than once."""
    sizes, seen = observers(20)
    once, source = fit(sizes, seen), torch.arange(100) % 20
    again = fit(sizes.repeat(1, 5), seen.repeat(1, 5), source)
    assert (again.threshold, again.low, again.high) == pytest.approx(
        (once.threshold, once.low, once.high)
    )
    as_if_new = fit(sizes.repeat(1, 5), seen.repeat(1, 5))
    assert math.log(as_if_new.high / as_if_new.low) < 0.7 * math.log(again.high / again.low)

    thresholds = torch.rand(2, 20, generator=torch.Generator().manual_seed(2)) + 1
    once = fit_exponent([0.5, 1.0], thresholds)
    again = fit_exponent([0.5, 1.0], thresholds.repeat(1, 5), source)
    assert vars(again) == pytest.approx(vars(once))


def test_the_interval_of_photos_holds_as_often_as_it_should():
    """Squares whose thresholds share their photo's: 30 photos, 4 squares each, median 1."""
    generator, held = torch.Generator().manual_seed(0), 0
    for seed in range(100):
        own = torch.randn(30, 1, generator=generator) + 0.3 * torch.randn(
            30, 4, generator=generator
        )
        sizes = torch.logspace(-2, 2, 30)[:, None].expand(-1, 120)
        found = fit(
            sizes, sizes >= own.exp().flatten(), torch.arange(30).repeat_interleave(4), seed
        )
        held += found.low <= 1 <= found.high
    assert 88 <= held <= 99


def test_shapes_that_differ_are_refused():
    sizes, seen = observers(5)
    with pytest.raises(ValueError, match=r"two \(L, B\), not \(6, 5\) and \(6, 4\)"):
        fit(sizes, seen[:, :4])


def test_the_exponent_is_found_whatever_each_image_starts_from():
    scales = [0.25, 0.5, 1.0]
    thresholds = torch.tensor(scales)[:, None] ** 0.7 * torch.tensor([1.0, 5.0, 0.2, 3.0])
    thresholds[0, 1] = torch.nan  # not measured
    thresholds[:2, 3] = torch.nan  # once: says nothing
    found = fit_exponent(scales, thresholds)
    assert [found.exponent, found.low, found.high] == pytest.approx([0.7] * 3)
    assert math.isnan(fit_exponent(scales, thresholds * torch.nan).exponent)


@pytest.mark.parametrize("mean, weber", [(0.0, True), (127.5, False)])
def test_a_homogeneous_machine_obeys_webers_law(mean, weber):
    """Logits that are linear in the pixels do, and those with a constant do not."""
    machine, x0, scales = plane(mean), images(5), [0.5, 1.0]
    measured = []
    for scale in scales:
        x = brightness(x0, scale)
        label, _, x_jnd = descend(machine, x)
        measured.append(distance(border(machine, x, x_jnd, label, steps=12), x))
        assert torch.allclose(measured[-1], machine.distance(x), rtol=1e-3, atol=0.05)
    assert (abs(fit_exponent(scales, torch.stack(measured)).exponent - 1) < 0.01) == weber


def test_contrast_keeps_the_mean():
    x0 = images(3)
    flat = contrast(x0, 0.3)
    assert torch.allclose(flat.mean((1, 2, 3)), x0.mean((1, 2, 3)), rtol=1e-5)
    assert torch.allclose(flat.std((1, 2, 3)), 0.3 * x0.std((1, 2, 3)), rtol=1e-4)
