"""Classifiers: frozen networks that take pixels 0..255 and answer with logits."""

import difflib
import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from jnd.machines.efficientnet import MEAN, STD, VARIANTS, efficientnet_lite, renamed
from jnd.machines.networks import folded, resized
from jnd.machines.weights import read_pickled, read_weights
from jnd.support.checkout import data_folder
from jnd.support.device import reproducible

# a bundled machine, a GoogLeNet each, is called by its file; the first by its architecture too
BUNDLED = {
    "googlenet": "googlenet_caltech101",
    "googlenet_caltech101": "googlenet_caltech101",
    "googlenet_cifar10": "googlenet_cifar10",
}
PRECISIONS = ("float32", "tf32", "bfloat16")


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
            dtype = next(self.network.parameters()).dtype
            return self.network(x.to(dtype, memory_format=torch.channels_last)).to(x.dtype)

    def called(self, category: int) -> str:
        """The name of a class, as people write it."""
        if self.categories is None:
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
    weights in the order of channels_last: the same logits but for rounding.

    Args:
        network: maps normalised images (B, 3, H, W) to logits (B, C).
        mean, std: 3 numbers each, with which it wants pixels normalised, grey levels.
        categories: names of the C classes.
        input_size: (height, width) to which images are resized inside, bilinear; None: they are
            taken as they are.

    Raises:
        ValueError: mean or std are not 3 numbers, or a std is not positive.
    """
    for title, numbers in {"mean": mean, "std": std}.items():
        if len(numbers) != 3 or title == "std" and min(numbers) <= 0:
            raise ValueError(
                f"{title} = {tuple(numbers)}: give one number for each of red, green and blue, in "
                "grey levels; those of std are positive"
            )
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    machine = Machine(
        folded(network),
        name=type(network).__name__,
        categories=categories,
        mean=[float(m) for m in mean],
        std=[float(s) for s in std],
        sha256=digest.hexdigest(),
        input_size=input_size,
    )
    return machine.to(next(chain(network.parameters(), network.buffers())).device)


def load_machine(
    name: str,
    weights: str | Path = "bundled",
    device: str | torch.device | None = None,
    precision: str = "float32",
) -> Machine:
    """A frozen classifier by its name.

    Args:
        name: any of torchvision's classifiers, such as ``"inception_v3"``, one of
            :data:`jnd.machines.efficientnet.VARIANTS`, such as ``"efficientnet_lite0"``, or one of
            this repository's machines, such as ``"googlenet_cifar10"``.
        weights: ``"bundled"`` (this repository's or a Python package's), ``"official"``
            (torchvision's, downloaded and checked by hash) or the path of a safetensors file. A
            file whose header has no ``categories`` is read as trained on ImageNet, with the
            preprocessing of the architecture's own weights.
        device: None: the GPU if there is one.
        precision: in what the network computes: ``"float32"``, exact; ``"tf32"``, on a GPU, faster
            and with 10 bits of a mantissa in convolutions and matrix products; or ``"bfloat16"``,
            with 7 bits. A CPU without instructions for that is slower then, and a warning says so.

    Raises:
        ValueError: unknown name or precision, no such weights for it, or a file that is damaged,
            of another architecture or no safetensors.
        FileNotFoundError: no such weights file, or no package or repository that has it.
        OSError: the official weights could not be fetched.
    """
    torchvisions = torchvision.models.list_models(module=torchvision.models)
    bundled, known = [*VARIANTS, *BUNDLED], [*torchvisions, *VARIANTS, *BUNDLED]
    if name not in known:
        hint = difflib.get_close_matches(name, known) or known
        raise ValueError(f"unknown machine {name!r}; there is {', '.join(hint)}")
    if weights == "bundled" and name not in bundled:
        raise ValueError(
            f"no weights for {name} are bundled (only for {', '.join(bundled)}); use "
            'weights="official" or the path of a safetensors file'
        )
    if weights == "official" and name not in torchvisions:
        raise ValueError(f'torchvision has no weights of {name}: use weights="bundled"')
    if weights != "bundled" and name in {*BUNDLED} - {*torchvisions}:
        raise ValueError(f'{name} is bundled: use weights="bundled", or the architecture\'s name')
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    _check_precision(precision, device)

    if name in VARIANTS:
        parts = _lite(name, weights)
    else:
        parts = _torchvisions("googlenet" if name in BUNDLED else name, name, weights)
    return Machine(name=name, precision=precision, **parts).to(device)


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for it; an older PyTorch cannot tell, and is believed."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return True
    return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)


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


def _check_precision(precision: str, device: torch.device) -> None:
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}")
    if precision == "tf32" and device.type != "cuda":
        raise ValueError(f'{device} has no TF32: use precision="float32" there')
    if precision == "bfloat16" and device.type == "cpu" and not has_bfloat16():
        warnings.warn(
            "this processor has no instructions for bfloat16 and is much slower with it: use "
            'precision="float32"',
            stacklevel=3,
        )


def _lite(name: str, weights: str | Path) -> dict[str, Any]:
    """The parts of an EfficientNet-Lite, as :class:`Machine` takes them."""
    if weights == "bundled":
        read = read_pickled(VARIANTS[name][-1])
    else:
        read = read_weights(weights, name)
    imagenet = torchvision.models.get_model_weights("googlenet").DEFAULT.meta["categories"]
    categories = read.listed("categories", imagenet)
    network = efficientnet_lite(name, len(categories))
    if weights == "bundled":
        read = replace(read, state=renamed(read.state, network))
    read.fill(network, name)
    return {
        "network": folded(network),
        "categories": categories,
        "mean": read.listed("mean", [MEAN] * 3),
        "std": read.listed("std", [STD] * 3),
        "sha256": read.sha256,
        "input_size": tuple(read.listed("input_size", [])) or None,
    }


def _torchvisions(architecture: str, name: str, weights: str | Path) -> dict[str, Any]:
    """The parts of one of torchvision's networks, as :class:`Machine` takes them."""
    if weights == "bundled":
        weights = data_folder() / "weights" / f"{BUNDLED[name]}.safetensors"
    read = read_weights(weights, architecture)
    official = torchvision.models.get_model_weights(architecture).DEFAULT
    preset = official.transforms()
    categories = read.listed("categories", official.meta["categories"])
    input_size = tuple(read.listed("input_size", []))
    options: dict[str, Any] = {"num_classes": len(categories)}
    if architecture in {"googlenet", "inception_v3"}:
        # torchvision's own weights for these two expect inputs scaled once more
        options |= {"transform_input": "categories" not in read.header, "init_weights": False}
        options["aux_logits"] = any(key.startswith(("aux", "Aux")) for key in read.state)
    network = torchvision.models.get_model(architecture, weights=None, **options)
    read.fill(network, name)
    return {
        "network": folded(network),
        "categories": categories,
        "mean": read.listed("mean", [255 * m for m in preset.mean]),
        "std": read.listed("std", [255 * s for s in preset.std]),
        "sha256": read.sha256,
        "min_size": (1, 1) if input_size else official.meta["min_size"],
        "input_size": input_size or None,
    }
