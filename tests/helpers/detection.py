"""A tiny RetinaNet for the tests of detectors and of their objectives."""

import torch
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import box_iou

from jnd.detectors import Detector, resize_boxes

CATEGORIES = ["person", "car", "bus"]
BOX = (20.0, 14.0, 44.0, 40.0)
BOXES = [BOX, (30.0, 30.0, 33.0, 32.0), (0.0, 0.0, 64.0, 56.0)]


class Backbone(nn.Module):
    """Two levels, of stride 8 and 16; smooth, so that finite differences are exact."""

    out_channels = 8

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.BatchNorm2d(8), nn.Tanh())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.Tanh())

    def forward(self, x):
        fine = self.first(x)
        return {"0": fine, "1": self.second(fine)}


def tiny_detector(size: int = 64, spread: float = 0.3) -> Detector:
    """Return a detector of random weights: boxes near anchors, scores varied by ``spread``."""
    torch.manual_seed(0)
    anchors = AnchorGenerator(((16, 24), (32, 48)), ((0.5, 1.0, 2.0),) * 2)
    network = RetinaNet(
        Backbone(), len(CATEGORIES), anchor_generator=anchors, min_size=size, max_size=size
    )
    nn.init.normal_(network.head.classification_head.cls_logits.weight, std=spread)
    nn.init.normal_(network.head.regression_head.bbox_reg.weight, std=0.05)
    for head in network.head.children():
        for convolution in head.conv:
            nn.init.kaiming_normal_(convolution[0].weight)
            convolution[1] = nn.Tanh()
    return Detector(
        network,
        name="tiny",
        categories=CATEGORIES,
        mean=[120.0, 115.0, 105.0],
        std=[58.0, 57.0, 57.0],
        sha256="",
    )


def pictures(generator, count=3):
    return 255 * torch.rand(count, 3, 56, 64, generator=generator)


def planted(kind, count=3, category=1, score=0.9, box=BOX):
    boxes = torch.tensor(box).expand(count, 4)
    return kind(boxes, torch.full((count,), category), torch.full((count,), score))


def in_resized(box, output):
    return resize_boxes(torch.tensor([box]), output.picture, output.resized)


def anchors_on(box, output):
    """As torchvision's own matcher has them."""
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
    matches = matcher(box_iou(in_resized(box, output), output.anchors))
    return (matches >= 0).nonzero().flatten().tolist()
