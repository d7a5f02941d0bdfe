"""Classifiers by their names: torchvision's, EfficientNet-Lite and this repository's own."""

import difflib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torchvision

from jnd.machines.efficientnet import MEAN, STD, VARIANTS, efficientnet_lite, renamed
from jnd.machines.machine import Machine
from jnd.machines.networks import folded
from jnd.machines.weights import read_pickled, read_weights
from jnd.support.checkout import data_folder

OURS = "googlenet_cifar10"  # this repository's own, a GoogLeNet, called by its file
PRECISIONS = ("float32", "tf32", "bfloat16")


def load_machine(
    name: str,
    weights: str | Path = "bundled",
    device: str | torch.device | None = None,
    precision: str = "float32",
) -> Machine:
    """A frozen classifier by its name.

    Args:
        name: any of torchvision's classifiers, such as ``"inception_v3"``, one of
            :data:`jnd.machines.efficientnet.VARIANTS`, such as ``"efficientnet_lite0"``, or this
            repository's ``"googlenet_cifar10"``.
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
    bundled = [*VARIANTS, OURS]
    if name not in (known := [*torchvisions, *bundled]):
        hint = difflib.get_close_matches(name, known) or known
        raise ValueError(f"unknown machine {name!r}; there is {', '.join(hint)}")
    if weights == "bundled" and name not in bundled:
        raise ValueError(
            f"no weights for {name} are bundled (only for {', '.join(bundled)}); use "
            'weights="official" or the path of a safetensors file'
        )
    if weights == "official" and name not in torchvisions:
        raise ValueError(f'torchvision has no weights of {name}: use weights="bundled"')
    if weights != "bundled" and name == OURS:
        raise ValueError(f'{name} is bundled: use weights="bundled", or the architecture\'s name')
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    _check_precision(precision, device)

    if name in VARIANTS:
        parts = _lite(name, weights)
    else:
        parts = _torchvisions("googlenet" if name == OURS else name, name, weights)
    return Machine(name=name, precision=precision, **parts).to(device)


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for it; True where PyTorch is too old to tell."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return True
    return any(has_it for name, has_it in torch.cpu.get_capabilities().items() if "bf16" in name)


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
        weights = data_folder() / "weights" / f"{name}.safetensors"
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
