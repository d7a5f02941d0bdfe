"""A classifier as a machine: pixels 0..255 in, logits out."""

import hashlib
import math
from collections.abc import Sequence
from copy import deepcopy
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from jnd.guards import deterministic, fails_by_size
from jnd.networks import Normalising, folded, resized


class Machine(Normalising):
    """A classifier with its preprocessing inside: pixels (B, 3, H, W) in 0..255 -> logits (B, C).

    Args:
        network: maps normalised images to logits.
        input_size: (height, width) to which images are resized inside (bilinear, so that the
            gradient reaches the pixels given); None: images are used as they are.
        **facts: the other attributes of :class:`~jnd.networks.Normalising`.
    """

    def __init__(
        self, network: nn.Module, *, input_size: tuple[int, int] | None = None, **facts: Any
    ):
        super().__init__(network, **facts)
        self.input_size = input_size

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"{self.name} takes pixels (B, 3, H, W), not {tuple(pixels.shape)}")
        with fails_by_size(pixels), deterministic(pixels.device):
            x = self.normalised(pixels)
            if self.input_size:
                x = resized(x, self.input_size)
            x_network = x.to(self.std.dtype, memory_format=torch.channels_last)
            return self.network(x_network).to(x.dtype)

    def class_name(self, category: int) -> str:
        """The name of a class, with spaces for underscores."""
        if self.categories is None or category >= len(self.categories):
            return f"class {category}"
        return self.categories[category].replace("_", " ")

    @torch.no_grad()
    def answers(self, images: Tensor) -> list[str]:
        """M's answer for each image and its confidence, ``"cup, 0.62"``; "" for an image of NaN."""
        confidences, classes = self(images).softmax(1).max(1)
        pairs = zip(classes.tolist(), confidences.tolist(), strict=True)
        return [f"{self.class_name(c)}, {p:.2f}" if math.isfinite(p) else "" for c, p in pairs]


def prepare(
    network: nn.Module,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    categories: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
    fold: bool = False,
) -> Machine:
    """Make a machine of a copy of your classifier, in channels_last order and at least float32.

    Args:
        network: maps normalised images (B, 3, H, W) to logits (B, C).
        mean, std: 3 numbers each, with which the network expects pixels normalised, grey levels.
        categories: names of the C classes.
        input_size: (height, width) to which images are resized inside, bilinear; None: images are
            used as they are.
        fold: whether to fold batch norm into the convolutions where torch.fx can trace them. It
            saves a third to a half of the time; compare the logits before you rely on it.

    Raises:
        ValueError: mean or std are not 3 numbers in grey levels, a std is not positive, or
            input_size is no pair.
    """
    for name, numbers in {"mean": mean, "std": std}.items():
        if len(numbers) != 3 or (name == "std" and min(numbers) <= 0):
            raise ValueError(
                f"{name} = {tuple(numbers)}: give one number for each of red, green and blue, in "
                "grey levels; those of std are positive"
            )
    if input_size is not None and not _is_size(input_size):
        raise ValueError(f"input_size = {input_size!r}: give (height, width), such as (224, 224)")
    if max(std) <= 1:
        raise ValueError(f"std = {tuple(std)} is for pixels in 0..1: multiply mean and std by 255")
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    tensors = [*network.parameters(), *network.buffers(), torch.zeros(())]
    device = tensors[0].device
    dtype = torch.promote_types(tensors[0].dtype, torch.float32)
    copy = deepcopy(network).to(dtype)  # folding computes in this type
    machine = Machine(
        folded(copy) if fold else copy,
        name=type(network).__name__,
        categories=categories,
        mean=[float(m) for m in mean],
        std=[float(s) for s in std],
        sha256=digest.hexdigest(),
        input_size=input_size,
    )
    return machine.to(device, dtype)


def _is_size(value: object) -> bool:
    """Tell whether a value is a pair of whole numbers above 0."""
    if not isinstance(value, Sequence) or len(value) != 2:
        return False
    return all(isinstance(side, Integral) and int(side) > 0 for side in value)
