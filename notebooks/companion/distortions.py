"""Distortions that people know: noise, blur, compression, darkness; and scaled light and contrast.

Images are (B, 3, H, W) in grey levels 0..255, before and after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.linalg import vector_norm

from jnd.pictures import eight_bit
from jnd.trajectory import relative_distance


@dataclass(frozen=True)
class Distortion:
    """A distortion at several levels.

    Attributes:
        apply: distorts images at a level.
        levels: growing.
        level: meaning of the level, with its unit.
    """

    apply: Callable[[Tensor, float], Tensor]
    levels: Sequence[float]
    level: str


def noisy(images: Tensor, level: float) -> Tensor:
    """Add white Gaussian noise, the same at every level, of ``level`` times the image's norm."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator).to(images)
    image_norm = vector_norm(images, dim=(1, 2, 3), keepdim=True)
    noise_norm = vector_norm(noise, dim=(1, 2, 3), keepdim=True)
    return images + level * image_norm / noise_norm * noise


def blurred(images: Tensor, level: float) -> Tensor:
    """Blur with a Gaussian whose standard deviation is ``level`` pixels."""
    pixels = gaussian_filter(images.cpu().numpy(), (0, 0, level, level), mode="nearest")
    return torch.from_numpy(pixels).to(images)


def compressed(images: Tensor, level: float) -> Tensor:
    """Round to whole grey levels and compress as JPEG of quality 100 / ``level``."""
    decoded = []
    for pixels in eight_bit(images).to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy():
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=round(100 / level))
        decoded.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(images)


def darker(images: Tensor, level: float) -> Tensor:
    """Darken by the share ``level``."""
    return images * (1 - level)


def along(x0: Tensor, x: Tensor) -> Distortion:
    """Move each image along its own x − x(0), all by the same relative distances."""
    unit = (x - x0) / relative_distance(x, x0).view(-1, 1, 1, 1)
    levels = (0.00005, 0.0001, 0.0002, 0.0004, 0.001, 0.002, 0.005, 0.015)
    return Distortion(lambda images, level: images + level * unit, levels, "relative distortion")


DISTORTIONS = {
    "Gaussian noise": Distortion(
        noisy, (0.03, 0.08, 0.16, 0.32, 0.64), "norm of the noise over the image's"
    ),
    "blur": Distortion(blurred, (0.5, 0.9, 1.5, 3, 6), "standard deviation, pixels"),
    "JPEG": Distortion(compressed, (1.7, 4, 10, 25, 100), "100 / quality"),
    "brightness": Distortion(darker, (0.2, 0.4, 0.6, 0.8, 0.95), "share of the light taken away"),
}
"""Distortions for which people's own thresholds have been measured."""


def brightness(images: Tensor, scale: float) -> Tensor:
    """Multiply every pixel by ``scale``."""
    return scale * images


def contrast(images: Tensor, scale: float) -> Tensor:
    """Multiply every pixel's distance from the image's mean by ``scale``."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + scale * (images - mean)


SCALINGS = {"brightness": brightness, "contrast": contrast}


def noise_of(x0: Tensor, decibels: float, spread: float = 0.0) -> Tensor:
    """Add Gaussian noise of exactly a given PSNR, without clipping.

    Args:
        x0: (B, 3, H, W), grey levels.
        decibels: PSNR of each photo, for a peak of 255.
        spread: standard deviation with which the noise is blurred, pixels; 0: white.
    """
    noise = noisy(x0, 1.0) - x0
    if spread:
        noise = blurred(noise, spread)
    size = 255 * 10 ** (-decibels / 20) / noise.square().mean((1, 2, 3), keepdim=True).sqrt()
    return x0 + size * noise
