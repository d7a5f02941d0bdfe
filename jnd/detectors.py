"""Detectors as machines: RetinaNets that map pixels 0..255 to class logits and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import clip_boxes_to_image

from jnd.guards import deterministic
from jnd.networks import Normalising


def resize_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Convert boxes (..., 4) from a picture of ``old`` (height, width) to one of ``new``."""
    scale_y = new[0] / old[0]
    scale_x = new[1] / old[1]
    return boxes * boxes.new_tensor([scale_x, scale_y, scale_x, scale_y])


@dataclass(frozen=True)
class DetectorOutput:
    """A RetinaNet's output for B pictures at its A anchors, for C classes.

    Attributes:
        logits: (B, A, C); their sigmoid is the score.
        offsets: (B, A, 4), from anchor to box, as torchvision's ``BoxCoder`` has them.
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
        anchors = self.anchors.repeat(len(self.offsets), 1)
        boxes = self.network.box_coder.decode_single(self.offsets.flatten(0, 1), anchors)
        boxes = clip_boxes_to_image(boxes.view_as(self.offsets), self.resized)
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


class Detector(Normalising):
    """A RetinaNet with its preprocessing inside: pixels (B, 3, H, W) in 0..255 -> DetectorOutput.

    Pictures are resized to the size for which the network was made, as in torchvision (bilinear),
    and gradients reach the pixels given. Resizing is not antialiased: shrink a much larger picture
    first, or some of its pixels have no influence.
    """

    network: RetinaNet
    categories: Sequence[str]

    def forward(self, pixels: Tensor) -> DetectorOutput:
        shape = tuple(pixels.shape) if isinstance(pixels, Tensor) else ()
        if len(shape) != 4 or shape[1] != 3:
            got = shape or f"a {type(pixels).__name__}"
            raise ValueError(
                f"{self.name} takes pixels (B, 3, H, W), not {got}; resize pictures of several "
                "sizes to one, or make a batch of each size"
            )
        x = self._resized(self.normalised(pixels))
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
