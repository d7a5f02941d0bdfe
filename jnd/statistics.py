"""Is a difference between two arms more than chance?"""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from torch import Tensor


@dataclass(frozen=True)
class Paired:
    """What :func:`paired` says of n pairs.

    Attributes:
        n: number of pairs.
        difference: mean of first − second.
        low, high: 95 % bootstrap interval of that mean; NaN below 3 pairs.
        p: of Wilcoxon's signed-rank test, two-sided; 1 where no pair differs.
    """

    n: int
    difference: float
    low: float
    high: float
    p: float


def paired(first: Tensor, second: Tensor, seed: int = 0) -> Paired:
    """Compare two measurements of the same images, (B,) each; pairs with a NaN are left out.

    The interval is the bias-corrected and accelerated bootstrap's, the test Wilcoxon's, which
    asks nothing of the distribution but symmetry.

    Raises:
        ValueError: the shapes differ, or no pair is left.

    B. Efron, "Better bootstrap confidence intervals", JASA 82(397), 1987,
    doi:10.1080/01621459.1987.10478410. F. Wilcoxon, "Individual comparisons by ranking methods",
    Biometrics Bulletin 1(6), 1945, doi:10.2307/3001968.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"two measurements (B,), not {tuple(first.shape)} and {tuple(second.shape)}")
    differences = (first.double() - second.double()).cpu().numpy()
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        raise ValueError("no image has been measured in both")
    low = high = float("nan")
    if len(differences) > 2 and np.ptp(differences) > 0:
        interval = stats.bootstrap((differences,), np.mean, rng=np.random.default_rng(seed))
        low, high = interval.confidence_interval
    p = stats.wilcoxon(differences).pvalue if differences.any() else 1.0
    return Paired(len(differences), differences.mean().item(), float(low), float(high), float(p))
