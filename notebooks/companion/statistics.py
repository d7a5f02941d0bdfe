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
    sample = finite_values(values)
    low = math.nan
    high = math.nan
    cluster_numbers = np.arange(len(values)) if clusters is None else clusters.numpy()
    _, numbers = np.unique(cluster_numbers[values.isfinite().cpu().numpy()], return_inverse=True)
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
    return Mean(len(sample), mean_or_nan(sample), low, high)


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
    sample = finite_values(differences)
    if not len(sample) or clusters is not None:
        return mean, math.nan
    if not sample.any():
        return mean, 1.0
    return mean, float(stats.wilcoxon(sample).pvalue)


def finite_values(values: Tensor) -> np.ndarray:
    return values[values.isfinite()].double().cpu().numpy()


def mean_or_nan(sample: np.ndarray) -> float:
    """Return the mean of a sample, NaN if it is empty."""
    return sample.mean().item() if len(sample) else math.nan
