"""The figures of the idea: an image of two pixels, its machine and its ways."""

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from jnd.companion.figures.style import ARMS, BLUE, GREY, ORANGE, note, panels, styled
from jnd.machines import Plane
from jnd.trajectory import Trajectory


@styled
def psychometric(moved: Tensor, share: Tensor, expected: Tensor, border: float) -> Figure:
    """How often an observer with noise inside notices a change, and what one without noise says.

    Args:
        moved: (n,), sizes of the change, grey levels.
        share: (n,), of the trials in which it was noticed, 0..1.
        expected: (n,), the same in closed form.
        border: the change from which on it is noticed without noise.
    """
    figure, axis = plt.subplots(figsize=(7.4, 2.6))
    end = moved.max().item()
    axis.step([0, border, end], [0, 1, 1], where="post", color=BLUE, label="no noise: a machine")
    axis.plot(moved, expected, "--", color=ORANGE, label="noise inside: Φ((t − d) / s)")
    axis.plot(moved, share, "o", color=ORANGE, markersize=3.5, label="the same, counted")
    axis.set(xlabel="size of the change t, grey levels", ylim=(-0.03, 1.03), xlim=(0, end))
    axis.set_ylabel("share of trials\nin which it is noticed")
    note(axis, f"d = {border:.1f}", (border, 0), (4, 3), color=BLUE)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def paths_in_the_plane(
    machine: Plane, paths: Mapping[str, Tensor], found: Mapping[str, Trajectory]
) -> Figure:
    """An image of two pixels as a point, and its way to the line where the answer changes.

    A panel per arm: x(0) .. x(K), the line, and around x(0) the circle of the shortest way to it.

    Args:
        machine: takes images (B, 1, 1, 2).
        paths: arm -> x(k), (N + 1, 1, 1, 2).
        found: arm -> its descent, of one image.
    """
    figure, axes = panels(1, len(paths), (2.5, 2.9), sharey=True)
    levels = torch.arange(256)
    grid = torch.stack(torch.meshgrid(levels, levels, indexing="xy"), -1).view(-1, 1, 1, 2)
    margin = machine(grid)[:, 1].view(256, 256)
    for axis, (arm, path) in zip(axes[0], paths.items(), strict=True):
        colour, K = ARMS[arm][0], int(found[arm].K[0])
        way = path[: K + 1 if K >= 0 else None].view(-1, 2)
        axis.contourf(levels, levels, margin, [-np.inf, 0, np.inf], colors=["#e8e8ee", "#fff6da"])
        axis.contour(levels, levels, margin, [0], colors="black", linewidths=1)
        axis.plot(*way.T, "o-", color=colour, markersize=3, linewidth=0.7)
        axis.plot(*way[0], "o", color="black", markersize=5)
        note(axis, "x(0)", way[0], (-5, -4), ha="right", va="top")
        (left, right), radius = way[0].tolist(), machine.distance(found[arm].x0).item()
        axis.add_patch(plt.Circle((left, right), radius, fill=False, color=GREY, lw=0.8, ls=":"))
        if K >= 0:
            axis.plot(*way[-1], "D", color=colour, markersize=5)
            note(axis, "x(K)", way[-1], (6, 0), va="center")
        flips = f"K = {K}, JND = {found[arm].jnd.item():.4f}" if K >= 0 else "no K"
        axis.set(
            title=f"arm {arm}: {flips}",
            xlabel="left pixel",
            aspect="equal",
            xlim=(0, 255),
            ylim=(0, 255),
        )
        axis.set(xticks=(0, 100, 200), yticks=(0, 100, 200))
        (below, above), corner = machine.categories, {"transform": axis.transAxes}
        axis.text(0.04, 0.04, below, ha="left", va="bottom", style="italic", **corner)
        axis.text(0.96, 0.96, above, ha="right", va="top", style="italic", **corner)
    axes[0, 0].set_ylabel("right pixel")
    return figure


@styled
def ways(compared: Mapping[str, Mapping[str, Trajectory]], border: float) -> Figure:
    """How far x(k) is from x(0), against k, with x(K) marked and the border as a dashed line.

    Args:
        compared: title of a panel -> label -> the descent of one image.
        border: distance of the border from x(0).
    """
    figure, axes = panels(1, len(compared), (3.7, 3), sharey=True)
    for axis, (title, curves) in zip(axes[0], compared.items(), strict=True):
        axis.axhline(border, color=GREY, linestyle="--", linewidth=1)
        shades = mpl.colormaps["viridis"](np.linspace(0, 0.8, len(curves)))
        for (label, found), colour in zip(curves.items(), shades, strict=True):
            distance, K = found.distance[:, 0].cpu(), int(found.K[0])
            axis.plot(distance, color=colour, label=label)
            if K >= 0:
                axis.plot(K, distance[K], "D", color=colour, markersize=5)
        axis.set(title=title, xlabel="iteration k")
        axis.legend(loc="best")
    axes[0, 0].set_ylabel("‖x(k) − x(0)‖₂, grey levels")
    return figure
