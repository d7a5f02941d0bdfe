"""Pictures: images of whole grey levels, as an 8-bit file stores them."""

import os
import secrets
from pathlib import Path

import torch
from PIL import Image  # torchvision depends on it
from torch import Tensor


def eight_bit(x: Tensor) -> Tensor:
    """Round an image and clip it to 0..255, keeping shape and dtype."""
    return x.round().clamp(0, 255)


def save_png(path: str | Path, x: Tensor) -> None:
    """Write a picture as a PNG file, completely or not at all.

    Args:
        path: of the file, ending in .png; an existing file is replaced.
        x: (3, H, W), whole grey levels 0..255, as ``find_jnd(..., pixels="8bit")`` gives them.

    Raises:
        ValueError: the name has another ending, or ``x`` is not such a picture.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} would hold a PNG: give it a name that ends in .png")
    if x.ndim != 3 or len(x) != 3:
        raise ValueError(f"a picture has the shape (3, H, W), not {tuple(x.shape)}")
    pixels = x.detach().cpu()
    whole = pixels.nan_to_num(0.5).to(torch.uint8)
    if not torch.equal(whole.to(x.dtype), pixels):
        raise ValueError(
            f"{path}: a PNG holds whole grey levels 0..255, but this image has others; use "
            'find_jnd(..., pixels="8bit"), because rounding afterwards may undo the change'
        )
    part = path.with_name(f".{secrets.token_hex(4)}.part")  # never longer than a name may be
    try:
        Image.fromarray(whole.permute(1, 2, 0).numpy()).save(part, format="PNG")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
