"""Detectors as machines: RetinaNets that map pixels 0..255 to class logits and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import clip_boxes_to_image

from jnd.boxes import decode, resize_boxes
from jnd.networks import deterministic


@dataclass(frozen=True)
class DetectorOutput:
    """A RetinaNet's output for B pictures at its A anchors, for C classes.

    Attributes:
        logits: (B, A, C); their sigmoid is the score.
        offsets: (B, A, 4), from anchor to box; see :func:`~jnd.boxes.encode`.
        anchors: (A, 4), x1, y1, x2, y2 in pixels of the resized picture.
        levels: numbers of anchors on the levels of the pyramid; they sum to A.
        picture: (height, width) of the given pictures.
        resized: (height, width) to which the detector resized them.
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
        """(B, A, 4), x1, y1, x2, y2 in pixels of the given pictures, clipped at their borders."""
        clip = self.network.box_coder.bbox_xform_clip
        boxes = clip_boxes_to_image(decode(self.offsets, self.anchors, clip), self.resized)
        return resize_boxes(boxes, self.resized, self.picture)

    @torch.no_grad()
    def detections(self) -> list[dict[str, Tensor]]:
        """Return each picture's ``boxes`` (n, 4), ``scores`` (n,) and ``labels`` (n,), best first.

        By torchvision's own postprocessing: low scores are dropped, then non-maxima suppressed.
        """
        heads = {"cls_logits": self.logits, "bbox_regression": self.offsets}
        by_level = {name: list(values.split(self.levels, 1)) for name, values in heads.items()}
        anchors = list(self.anchors.split(self.levels))
        count = len(self.logits)
        detections = self.network.postprocess_detections(
            by_level, [anchors] * count, [self.resized] * count
        )
        for picture in detections:
            picture["boxes"] = resize_boxes(picture["boxes"], self.resized, self.picture)
        return detections


class Detector(nn.Module):
    """A RetinaNet with its preprocessing inside: pixels (B, 3, H, W) in 0..255 -> DetectorOutput.

    Pictures are resized to the size for which the network was made, as in torchvision (bilinear),
    and gradients reach the pixels given. Resizing does not filter: if it makes a picture much
    smaller, some pixels have no influence, so make such a picture smaller before.

    Attributes:
        name: of the architecture.
        categories: names of the C classes.
        mean, std: (1, 3, 1, 1), with which pixels are normalised inside, grey levels.
        sha256: hash of the weights file.
    """

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
        self.name = name
        self.categories = categories
        self.sha256 = sha256
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> DetectorOutput:
        shape = tuple(pixels.shape) if isinstance(pixels, Tensor) else ()
        if len(shape) != 4 or shape[1] != 3:
            got = shape or f"a {type(pixels).__name__}"
            raise ValueError(
                f"{self.name} takes pixels (B, 3, H, W), not {got}; resize pictures of several "
                "sizes to one, or make a batch of each size"
            )
        x = self._resized((pixels - self.mean) / self.std)
        height, width = x.shape[2:]
        multiple = self.network.transform.size_divisible
        x = pad(x, (0, -width % multiple, 0, -height % multiple))
        x = x.contiguous(memory_format=torch.channels_last)
        with deterministic(x.device):
            features = list(self.network.backbone(x).values())
            heads = self.network.head(features)
        generator = self.network.anchor_generator
        (anchors,) = generator(ImageList(x, [(height, width)]), features)
        per_place = generator.num_anchors_per_location()
        return DetectorOutput(
            logits=heads["cls_logits"],
            offsets=heads["bbox_regression"],
            anchors=anchors,
            levels=[n * level[0, 0].numel() for n, level in zip(per_place, features, strict=True)],
            picture=(shape[2], shape[3]),
            resized=(height, width),
            network=self.network,
        )

    def _resized(self, x: Tensor) -> Tensor:
        transform = self.network.transform
        sides = x.shape[2:]
        scale = min(transform.min_size[-1] / min(sides), transform.max_size / max(sides))
        if scale == 1:
            return x
        return interpolate(x, scale_factor=scale, mode="bilinear", recompute_scale_factor=True)
