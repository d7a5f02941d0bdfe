"""The detectors: RetinaNets that take pixels 0..255 and answer with class logits and boxes."""

import torchvision
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

FPN_CHANNELS, HEAD_CONVOLUTIONS = 128, 2
# anchors of 3, 3·2^(1/3) and 3·2^(2/3) times the stride: from 24 px, as photos are small
ANCHOR_SIZES = tuple((3 * s, round(3.78 * s), round(4.76 * s)) for s in (8, 16, 32, 64))


def retinanet_googlenet_fpn(num_classes: int, size: int) -> RetinaNet:
    """A light RetinaNet: GoogLeNet's stages of stride 8, 16 and 32, and a narrow pyramid on them.

    Args:
        num_classes: number of classes; there is none for the background.
        size: long side to which it resizes pictures, pixels.
    """
    trunk = torchvision.models.googlenet(aux_logits=False, init_weights=False)
    backbone = BackboneWithFPN(
        trunk,
        return_layers={"inception3b": "0", "inception4e": "1", "inception5b": "2"},
        in_channels_list=[480, 832, 1024],
        out_channels=FPN_CHANNELS,
        extra_blocks=LastLevelMaxPool(),  # stride 64
        norm_layer=nn.BatchNorm2d,
    )
    anchors = AnchorGenerator(ANCHOR_SIZES, ((0.5, 1.0, 2.0),) * len(ANCHOR_SIZES))
    network = RetinaNet(
        backbone, num_classes, anchor_generator=anchors, min_size=size, max_size=size
    )
    for head in network.head.children():
        head.conv = head.conv[:HEAD_CONVOLUTIONS]
    return network
