"""Just noticeable differences as pictures: four ways to whole grey levels, what they survive."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from jnd.descent import find_jnd
from jnd.machines import frozen
from jnd.studies.distortions import compressed
from jnd.studies.metered import flips
from jnd.trajectory import Trajectory, eight_bit


def halved(images: Tensor) -> Tensor:
    """Half the size and back, bilinear and antialiased, in whole grey levels: (B, 3, H, W)."""
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


@dataclass(frozen=True)
class Found:
    """Pictures that a way to whole grey levels has found for B photos.

    Attributes:
        x: (B, 3, H, W), whole grey levels; NaN where it has found none.
        K: (B,) int64, updates that it took; -1: none found.
    """

    x: Tensor
    K: Tensor


def pictures_of(
    machine: nn.Module,
    x0: Tensor,
    *,
    label: Tensor,
    target: Tensor | None = None,
    progress: Callable[[str], Callable[[range], Iterable[int]]] = lambda name: iter,
    checkpoint: Callable[[str], Path | None] = lambda name: None,
    **descent: Any,
) -> tuple[Trajectory, dict[str, Found]]:
    """x(K) in floating point, and the pictures of four ways to whole grey levels by their names.

    Args:
        machine, x0, label, target, descent: as :func:`~jnd.descent.find_jnd` takes them.
        progress, checkpoint: likewise, for the name of each descent.

    Returns:
        the descent to x(K); and of x(K) rounded, of :func:`up_or_down`, of the descent on a
        :class:`StraightThrough`, and of the first picture on the path to x(K) and beyond that M
        notices, which is find_jnd's with ``pixels="8bit"``.
    """

    def descend(name: str, of: nn.Module, **options: Any) -> Trajectory:
        options |= dict(progress=progress(name), checkpoint=checkpoint(name), stop_at_K=True)
        return find_jnd(of, x0, label=label, target=target, **descent, **options)

    plain = descend("to x(K)", machine)
    straight = descend("straight-through", StraightThrough(machine))
    first = descend("beyond x(K)", machine, pixels="8bit")
    return plain, {
        "x(K), rounded": Found(eight_bit(plain.x_jnd), plain.K),
        "x(K), up or down": Found(up_or_down(machine, plain), plain.K),
        "straight-through": Found(eight_bit(straight.x_jnd), straight.K),
        "first on the path": Found(first.x_jnd, first.K),
    }


def up_or_down(machine: nn.Module, found: Trajectory) -> Tensor:
    """x(K) with each pixel rounded up or down as it takes to be noticed: (B, 3, H, W).

    Every pixel begins at the level next to it on the side of x(0). Those go to the level beyond
    that add most to the loss for what they add to the squared distance, by the gradient at x(K), as
    many as it takes. On a plane that is the greedy answer to a knapsack. NaN where all of them
    together are not noticed.

    Args:
        machine: the one of the descent.
        found: a descent from whole grey levels.
    """
    with frozen(machine):
        x = found.x_jnd.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(found.objective.loss(machine(x)).sum(), x)
    change = found.x_jnd - found.x0
    near, far = change.trunc(), change.trunc() + change.sign()
    gain = -gradient * change.sign() / (far.square() - near.square()).clamp(min=1)
    order = gain.flatten(1).argsort(1, descending=True).argsort(1).view_as(gain)

    def picture(count: Tensor) -> Tensor:
        return eight_bit(found.x0 + torch.where(order < count.view(-1, 1, 1, 1), far, near))

    def noticed(count: Tensor) -> Tensor:
        with torch.no_grad():
            return found.objective.noticed(machine(picture(count)))

    low, high = torch.zeros_like(found.K), (gain > 0).flatten(1).sum(1)
    never = ~noticed(high) | (found.K < 0)
    for _ in range(gain[0].numel().bit_length()):  # to the very pixel
        middle = (low + high) // 2
        enough = noticed(middle)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return picture(high).masked_fill(never.view(-1, 1, 1, 1), torch.nan)


def survival(
    machine: nn.Module, other: nn.Module, x0: Tensor, pictures: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """Which pictures still fool after each treatment, and which fool another network.

    A machine is fooled when it says something else than of x(0).

    Args:
        machine: the one of the descents.
        other: takes the same pixels; its answer for x(0) need not be the machine's.
        x0: (B, 3, H, W), whole grey levels.
        pictures: name -> (B, 3, H, W), NaN where there is none.

    Returns:
        treatment -> name -> (B,), 1 or 0; NaN where the treatment changes the answer for x(0).
    """
    with torch.no_grad():
        label, of_other = machine(x0).argmax(1), other(x0).argmax(1)
    there = {name: x.isfinite().flatten(1).all(1) for name, x in pictures.items()}

    def fools(treat: Callable[[Tensor], Tensor], name: str) -> Tensor:
        still = there[name] & flips(machine, label, treat(pictures[name].nan_to_num()))
        return still.double().masked_fill(flips(machine, label, treat(x0)), torch.nan)

    return {
        title: {name: fools(treat, name) for name in pictures}
        for title, treat in TREATMENTS.items()
    } | {"another network": {n: flips(other, of_other, x).double() for n, x in pictures.items()}}


class StraightThrough(nn.Module):
    """A machine that sees pictures: x rounded and clipped, whose gradient is taken for that of x.

    So changes too small to show add up until they do. Y. Bengio, N. Léonard and A. Courville,
    arXiv 1308.3432.
    """

    def __init__(self, machine: nn.Module):
        super().__init__()
        self.machine, self.precision = machine, getattr(machine, "precision", "float32")

    def forward(self, x: Tensor) -> Any:
        return self.machine(_Rounding.apply(x))


class _Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return eight_bit(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient
