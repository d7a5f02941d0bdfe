"""Estimate what the paper profile takes, from a few updates: python benchmarks/paper.py

The time of a network's update is processor time on one thread, the least of several, so that other
work on the computer hardly matters; each batch is a process of its own, for its memory. A
notebook's updates, counted in the bundled profile (data/expected/bundled/updates.json), are scaled
to the paper profile. Writes data/paper_cost.json; with --jobs it keeps the times measured before.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from companion.checkout import ROOT
from companion.parameters import profile_parameters
from companion.photos import packaged_squares
from companion.provenance import origin
from companion.registry import profile_files
from companion.studies.psychometrics import BATCH
from companion.zoo import load_detector, retinanet_resnet50_fpn
from jnd.descent import find_jnd
from jnd.machine import prepare
from jnd.planted import PlantedBox, plant
from memory import peak
from processor import processor

sys.path.insert(0, str(ROOT / "data" / "recipes"))

import cifar10  # noqa: E402
from training import fit, normalised  # noqa: E402

COST = ROOT / "data" / "paper_cost.json"
COUNTED = ROOT / "data" / "expected" / "bundled" / "updates.json"
UPDATES = 4
SIDES = {"inception_v3": 299, "resnet50": 224}
ROAD = "retinanet_resnet50_fpn"
TRAINING = "inception_v3, training"
# large enough for more memory than the imports need at their peak
BATCHES = {"inception_v3": (6, 12), "resnet50": (6, 12), ROAD: (1, 3), TRAINING: (2, 6)}
TRAINING_IMAGES = 50_000  # of CIFAR-10
IMAGES = ("photos", "count", "swept")  # parameters that name or count a notebook's images
LIMITS = ("max_iter", "end_iter")  # and those that limit its updates


def growth(name: str, bundled: Mapping[str, Any], paper: Mapping[str, Any]) -> float:
    """Return how many times as large a parameter, or as long a list, is in the paper profile."""
    before, after = (
        p[name] if isinstance(p[name], int) else len(p[name]) for p in (bundled, paper)
    )
    return after / before


def scaled(updates: int, bundled: Mapping[str, Any], paper: Mapping[str, Any]) -> dict[str, int]:
    """Scale the updates counted in the bundled profile to the paper profile.

    Returns:
        ``sure``: as many updates for each image, of which the paper profile has more; ``to_K``:
        those that come on top if K grows as the limit of the updates does.
    """
    images = max((growth(n, bundled, paper) for n in IMAGES if n in bundled), default=1)
    images *= growth("ranks", bundled, paper) if "ranks" in bundled else 1
    limit = max(growth(n, bundled, paper) for n in LIMITS if n in bundled)
    sure = round(updates * images)
    return {"sure": sure, "to_K": round(sure * limit) - sure}


def classifier(name: str) -> nn.Module:
    options = {"aux_logits": False, "init_weights": False} if name in cifar10.SETTINGS else {}
    return torchvision.models.get_model(name, weights=None, **options)


def descent(name: str, batch: int) -> tuple[nn.Module, Tensor, dict[str, Any]]:
    """Return a network with random weights, a batch of images and further arguments of find_jnd."""
    if name in SIDES:
        machine = prepare(classifier(name).eval(), mean=[127.5] * 3, std=[127.5] * 3, fold=True)
        return machine, packaged_squares(batch, SIDES[name])[0], {"label": 0}
    with tempfile.TemporaryDirectory() as folder:
        save_file(retinanet_resnet50_fpn(91).state_dict(), f"{folder}/random.safetensors")
        detector = load_detector(name, f"{folder}/random.safetensors")
    p = profile_parameters("detection", "paper")
    picture = packaged_squares(1, p["size"])[0][:, :, : p["size"] * 9 // 16]
    objective = plant(detector, picture, p["box"], p["category"], objective=PlantedBox)
    repeated = objective.select(torch.zeros(batch, dtype=torch.int64))
    return detector, picture.repeat(batch, 1, 1, 1), {"objective": repeated}


def train(network: nn.Module, photos: Tensor, watch: Callable[[], None]) -> None:
    """Train as the recipe does, for a few updates; ``watch`` is called before and after each."""
    labels = torch.zeros(len(photos), dtype=torch.int64)

    def batches(_epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(UPDATES):
            watch()
            yield photos, labels
        watch()

    with tempfile.TemporaryDirectory() as folder:
        fit(
            network,
            batches,
            epochs=1,
            checkpoint=f"{folder}/checkpoint",
            max_lr=1e-3,
            evaluate=lambda _: 0.0,
            steps_per_epoch=UPDATES,
        )


def measured(name: str, batch: int) -> dict[str, float]:
    """Return an update's processor time, a forward's operations and the process's peak in MB."""
    torch.set_num_threads(1)
    times = []

    def watch(*_: object) -> None:
        times.append(time.process_time())

    if name == TRAINING:
        machine = classifier("inception_v3")
        x0 = normalised(packaged_squares(batch, 299)[0])
        train(machine, x0, watch)
    else:
        machine, x0, options = descent(name, batch)
        find_jnd(machine, x0, **options, max_iter=UPDATES + 1, watch=[watch])
    memory = peak()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        machine.eval()(x0)
    updates = pairwise(times[: UPDATES + 1])  # at the end of a descent comes a forward alone
    seconds = min(after - before for before, after in updates)
    return {"seconds": seconds, "forward": counter.get_total_flops(), "peak": memory}


