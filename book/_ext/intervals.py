"""The intervals by which claims are judged and predictions made."""

import math

from scipy import stats
from torch import Tensor

from companion.statistics import Mean, finite_values, mean_or_nan


def joint_interval(values: Tensor, intervals: int) -> Mean:
    """The mean of values (B,) and its Student interval, one of several judged together.

    The interval is so wide that all of them hold at once in 95 % of cases (Bonferroni), for values
    that are roughly normal. The bootstrap's are too narrow for a handful of values. Values that
    are not finite are left out; there is no interval below 2 values.

    Args:
        values: such as differences of pairs.
        intervals: how many there are, this one included.

    O. J. Dunn, "Multiple comparisons among means", JASA 56(293), 1961,
    doi:10.1080/01621459.1961.10482090.
    """
    sample = finite_values(values)
    if len(sample) < 2:
        return Mean(len(sample), mean_or_nan(sample))
    interval = stats.ttest_1samp(sample, 0).confidence_interval(1 - 0.05 / intervals)
    return Mean(len(sample), mean_or_nan(sample), *map(float, interval))


def independent_interval(first: Tensor, second: Tensor, intervals: int) -> Mean:
    """The difference of two means, of values (A,) and (B,) that are no pairs, and its interval.

    Welch's, for unequal variances, as wide as in :func:`joint_interval`. Values that are not finite
    are left out; there is no interval below 2 values on either side.

    B. L. Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34, 1947, doi:10.1093/biomet/34.1-2.28.
    """
    samples = [finite_values(first), finite_values(second)]
    n = sum(map(len, samples))
    difference = mean_or_nan(samples[0]) - mean_or_nan(samples[1])
    if min(map(len, samples)) < 2:
        return Mean(n, difference)
    test = stats.ttest_ind(*samples, equal_var=False)
    return Mean(n, difference, *map(float, test.confidence_interval(1 - 0.05 / intervals)))


def next_value(values: Tensor) -> Mean:
    """The mean of values (B,) and the 95 % interval of the next value, if they are normal.

    Student's t with B − 1 degrees of freedom, times their standard deviation and √(1 + 1/B); NaN
    below 2 values.
    """
    sample = values.double()
    n = len(sample)
    mean = sample.mean().item()
    reach = stats.t.ppf(0.975, n - 1) * sample.std().item() * math.sqrt(1 + 1 / n)
    return Mean(n, mean, mean - reach, mean + reach)


def reach_of_few(low: float, high: float, n: int, few: int) -> float:
    """Half the 95 % interval that the mean of a few values would have, given that of many.

    A difference within it cannot be distinguished from none.

    Args:
        low, high: the 95 % interval of the mean of ``n`` values.
        few: how many there are instead, at least 2.
    """
    spread = (high - low) / 2 / stats.norm.ppf(0.975) * math.sqrt(n)
    return float(stats.t.ppf(0.975, few - 1) * spread / math.sqrt(few))
