"""The detectors: RetinaNets that take pixels 0..255 and answer with class logits and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import clip_boxes_to_image
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from jnd.machines.boxes import decode, resize_boxes
from jnd.machines.networks import folded
from jnd.machines.weights import read_weights
from jnd.support.checkout import data_folder
from jnd.support.device import reproducible

OURS, TORCHVISIONS = "retinanet_googlenet_fpn", "retinanet_resnet50_fpn"
FPN_CHANNELS, HEAD_CONVOLUTIONS = 128, 2
STRIDES = (8, 16, 32, 64)


@dataclass(frozen=True)
class DetectorOutput:
    """What a RetinaNet says of B pictures at its A anchors, for C classes.

    Attributes:
        logits: (B, A, C); their sigmoid is the score.
        offsets: (B, A, 4), from anchor to box; see :func:`~jnd.machines.boxes.encode`.
        anchors: (A, 4), x1, y1, x2, y2 in pixels of the resized picture.
        levels: numbers of anchors on the levels of the pyramid; they sum to A.
        picture: (height, width) of the pictures as they were given.
        resized: (height, width) at which the network saw them.
        network: the RetinaNet, for its thresholds and its postprocessing.
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor
    levels: list[int]
    picture: tuple[int, int]
    resized: tuple[int, int]
    network: RetinaNet

    @cached_property
    @torch.no_grad()
    def boxes(self) -> Tensor:
        """(B, A, 4), x1, y1, x2, y2 in pixels of the pictures given, cut at their borders."""
        clip = self.network.box_coder.bbox_xform_clip
        boxes = clip_boxes_to_image(decode(self.offsets, self.anchors, clip), self.resized)
        return resize_boxes(boxes, self.resized, self.picture)

    @torch.no_grad()
    def detections(self) -> list[dict[str, Tensor]]:
        """For each picture ``boxes`` (n, 4), ``scores`` (n,) and ``labels`` (n,), best first.

        torchvision's own postprocessing: low scores left out, then non-maximum suppression.
        """
        heads = {"cls_logits": self.logits, "bbox_regression": self.offsets}
        by_level = {name: list(values.split(self.levels, 1)) for name, values in heads.items()}
        anchors, sizes = list(self.anchors.split(self.levels)), [self.resized] * len(self.logits)
        found = self.network.postprocess_detections(by_level, [anchors] * len(sizes), sizes)
        for each in found:
            each["boxes"] = resize_boxes(each["boxes"], self.resized, self.picture)
        return found


class Detector(nn.Module):
    """A RetinaNet with its preprocessing inside: pixels (B, 3, H, W) in 0..255 -> DetectorOutput.

    Pictures are resized to the size that the network was made for, as torchvision does it
    (bilinear), and gradients reach the pixels given. Resizing does not filter, so of a picture
    made much smaller some pixels count for nothing: resize such a picture before.

    Attributes:
        name: name of the architecture.
        categories: names of the C classes.
        sha256: hash of the weights file.
    """

    precision = "float32"

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: RetinaNet,
        *,
        name: str,
        categories: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        sha256: str,
    ):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.name, self.categories, self.sha256 = name, categories, sha256
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))  # grey levels
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> DetectorOutput:
        shape = tuple(pixels.shape) if isinstance(pixels, Tensor) else ()
        if len(shape) != 4 or shape[1] != 3:
            got = shape or f"a {type(pixels).__name__}"
            raise ValueError(
                f"{self.name} takes pixels (B, 3, H, W), not {got}; pictures of several sizes go "
                "in batches of one size each, or are resized before"
            )
        x = self._resized((pixels - self.mean) / self.std)
        resized, multiple = (x.shape[2], x.shape[3]), self.network.transform.size_divisible
        x = pad(x, (0, -resized[1] % multiple, 0, -resized[0] % multiple))
        x = x.contiguous(memory_format=torch.channels_last)
        with reproducible(x.device):
            features = list(self.network.backbone(x).values())
            heads = self.network.head(features)
        logits, offsets = heads["cls_logits"], heads["bbox_regression"]
        (anchors,) = self.network.anchor_generator(ImageList(x, [resized]), features)
        per_place = self.network.anchor_generator.num_anchors_per_location()
        levels = [n * level[0, 0].numel() for n, level in zip(per_place, features, strict=True)]
        picture = shape[2], shape[3]
        return DetectorOutput(logits, offsets, anchors, levels, picture, resized, self.network)

    def _resized(self, x: Tensor) -> Tensor:
        transform, sides = self.network.transform, x.shape[2:]
        scale = min(transform.min_size[-1] / min(sides), transform.max_size / max(sides))
        if scale == 1:
            return x
        return interpolate(x, scale_factor=scale, mode="bilinear", recompute_scale_factor=True)


