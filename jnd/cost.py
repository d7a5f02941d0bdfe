"""The cost of Eq. 1: its regularisers (Eq. 5 and 6) and their weighted sum.

Images are in grey levels 0..255. Weights and learning rate are for pixels in 0..1, so that a weight
of 1 is Eq. 1 as printed.
"""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

WHITE = 255.0  # the grey level that counts as 1 for weights and learning rate


def squared_distance(x: Tensor, x0: Tensor) -> Tensor:
    """‖x − x(0)‖², the second term of Eq. 1: (B, 3, H, W) twice -> (B,), grey levels squared."""
    return (x - x0).square().flatten(1).sum(1)


def bounded_range(x: Tensor) -> Tensor:
    """BR, Eq. 5, summed over the pixels: (B, 3, H, W) -> (B,), grey levels.

    A pixel p costs −p below 0, p − 255 above 255 and nothing between.
    """
    return ((-x).relu() + (x - 255).relu()).flatten(1).sum(1)


def total_variation(x: Tensor) -> Tensor:
    """TV, Eq. 6: (B, 3, H, W) -> (B,), grey levels squared.

    Squared differences between horizontal and between vertical neighbours, summed over the
    channels and divided by H·W.
    """
    horizontal = (x[..., :, 1:] - x[..., :, :-1]).square().flatten(1).sum(1)
    vertical = (x[..., 1:, :] - x[..., :-1, :]).square().flatten(1).sum(1)
    return (horizontal + vertical) / (x.shape[-2] * x.shape[-1])


@dataclass(frozen=True)
class Cost:
    """Eq. 1: Loss + λ‖x − x(0)‖² + BR + TV, with a weight on each regulariser.

    A weight of 0 switches its term off. All are for pixels in 0..1.

    Args:
        squared_distance: λ of Eq. 1, which the paper does not give.
        bounded_range: weight of BR.
        total_variation: weight of TV.

    Raises:
        ValueError: a weight is negative or not finite.
    """

    squared_distance: float = 1.0
    bounded_range: float = 1.0
    total_variation: float = 1.0

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"Cost: {name} = {weight}, but a weight is finite and at least 0")

    @classmethod
    def arm(cls, name: Literal["full", "l2", "none"], **weights: float) -> "Cost":
        """Return the cost with every regulariser, with the squared distance only, or with none.

        Args:
            name: ``"full"``, ``"l2"`` or ``"none"``.
            **weights: those of :class:`Cost`, as far as they are used.

        Raises:
            ValueError: there is no arm of that name.
        """
        full = cls(**weights)
        if name == "full":
            return full
        if name == "l2":
            return cls(full.squared_distance, 0.0, 0.0)
        if name == "none":
            return cls(0.0, 0.0, 0.0)
        raise ValueError(f"unknown arm {name!r}: use 'full', 'l2' or 'none'")

    def __call__(self, loss: Tensor, x: Tensor, x0: Tensor) -> Tensor:
        """Eq. 1 for a batch: loss (B,), x and x0 (B, 3, H, W) -> (B,)."""
        if self.squared_distance:
            loss = loss + self.squared_distance / WHITE**2 * squared_distance(x, x0)
        if self.bounded_range:
            loss = loss + self.bounded_range / WHITE * bounded_range(x)
        if self.total_variation:
            loss = loss + self.total_variation / WHITE**2 * total_variation(x)
        return loss
