"""The descent behind the interface that libraries of attacks share."""

from typing import Literal

import torch
from torch import Tensor, nn

from jnd.cost import WHITE, Cost
from jnd.descent import DEFAULT, find_jnd

ROUNDING = 1e-3  # grey levels; more than float32 loses when pixels are divided by 255


def attack(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor | int | None = None,
    *,
    targets: Tensor | int | None = None,
    alpha: float = 0.001,
    max_iter: int = 1000,
    cost: Cost = DEFAULT,
    pixels: Literal["float", "8bit"] = "float",
) -> Tensor:
    """Adversarial images by :func:`~jnd.descent.find_jnd`, as torchattacks or adv-lib give them.

    Each result is the first image on the path that still fools the model after clipping to 0..1;
    an image that was not fooled comes back as its clipped x(N).

    Args:
        model: maps images (B, 3, H, W) in 0..1 to logits (B, C), its normalisation inside.
        inputs: (B, 3, H, W) in 0..1.
        labels: class of each image, (B,) or one for all; None: the model's answer.
        targets: class to pull to, (B,) or one for all; None: away from ``labels``.
        alpha, max_iter, cost: as :func:`~jnd.descent.find_jnd` takes them.
        pixels: ``"8bit"``: the results are multiples of 1/255, so that they still fool when saved
            as PNG files; so must be the inputs.

    Returns:
        (B, 3, H, W) in 0..1, float32, or float64 where the inputs are.

    Raises:
        ValueError: inputs lie outside 0..1 or, for ``"8bit"``, between grey levels.
        DivergedError: an image diverged to NaN or infinity.
    """
    inputs = torch.as_tensor(inputs).detach()
    x0 = WHITE * inputs.to(torch.promote_types(inputs.dtype, torch.float32))
    if len(x0) and not (0 <= x0.min() and x0.max() <= WHITE):
        raise ValueError("inputs must lie in 0..1: divide grey levels by 255")
    if pixels == "8bit":
        if len(x0) and (x0 - x0.round()).abs().max() > ROUNDING:
            raise ValueError("inputs must be multiples of 1/255 for pixels='8bit': round them")
        x0 = x0.round()
    trajectory = find_jnd(
        _InGreyLevels(model),
        x0,
        label=labels,
        target=targets,
        cost=cost,
        alpha=alpha,
        max_iter=max_iter,
        pixels="clipped" if pixels == "float" else pixels,
        stop_at_K=True,
    )
    fooled = (trajectory.K >= 0).view(-1, 1, 1, 1)
    return torch.where(fooled, trajectory.x_jnd, trajectory.x_end) / WHITE


class _InGreyLevels(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model(pixels / WHITE)
