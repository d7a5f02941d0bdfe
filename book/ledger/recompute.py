"""What images and machines say again: JND(M), the metrics of the tables, and M's answers.

Photos, machines and their sizes are those of the profile in this checkout, never of an archive.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.linalg import vector_norm

from archive import image_hash
from companion.photos import (
    CIFAR10_ARCHIVE,
    load_cifar10,
    load_photos,
    load_picture,
    packaged_photos,
    packaged_squares,
    photo_source,
)
from companion.registry import local_path, registered
from companion.studies.detection import planted_score
from companion.tables import flips, gain, means, metrics_by_moment
from companion.weights import official_file
from companion.zoo import load_detector, load_machine
from jnd.cost import bounded_range, total_variation
from jnd.detectors import Detector
from jnd.machine import Machine
from jnd.metrics import all_metrics
from jnd.objectives import ranked_class
from jnd.planted import PlantedBox, PlantedClass, plant

Images = Mapping[str, Tensor]
TABLE = {"imagenet": "table1", "cifar10": "table2"}
LOSSES = {"box": PlantedBox, "class": PlantedClass}
SCORE = 0.01  # by which a detector's score may differ on another processor: our choice


def photos_at_hand(notebook: str, parameters: Mapping[str, Any]) -> dict[str, Tensor]:
    """Load a notebook's photos by :func:`~archive.image_hash`; none if that takes a download."""
    if notebook == "cifar10" and parameters["data"] == "packaged":
        photos, _ = load_photos(packaged_photos(), 32)
        squares, _ = packaged_squares(parameters["count"], 32)
        return by_hash(torch.cat((photos, squares)))
    if notebook == "cifar10":
        names = [CIFAR10_ARCHIVE]
    else:
        named = parameters["photos"] if notebook == "imagenet" else [parameters["photo"]]
        names = [str(photo_source(photo)[0]) for photo in named]
    if not all(local_path(name, registered("files")[name]) for name in names):
        return {}
    if notebook == "cifar10":
        return by_hash(load_cifar10(parameters["data"])[0].float())
    if notebook == "detection":
        return by_hash(load_picture(parameters["photo"], parameters["size"])[0])
    return by_hash(load_photos(parameters["photos"], parameters["size"])[0])


def by_hash(images: Tensor) -> dict[str, Tensor]:
    return {image_hash(image): image for image in images}


def load_images(file: Path, photos: Images, hashes: Sequence[str]) -> tuple[Images, Tensor, Images]:
    """Read the images of a notebook, or the changes that stand for them.

    Args:
        file: images.safetensors of an archive.
        photos: from :func:`photos_at_hand`.
        hashes: of each x(0).

    Returns:
        x − x(0) by name, the norm of each x(0), and the images; none of these where neither the
        file nor ``photos`` has x(0).
    """
    stored = load_file(file)
    if "x0" in stored:
        x0 = stored.pop("x0")
        images = stored
        changes = {name: image - x0 for name, image in stored.items()}
    else:
        norm = stored.pop("x0_norm")
        if not photos:
            return stored, norm, {}
        x0 = torch.stack([photos[sha256] for sha256 in hashes])
        changes = stored
        images = {name: x0 + change for name, change in stored.items()}
    return changes, vector_norm(x0.flatten(1), dim=1), {"x0": x0, **images}


def values_of_changes(changes: Images, x0_norm: Tensor) -> dict[str, Any]:
    """Return what x − x(0) alone tells, as metrics.json has it under ``arms``."""
    values = {}
    for arm in arms_of(changes):
        at_K = changes[f"x_jnd.{arm}"].flatten(1)
        values[arm] = {
            "jnd": vector_norm(at_K, dim=1) / x0_norm,
            "largest_change_at_K": at_K.abs().amax(1),
            "distance_at_end": vector_norm(changes[f"x_end.{arm}"].flatten(1), dim=1),
        }
    return {"arms": by_loss(values)}


def values_of_images(notebook: str, images: Images) -> dict[str, Any]:
    """Return what images and their originals tell, under the names of metrics.json."""
    x0 = images["x0"]
    arms: dict[str, Any] = {
        arm: SimpleNamespace(x0=x0, x_jnd=images[f"x_jnd.{arm}"], x_end=images[f"x_end.{arm}"])
        for arm in arms_of(images)
    }
    values = {"arms": by_loss({arm: regularisers(x0, t.x_end) for arm, t in arms.items()})}
    quality: dict[str, Any] = metrics_by_moment(arms)
    if notebook == "detection":
        return values | {"quality": means(quality)}
    quality["matched"] = {"none": all_metrics(x0, images["matched"])}
    return values | {"quality": quality, "gain": gain(quality), TABLE[notebook]: means(quality)}


def regularisers(x0: Tensor, x_end: Tensor) -> dict[str, Tensor]:
    return {
        "bounded_range_at_end": bounded_range(x_end),
        "total_variation": total_variation(x0),
        "total_variation_at_end": total_variation(x_end),
    }


def arms_of(images: Images) -> list[str]:
    return [name.removeprefix("x_end.") for name in images if name.startswith("x_end.")]


def by_loss(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nest the arms of a detector, such as "box, full", as metrics.json does."""
    nested: dict[str, Any] = {}
    for title, row in values.items():
        *loss, arm = title.split(", ")
        arms = nested.setdefault(loss[0], {}) if loss else nested
        arms[arm] = row
    return nested


@torch.no_grad()
def answers(
    notebook: str, parameters: Mapping[str, Any], sha256: str, images: Images, values: Any
) -> list[bool]:
    """Ask the machine again: whether each of its answers is the one in metrics.json.

    None of them where its weights are not at hand, or are others.
    """
    name = parameters["machine"]
    weights = parameters["weights"]
    if weights == "official" and not local_path(*official_file(name)):
        return []
    if weights not in ("bundled", "official") and not Path(weights).is_file():
        return []
    load = load_detector if notebook == "detection" else load_machine
    machine: Any = load(name, weights, "cpu")
    if machine.sha256 != sha256:
        return []
    ask = detector_answers if notebook == "detection" else classifier_answers
    return ask(machine, parameters, images, values)


def classifier_answers(
    machine: Machine, parameters: Mapping[str, Any], images: Images, values: Any
) -> list[bool]:
    if parameters["target_rank"]:
        return []  # noticed has another meaning then
    label = ranked_class(machine(images["x0"]), 1)
    same = [a == b for a, b in zip(map(machine.class_name, label), values["label"], strict=True)]
    for arm, theirs in values["arms"].items():
        at_K = torch.tensor(theirs["K"]) >= 0
        at_end = torch.tensor(theirs["noticed_at_end"])
        same += (flips(machine, label, images[f"x_jnd.{arm}"]) == at_K).tolist()
        same += (flips(machine, label, images[f"x_end.{arm}"]) == at_end).tolist()
    return same


def detector_answers(
    detector: Detector, parameters: Mapping[str, Any], images: Images, values: Any
) -> list[bool]:
    same = []
    place = (parameters["box"], parameters["category"])
    for loss, arms in values["confidence"].items():
        options = {"objective": LOSSES[loss], "score": parameters["score"]}
        objective: Any = plant(detector, images["x0"], *place, **options)
        for arm, theirs in arms.items():
            for moment, key in {"x_jnd": "at_K", "x_end": "end"}.items():
                if theirs[key] is not None:
                    score = planted_score(detector, objective, images[f"{moment}.{loss}, {arm}"])
                    same.append(abs(score - theirs[key]) < SCORE)
    return same
