"""What an attack reaches and what it spends: images, input gradients and seconds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machines import frozen
from jnd.support.checkpoint import Checkpoint
from jnd.support.device import reproducible


class Metered(nn.Module):
    """A machine that counts the input gradients taken of it, one for each image: ``gradients``."""

    def __init__(self, machine: nn.Module):
        super().__init__()
        self.machine, self.gradients = machine, 0
        self.precision = getattr(machine, "precision", "float32")

    def forward(self, pixels: Tensor) -> Any:
        if pixels.requires_grad:
            pixels.register_hook(self._count)
        return self.machine(pixels)

    def _count(self, gradient: Tensor) -> None:
        self.gradients += len(gradient)


Attack = Callable[[Metered, Tensor, Tensor], Tensor]
"""Machine, one x(0) (1, 3, H, W) in grey levels, its label (1,) -> the changed image, which need
not flip; NaN where the attack itself knows that it found nothing."""


@dataclass(frozen=True)
class Descent:
    """The paper's own, away from the label, called like the others: to its end, or to x(K)."""

    cost: Cost
    alpha: float
    max_iter: int
    stop_at_K: bool = False

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        return find_jnd(machine, x0, label=label, **vars(self)).x_end


@dataclass(frozen=True)
class Attacked:
    """What an attack made of B images.

    Attributes:
        images: (B, 3, H, W), grey levels; NaN where M's answer is still the label.
        gradients: (B,), gradient evaluations.
        seconds: (B,).
    """

    images: Tensor
    gradients: Tensor
    seconds: Tensor


def run_attack(
    attack: Attack,
    machine: nn.Module,
    x0: Tensor,
    label: Tensor,
    *,
    progress: Callable[[range], Iterable[int]] = iter,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
) -> Attacked:
    """Attack images one by one, count the gradients and take the time.

    Args:
        attack: one of :func:`~jnd.studies.attacks.state_of_the_art`, or any that is called alike.
        machine: maps pixels (B, 3, H, W) in 0..255 to logits; left as it was.
        x0: (B, 3, H, W), grey levels.
        label: (B,) int64.
        progress, checkpoint, checkpoint_seconds: as :func:`~jnd.descent.find_jnd` takes
            them, of images instead of iterations.
    """
    images, spent = torch.full_like(x0, torch.nan), torch.zeros(len(x0), 2, dtype=torch.float64)
    state = dict(images=images, spent=spent)
    identity = (machine, attack, x0, label, run_attack)  # itself: its code counts
    saved = Checkpoint(checkpoint, checkpoint_seconds, *identity)
    tf32 = getattr(machine, "precision", "float32") == "tf32"
    with frozen(machine), reproducible(x0.device, tf32), torch.random.fork_rng():
        for i in progress(range(saved.restore(state), len(x0))):
            torch.manual_seed(0)  # DDN draws a direction where the gradient vanishes
            metered, one = Metered(machine).eval(), slice(i, i + 1)
            start = perf_counter()
            tried = attack(metered, x0[one], label[one])
            flipped = bool(flips(metered, label[one], tried))  # waits for the device too
            spent[i, 0], spent[i, 1] = metered.gradients, perf_counter() - start
            if flipped:
                images[one] = tried
            saved.save(i + 1, state)
    saved.save(len(x0), state, now=True)
    return Attacked(images, *spent.T)


@torch.no_grad()
def flips(machine: nn.Module, label: Tensor, images: Tensor) -> Tensor:
    """Whether the machine says something else than the label (B,); not of an image of NaN: (B,)."""
    return images.isfinite().flatten(1).all(1) & (machine(images).argmax(1) != label)
