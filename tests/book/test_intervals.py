import math

import pytest
import torch
from scipy import stats

from intervals import joint_interval, next_value, reach_of_few


def test_a_joint_interval_is_students_at_a_higher_level(generator):
    values = torch.randn(6, generator=generator, dtype=torch.float64)
    mean = joint_interval(torch.cat((values, torch.tensor([math.nan]))), 12)
    error = (values.std() / 6**0.5).item()
    expected = stats.t.interval(1 - 0.05 / 12, 5, values.mean().item(), error)
    assert mean.n == 6 and mean.mean == pytest.approx(values.mean().item())
    assert (mean.low, mean.high) == pytest.approx(expected, rel=1e-12)


def test_too_few_values_have_no_joint_interval():
    alone, nothing = joint_interval(torch.tensor([2.0]), 3), joint_interval(torch.tensor([]), 3)
    assert alone.n == 1 and alone.mean == 2 and math.isnan(alone.low)
    assert nothing.n == 0 and math.isnan(nothing.mean) and math.isnan(nothing.high)


def test_the_next_value_lies_in_its_interval_as_often_as_it_says(generator):
    """Of 2,000 samples of 3, about 1,900 intervals hold a fourth value (standard deviation 10)."""
    samples = 5 + 2 * torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    held = 0
    for sample in samples:
        interval = next_value(sample[:3])
        held += interval.low < sample[3] < interval.high
    assert 1860 <= held <= 1940


def test_few_values_reach_as_far_as_students_interval_of_their_spread():
    """Of 100 values with a standard deviation of 3, seen by their normal interval."""
    width = stats.norm.ppf(0.975) * 3 / 10
    expected = stats.t.interval(0.95, 3, scale=3 / 4**0.5)[1]
    assert reach_of_few(-width, width, 100, 4) == pytest.approx(expected)
    assert reach_of_few(1 - width, 1 + width, 100, 4) == pytest.approx(expected)
