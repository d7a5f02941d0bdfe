"""The figures of the reading: other choices beside ours, predictions beside measurements."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from jnd.companion.figures.style import BLUE, GREY, ORANGE, SERIES, note, panels, styled


@styled
def relative_outcomes(
    ours: Mapping[str, Tensor], others: Mapping[str, Mapping[str, Mapping[str, Tensor]]]
) -> Figure:
    """K and JND(M) of other choices as multiples of ours: dots for images, a diamond: median.

    Args:
        ours: ``K`` and ``jnd``, (B,) each, NaN where nothing flips.
        others: title of a reading -> choice -> the same.
    """
    rows = [row for title, choices in others.items() for row in ((title, None), *choices.items())]
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 0.21 * len(rows) + 0.6), sharey=True)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    across = axes[0].get_yaxis_transform()  # x as a share of the width, y in rows
    words: Any = {"xycoords": across, "va": "center", "bbox": white}
    dot: Any = {"color": BLUE, "alpha": 0.35, "markersize": 4, "markeredgewidth": 0}
    for axis, name, title in zip(axes, ("K", "jnd"), ("K / ours", "JND(M) / ours"), strict=True):
        axis.axvline(1, color=GREY, linewidth=1)
        axis.set(xscale="log", title=title)
        for y, (_, outcome) in enumerate(rows):
            if outcome is None:
                continue
            ratios = (outcome[name] / ours[name]).cpu().numpy()
            flipped = ratios[np.isfinite(ratios)]
            axis.axhline(y, color="#eeeeee", linewidth=0.8, zorder=0)
            axis.plot(flipped, np.full(len(flipped), y), "o", **dot)
            if len(flipped):
                axis.plot(np.median(flipped), y, "D", color=ORANGE, markersize=4)
            if (never := len(ratios) - len(flipped)) and name == "K":
                never_flip = f"{never} of {len(ratios)} never flip"
                axis.annotate(never_flip, (1, y), ha="right", color=GREY, fontsize=7.5, **words)
        axis.xaxis.set_major_formatter("{x:g}")
    if axes[0].texts:  # they need room beside the dots
        low, high = axes[0].get_xlim()
        axes[0].set_xlim(low, high * (high / low) ** 0.4)
    axes[0].set_yticks(range(len(rows)), [label if outcome else "" for label, outcome in rows])
    for y, (title, outcome) in enumerate(rows):
        if outcome is None:
            note(axes[0], title, (0, y), (-135, 0), weight="bold", **words)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    for axis in axes:
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    return figure


@styled
def predictions(outcomes: Mapping[str, tuple[Tensor, Mapping[str, Tensor]]]) -> Figure:
    """Measured against predicted, photo by photo, on equal logarithmic axes.

    Args:
        outcomes: title -> what was measured, (B,), and prediction by name -> (B,).
    """
    figure, axes = panels(1, len(outcomes), (3.3, 3.3))
    for axis, (title, (measured, predicted)) in zip(axes[0], outcomes.items(), strict=True):
        for (name, values), (colour, _), mark in zip(predicted.items(), SERIES, "os", strict=False):
            axis.loglog(values.cpu(), measured.cpu(), mark, color=colour, label=name, markersize=5)
        low = min(axis.get_xlim()[0], axis.get_ylim()[0])
        high = max(axis.get_xlim()[1], axis.get_ylim()[1])
        axis.plot((low, high), (low, high), color=GREY, linewidth=1, zorder=0)
        axis.set(
            xlim=(low, high), ylim=(low, high), title=title, xlabel="predicted", aspect="equal"
        )
        axis.legend(loc="upper left", fontsize=7.5, handletextpad=0.2)
    axes[0, 0].set_ylabel("measured")
    return figure


@styled
def against_alpha(alphas: Sequence[float], values: Mapping[str, Tensor], printed: float) -> Figure:
    """PSNR at rest against the learning rate.

    Args:
        alphas: n of them.
        values: photo -> PSNR in dB, (n,).
        printed: the paper's, in dB.
    """
    figure, axis = plt.subplots(figsize=(5, 2.8))
    for (name, psnr), (colour, style) in zip(values.items(), SERIES, strict=False):
        axis.semilogx(alphas, psnr.cpu(), style, marker="o", markersize=4, color=colour, label=name)
    axis.axhline(printed, color=GREY, linewidth=1)
    note(axis, "Table I, with", (max(alphas), printed), (0, 3), color=GREY, ha="right")
    axis.set(xlabel="learning rate α, pixels in 0..1", ylabel="PSNR at rest, dB")
    axis.set_xticks(alphas, [f"{a:g}" for a in alphas])
    axis.minorticks_off()
    axis.legend()
    return figure
