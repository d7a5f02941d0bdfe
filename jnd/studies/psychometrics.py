"""A machine's psychometric functions: how often it notices a distortion, against its size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor, nn

from jnd.descent import find_jnd
from jnd.studies.distortions import Distortion
from jnd.support.device import Parts
from jnd.trajectory import Trajectory, relative_distance

BATCH = 25  # images at a time, so that 224 px take 2 GB
RESAMPLES = 300  # of the bootstrap


def just_noticeable(
    machine: nn.Module,
    x0: Tensor,
    label: Tensor,
    target: Tensor | None,
    checkpoint: Path | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """K and x(K) of many images, some at a time; each leaves at its K.

    Args:
        machine: maps pixels (B, 3, H, W) in 0..255 to logits (B, C).
        x0: (B, 3, H, W), grey levels 0..255.
        label: (B,), what the machine says of x0.
        target: (B,), classes to pull to; None: away from the label.
        checkpoint: as :func:`~jnd.descent.find_jnd` takes it; a number is added to its name.
        **options: the other arguments of :func:`~jnd.descent.find_jnd`.

    Returns:
        K (B,) int64, −1 where the machine never noticed; and x(K) (B, 3, H, W), NaN there.
    """
    found: list[Trajectory] = []
    for part in torch.arange(len(x0)).split(BATCH):
        options |= {"label": label[part], "target": None if target is None else target[part]}
        if checkpoint:
            options["checkpoint"] = checkpoint.with_stem(f"{checkpoint.stem}, {len(found)}")
        found.append(find_jnd(machine, x0[part], stop_at_K=True, **options))
    return torch.cat([f.K for f in found]), torch.cat([f.x_jnd for f in found])


@torch.no_grad()
def notices(machine: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """Whether the machine says something else than the label (B,), some at a time -> (B,) bool."""
    parts = Parts()

    def answer(some: Tensor) -> tuple[Tensor]:
        return (machine(some).argmax(1),)

    return torch.cat([parts(answer, part)[0] for part in images.split(BATCH)]) != label


def border(machine: nn.Module, x0: Tensor, x_jnd: Tensor, label: Tensor, steps: int = 6) -> Tensor:
    """Where on the straight line from x(0) to x(K) the answer changes, by bisection.

    The descent overshoots by up to one update; this tells the size to 1/2**steps of JND(M).

    Returns:
        images just beyond the border, (B, 3, H, W); NaN where x(K) is.
    """
    low, high = x0.new_zeros(len(x0)), x0.new_ones(len(x0))
    for _ in range(steps):
        middle = (low + high) / 2
        beyond = notices(machine, torch.lerp(x0, x_jnd, middle.view(-1, 1, 1, 1)), label)
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    return torch.lerp(x0, x_jnd, high.view(-1, 1, 1, 1))


def constant_stimuli(
    machine: nn.Module, x0: Tensor, label: Tensor, distortion: Distortion
) -> tuple[Tensor, Tensor]:
    """Show every image at every one of L levels and ask whether the answer changes.

    Returns:
        the relative distortion and whether it was noticed, both (L, B).
    """
    shown = [distortion.apply(x0, level) for level in distortion.levels]
    sizes = [relative_distance(images, x0) for images in shown]
    return torch.stack(sizes), torch.stack([notices(machine, images, label) for images in shown])


@dataclass(frozen=True)
class Psychometric:
    """Ψ(d): the share of images noticed at distortion d, a line from level to level, in ln d.

    Attributes:
        threshold: the smallest distortion at which Ψ is one half; NaN where the levels do not
            enclose it.
        low, high: its 95 % bootstrap interval; an end at the lowest or the highest level means
            there or beyond.
        distortions, shares: the corners of the line, (L,) each; the shares never fall.
    """

    threshold: float
    low: float
    high: float
    distortions: Sequence[float]
    shares: Sequence[float]


def fit(
    distortion: Tensor, noticed: Tensor, source: Tensor | None = None, seed: int = 0
) -> Psychometric:
    """The psychometric function of most likelihood among all that never fall.

    No shape is presumed and nothing is extrapolated. Images that a level distorts unequally count
    with their geometric mean.

    Args:
        distortion: (L, B), of B images at L growing levels.
        noticed: (L, B) bool.
        source: (B,) int64, the photo that each image is cut from; None: one each.
        seed: of the bootstrap, which draws sources, each with all its images and levels.

    Raises:
        ValueError: the shapes differ.

    F. A. Wichmann and N. J. Hill, "The psychometric function: I. Fitting, sampling, and goodness
    of fit", Perception & Psychophysics 63(8), 2001, doi:10.3758/BF03194544; without a model:
    K. Żychaluk and D. H. Foster, "Model-free estimation of the psychometric function", Attention,
    Perception & Psychophysics 71(6), 2009, doi:10.3758/APP.71.6.1414, who ask that it be smooth.
    """
    if distortion.shape != noticed.shape or distortion.ndim != 2:
        raise ValueError(f"two (L, B), not {tuple(distortion.shape)} and {tuple(noticed.shape)}")
    # a flat image that is blurred does not change; the logarithm wants a number all the same
    size, seen = distortion.double().clamp(min=1e-9).log().cpu().numpy(), noticed.cpu().numpy()
    x, shares = _line(size, seen)

    def half(images: np.ndarray) -> float:
        # what a resample does not reach lies beyond all levels, nobody knows where
        return np.clip(_half(*_line(size[:, images], seen[:, images])), x[0], x[-1])

    threshold = low = high = float("nan")
    if np.isfinite(at := _half(x, shares)):
        threshold, low, high = np.exp([at, *_interval(half, size.shape[1], source, seed)]).tolist()
    return Psychometric(threshold, low, high, np.exp(x).tolist(), shares.tolist())


@dataclass(frozen=True)
class Exponent:
    """The exponent e of a threshold that grows as scale**e: 1 is Weber's law, 0 a fixed threshold.

    Attributes:
        exponent: of all images together, each with its own factor; NaN where nothing tells.
        low, high: its 95 % bootstrap interval.
    """

    exponent: float
    low: float
    high: float


def fit_exponent(
    scales: Sequence[float], thresholds: Tensor, source: Tensor | None = None, seed: int = 0
) -> Exponent:
    """The common exponent of thresholds (S, B) of B images at S scales; NaN where there is none.

    ``source`` and ``seed`` are as :func:`fit` takes them.
    """
    y = thresholds.double().cpu().log().numpy()
    x = np.broadcast_to(np.log(np.array(scales))[:, None], y.shape)
    x = np.where(np.isfinite(y), x, np.nan)
    told = np.isfinite(y).sum(0) > 1  # an image measured once says nothing
    x, y, source = x[:, told], y[:, told], None if source is None else source[told]
    if not told.any():
        return Exponent(*[float("nan")] * 3)
    x, y = x - np.nanmean(x, 0), y - np.nanmean(y, 0)
    products, squares = np.nansum(x * y, 0), np.nansum(x * x, 0)

    def slope(images: np.ndarray) -> float:
        return float(products[images].sum() / squares[images].sum())

    return Exponent(slope(np.arange(len(squares))), *_interval(slope, len(squares), source, seed))


def _interval(
    statistic: Callable[[np.ndarray], float], count: int, source: Tensor | None, seed: int
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a statistic of the numbers of ``count`` images.

    Images of one photo overlap, so it is photos that are drawn: A. C. Davison and D. V. Hinkley,
    "Bootstrap Methods and their Application", Cambridge 1997, Section 3.8.
    """
    of_image = np.arange(count) if source is None else source.cpu().numpy()
    of_photo = [np.flatnonzero(of_image == photo) for photo in np.unique(of_image)]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(of_photo), size=len(of_photo))
        draws.append(statistic(np.concatenate([of_photo[photo] for photo in drawn])))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _line(size: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of Ψ, (L,) each: logarithms of the distortions and shares."""
    # of counts, not shares: their means are exact where they are one half of the images
    return size.mean(1), isotonic_regression(seen.sum(1)).x / seen.shape[1]


def _half(x: np.ndarray, shares: np.ndarray) -> float:
    """Where a line that never falls first is 1/2; ∞ where it stays below, −∞ where above."""
    # where a line is flat np.interp takes the last place, so it is given this one backwards
    return np.interp(-0.5, -shares[::-1], x[::-1], left=np.inf, right=-np.inf)
