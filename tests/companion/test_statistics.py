import math

import numpy as np
import pytest
import torch
from scipy import stats

from companion.statistics import (
    compare_pairs,
    mean_interval,
)


def test_p_and_difference_are_scipys(generator):
    first = torch.randn(30, generator=generator, dtype=torch.float64)
    second = first - 0.3 + 0.5 * torch.randn(30, generator=generator, dtype=torch.float64)
    difference, p = compare_pairs(first, second)
    assert difference.n == 30
    assert difference.mean == pytest.approx((first - second).mean().item())
    assert p == stats.wilcoxon(first.numpy(), second.numpy()).pvalue


def test_pairs_with_nan_are_left_out():
    first = torch.tensor([1.0, 2.0, math.nan, 4.0, 7.0])
    second = torch.tensor([0.5, 1.0, 1.0, math.nan, 5.0])
    difference, p = compare_pairs(first, second)
    assert difference.n == 3 and difference.mean == pytest.approx((0.5 + 1 + 2) / 3)


def test_no_difference_at_all():
    difference, p = compare_pairs(torch.ones(5), torch.ones(5))
    assert p == 1 and difference.mean == 0 and math.isnan(difference.low)


def test_no_image_in_both():
    difference, p = compare_pairs(torch.tensor([math.nan]), torch.tensor([1.0]))
    assert difference.n == 0 and math.isnan(difference.mean) and math.isnan(p)


def test_a_mean_leaves_out_what_is_not_finite_and_holds_scipys_interval(generator):
    values = torch.randn(20, generator=generator)
    mean = mean_interval(torch.cat((values, torch.tensor([math.nan, math.inf]))))
    sample = values.double().numpy()
    expected = stats.bootstrap((sample,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    assert mean.n == 20 and mean.mean == pytest.approx(sample.mean())
    assert (mean.low, mean.high) == expected


def test_a_mean_of_nothing_or_of_equal_values_has_no_interval():
    nothing, equal = mean_interval(torch.tensor([math.nan])), mean_interval(torch.ones(4))
    assert nothing.n == 0 and math.isnan(nothing.mean) and math.isnan(nothing.low)
    assert equal.mean == 1 and math.isnan(equal.low) and math.isnan(equal.high)


def test_clusters_are_drawn_as_a_whole():
    """Copies of a value say no more than the value: the interval is that of one of each."""
    values = torch.tensor([1.0, 2.0, 4.0, 7.0, 3.0, 5.5], dtype=torch.float64)
    copied = mean_interval(values.repeat(20), torch.arange(6).repeat(20))
    once = mean_interval(values)
    assert (copied.mean, copied.low, copied.high) == pytest.approx((once.mean, once.low, once.high))
    independent = mean_interval(values.repeat(20))
    assert independent.high - independent.low < 0.3 * (once.high - once.low)
    mean, p = compare_pairs(values, 0 * values, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert mean.mean == pytest.approx(values.mean().item()) and math.isnan(p)
