"""Changes that people know: noise, blur, compression, less light; and scaled light and contrast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.linalg import vector_norm

from jnd.trajectory import eight_bit, relative_distance


@dataclass(frozen=True)
class Distortion:
    """A change that people know, in several levels.

    Attributes:
        apply: images (B, 3, H, W) in 0..255 and a level -> the images distorted.
        levels: growing.
        level: what the level is, with its unit.
    """

    apply: Callable[[Tensor, float], Tensor]
    levels: Sequence[float]
    level: str


def noisy(images: Tensor, level: float) -> Tensor:
    """White Gaussian noise, the same for every level; its norm is ``level`` times the image's."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator).to(images)
    size, of_noise = (vector_norm(x, dim=(1, 2, 3), keepdim=True) for x in (images, noise))
    return images + level * size / of_noise * noise


def blurred(images: Tensor, level: float) -> Tensor:
    """A Gaussian blur whose standard deviation is ``level`` pixels."""
    pixels = gaussian_filter(images.cpu().numpy(), (0, 0, level, level), mode="nearest")
    return torch.from_numpy(pixels).to(images)


def compressed(images: Tensor, level: float) -> Tensor:
    """JPEG of quality 100 / ``level``, of the images in 8 bits."""
    decoded = []
    for pixels in eight_bit(images).to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy():
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=round(100 / level))
        decoded.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(images)


def darker(images: Tensor, level: float) -> Tensor:
    """The share ``level`` of the light taken away."""
    return images * (1 - level)


def along(x0: Tensor, x: Tensor) -> Distortion:
    """The same way from x(0) as to x, each image its own, in steps of equal relative distortion."""
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
"""Distortions whose thresholds people have measured on themselves."""


def brightness(images: Tensor, scale: float) -> Tensor:
    """Every pixel times ``scale``."""
    return scale * images


def contrast(images: Tensor, scale: float) -> Tensor:
    """Every pixel's distance from the image's mean times ``scale``."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + scale * (images - mean)


SCALINGS = {"brightness": brightness, "contrast": contrast}


def noise_of(x0: Tensor, decibels: float, spread: float = 0.0) -> Tensor:
    """Photos (B, 3, H, W) with Gaussian noise of exactly a PSNR, not clipped.

    Args:
        x0: grey levels.
        decibels: PSNR of each photo, for a peak of 255.
        spread: standard deviation with which the noise is blurred, pixels; 0: white.
    """
    noise = noisy(x0, 1.0) - x0
    if spread:
        noise = blurred(noise, spread)
    size = 255 * 10 ** (-decibels / 20) / noise.square().mean((1, 2, 3), keepdim=True).sqrt()
    return x0 + size * noise
