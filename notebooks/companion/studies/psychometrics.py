"""A machine's psychometric functions: how often it notices a distortion, against its size."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.optimize import isotonic_regression
from torch import Tensor, nn

from companion.bisection import bisect
from companion.distortions import Distortion
from companion.observer import jod
from companion.style import GREY, ORANGE, SERIES, draw_quartiles, log_scale, panels, styled
from jnd.descent import find_jnd
from jnd.trajectory import relative_distance

BATCH = 5  # images at a time: Binder has 2 GB
RESAMPLES = 300  # of the bootstrap
QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


def just_noticeable(
    machine: nn.Module,
    x0: Tensor,
    label: Tensor,
    target: Tensor | None,
    *,
    long: Callable[[int], Mapping[str, Any]] = lambda batch: {},
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Find K and x(K) of many images, batch by batch; each image stops at its K.

    Args:
        machine: maps pixels (B, 3, H, W) in 0..255 to logits (B, C).
        x0: (B, 3, H, W), grey levels 0..255.
        label: (B,), the machine's answer for x0.
        target: (B,), classes to pull to; None: away from the label.
        long: further arguments of :func:`~jnd.descent.find_jnd` for the batch of that number, such
            as those of :meth:`companion.run.Run.long`.
        **options: arguments of :func:`~jnd.descent.find_jnd` for all batches.

    Returns:
        K (B,) int64, −1 where the machine never noticed; and x(K) (B, 3, H, W), NaN there.
    """
    trajectories = []
    for batch, images in enumerate(torch.arange(len(x0)).split(BATCH)):
        trajectory = find_jnd(
            machine,
            x0[images],
            label=label[images],
            target=None if target is None else target[images],
            stop_at_K=True,
            **options,
            **long(batch),
        )
        trajectories.append(trajectory)
    return torch.cat([t.K for t in trajectories]), torch.cat([t.x_jnd for t in trajectories])


