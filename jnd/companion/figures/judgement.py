"""The figures of the judgement: how tables came about, and other readings."""

from collections.abc import Hashable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from jnd.companion.figures.style import BLUE, GREY, ORANGE, note, panels, styled


@styled
def multiverse(printed: Mapping[str, float], means: pd.DataFrame, nearest: Hashable) -> Figure:
    """What each measuring pipeline gives, beside what is printed, for each metric.

    Args:
        printed: column such as ``"PSNR, with"`` -> the paper's number.
        means: ours, a row for each pipeline, the same columns.
        nearest: label of the row to mark.
    """
    metrics = list(dict.fromkeys(column.split(", ")[0] for column in printed))
    figure, axes = panels(1, len(metrics), (2, 3))
    for axis, metric in zip(axes[0], metrics, strict=True):
        columns = [f"{metric}, with", f"{metric}, without"]
        for place, (column, colour) in enumerate(zip(columns, (BLUE, ORANGE), strict=True)):
            x = place + np.linspace(-0.25, 0.25, len(means))
            axis.scatter(x, means[column], s=3, color=colour, alpha=0.5, linewidths=0)
            axis.hlines(printed[column], place - 0.4, place + 0.4, color="black", linewidth=1)
            row = means.index.get_loc(nearest)
            y = means[column].iloc[row]
            axis.scatter(x[row], y, s=45, facecolors="none", edgecolors="black")
        shown = means[columns].replace(np.inf, np.nan).stack()
        reach = [*shown.quantile([0.02, 0.98]), *(printed[column] for column in columns)]
        low, high = min(reach), max(reach)
        margin = 0.05 * (high - low)
        axis.set(title=f"{metric}{', dB' if metric == 'PSNR' else ''}", xticks=(0, 1))
        axis.set(xticklabels=("with", "without"), ylim=(low - margin, high + margin))
    return figure


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
