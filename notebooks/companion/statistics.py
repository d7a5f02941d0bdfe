"""Means with their intervals, and whether a difference between two arms is more than chance."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from torch import Tensor


@dataclass(frozen=True)
class Mean:
    """A mean of n values and an interval.

    Attributes:
        n: number of values.
        mean: NaN if there is no value.
        low, high: the interval; NaN where there are too few values for one.
    """

    n: int
    mean: float
    low: float = math.nan
    high: float = math.nan


def mean_interval(values: Tensor, clusters: Tensor | None = None) -> Mean:
    """The mean of values (B,) and its 95 % bootstrap interval, bias-corrected and accelerated.

    Values that are not finite are left out. There is no interval below 3 clusters, or where all
    values are the same.

    Args:
        values: (B,).
        clusters: (B,), numbers of what is drawn as a whole, such as the photo that squares are
            parts of; None: each value is a cluster of its own.

    B. Efron, "Better bootstrap confidence intervals", JASA 82(397), 1987,
    doi:10.1080/01621459.1987.10478410.
    """
    sample = _finite(values)
    low = math.nan
    high = math.nan
    of_cluster = np.arange(len(values)) if clusters is None else clusters.numpy()
    _, numbers = np.unique(of_cluster[values.isfinite().cpu().numpy()], return_inverse=True)
    sums = np.bincount(numbers, weights=sample)
    counts = np.bincount(numbers)
    if len(sums) > 2 and np.ptp(sample) > 0:
        interval = stats.bootstrap(
            (sums, counts),
            lambda s, n, axis: s.sum(axis) / n.sum(axis),
            paired=True,
            rng=np.random.default_rng(0),
        )
        low, high = map(float, interval.confidence_interval)
    return Mean(len(sample), _mean(sample), low, high)


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
    sample = _finite(values)
    if len(sample) < 2:
        return Mean(len(sample), _mean(sample))
    interval = stats.ttest_1samp(sample, 0).confidence_interval(1 - 0.05 / intervals)
    return Mean(len(sample), _mean(sample), *map(float, interval))


def independent_interval(first: Tensor, second: Tensor, intervals: int) -> Mean:
    """The difference of two means, of values (A,) and (B,) that are no pairs, and its interval.

    Welch's, for unequal variances, as wide as in :func:`joint_interval`. Values that are not finite
    are left out; there is no interval below 2 values on either side.

    B. L. Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34, 1947, doi:10.1093/biomet/34.1-2.28.
    """
    samples = [_finite(first), _finite(second)]
    n = sum(map(len, samples))
    difference = _mean(samples[0]) - _mean(samples[1])
    if min(map(len, samples)) < 2:
        return Mean(n, difference)
    test = stats.ttest_ind(*samples, equal_var=False)
    return Mean(n, difference, *map(float, test.confidence_interval(1 - 0.05 / intervals)))


def next_value(values: Tensor) -> Mean:
    """The mean of values (B,) and the 95 % interval of the next value, if they are normal.

    Student's t with one degree of freedom less than values, times their standard deviation and
    √(1 + 1/B); NaN below 2 values.
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


def compare_pairs(
    first: Tensor, second: Tensor, clusters: Tensor | None = None
) -> tuple[Mean, float]:
    """Compare two measurements of the same images, (B,) each; pairs with a NaN are left out.

    Returns:
        the mean of first − second, see :func:`mean_interval`, and p of Wilcoxon's signed-rank test,
        two-sided, which assumes nothing about the distribution but symmetry: 1 where no pair
        differs, NaN where there is none, or where pairs are not independent but in clusters.

    F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6), 1945,
    doi:10.2307/3001968.
    """
    differences = first.double() - second.double()
    mean = mean_interval(differences, clusters)
    sample = _finite(differences)
    if not len(sample) or clusters is not None:
        return mean, math.nan
    if not sample.any():
        return mean, 1.0
    return mean, float(stats.wilcoxon(sample).pvalue)


def _finite(values: Tensor) -> np.ndarray:
    return values[values.isfinite()].double().cpu().numpy()


def _mean(sample: np.ndarray) -> float:
    return sample.mean().item() if len(sample) else math.nan
