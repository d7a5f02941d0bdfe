"""The study of ImageNet: the iterations that the book's slider shows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.linalg import vector_norm

from companion.files import write_atomically
from jnd.trajectory import Recording, Trajectory


def shown_iterations(K: int, max_iter: int, count: int = 14) -> list[int]:
    """About ``count`` iterations: both ends, K and its neighbours, the closer to K the denser."""
    if not 0 <= K <= max_iter:
        return sorted({round(k) for k in np.linspace(0, max_iter, count)})
    spread = np.linspace(0, 1, count // 2) ** 2
    near = (max(K - 1, 0), min(K + 1, max_iter))
    return sorted({round(k) for k in (*near, *(K - spread * K), *(K + spread * (max_iter - K)))})


class Film:
    """Some of the images of a descent, for ``find_jnd(..., watch=[film])``.

    Args:
        K: where each image is expected to be noticed, (B,); -1: nowhere.
        max_iter: of the descent.

    Attributes:
        frames: for each image, k -> x(k), (3, H, W).
    """

    def __init__(self, K: Tensor, max_iter: int):
        self.iterations = [shown_iterations(k, max_iter) for k in K.tolist()]
        self.frames: list[dict[int, Tensor]] = [{} for _ in self.iterations]

    def __call__(self, recording: Recording) -> None:
        images = zip(self.iterations, self.frames, recording.shown, strict=True)
        for iterations, frames, image in images:
            if recording.k in iterations:
                frames[recording.k] = image.cpu().clone()


def save_viewer(
    folder: Path,
    photos: Mapping[int, str],
    names: Sequence[tuple[str, str]],
    films: Mapping[str, Film],
    paths: Mapping[str, Trajectory],
    ends: Mapping[str, Trajectory],
    provenance: str,
) -> None:
    """Write the slider's numbers to ``viewer.json`` and its images to ``viewer.safetensors``.

    The tensor ``PHOTO.ARM``, (F, 3, H, W) float32, holds x(k) for each ``k`` of the JSON file and,
    last, the end of the run.

    Args:
        folder: where to write.
        photos: number in ``ends`` -> name, in the order of films and paths.
        names: of the label and the target of each of them.
        films: arm -> what was kept of its descent.
        paths: arm -> that descent, in small steps to beyond K.
        ends: arm -> a descent in larger steps to the end of the run.
        provenance: the line to stand below.
    """
    entries = []
    images = {}
    for i, (number, photo) in enumerate(photos.items()):
        arms = {}
        for arm, film in films.items():
            frames = film.frames[i]
            end = ends[arm]
            arms[arm] = _numbers([*frames], paths[arm], i, end, number)
            images[f"{photo}.{arm}"] = torch.stack([*frames.values(), end.x_end[number].cpu()])
        entries.append({"photo": photo, "names": names[i], "arms": arms})
    content = {"photos": entries, "provenance": provenance}
    write_atomically(folder / "viewer.json", json.dumps(content).encode())
    write_atomically(folder / "viewer.safetensors", save(images))


def _numbers(
    ks: list[int], path: Trajectory, image: int, end: Trajectory, number: int
) -> dict[str, Any]:
    """K, and M's confidence and the relative change at each k and at the end of the run."""
    norm = vector_norm(path.x0[image]).item()
    confidence = [*path.confidence[ks, image].tolist(), end.confidence[-1, number].tolist()]
    distance = [*path.distance[ks, image].tolist(), end.distance[-1, number].item()]
    return {
        "k": ks,
        "K": int(path.K[image]),
        "updates": len(end.distance) - 1,
        "confidence": [[round(p, 4) for p in pair] for pair in confidence],
        "change": [round(d / norm, 7) for d in distance],
    }
