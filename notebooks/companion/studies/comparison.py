"""The study of other attacks: how near each comes, at what cost, and how near the least x(K) is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor

from companion.statistics import Mean
from companion.style import BLUE, GREY, ORANGE, log_scale, panels, styled

# one of each per attack
MARKERS = "DsxPv^o*"
COLOURS = (BLUE, "#56b4e9", "black", GREY, "#cc79a7", "#e69f00", "#009e73", ORANGE)


def read_descent(folder: Path, max_iter: int, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """Read x(K − 1) and x(K) from the results of the notebook imagenet, with all regularisers.

    None: they lead to a target, or an image has no K up to ``max_iter``.
    """
    values = json.loads((folder / "metrics.json").read_text("utf-8"))["values"]
    if values["target"] or not all(0 <= K <= max_iter for K in values["arms"]["full"]["K"]):
        return None
    images = load_file(folder / "images.safetensors", device=str(device))
    return images["x_before.full"], images["x_jnd.full"]


def against_the_least(values: Mapping[str, Any]) -> pd.DataFrame:
    """Each attack's changes over the least that any of them has met, from data/measured/least.json.

    The factor is the geometric mean over the photos that the attack flips; for the optimality, see
    the recipe of that file.
    """
    changes = pd.DataFrame({name: run["change"] for name, run in values["attacks"].items()})
    changes = changes.astype(float)  # null, of a photo that never flipped, becomes NaN
    factors = changes.div(changes.min(axis=1), axis=0)
    return pd.DataFrame(
        {
            "flipped": factors.count(),
            "times the least": np.exp(np.log(factors).mean()),
            "optimality": pd.Series(values["optimality"]),
            "gradients": {
                name: np.mean(run["gradients"]) for name, run in values["attacks"].items()
            },
        }
    )


@styled
def against_gradients(measured: Mapping[str, Mapping[str, Mean]], cost: str) -> Figure:
    """Plot what attacks reach against what they cost: means and intervals, a panel per quantity.

    Args:
        measured: attack -> quantity -> its mean over the images; the same quantities for all.
        cost: the quantity of the x axis; each of the others is a y axis.
    """
    quantities = [name for name in next(iter(measured.values())) if name != cost]
    figure, axes = panels(1, len(quantities), 2.9)
    for axis, name in zip(axes[0], quantities, strict=True):
        styles = zip(measured.items(), COLOURS, MARKERS, strict=False)
        for (attack, means), colour, marker in styles:
            x = means[cost]
            y = means[name]
            axis.plot([x.low, x.high], [y.mean] * 2, color=colour, linewidth=1)
            axis.plot([x.mean] * 2, [y.low, y.high], color=colour, linewidth=1)
            axis.plot(x.mean, y.mean, marker, color=colour, label=attack, linestyle="")
        axis.set(xlabel=cost, title=name)
        log_scale(axis, "x", "y")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def shrinking_steps(
    alphas: Sequence[float],
    gaps: Mapping[str, Mapping[str, Tensor]],
    limits: Mapping[str, Tensor],
    photos: Sequence[str],
) -> Figure:
    """Plot JND(M) against α, photo by photo, in units of the least change known.

    Args:
        alphas: growing or falling, (A,).
        gaps: goal, a panel each -> ``"x(K)"`` and ``"border"`` -> (A, B), times the least.
        limits: goal -> (B,), what the border tends to.
        photos: names of the B photos.
    """
    figure, axes = panels(1, len(gaps), 3.2, sharey=True)
    for axis, (goal, moments) in zip(axes[0], gaps.items(), strict=True):
        for i, photo in enumerate(photos):
            colour = COLOURS[i % len(COLOURS)]
            x_K = moments["x(K)"][:, i].cpu()
            axis.plot(alphas, x_K, "o:", color=colour, markersize=3, linewidth=1)
            axis.plot(alphas, moments["border"][:, i].cpu(), "-", color=colour, label=photo)
            axis.plot(min(alphas) / 2, limits[goal][i].cpu(), "<", color=colour, markersize=4)
        axis.axhline(1, color=GREY, linewidth=1)
        axis.set(xscale="log", title=goal, xlabel="learning rate α")
        axis.set_xticks([min(alphas) / 2, *alphas], ["→ 0", *(f"{a:g}" for a in alphas)])
        axis.minorticks_off()
    log_scale(axes[0, 0], "y")
    axes[0, 0].set_ylabel("JND(M), times the least of the six")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
