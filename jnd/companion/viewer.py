"""What the book's slider shows: photos on their way, each as a strip of small pictures."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jnd.companion.figures.style import CHANGES, reach_of
from jnd.support.files import write_atomically
from jnd.trajectory import Trajectory, eight_bit


def shown_iterations(K: int, max_iter: int, count: int = 14) -> list[int]:
    """About ``count`` iterations: both ends, K and its neighbours, the closer to K the denser."""
    if not 0 <= K <= max_iter:
        return sorted({round(k) for k in np.linspace(0, max_iter, count)})
    spread = np.linspace(0, 1, count // 2) ** 2
    near = (max(K - 1, 0), min(K + 1, max_iter))
    return sorted({round(k) for k in (*near, *(K - spread * K), *(K + spread * (max_iter - K)))})


class Film:
    """Keeps some of the images of a descent; to be given to find_jnd as ``watch``.

    Args:
        K: where each image is expected to be noticed, (B,); -1: nowhere.
        max_iter: of the descent.
    """

    def __init__(self, K: Tensor, max_iter: int):
        self.shown = [shown_iterations(one, max_iter) for one in K.tolist()]
        self.frames: list[dict[int, Tensor]] = [{} for _ in self.shown]

    def __call__(self, k: int, x: Tensor) -> None:
        for shown, frames, image in zip(self.shown, self.frames, x, strict=True):
            if k in shown:
                frames[k] = image.cpu().clone()


def strip(frames: Tensor, seen: int | None = None) -> tuple[Image.Image, float]:
    """The frames side by side, and below each what was added to the first.

    Args:
        frames: (F, 3, H, W), x(0) first.
        seen: the last frame whose change is not beyond the full colours; None: of all.

    Returns:
        A picture of F·W by 2·H pixels, and the change in grey levels, mean of the channels, that
        has the full red (more) or the full blue (less).
    """
    change = (frames - frames[0]).mean(1)
    reach = reach_of(change[: None if seen is None else seen + 1])
    colours = mpl.colormaps[CHANGES]((change / reach / 2 + 0.5).numpy(), bytes=True)[..., :3]
    pictures = eight_bit(frames).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Image.fromarray(np.vstack([np.hstack([*pictures]), np.hstack([*colours])])), reach


def way(
    frames: Mapping[int, Tensor], on_the_way: Trajectory, end: Trajectory, image: int
) -> dict[str, Any]:
    """One photo in one arm: pictures and numbers of its way and, as the last frame, of its end.

    Args:
        frames: k -> x(k), (3, H, W), of ``image`` in ``on_the_way``.
        on_the_way: a descent past K in small steps.
        end: one of the same photo to the end of the run, alone, in larger steps.
    """
    ks = sorted(frames)
    x0 = frames[0]
    K = int(on_the_way.K[image])
    # what was added until K is to be seen there, and not only by the end of the way
    early, reach = strip(torch.stack([frames[k] for k in ks]), ks.index(K) if K in ks else None)
    late, reach_at_end = strip(torch.stack((x0, end.x_end[0].cpu())))
    width = x0.shape[-1]
    whole = Image.new("RGB", (early.width + width, early.height))
    whole.paste(early)
    whole.paste(late.crop((width, 0, 2 * width, late.height)), (early.width, 0))
    buffer = BytesIO()
    whole.save(buffer, "webp", quality=45)
    confidence = [*on_the_way.confidence[ks, image].tolist(), end.confidence[-1, 0].tolist()]
    distance = [*on_the_way.distance[ks, image].tolist(), end.distance[-1, 0].item()]
    norm = torch.linalg.vector_norm(x0).item()
    return {
        "k": ks,
        "K": K,
        "updates": len(end.distance) - 1,
        "confidence": [[round(p, 4) for p in pair] for pair in confidence],
        "change": [round(d / norm, 7) for d in distance],
        "reach": [round(reach, 3), round(reach_at_end, 3)],
        "strip": "data:image/webp;base64," + b64encode(buffer.getvalue()).decode(),
    }


def write(path: Path, photos: Sequence[Mapping[str, Any]], provenance: str) -> None:
    """Write all that the slider needs into one JSON file.

    Args:
        photos: of each its ``photo``, the ``names`` of label and target, and under ``ways`` arm ->
            what :func:`way` gives.
        provenance: the line to stand below.
    """
    content = {"photos": [*photos], "provenance": provenance}
    write_atomically(path, json.dumps(content).encode())