@torch.no_grad()
def notices(machine: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """Whether the machine's answer differs from the label, (B,), batch by batch: (B,) bool."""
    return torch.cat([machine(batch).argmax(1) for batch in images.split(BATCH)]) != label


def border(
    machine: nn.Module, x0: Tensor, x_jnd: Tensor, label: Tensor, halvings: int = 6
) -> Tensor:
    """Find where on the straight line from x(0) to x(K) the answer changes.

    The descent overshoots by up to one update; this gives the size to 1/2**halvings of JND(M).

    Returns:
        images just beyond the border, (B, 3, H, W); NaN where x(K) is.
    """

    def image_at(share: Tensor) -> Tensor:
        return torch.lerp(x0, x_jnd, share.view(-1, 1, 1, 1))

    share = bisect(
        lambda share: notices(machine, image_at(share), label),
        x0.new_zeros(len(x0)),
        x0.new_ones(len(x0)),
        halvings,
    )
    return image_at(share)


def constant_stimuli(
    machine: nn.Module, x0: Tensor, label: Tensor, distortion: Distortion
) -> tuple[Tensor, Tensor]:
    """Show all images at each of L levels and ask whether the answer changes.

    Returns:
        the relative distortion and whether it was noticed, both (L, B).
    """
    sizes = []
    noticed = []
    for level in distortion.levels:  # one at a time: Binder has 2 GB
        images = distortion.apply(x0, level)
        sizes.append(relative_distance(images, x0))
        noticed.append(notices(machine, images, label))
    return torch.stack(sizes), torch.stack(noticed)


def jod_at_threshold(x0: Tensor, source: Tensor, distortion: Distortion, level: float) -> float:
    """The median JOD of one image of each photo, distorted at a level; NaN for a level of NaN.

    Args:
        x0: (B, 3, H, W), grey levels.
        source: (B,), the photo that each of them is cut from.
        distortion: of all of them.
        level: where the machine notices half of them.
    """
    if math.isnan(level):
        return math.nan
    first = [int((source == photo).nonzero()[0]) for photo in source.unique()]
    return jod(x0[first], distortion.apply(x0, level)[first]).nanmedian().item()


@dataclass(frozen=True)
class Psychometric:
    """Ψ(d): the share of images noticed at distortion d, a line from level to level, in ln d.

    Attributes:
        threshold: the smallest distortion at which Ψ is one half; NaN where the levels do not
            enclose it.
        low, high: its 95 % bootstrap interval; an end at the lowest or the highest level means
            that level or beyond.
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
    """Fit the psychometric function of greatest likelihood among all that never fall.

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
    # blur leaves a flat image as it is, and zero has no logarithm
    log_size = distortion.double().clamp(min=1e-9).log().cpu().numpy()
    answers = noticed.cpu().numpy()
    x, shares = _line(log_size, answers)

    def log_threshold(images: np.ndarray) -> float:
        # where a resample does not reach one half, its threshold is unknown: beyond all levels
        return np.clip(_half(*_line(log_size[:, images], answers[:, images])), x[0], x[-1])

    threshold = low = high = float("nan")
    half = _half(x, shares)
    if np.isfinite(half):
        interval = _interval(log_threshold, log_size.shape[1], source, seed)
        threshold, low, high = np.exp([half, *interval]).tolist()
    return Psychometric(threshold, low, high, np.exp(x).tolist(), shares.tolist())


@dataclass(frozen=True)
class Exponent:
    """The exponent e of a threshold that grows as scale**e: 1 is Weber's law, 0 a fixed threshold.

    Attributes:
        exponent: of all images together, each with its own factor; NaN where none is informative.
        low, high: its 95 % bootstrap interval.
    """

    exponent: float
    low: float
    high: float


def fit_exponent(
    scales: Sequence[float], thresholds: Tensor, source: Tensor | None = None, seed: int = 0
) -> Exponent:
    """Fit the common exponent of thresholds (S, B) of B images at S scales; NaN: not measured.

    ``source`` and ``seed`` are as :func:`fit` takes them.
    """
    y = thresholds.double().cpu().log().numpy()
    x = np.broadcast_to(np.log(np.array(scales))[:, None], y.shape)
    x = np.where(np.isfinite(y), x, np.nan)
    informative = np.isfinite(y).sum(0) > 1  # an image measured once has no slope
    if not informative.any():
        return Exponent(*[float("nan")] * 3)
    x = x[:, informative]
    y = y[:, informative]
    x = x - np.nanmean(x, 0)
    y = y - np.nanmean(y, 0)
    products = np.nansum(x * y, 0)
    squares = np.nansum(x * x, 0)

    def slope(images: np.ndarray) -> float:
        return float(products[images].sum() / squares[images].sum())

    source = None if source is None else source[informative]
    return Exponent(slope(np.arange(len(squares))), *_interval(slope, len(squares), source, seed))


def _interval(
    statistic: Callable[[np.ndarray], float], count: int, source: Tensor | None, seed: int
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a statistic of the numbers of ``count`` images.

    Images of one photo overlap, so photos are drawn: A. C. Davison and D. V. Hinkley, "Bootstrap
    Methods and their Application", Cambridge 1997, Section 3.8.
    """
    photos = np.arange(count) if source is None else source.cpu().numpy()
    images_by_photo = [np.flatnonzero(photos == photo) for photo in np.unique(photos)]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(images_by_photo), size=len(images_by_photo))
        draws.append(statistic(np.concatenate([images_by_photo[photo] for photo in drawn])))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _line(log_size: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of Ψ, (L,) each: logarithms of the distortions and shares."""
    # of counts, not shares: their means are exact where they are one half of the images
    return log_size.mean(1), isotonic_regression(answers.sum(1)).x / answers.shape[1]


def _half(x: np.ndarray, shares: np.ndarray) -> float:
    """Where a line that never falls first reaches 1/2; ∞ if it stays below, −∞ if above."""
    # where a line is flat np.interp takes the last place; backwards, that is the first
    return np.interp(-0.5, -shares[::-1], x[::-1], left=np.inf, right=-np.inf)


@styled
def jnd_distribution(jnds: Mapping[str, Tensor]) -> Figure:
    """Plot a histogram of JND(M) per machine, on one logarithmic axis, with its median.

    Args:
        jnds: machine -> (B,), NaN where the machine never noticed.
    """
    figure, axes = panels(len(jnds), 1, 1.5, sharex=True)
    finite = {name: values[values.isfinite()].cpu() for name, values in jnds.items()}
    positive = torch.cat(list(finite.values()))
    positive = positive[positive > 0].log10()
    low, high = positive.aminmax() if len(positive) else (-4, -1)
    bins = 10 ** np.linspace(float(low) - 1e-3, float(high) + 1e-3, 31)
    for axis, (name, values) in zip(axes[:, 0], finite.items(), strict=True):
        axis.hist(values.numpy(), bins=bins, color="#9ecae1")
        median = values.nanmedian().item()
        axis.axvline(median, color=ORANGE)
        axis.set(ylabel="images", title=f"{name}: median {median:.2g}")
        axis.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    log_scale(axes[-1, 0], "x")
    axes[-1, 0].set_xlabel("JND(M)")
    return figure


@styled
def psychometric_functions(
    stimuli: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]],
    fits: Mapping[str, Mapping[str, Psychometric]],
) -> Figure:
    """Plot the share of images noticed against the distortion: counted, and the line fitted.

    A panel per machine; a bar over the threshold is its bootstrap interval.

    Args:
        stimuli: machine -> distortion -> the two tensors of :func:`constant_stimuli`.
        fits: machine -> distortion -> the result of :func:`fit`.
    """
    figure, axes = panels(len(stimuli), 1, 2.4, sharex=True)
    for axis, (machine, distortions) in zip(axes[:, 0], stimuli.items(), strict=True):
        for (name, (_, noticed)), (colour, style) in zip(distortions.items(), SERIES, strict=False):
            psi = fits[machine][name]
            counted = noticed.double().mean(1).cpu()
            axis.plot(psi.distortions, counted, "o", color=colour, markersize=3.5)
            axis.plot(psi.distortions, psi.shares, style, color=colour, label=name)
            axis.plot([psi.low, psi.high], [0.5, 0.5], color=colour, linewidth=3, alpha=0.5)
        axis.set(title=machine, ylabel="share of images\nnoticed", ylim=(-0.03, 1.03))
        axis.axhline(0.5, color="#dddddd", linewidth=0.8, zorder=0)
    log_scale(axes[-1, 0], "x")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    axes[-1, 0].set_xlabel("relative distortion ‖x − x(0)‖₂ / ‖x(0)‖₂")
    return figure


