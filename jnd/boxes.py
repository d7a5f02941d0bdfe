"""Bounding boxes: (..., 4), x1, y1, x2, y2 in pixels."""

import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return the offsets from anchors to boxes: (..., 4) twice, x1, y1, x2, y2 -> (..., 4).

    The shift of the centre in widths and heights of the anchor, then the logarithm of the ratio of
    the sides (Girshick et al., CVPR 2014, appendix C), as in torchvision's ``BoxCoder``.
    """
    box = box_convert(boxes, "xyxy", "cxcywh")
    anchor = box_convert(anchors, "xyxy", "cxcywh")
    shift = (box[..., :2] - anchor[..., :2]) / anchor[..., 2:]
    stretch = (box[..., 2:] / anchor[..., 2:]).log()
    return torch.cat((shift, stretch), -1)


def decode(offsets: Tensor, anchors: Tensor, clip: float) -> Tensor:
    """Return the boxes at these offsets from the anchors, the inverse of :func:`encode`.

    Args:
        clip: largest logarithm of a ratio of sides.
    """
    anchor = box_convert(anchors, "xyxy", "cxcywh")
    centre = anchor[..., :2] + offsets[..., :2] * anchor[..., 2:]
    sides = offsets[..., 2:].clamp(max=clip).exp() * anchor[..., 2:]
    return box_convert(torch.cat((centre, sides), -1), "cxcywh", "xyxy")


def resize_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Convert boxes (..., 4) from a picture of ``old`` (height, width) to one of ``new``."""
    scale_y = new[0] / old[0]
    scale_x = new[1] / old[1]
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y), -1)


def unsuppressed(boxes: Tensor, threshold: float) -> Tensor:
    """Return which boxes survive non-maximum suppression: (B, N, 4), best first -> (B, N) bool.

    A box goes if a better one that stays overlaps it by more than ``threshold``. In contrast to
    torchvision's ``nms``, the host does not wait for the device.
    """
    overlaps = box_iou(boxes, boxes) > threshold
    stays = torch.ones_like(overlaps[:, 0])
    for i in range(boxes.shape[1] - 1):
        stays[:, i + 1 :] &= ~(stays[:, i : i + 1] & overlaps[:, i, i + 1 :])
    return stays
