"""What the book's slider shows: one photo on its way, as a strip of small pictures."""

import json
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jnd.companion.figures.style import CHANGES, reach_of
from jnd.support.files import write_atomically
from jnd.trajectory import Trajectory, eight_bit


def shown_iterations(K: int, max_iter: int, count: int = 36) -> list[int]:
    """At most ``count`` iterations, both ends and K among them, the closer to K the denser."""
    if K < 0:
        return sorted({round(k) for k in np.linspace(0, max_iter, count)})
    spread = np.linspace(0, 1, count // 2) ** 2
    return sorted({round(k) for k in (*(K - spread * K), *(K + spread * (max_iter - K)))})


def strip(frames: Tensor) -> tuple[Image.Image, float]:
    """The frames side by side, and below each what was added to the first.

    Args:
        frames: (F, 3, H, W), x(0) first.

    Returns:
        A picture of F·W by 2·H pixels, and the change in grey levels, mean of the channels, that
        has the full red (more) or the full blue (less).
    """
    change = (frames - frames[0]).mean(1)
    reach = reach_of(change)
    colours = mpl.colormaps[CHANGES]((change / reach / 2 + 0.5).numpy(), bytes=True)[..., :3]
    pictures = eight_bit(frames).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Image.fromarray(np.vstack([np.hstack([*pictures]), np.hstack([*colours])])), reach


def write(
    path: Path,
    frames: Mapping[int, Tensor],
    found: Trajectory,
    photo: str,
    names: tuple[str, str],
    provenance: str,
) -> None:
    """Write all that the slider needs into one JSON file.

    Args:
        frames: k -> x(k), (3, H, W).
        found: the descent of this one ``photo``.
        names: of the label and of the target.
        provenance: the line to stand below.
    """
    ks = sorted(frames)
    picture, reach = strip(torch.stack([frames[k].detach().cpu() for k in ks]))
    buffer = BytesIO()
    picture.save(buffer, "webp", quality=85)
    content = {
        "photo": photo,
        "names": names,
        "k": ks,
        "K": found.K.item(),
        "confidence": [[round(p, 4) for p in found.confidence[k, 0].tolist()] for k in ks],
        "distance": [round(found.distance[k, 0].item(), 2) for k in ks],
        "norm": torch.linalg.vector_norm(found.x0).item(),
        "reach": round(reach, 3),
        "strip": "data:image/webp;base64," + b64encode(buffer.getvalue()).decode(),
        "provenance": provenance,
    }
    write_atomically(path, json.dumps(content).encode())