@styled
def weber(
    scales: Sequence[float],
    thresholds: Mapping[str, Mapping[str, Tensor]],
    exponents: Mapping[str, Mapping[str, Exponent]],
) -> Figure:
    """Plot thresholds of scaled images over those of the images as they are, and Weber's law.

    Args:
        scales: the last is 1, the images as they are.
        thresholds: scaling -> machine -> (S, B), grey levels; NaN where there is none.
        exponents: scaling -> machine -> the exponent fitted.
    """
    figure, axes = panels(1, len(thresholds), 3.7, sharey=True)
    for axis, (scaling, machines) in zip(axes[0], thresholds.items(), strict=True):
        axis.plot(scales, scales, color=GREY, linewidth=1, label="Weber's law")
        axis.axhline(1, color=GREY, linewidth=1, linestyle=":", label="fixed threshold")
        for (name, sizes), line in zip(machines.items(), SERIES, strict=False):
            ratios = (sizes / sizes[-1]).double().cpu()
            quartiles = ratios.log().nanquantile(QUARTILES, dim=1).exp()
            exponent = f"{exponents[scaling][name].exponent:.2f}".replace("-", "−")
            label = f"{name}: exponent {exponent}"
            draw_quartiles(axis, scales, quartiles, line, label)
        axis.set(xscale="log", xlabel=f"{scaling}, times that of the photo")
        axis.set_xticks(scales, [f"{s:g}" for s in scales])
        axis.minorticks_off()
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1))
    log_scale(axes[0, 0], "y")
    axes[0, 0].set_ylabel("threshold, times\nthat of the photo")
    return figure


@styled
def dependence(
    choices: Mapping[str, Mapping[str, tuple[Sequence[float | str], Mapping[str, Tensor]]]],
) -> Figure:
    """Plot how K and JND(M) depend on a choice: medians and quartiles over the images.

    Args:
        choices: what is varied -> machine -> its values, (V,), drawn at equal distances, and ``K``
            and ``JND(M)``, (V, B) each, NaN where nothing flips.
    """
    figure, axes = panels(2, len(choices), 2.2, sharex="col")
    for column, (choice, machines) in zip(axes.T, choices.items(), strict=True):
        for (name, (options, measured)), line in zip(machines.items(), SERIES, strict=False):
            x = range(len(options))
            labels = [v if isinstance(v, str) else f"{v:g}" for v in options]
            for axis, (title, values) in zip(column, measured.items(), strict=True):
                values = values.double().cpu()
                # of K's that occur, as in a table of medians
                quartiles = values.nanquantile(QUARTILES, dim=1, interpolation="lower")
                draw_quartiles(axis, x, quartiles, line, name)
                axis.set_ylabel(title)
                axis.set_xticks(x, labels)
        for axis in column:
            log_scale(axis, "y")
        column[-1].set_xlabel(choice)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