def load_detector(
    name: str = OURS, weights: str | Path = "bundled", device: str | torch.device | None = None
) -> Detector:
    """A frozen RetinaNet.

    Args:
        name: ``"retinanet_googlenet_fpn"`` (this repository's) or ``"retinanet_resnet50_fpn"``
            (torchvision's).
        weights: ``"bundled"`` (this repository's), ``"official"`` (torchvision's, trained on MS
            COCO, downloaded and checked by hash) or the path of a safetensors file. A file whose
            header has no ``categories`` is read as torchvision's own: 91 COCO categories.
        device: None: the GPU if there is one.

    Raises:
        ValueError: unknown name, no such weights for it, or a file that is damaged, of another
            architecture or no safetensors.
        FileNotFoundError: no such weights file.
        OSError: the official weights could not be fetched.
    """
    if name not in {OURS, TORCHVISIONS}:
        raise ValueError(f"unknown detector {name!r}: use {OURS!r} or {TORCHVISIONS!r}")
    torchvisions = name == TORCHVISIONS
    if weights == ("bundled" if torchvisions else "official"):
        other = "official" if torchvisions else "bundled"
        raise ValueError(
            f'there are no {weights} weights for {name}; use weights="{other}" or the path of a '
            "safetensors file"
        )
    if weights == "bundled":
        weights = data_folder() / "weights" / "retinanet_voc2007.safetensors"
    read = read_weights(weights, name)
    if not torchvisions and "categories" not in read.header:
        raise ValueError(
            f"{read.path} names no categories in its header; data/recipes/voc2007.py does"
        )

    if torchvisions:
        coco = torchvision.models.get_model_weights(name).DEFAULT.meta["categories"]
        categories = read.listed("categories", coco)
        network = retinanet_resnet50_fpn(len(categories))
    else:
        categories = read.listed("categories", [])
        network = retinanet_googlenet_fpn(len(categories), int(read.header["size"]))
    read.fill(network, name)
    network.eval()
    network.backbone = folded(network.backbone)
    mean = read.listed("mean", [255 * m for m in network.transform.image_mean])
    std = read.listed("std", [255 * s for s in network.transform.image_std])
    detector = Detector(
        network, name=name, categories=categories, mean=mean, std=std, sha256=read.sha256
    )
    return detector.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def retinanet_googlenet_fpn(num_classes: int, size: int) -> RetinaNet:
    """A light RetinaNet: GoogLeNet's stages of stride 8, 16 and 32, and a narrow pyramid on them.

    Args:
        num_classes: number of classes; there is none for the background.
        size: long side to which it resizes pictures, pixels.
    """
    backbone = BackboneWithFPN(
        torchvision.models.googlenet(aux_logits=False, init_weights=False),
        return_layers={"inception3b": "0", "inception4e": "1", "inception5b": "2"},
        in_channels_list=[480, 832, 1024],
        out_channels=FPN_CHANNELS,
        extra_blocks=LastLevelMaxPool(),
        norm_layer=nn.BatchNorm2d,
    )
    # from 3 times the stride on, where RetinaNet has 4, as the photos are small
    sizes = tuple(tuple(round(3 * s * 2 ** (i / 3)) for i in range(3)) for s in STRIDES)
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    sides = {"min_size": size, "max_size": size, "size_divisible": STRIDES[-1]}
    network = RetinaNet(backbone, num_classes, anchor_generator=anchors, **sides)
    for head in network.head.children():
        head.conv = head.conv[:HEAD_CONVOLUTIONS]
    return network


def retinanet_resnet50_fpn(num_classes: int) -> RetinaNet:
    """torchvision's RetinaNet, ready for its official weights."""
    network = torchvision.models.detection.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=num_classes
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # as torchvision sets it for these weights
    return network
