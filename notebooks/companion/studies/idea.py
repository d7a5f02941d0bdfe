"""A machine whose JND is known in closed form: two classes on either side of a plane."""

import hashlib
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.linalg import vector_norm

from companion.style import ARM_NAMES, ARMS, BLUE, GREY, ORANGE, note, panels, styled
from jnd.trajectory import Trajectory


class Plane(nn.Module):
    """Two classes on either side of a plane, with logits (0, w·(x − mean)).

    Args:
        normal: (C, H, W), w; points to the side of the second class.
        mean: (C, H, W), a point on the plane, grey levels.
        categories: names of the two classes.
    """

    name = "plane"
    normal: Tensor
    mean: Tensor

    def __init__(self, normal: Tensor, mean: Tensor, categories: tuple[str, str]):
        super().__init__()
        self.categories = categories
        self.register_buffer("normal", normal)
        self.register_buffer("mean", mean)
        numbers = torch.stack((normal, mean)).double().numpy().tobytes()
        self.sha256 = hashlib.sha256(numbers).hexdigest()

    def forward(self, pixels: Tensor) -> Tensor:
        margin = ((pixels - self.mean) * self.normal).flatten(1).sum(1)
        return torch.stack((torch.zeros_like(margin), margin), 1)

    def distance(self, pixels: Tensor) -> Tensor:
        """Euclidean distance from the plane, |w·(x − mean)| / ‖w‖: (B,), grey levels."""
        return self(pixels)[:, 1].abs() / vector_norm(self.normal)


@styled
def psychometric_function(
    change: Tensor, share: Tensor, expected: Tensor, threshold: float
) -> Figure:
    """How often observers with and without internal noise notice a change of each size.

    Args:
        change: (n,), sizes of the change, grey levels.
        share: (n,), the share of trials in which the noisy observer noticed it, 0..1.
        expected: (n,), the same in closed form.
        threshold: size from which on the observer without noise notices it.
    """
    figure, axes = panels(1, 1, 2.6)
    axis = axes[0, 0]
    end = change.max().item()
    axis.step([0, threshold, end], [0, 1, 1], where="post", color=BLUE, label="no noise: a machine")
    axis.plot(change, expected, "--", color=ORANGE, label="noise inside: Φ((t − d) / s)")
    axis.plot(change, share, "o", color=ORANGE, markersize=3.5, label="the same, counted")
    axis.set(xlabel="size of the change t, grey levels", ylim=(-0.03, 1.03), xlim=(0, end))
    axis.set_ylabel("share of trials\nin which it is noticed")
    note(axis, f"d = {threshold:.1f}", (threshold, 0), (4, 3), color=BLUE)
    axis.legend(loc="lower right")
    return figure


@styled
def paths_in_the_plane(
    machine: Plane, paths: Mapping[str, Tensor], trajectories: Mapping[str, Trajectory]
) -> Figure:
    """An image of two pixels as a point that moves to the line where the answer changes.

    A panel per arm: x(0) .. x(K), the line, and the circle around x(0) that touches it.

    Args:
        machine: takes images (B, 1, 1, 2).
        paths: arm -> x(k), (N + 1, 1, 1, 2).
        trajectories: arm -> its descent, of one image.
    """
    figure, axes = panels(1, len(paths), 3, sharey=True)
    for axis, (arm, path) in zip(axes[0], paths.items(), strict=True):
        trajectory = trajectories[arm]
        K = int(trajectory.K[0])
        _draw_answers(axis, machine)
        _draw_path(axis, path[: K + 1] if K >= 0 else path, ARMS[arm][0], arrives=K >= 0)
        radius = machine.distance(trajectory.x0).item()
        left, right = path[0].flatten().tolist()
        axis.add_patch(plt.Circle((left, right), radius, fill=False, color=GREY, lw=0.8, ls=":"))
        outcome = f"K = {K}, JND = {trajectory.jnd.item():.4f}" if K >= 0 else "no K"
        axis.set(title=f"{ARM_NAMES[arm]}\n{outcome}", xlabel="left pixel", aspect="equal")
        axis.set(xlim=(0, 255), ylim=(0, 255), xticks=(0, 100, 200), yticks=(0, 100, 200))
    axes[0, 0].set_ylabel("right pixel")
    return figure


def _draw_answers(axis: Axes, machine: Plane) -> None:
    levels = torch.arange(256)
    grid = torch.stack(torch.meshgrid(levels, levels, indexing="xy"), -1).view(-1, 1, 1, 2)
    margin = machine(grid)[:, 1].view(256, 256)
    axis.contourf(levels, levels, margin, [-np.inf, 0, np.inf], colors=["#e8e8ee", "#fff6da"])
    axis.contour(levels, levels, margin, [0], colors="black", linewidths=1)
    below, above = machine.categories
    corner: Any = {"transform": axis.transAxes, "style": "italic"}
    axis.text(0.04, 0.04, below, ha="left", va="bottom", **corner)
    axis.text(0.96, 0.96, above, ha="right", va="top", **corner)


def _draw_path(axis: Axes, path: Tensor, colour: str, arrives: bool) -> None:
    points = path.view(-1, 2)
    axis.plot(*points.T, "o-", color=colour, markersize=3, linewidth=0.7)
    axis.plot(*points[0], "o", color="black", markersize=5)
    note(axis, "x(0)", points[0], (-5, -4), ha="right", va="top")
    if arrives:
        axis.plot(*points[-1], "D", color=colour, markersize=5)
        note(axis, "x(K)", points[-1], (6, 0), va="center")


@styled
def distance_curves(
    comparisons: Mapping[str, Mapping[str, Trajectory]], threshold: float
) -> Figure:
    """Distance of x(k) from x(0) against k; a diamond marks x(K), a dashed line the threshold.

    Args:
        comparisons: title of a panel -> label -> the descent of one image.
        threshold: distance of x(0) from the plane, grey levels.
    """
    figure, axes = panels(1, len(comparisons), 3, sharey=True)
    for axis, (title, trajectories) in zip(axes[0], comparisons.items(), strict=True):
        axis.axhline(threshold, color=GREY, linestyle="--", linewidth=1)
        shades = mpl.colormaps["viridis"](np.linspace(0, 0.8, len(trajectories)))
        for (label, trajectory), colour in zip(trajectories.items(), shades, strict=True):
            distance = trajectory.distance[:, 0].cpu()
            K = int(trajectory.K[0])
            axis.plot(distance, color=colour, label=label)
            if K >= 0:
                axis.plot(K, distance[K], "D", color=colour, markersize=5)
        axis.set(title=title, xlabel="iteration k")
        axis.legend(loc="best")
    axes[0, 0].set_ylabel("‖x(k) − x(0)‖₂, grey levels")
    return figure