def per_image(name: str) -> dict[str, float]:
    """Return seconds, operations and MB per image, and the MB before the first image."""
    sizes = BATCHES[name]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        few, many = pool.map(measured, [name, name], sizes)
    image = (many["peak"] - few["peak"]) / (sizes[1] - sizes[0])
    return {
        "seconds": many["seconds"] / sizes[1],
        "forward": many["forward"] / sizes[1],
        "image": image,
        "start": few["peak"] - sizes[0] * image,
    }


def parameters(notebook: str, profile: str) -> dict[str, Any]:
    """Return a notebook's parameters; the derivation takes its photos from the one on ImageNet."""
    given = profile_parameters(notebook, profile)
    if notebook == "derivation":
        given["photos"] = profile_parameters("imagenet", profile)["photos"]
    return given


def jobs() -> dict[str, dict[str, Any]]:
    """Return the work and the networks of the training and of each notebook with a network.

    The work is in input gradients of a network, one for each image: ``sure`` and ``to_K`` as in
    :func:`scaled`, ``batch`` images at once; forwards without a gradient are not counted.
    """
    epochs = sum(epochs for _, epochs in cifar10.SETTINGS["inception_v3"]["stages"])
    gradients = epochs * (TRAINING_IMAGES // cifar10.BATCH) * cifar10.BATCH
    work = {"sure": gradients, "to_K": 0, "batch": cifar10.BATCH}
    result = {"training": {"work": work, "machines": [TRAINING]}}
    for notebook, updates in json.loads(COUNTED.read_text("utf-8")).items():
        paper = parameters(notebook, "paper")
        machines = paper.get("machines") or [paper.get("machine")]
        if machines == [None]:
            continue
        batch = BATCH if notebook == "psychometrics" else paper.get("batch")
        photos = len(paper.get("photos", ["the road"]))
        work = scaled(round(updates / len(machines)), parameters(notebook, "bundled"), paper)
        work |= {"batch": batch or photos}
        result[notebook] = {"work": work, "machines": machines}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", action="store_true", help="keep the times of the networks")
    args = parser.parse_args()
    if args.jobs:
        content = json.loads(COST.read_text("utf-8"))
    else:
        made = origin() | {"processor": processor(), "threads": 1, "updates": UPDATES}
        networks = {name: per_image(name) for name in BATCHES}
        content = {"provenance": made, "values": {"networks": networks}}
    size = sum(entry["bytes"] for entry in profile_files("paper").values())
    content["values"] |= {"jobs": jobs(), "bytes": size}
    text = json.dumps(content, indent=1)
    COST.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
