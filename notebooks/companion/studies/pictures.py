"""Just noticeable differences as pictures: four methods to whole grey levels, what they survive."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from companion.distortions import compressed
from companion.style import SERIES, log_scale, panels, styled
from companion.tables import flips
from jnd.guards import frozen
from jnd.objectives import Objective
from jnd.pictures import eight_bit
from jnd.trajectory import Trajectory

MARKERS = "sD^o"  # one for each method


@dataclass(frozen=True)
class Noticed:
    """The images that a machine just notices, of B photos.

    Attributes:
        x_jnd: (B, 3, H, W); NaN where there is none.
        K: (B,) int64, updates to it; -1: there is none.
    """

    x_jnd: Tensor
    K: Tensor


class StraightThrough(nn.Module):
    """A machine that sees pictures, x rounded and clipped, but takes their gradient for that of x.

    So changes too small to show add up until they do. Y. Bengio, N. Léonard and A. Courville,
    arXiv 1308.3432.
    """

    def __init__(self, machine: nn.Module):
        super().__init__()
        self.machine = machine

    def forward(self, x: Tensor) -> Any:
        return self.machine(_Rounding.apply(x))


class _Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return eight_bit(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def read_descents(folder: Path, device: torch.device) -> tuple[Noticed, Noticed] | None:
    """Read x(K) and the first picture noticed from the results of the notebook imagenet.

    Both are with all regularisers. None: they lead to a target.
    """
    values = json.loads((folder / "metrics.json").read_text("utf-8"))["values"]
    if values["target"]:
        return None
    images = load_file(folder / "images.safetensors", device=str(device))
    K = torch.tensor(values["arms"]["full"]["K"], device=device)
    K_of_picture = torch.tensor(values["pictures"]["K"], device=device)
    return Noticed(images["x_jnd.full"], K), Noticed(images["picture"], K_of_picture)


def pictures_by_method(
    machine: nn.Module,
    objective: Objective,
    x0: Tensor,
    plain: Noticed | Trajectory,
    straight: Noticed | Trajectory,
    first: Noticed | Trajectory,
) -> dict[str, Noticed]:
    """Pictures of whole grey levels by four methods, by the methods' names.

    Args:
        machine, objective, x0: of the descents, from whole grey levels.
        plain: the descent to x(K), which is rounded, and rounded by :func:`up_or_down`.
        straight: the descent on a :class:`StraightThrough`.
        first: the descent to the first picture on its path that M notices, ``pixels="8bit"``.
    """
    adjusted = up_or_down(machine, objective, x0, plain.x_jnd)
    return {
        "x(K), rounded": Noticed(eight_bit(plain.x_jnd), plain.K),
        "x(K), up or down": Noticed(adjusted, plain.K),
        "straight-through": Noticed(eight_bit(straight.x_jnd), straight.K),
        "first on the path": Noticed(first.x_jnd, first.K),
    }


def up_or_down(machine: nn.Module, objective: Objective, x0: Tensor, x_jnd: Tensor) -> Tensor:
    """Round each pixel of x(K) up or down as it takes to be noticed.

    Every pixel begins at the level next to it on the side of x(0). Those move to the level beyond
    that add most to the loss for what they add to the squared distance, by the gradient at x(K), as
    many as it takes. On a plane that is the greedy answer to a knapsack.

    Args:
        machine, objective: of the descent.
        x0: (B, 3, H, W), whole grey levels.
        x_jnd: (B, 3, H, W), x(K); NaN where there is none.

    Returns:
        (B, 3, H, W); NaN where there is no x(K), or all pixels together are not noticed.
    """
    with frozen(machine):
        x = x_jnd.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(objective.loss(machine(x)).sum(), x)
    change = x_jnd - x0
    near = change.trunc()
    far = near + change.sign()
    gain = -gradient * change.sign() / (far.square() - near.square()).clamp(min=1)
    order = gain.flatten(1).argsort(1, descending=True).argsort(1).view_as(gain)

    def picture(count: Tensor) -> Tensor:
        return eight_bit(x0 + torch.where(order < count.view(-1, 1, 1, 1), far, near))

    def noticed(count: Tensor) -> Tensor:
        with torch.no_grad():
            return objective.noticed(machine(picture(count)))

    high = (gain > 0).flatten(1).sum(1)
    low = torch.zeros_like(high)
    possible = noticed(high) & x_jnd.isfinite().flatten(1).all(1)
    for _ in range(gain[0].numel().bit_length()):  # to the very pixel
        middle = (low + high) // 2
        enough = noticed(middle)
        low = torch.where(enough, low, middle)
        high = torch.where(enough, middle, high)
    return picture(high).where(possible.view(-1, 1, 1, 1), torch.nan)


def halved(images: Tensor) -> Tensor:
    """Scale to half the size and back, bilinear and antialiased, in whole grey levels."""
    whole = images.shape[2:]
    for size in [max(1, side // 2) for side in whole], whole:
        images = eight_bit(interpolate(images, size, mode="bilinear", antialias=True))
    return images


TREATMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "saved as PNG": eight_bit,
    "JPEG of quality 95": lambda images: compressed(images, 100 / 95),
    "JPEG of quality 90": lambda images: compressed(images, 100 / 90),
    "JPEG of quality 75": lambda images: compressed(images, 100 / 75),
    "half the size and back": halved,
}
"""What happens to pictures, (B, 3, H, W) in grey levels -> the same."""


def survival(
    machine: nn.Module, other: nn.Module, x0: Tensor, pictures: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """Test which pictures still fool after each treatment, and which fool another network.

    A machine is fooled when its answer differs from that for x(0).

    Args:
        machine: that of the descents.
        other: takes the same pixels; its answer for x(0) need not be the machine's.
        x0: (B, 3, H, W), whole grey levels.
        pictures: name -> (B, 3, H, W), NaN where there is none.

    Returns:
        treatment -> name -> (B,), 1 or 0; NaN where the treatment changes the answer for x(0).
    """
    with torch.no_grad():
        label = machine(x0).argmax(1)
        other_label = other(x0).argmax(1)
    results = {}
    for title, treat in TREATMENTS.items():
        undecided = flips(machine, label, treat(x0))
        results[title] = {
            name: _fools(machine, label, treat, x).masked_fill(undecided, torch.nan)
            for name, x in pictures.items()
        }
    results["another network"] = {
        name: flips(other, other_label, x).double() for name, x in pictures.items()
    }
    return results


def _fools(
    machine: nn.Module, label: Tensor, treat: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor:
    exists = x.isfinite().flatten(1).all(1)
    return (exists & flips(machine, label, treat(x.nan_to_num()))).double()


@styled
def jnd_of_pictures(
    floating: Tensor, pictures: Mapping[str, Tensor], pairs: Sequence[str]
) -> Figure:
    """Plot JND(M) of x(K) in floating point and of pictures: a row for each pair.

    Args:
        floating: (P,).
        pictures: method -> (P,), NaN where it has none; a method without any is not drawn.
        pairs: names of the P pairs of photo and wanted class.
    """
    figure, axes = panels(1, 1, 0.9 + 0.19 * len(pairs))
    axis = axes[0, 0]
    rows = range(len(pairs))
    jnds = torch.stack([floating, *pictures.values()]).cpu()
    lowest = jnds.nan_to_num(torch.inf).amin(0)
    highest = jnds.nan_to_num(-torch.inf).amax(0)
    axis.hlines(rows, lowest, highest, color="#cccccc", linewidth=2, zorder=0)
    axis.plot(floating.cpu(), rows, "|", color="black", markersize=9, label="x(K), floating point")
    for (method, values), (colour, _), marker in zip(
        pictures.items(), SERIES, MARKERS, strict=False
    ):
        if values.isfinite().any():
            axis.plot(values.cpu(), rows, marker, color=colour, label=method, markersize=4.5)
    axis.set(xlabel="JND(M)", yticks=rows, yticklabels=pairs, ylim=(len(pairs), -1))
    log_scale(axis, "x")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


@styled
def survival_figure(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Plot the share of the pictures that fool after each treatment.

    Args:
        shares: treatment -> method -> share, 0..1.
    """
    figure, axes = panels(1, 1, 3.2)
    axis = axes[0, 0]
    rows = range(len(shares))
    methods = list(next(iter(shares.values())))
    for i, (method, (colour, _), marker) in enumerate(zip(methods, SERIES, MARKERS, strict=False)):
        heights = [row + 0.2 * (i - (len(methods) - 1) / 2) for row in rows]
        values = [by_method[method] for by_method in shares.values()]
        axis.hlines(heights, 0, values, color=colour, linewidth=1)
        axis.plot(values, heights, marker, color=colour, label=method, markersize=5)
    axis.set(xlim=(-0.02, 1.02), xlabel="share that fools", ylim=(len(shares) - 0.5, -0.5))
    axis.set_yticks(rows, list(shares))
    figure.legend(loc="outside lower center", ncols=4)
    return figure
