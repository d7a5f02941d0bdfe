"""Bisection: find the border between what a machine doesn't notice and what it does."""

from collections.abc import Callable

import torch
from torch import Tensor

from jnd.trajectory import Recording


def bisect(beyond: Callable[[Tensor], Tensor], near: Tensor, far: Tensor, halvings: int) -> Tensor:
    """Move ``far`` towards ``near`` until it is just beyond the border between them.

    Args:
        beyond: whether places, such as images or sizes, (B, ...), are beyond the border: (B,) bool.
        near: (B, ...), not beyond it.
        far: (B, ...), beyond it.
        halvings: of the interval.
    """
    for _ in range(halvings):
        middle = (near + far) / 2
        flags = beyond(middle).view(-1, *[1] * (middle.ndim - 1))
        near = torch.where(flags, near, middle)
        far = torch.where(flags, middle, far)
    return far


class BeforeK:
    """Keep x(K − 1), the last image not yet noticed, for ``find_jnd(..., watch=[before])``.

    Attributes:
        x: (B, 3, H, W), x(K − 1) once the descent is done; x(0) where K is 0, x(N) where it is -1.
    """

    x: Tensor

    def __call__(self, recording: Recording) -> None:
        unnoticed = ~recording.noticed[: recording.k + 1].any(0).view(-1, 1, 1, 1)
        kept = recording.kept  # part of the recording's state, so that it survives a checkpoint
        self.x = torch.where(unnoticed, recording.shown, kept.get("x_before", recording.x0))
        kept["x_before"] = self.x
