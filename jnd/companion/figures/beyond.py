"""The figures beyond the paper: psychometrics, other attacks, other readings, other pipelines."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from torch import Tensor

from jnd.companion.figures.style import (
    BLUE,
    CHANGES,
    GREY,
    ORANGE,
    SERIES,
    draw_picture,
    draw_quartiles,
    panels,
    reach_of,
    styled,
)
from jnd.studies.psychometrics import Exponent, Psychometric
from jnd.studies.statistics import Mean

QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
# one of each for each attack that is compared
MARKERS = "DsxPv^o*"
COLOURS = (BLUE, "#56b4e9", "black", GREY, "#cc79a7", "#e69f00", "#009e73", ORANGE)


@styled
def jnd_distribution(jnds: Mapping[str, Tensor]) -> Figure:
    """A histogram of JND(M) per machine, on one logarithmic axis, with its median.

    Args:
        jnds: machine -> (B,), NaN where the machine never noticed.
    """
    figure, axes = panels(len(jnds), 1, (5.6, 1.5), sharex=True)
    found = {name: values[values.isfinite()].cpu() for name, values in jnds.items()}
    shown = torch.cat(list(found.values()))
    shown = shown[shown > 0].log10()
    low, high = shown.aminmax() if len(shown) else (-4, -1)
    bins = 10 ** np.linspace(float(low) - 1e-3, float(high) + 1e-3, 31)
    for axis, (name, values) in zip(axes[:, 0], found.items(), strict=True):
        axis.hist(values.numpy(), bins=bins, color="#9ecae1")
        median = values.nanmedian().item()
        axis.axvline(median, color=ORANGE)
        axis.set(xscale="log", ylabel="images", title=f"{name}: median {median:.2g}")
    axes[-1, 0].set_xlabel("JND(M)")
    return figure


@styled
def psychometric_functions(
    shares: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]],
    fits: Mapping[str, Mapping[str, Psychometric]],
) -> Figure:
    """The share of images noticed against the distortion: counted, and the line that never falls.

    A panel per machine; a bar over the threshold is its bootstrap interval.

    Args:
        shares: machine -> distortion -> relative distortion and whether it was noticed, (L, B).
        fits: machine -> distortion -> what :func:`~jnd.studies.psychometrics.fit` gives.
    """
    figure, axes = panels(len(shares), 1, (7.4, 2.6), sharex=True)
    for axis, (machine, kinds) in zip(axes[:, 0], shares.items(), strict=True):
        for (kind, (_, seen)), (colour, style) in zip(kinds.items(), SERIES, strict=False):
            found, counted = fits[machine][kind], seen.double().mean(1).cpu()
            axis.plot(found.distortions, counted, "o", color=colour, markersize=3.5)
            axis.plot(found.distortions, found.shares, style, color=colour, label=kind)
            axis.plot([found.low, found.high], [0.5, 0.5], color=colour, linewidth=3, alpha=0.5)
        axis.set(xscale="log", title=machine, ylabel="share of images\nnoticed", ylim=(-0.03, 1.03))
        axis.axhline(0.5, color="#dddddd", linewidth=0.8, zorder=0)
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes[-1, 0].set_xlabel("relative distortion ‖x − x(0)‖₂ / ‖x(0)‖₂")
    return figure


@styled
def weber(
    scales: Sequence[float],
    thresholds: Mapping[str, Mapping[str, Tensor]],
    exponents: Mapping[str, Mapping[str, Exponent]],
) -> Figure:
    """Thresholds of scaled images over those of the images as they are, and Weber's law.

    Args:
        scales: the last is 1, the images as they are.
        thresholds: scaling -> machine -> (S, B), grey levels; NaN where there is none.
        exponents: scaling -> machine -> the exponent fitted.
    """
    figure, axes = panels(1, len(thresholds), (3.4, 3.7), sharey=True)
    for axis, (scaling, machines) in zip(axes[0], thresholds.items(), strict=True):
        axis.plot(scales, scales, color=GREY, linewidth=1, label="Weber's law")
        axis.axhline(1, color=GREY, linewidth=1, linestyle=":", label="fixed threshold")
        for (name, sizes), line in zip(machines.items(), SERIES, strict=False):
            ratios = (sizes / sizes[-1]).double().cpu()
            quartiles = ratios.log().nanquantile(QUARTILES, dim=1).exp()
            label = f"{name}: exponent {exponents[scaling][name].exponent:.2f}"
            draw_quartiles(axis, scales, quartiles, line, label)
        axis.set(xscale="log", yscale="log", xlabel=f"{scaling}, times that of the photo")
        axis.set_xticks(scales, [f"{s:g}" for s in scales])
        axis.minorticks_off()
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=7.5)
    axes[0, 0].set_ylabel("threshold, times\nthat of the photo")
    axes[0, 0].set_yticks([0.3, 0.5, 1, 2, 3])
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    return figure


@styled
def dependence(
    choices: Mapping[str, Mapping[str, tuple[Sequence[float | str], Mapping[str, Tensor]]]],
) -> Figure:
    """How K and JND(M) depend on a choice: medians and quartiles over the images.

    Args:
        choices: what is varied -> machine -> its values, (V,), drawn at equal distances, and ``K``
            and ``JND(M)``, (V, B) each, NaN where nothing flips.
    """
    figure, axes = panels(2, len(choices), (3.4, 2.1), sharex="col")
    for column, (varied, machines) in zip(axes.T, choices.items(), strict=True):
        for (name, (at, measured)), line in zip(machines.items(), SERIES, strict=False):
            for axis, (title, values) in zip(column, measured.items(), strict=True):
                values = values.double().cpu()
                # of K's that occur, as a table of medians has them
                quartiles = values.nanquantile(QUARTILES, dim=1, interpolation="lower")
                draw_quartiles(axis, range(len(at)), quartiles, line, name)
                axis.set(yscale="log", ylabel=title)
                axis.yaxis.set_major_formatter(LogFormatter())  # 20, not 2 × 10¹
                axis.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
                axis.set_xticks(range(len(at)), [v if isinstance(v, str) else f"{v:g}" for v in at])
        column[-1].set_xlabel(varied)
    axes[0, -1].legend(loc="best")
    return figure


@styled
def side_by_side(x0: Tensor, changed: Mapping[str, Tensor]) -> Figure:
    """One original and what others made of it: each picture above its change, amplified to be seen.

    The change that gets the full red or blue stands below, in grey levels.

    Args:
        x0: (3, H, W), grey levels.
        changed: title -> (3, H, W); an image of NaN is left out.
    """
    figure, axes = panels(2 * -(-(1 + len(changed)) // 5), 5, (1.48, 1.62))
    places = zip(axes[::2].flat, axes[1::2].flat, strict=True)
    for axis in axes.flat:
        axis.axis("off")
    for title, image in {"original": x0, **changed}.items():
        picture, below = next(places)
        draw_picture(picture, image)
        picture.set_title(title)
        change = (image - x0).mean(0).cpu()
        if title in changed and change.isfinite().all():
            reach = reach_of(change[None])
            below.imshow(change.numpy(), cmap=CHANGES, vmin=-reach, vmax=reach)
            below.set_title(f"± {reach:.2g}", y=-0.17, fontsize=8)
    return figure


@styled
def against_gradients(found: Mapping[str, Mapping[str, Mean]], spent: str) -> Figure:
    """What attacks reach against what they spend: means with their intervals, a panel per quantity.

    Args:
        found: attack -> quantity -> its mean over the images; the same quantities for all.
        spent: the quantity of the x axis; every other one is a y axis.
    """
    reached = [name for name in next(iter(found.values())) if name != spent]
    figure, axes = panels(1, len(reached), (2.35, 2.9))
    for axis, name in zip(axes[0], reached, strict=True):
        for (attack, means), colour, marker in zip(found.items(), COLOURS, MARKERS, strict=False):
            x, y = means[spent], means[name]
            axis.plot([x.low, x.high], [y.mean] * 2, color=colour, linewidth=1)
            axis.plot([x.mean] * 2, [y.low, y.high], color=colour, linewidth=1)
            axis.plot(x.mean, y.mean, marker, color=colour, label=attack, linestyle="")
        axis.set(xscale="log", yscale="log", xlabel=spent, title=name)
        axis.xaxis.set_major_formatter("{x:g}")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def beside_noise(
    noise: Mapping[str, pd.DataFrame], ours: pd.DataFrame, printed: pd.DataFrame
) -> Figure:
    """Each metric against PSNR: of noise, of our images, and as the paper prints them.

    Args:
        noise: title -> a row for each strength of noise; columns ``PSNR`` and the metrics.
        ours: the same columns, a row for each of our moments and arms.
        printed: the same, a row for each column of the paper.
    """
    metrics = [name for name in printed.columns if name != "PSNR"]
    figure, axes = panels(1, len(metrics), (2.5, 2.8))
    for axis, metric in zip(axes[0], metrics, strict=True):
        for (title, table), (colour, style) in zip(noise.items(), SERIES, strict=False):
            axis.plot(table["PSNR"], table[metric], style, color=colour, label=title)
        axis.plot(
            ours["PSNR"], ours[metric], "o", color="#009e73", label="our images", markersize=5
        )
        axis.plot(printed["PSNR"], printed[metric], "*", color="black", label="paper", markersize=9)
        axis.set(title=metric, xlabel="PSNR, dB", ylim=(0, 1.03))
    axes[0, 0].legend(loc="lower right", fontsize=7)
    return figure


@styled
def multiverse(printed: Mapping[str, float], means: pd.DataFrame, nearest: Hashable) -> Figure:
    """What each measuring pipeline gives, beside what is printed, for each metric.

    Args:
        printed: column such as ``"UQI, with"`` -> the paper's number.
        means: ours, a row for each pipeline, the same columns.
        nearest: label of the row to mark.
    """
    metrics = list(dict.fromkeys(column.split(", ")[0] for column in printed))
    figure, axes = panels(1, len(metrics), (2.4, 2.8))
    row = means.index.get_loc(nearest)
    for axis, metric in zip(axes[0], metrics, strict=True):
        columns = [f"{metric}, with", f"{metric}, without"]
        for place, (column, colour) in enumerate(zip(columns, (BLUE, ORANGE), strict=True)):
            x = place + np.linspace(-0.25, 0.25, len(means))
            axis.scatter(x, means[column], s=8, color=colour, alpha=0.5, linewidths=0)
            axis.hlines(printed[column], place - 0.4, place + 0.4, color="black", linewidth=1)
            y = means[column].iloc[row]
            axis.scatter(x[row], y, s=45, facecolors="none", edgecolors="black")
        reach = [*means[columns].stack().quantile([0.02, 0.98]), *map(printed.get, columns)]
        low, high = min(reach), max(reach)
        margin = 0.05 * (high - low)
        axis.set(title=metric, xticks=(0, 1), xticklabels=("with", "without"))
        axis.set(ylim=(low - margin, high + margin))
    return figure
