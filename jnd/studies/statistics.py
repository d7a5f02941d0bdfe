"""Means with their intervals, and whether a difference between two arms is more than chance."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from torch import Tensor


@dataclass(frozen=True)
class Mean:
    """What :func:`mean_interval` says of n values.

    Attributes:
        n: number of values.
        mean: of them; NaN if there is none.
        low, high: its 95 % bootstrap interval; NaN below 3 values, or where all are the same.
    """

    n: int
    mean: float
    low: float
    high: float


def mean_interval(values: Tensor, seed: int = 0) -> Mean:
    """The mean of values (B,) and the bias-corrected and accelerated bootstrap interval of it.

    Values that are not finite are left out.

    B. Efron, "Better bootstrap confidence intervals", JASA 82(397), 1987,
    doi:10.1080/01621459.1987.10478410.
    """
    sample = values[values.isfinite()].double().cpu().numpy()
    mean = low = high = float("nan")
    if len(sample):
        mean = sample.mean().item()
    if len(sample) > 2 and np.ptp(sample) > 0:
        interval = stats.bootstrap((sample,), np.mean, rng=np.random.default_rng(seed))
        low, high = map(float, interval.confidence_interval)
    return Mean(len(sample), mean, low, high)


def joint_interval(values: Tensor, intervals: int) -> Mean:
    """The mean of values (B,) and Student's interval of it, one of several judged together.

    It is so wide that all of them hold at once in 95 % of cases (Bonferroni), for values that are
    roughly normal. Of a handful of values the bootstrap's are too narrow. Values that are not
    finite are left out.

    Args:
        values: such as differences of pairs.
        intervals: how many there are, this one included.

    O. J. Dunn, "Multiple comparisons among means", JASA 56(293), 1961,
    doi:10.1080/01621459.1961.10482090.
    """
    sample = values[values.isfinite()].double().cpu().numpy()
    if len(sample) < 2:
        return Mean(len(sample), float(sample.sum()) if len(sample) else math.nan, *[math.nan] * 2)
    mean, error = sample.mean().item(), stats.sem(sample).item()
    reach = stats.t.ppf(1 - 0.025 / intervals, len(sample) - 1).item() * error
    return Mean(len(sample), mean, mean - reach, mean + reach)


def next_value(values: Tensor) -> Mean:
    """The mean of values (B,), and where the next one of them lies with 95 %, if they are normal.

    Student's t with one degree of freedom less than values, times their standard deviation and
    √(1 + 1/B); NaN below 2 values.
    """
    sample = values.double()
    mean, n = sample.mean().item(), len(sample)
    reach = stats.t.ppf(0.975, n - 1) * sample.std().item() * math.sqrt(1 + 1 / n)
    return Mean(n, mean, mean - reach, mean + reach)


def reach_of_few(low: float, high: float, n: int, few: int) -> float:
    """Half of the 95 % interval that the mean of a few values would have, given that of many.

    A difference within it cannot be told from none.

    Args:
        low, high: the 95 % interval of the mean of ``n`` values.
        few: how many there are instead, at least 2.
    """
    spread = (high - low) / 2 / stats.norm.ppf(0.975) * math.sqrt(n)
    return float(stats.t.ppf(0.975, few - 1) * spread / math.sqrt(few))


def compare_pairs(first: Tensor, second: Tensor, seed: int = 0) -> tuple[Mean, float]:
    """Compare two measurements of the same images, (B,) each; pairs with a NaN are left out.

    Returns:
        the mean of first − second, see :func:`mean_interval`, and p of Wilcoxon's signed-rank test,
        two-sided, which asks nothing of the distribution but symmetry: 1 where no pair differs,
        NaN where there is none.

    Raises:
        ValueError: the shapes differ.

    F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6), 1945,
    doi:10.2307/3001968.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"two measurements (B,), not {tuple(first.shape)} and {tuple(second.shape)}"
        )
    differences = first.double() - second.double()
    mean = mean_interval(differences, seed)
    sample = differences[differences.isfinite()].cpu().numpy()
    p = stats.wilcoxon(sample).pvalue if sample.any() else 1.0 if mean.n else math.nan
    return mean, float(p)
