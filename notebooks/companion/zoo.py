"""Machines by name: torchvision's networks, EfficientNet-Lite and this repository's own."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from companion.checkout import data_folder
from companion.efficientnet import MEAN, STD, VARIANTS, efficientnet_lite, renamed
from companion.weights import Weights, read_pickled, read_weights
from jnd.detectors import Detector
from jnd.machine import Machine
from jnd.networks import folded

CIFAR10_GOOGLENET = "googlenet_cifar10"  # this repository's own, named after its file
VOC_RETINANET = "retinanet_googlenet_fpn"  # this repository's own
COCO_RETINANET = "retinanet_resnet50_fpn"  # torchvision's
FPN_CHANNELS = 128
HEAD_CONVOLUTIONS = 2
STRIDES = (8, 16, 32, 64)


def load_machine(
    name: str, weights: str | Path = "bundled", device: str | torch.device | None = None
) -> Machine:
    """Load a frozen classifier by name.

    Args:
        name: any of torchvision's classifiers, such as ``"inception_v3"``, one of
            :data:`companion.efficientnet.VARIANTS`, such as ``"efficientnet_lite0"``, or this
            repository's ``"googlenet_cifar10"``.
        weights: ``"bundled"`` (this repository's or a Python package's), ``"official"``
            (torchvision's, downloaded and checked by hash) or the path of a safetensors file. A
            file whose header has no ``categories`` is read as trained on ImageNet, with the
            preprocessing of the architecture's official weights.
        device: None: the GPU if there is one.

    Raises:
        ValueError: unknown name, no such weights for it, or a file that is damaged, not
            safetensors or for another architecture.
        FileNotFoundError: no such weights file, or the package that ships it is not installed.
        OSError: the official weights could not be fetched.
    """
    official_names = torchvision.models.list_models(module=torchvision.models)
    bundled_names = [*VARIANTS, CIFAR10_GOOGLENET]
    known_names = [*official_names, *bundled_names]
    if name not in known_names:
        hint = difflib.get_close_matches(name, known_names) or known_names
        raise ValueError(f"unknown machine {name!r}; there is {', '.join(hint)}")
    if weights == "bundled" and name not in bundled_names:
        raise ValueError(
            f"no weights for {name} are bundled (only for {', '.join(bundled_names)}); use "
            'weights="official" or the path of a safetensors file'
        )
    if weights == "official" and name not in official_names:
        raise ValueError(f'torchvision has no weights for {name}: use weights="bundled"')
    machine = _lite(name, weights) if name in VARIANTS else _torchvision(name, weights)
    return machine.to(device or _default_device())


def load_detector(
    name: str = VOC_RETINANET,
    weights: str | Path = "bundled",
    device: str | torch.device | None = None,
) -> Detector:
    """Load a frozen RetinaNet by name.

    Args:
        name: ``"retinanet_googlenet_fpn"`` (this repository's) or ``"retinanet_resnet50_fpn"``
            (torchvision's).
        weights: ``"bundled"`` (this repository's), ``"official"`` (torchvision's, trained on MS
            COCO, downloaded and checked by hash) or the path of a safetensors file. For
            torchvision's, a file whose header has no ``categories`` has the 91 of COCO.
        device: None: the GPU if there is one.

    Raises:
        ValueError, FileNotFoundError, OSError: as :func:`load_machine`.
    """
    available = {VOC_RETINANET: "bundled", COCO_RETINANET: "official"}
    if name not in available:
        raise ValueError(f"unknown detector {name!r}: use {VOC_RETINANET!r} or {COCO_RETINANET!r}")
    if weights in {"bundled", "official"} and weights != available[name]:
        raise ValueError(
            f'there are no {weights} weights for {name}; use weights="{available[name]}" or the '
            "path of a safetensors file"
        )
    if weights == "bundled":
        weights = data_folder() / "weights" / "retinanet_voc2007.safetensors"
    loaded = read_weights(weights, name)
    if name == COCO_RETINANET:
        official = torchvision.models.get_model_weights(name).DEFAULT
        categories = loaded.header_list("categories", official.meta["categories"])
        network = retinanet_resnet50_fpn(len(categories))
    elif "categories" in loaded.header:
        categories = loaded.header_list("categories", [])
        network = retinanet_googlenet_fpn(len(categories), int(loaded.header["size"]))
    else:
        raise ValueError(
            f"{loaded.path} names no categories in its header; data/recipes/voc2007.py writes them"
        )
    loaded.load_into(network, name)
    network.eval()
    network.backbone = folded(network.backbone)
    detector = Detector(
        network,
        name=name,
        categories=categories,
        mean=loaded.header_list("mean", [255 * m for m in network.transform.image_mean]),
        std=loaded.header_list("std", [255 * s for s in network.transform.image_std]),
        sha256=loaded.sha256,
    )
    return detector.to(device or _default_device())


def retinanet_googlenet_fpn(num_classes: int, size: int) -> RetinaNet:
    """Build a light RetinaNet: a narrow pyramid on GoogLeNet's stages of stride 8, 16 and 32.

    Args:
        num_classes: number of classes; the background is not one of them.
        size: long side to which pictures are resized inside, pixels.
    """
    backbone = BackboneWithFPN(
        torchvision.models.googlenet(aux_logits=False, init_weights=False),
        return_layers={"inception3b": "0", "inception4e": "1", "inception5b": "2"},
        in_channels_list=[480, 832, 1024],
        out_channels=FPN_CHANNELS,
        extra_blocks=LastLevelMaxPool(),
        norm_layer=nn.BatchNorm2d,
    )
    # from 3 times the stride, where the original RetinaNet has 4, because the photos are small
    sizes = tuple(tuple(round(3 * s * 2 ** (i / 3)) for i in range(3)) for s in STRIDES)
    network = RetinaNet(
        backbone,
        num_classes,
        anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
        min_size=size,
        max_size=size,
        size_divisible=STRIDES[-1],
    )
    for head in network.head.children():
        head.conv = head.conv[:HEAD_CONVOLUTIONS]
    return network


def retinanet_resnet50_fpn(num_classes: int) -> RetinaNet:
    """Build torchvision's RetinaNet for its official weights, which are not loaded here."""
    network = torchvision.models.detection.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=num_classes
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # as torchvision sets it for these weights
    return network


def _default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _lite(name: str, weights: str | Path) -> Machine:
    """Load an EfficientNet-Lite."""
    bundled = weights == "bundled"
    loaded = read_pickled(VARIANTS[name][-1]) if bundled else read_weights(weights, name)
    imagenet = torchvision.models.get_model_weights("googlenet").DEFAULT.meta["categories"]
    categories = loaded.header_list("categories", imagenet)
    network = efficientnet_lite(name, len(categories))
    if bundled:
        loaded = replace(loaded, state=renamed(loaded.state, network))
    return _machine(name, network, loaded, categories, [MEAN] * 3, [STD] * 3)


def _torchvision(name: str, weights: str | Path) -> Machine:
    """Load one of torchvision's networks, or this repository's GoogLeNet for CIFAR-10."""
    architecture = "googlenet" if name == CIFAR10_GOOGLENET else name
    if weights == "bundled":
        weights = data_folder() / "weights" / f"{name}.safetensors"
    loaded = read_weights(weights, architecture)
    official = torchvision.models.get_model_weights(architecture).DEFAULT
    preset = official.transforms()
    categories = loaded.header_list("categories", official.meta["categories"])
    options: dict[str, Any] = {"num_classes": len(categories)}
    if architecture in {"googlenet", "inception_v3"}:
        # the official weights of these two expect their input scaled once more
        options["transform_input"] = "categories" not in loaded.header
        options["init_weights"] = False
        options["aux_logits"] = any(key.startswith(("aux", "Aux")) for key in loaded.state)
    network = torchvision.models.get_model(architecture, weights=None, **options)
    mean = [255 * m for m in preset.mean]
    std = [255 * s for s in preset.std]
    return _machine(name, network, loaded, categories, mean, std)


def _machine(
    name: str,
    network: nn.Module,
    loaded: Weights,
    categories: list[str],
    mean: list[float],
    std: list[float],
) -> Machine:
    """Load weights into a network; ``mean`` and ``std`` are for a file that names none."""
    loaded.load_into(network, name)
    return Machine(
        folded(network),
        name=name,
        categories=categories,
        mean=loaded.header_list("mean", mean),
        std=loaded.header_list("std", std),
        sha256=loaded.sha256,
        input_size=tuple(loaded.header_list("input_size", [])) or None,
    )
