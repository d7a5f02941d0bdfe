"""A classifier as a machine: pixels 0..255 in, logits out."""

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn

from jnd.machines.networks import folded, resized
from jnd.support.device import reproducible

PROBES = [(224, 224), (299, 299), (96, 96), (32, 32)]  # sizes that networks are made for, pixels


class Machine(nn.Module):
    """A classifier with its preprocessing inside: pixels (B, 3, H, W) in 0..255 -> logits (B, C).

    Attributes:
        name: torchvision's name of the architecture, that of a bundled machine, or the class of a
            network of the user's own.
        categories: names of the C classes; None: nobody has named them.
        min_size: (height, width), the smallest image it takes.
        input_size: (height, width) to which images are resized inside (bilinear, so that the
            gradient reaches the pixels given); None: they are taken as they are.
        mean, std: (1, 3, 1, 1), with which pixels are normalised inside, grey levels.
        sha256: hash of the weights file, or of the weights of a network of the user's own.
        precision: in what the network computes, one of ``PRECISIONS``. Pixels and logits are
            float32 in any case.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        categories: Sequence[str] | None,
        mean: Sequence[float],
        std: Sequence[float],
        sha256: str,
        min_size: tuple[int, int] = (1, 1),
        input_size: tuple[int, int] | None = None,
        precision: str = "float32",
    ):
        super().__init__()
        if precision == "bfloat16":
            network = network.to(torch.bfloat16)
        self.network = network.to(memory_format=torch.channels_last)
        self.name, self.categories, self.sha256 = name, categories, sha256
        self.min_size, self.input_size, self.precision = min_size, input_size, precision
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"{self.name} takes pixels (B, 3, H, W), not {tuple(pixels.shape)}")
        if any(side < least for side, least in zip(pixels.shape[2:], self.min_size, strict=True)):
            raise ValueError(
                f"images of {pixels.shape[2]}×{pixels.shape[3]} are too small for {self.name}: "
                f"it needs {self.min_size[0]}×{self.min_size[1]} at least"
            )
        with reproducible(pixels.device, tf32=self.precision == "tf32"):
            x = (pixels - self.mean) / self.std
            if self.input_size:
                x = resized(x, self.input_size)
            dtype = next((p.dtype for p in self.network.parameters()), x.dtype)
            return self.network(x.to(dtype, memory_format=torch.channels_last)).to(x.dtype)

    def called(self, category: int) -> str:
        """The name of a class, as people write it."""
        if self.categories is None or category >= len(self.categories):
            return f"class {category}"
        return self.categories[category].replace("_", " ")

    @torch.no_grad()
    def answers(self, images: Tensor) -> list[str]:
        """What M says of each image and how surely: ``"cup, 0.62"``; "" for an image of NaN."""
        confidence, answer = self(images).softmax(1).max(1)
        pairs = zip(answer.tolist(), confidence.tolist(), strict=True)
        return [f"{self.called(c)}, {p:.2f}" if p == p else "" for c, p in pairs]


def prepare(
    network: nn.Module,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    categories: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
) -> Machine:
    """A classifier of your own as a machine, as fast as a named one; the network is not changed.

    A copy of it gets batch norm folded into the convolutions where torch.fx can trace it, and
    weights in the order of channels_last: the same logits but for rounding. Noise decides whether
    folding did no harm; a network that took another size than those tried stays unfolded.

    Args:
        network: maps normalised images (B, 3, H, W) to logits (B, C).
        mean, std: 3 numbers each, with which it wants pixels normalised, grey levels.
        categories: names of the C classes.
        input_size: (height, width) to which images are resized inside, bilinear; None: they are
            taken as they are.

    Raises:
        ValueError: mean or std are not 3 numbers in grey levels, or a std is not positive.
    """
    for title, numbers in {"mean": mean, "std": std}.items():
        if len(numbers) != 3 or title == "std" and min(numbers) <= 0:
            raise ValueError(
                f"{title} = {tuple(numbers)}: give one number for each of red, green and blue, in "
                "grey levels; those of std are positive"
            )
    if max(std) <= 1:
        raise ValueError(f"std = {tuple(std)} is for pixels in 0..1: take mean and std times 255")
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    tensor = next(chain(network.parameters(), network.buffers()), torch.zeros(()))
    machine = Machine(
        _folded_if_harmless(network, [input_size] if input_size else PROBES),
        name=type(network).__name__,
        categories=categories,
        mean=[float(m) for m in mean],
        std=[float(s) for s in std],
        sha256=digest.hexdigest(),
        input_size=input_size,
        precision=str(tensor.dtype).removeprefix("torch."),
    )
    return machine.to(tensor.device)


@torch.no_grad()
def _folded_if_harmless(network: nn.Module, sizes: Sequence[tuple[int, int]]) -> nn.Module:
    """A copy, folded if it answers as before to noise of the first size that the network takes."""
    copy, faster = deepcopy(network).eval(), folded(network)
    tensor = next(chain(network.parameters(), network.buffers()), torch.zeros(()))
    for size in sizes:
        noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(tensor)
        try:
            expected = copy(noise)
        except Exception:  # not the size it wants
            continue
        try:
            same = torch.allclose(faster(noise), expected, atol=1e-3 * expected.abs().max())
        except Exception:  # a parent that wants more of a child than to call it
            same = False
        return faster if same else copy
    return copy


@torch.no_grad()
def rightly_named(machine: nn.Module, images: Tensor, labels: Tensor, count: int) -> Tensor:
    """Numbers of the first images that M calls by their label, (count,) int64.

    A change of answer means something only for those.

    Args:
        machine: maps pixels (B, 3, H, W) to logits.
        images: (N, 3, H, W), of any real dtype, on any device.
        labels: (N,) int64.
        count: how many are wanted.

    Raises:
        ValueError: M is right less often than not, so the labels are not its classes; or there
            are fewer than ``count``.
    """
    device, looked_at = next(machine.buffers()).device, 0
    found: list[int] = []
    for chunk, expected in zip(images.split(100), labels.split(100), strict=True):
        right = machine(chunk.to(device, torch.float32)).argmax(1).cpu() == expected
        found += (right.nonzero().flatten() + looked_at).tolist()
        looked_at += len(chunk)
        if len(found) >= count:
            break
    if 2 * len(found) < looked_at:
        raise ValueError(
            f"the machine agrees with only {len(found)} of the first {looked_at} labels: are they "
            "in the order of its categories, and do they belong to these images?"
        )
    if len(found) < count:
        raise ValueError(
            f"the machine names {len(found)} of {looked_at} images, {count} are needed"
        )
    return torch.tensor(found[:count])
