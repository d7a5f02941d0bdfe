"""What the paper profile takes at full size, from a few updates: python benchmarks/paper.py

Of each network the time on the processor, on one thread, is the least of several updates, so that
other work on the computer hardly matters; each batch is a process of its own, for its memory. How
many updates a notebook asks for follows from its parameters. Writes data/paper_cost.json.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from memory import peak
from processor import processor
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.flop_counter import FlopCounterMode

from jnd import find_jnd, load_detector, prepare
from jnd.companion.parameters import profile_parameters
from jnd.companion.prefetch import files_of, needed
from jnd.companion.provenance import origin
from jnd.datasets import packaged_squares
from jnd.machines import PlantedBox, plant
from jnd.machines.detectors import retinanet_resnet50_fpn
from jnd.studies.attacks import InBall
from jnd.studies.distortions import DISTORTIONS, SCALINGS, along
from jnd.studies.pictures import TREATMENTS
from jnd.studies.psychometrics import BATCH
from jnd.support.checkout import ROOT

sys.path.insert(0, str(ROOT / "data" / "recipes"))

import cifar10  # noqa: E402
from training import SGD, classification_loss, normalised  # noqa: E402

Parameters = Mapping[str, Any]
Wrap = Callable[[range], Iterable[int]]
UPDATES = 4
SIDES = {"inception_v3": 299, "resnet50": 224}
ROAD = "retinanet_resnet50_fpn"
TRAINING = "inception_v3, training"
BATCHES = {"inception_v3": (2, 6), "resnet50": (2, 6), ROAD: (1, 3), TRAINING: (2, 6)}
OF_CIFAR10 = 50_000  # training images
READINGS = 17  # beside ours, in the notebook


@dataclass(frozen=True)
class Work:
    """Input gradients of a network, one for each image.

    Attributes:
        sure: those that are taken in any case.
        to_K: at most so many more: an image leaves at its K.
        forwards: alone.
        batch: images at once, on a CPU.
    """

    sure: int
    to_K: int
    batch: int
    forwards: int = 0


def to_a_picture(p: Parameters) -> int:
    """Of an image, at most: an update, and half as much again for the forward of its picture."""
    return p["max_iter"] + p["max_iter"] // 2


def imagenet(p: Parameters) -> Work:
    photos = len(p["photos"])
    curves = 2 * len(p["curves"]) * p["curve_iter"]
    sure = photos * sum(p["end_iters"].values()) + curves
    return Work(sure, photos * (3 * p["max_iter"] + to_a_picture(p)), photos)


def pictures(p: Parameters) -> Work:
    pairs = len(p["photos"]) * len(p["ranks"])
    halvings = (3 * p["size"] ** 2).bit_length()  # of the pixels that go up or down
    forwards = halvings + 4 * (len(TREATMENTS) + 1)  # and what four ways survive
    to_K = 2 * p["max_iter"] + to_a_picture(p)
    return Work(pairs, pairs * to_K, len(p["photos"]), pairs * forwards)


def derivation(p: Parameters) -> Work:
    photos = len(profile_parameters("imagenet", p["profile"])["photos"])
    last = 10  # updates after which the slope is measured too
    Ns = [round(4.5 / alpha) for alpha in p["alphas"]]
    ways = sum(N + min(last, N + 1) for N in Ns)
    return Work(photos * (p["max_iter"] + 2) + len(p["swept"]) * ways, 0, photos)


def of_cifar10(p: Parameters) -> Work:
    sure = p["examples"] * sum(p["end_iters"].values())
    return Work(sure, (2 * p["count"] + p["examples"]) * p["max_iter"], p["count"])


def detection(p: Parameters) -> Work:
    to_the_end = 2 * 3 + 7  # arms of two ways, and what the paper leaves open
    return Work(to_the_end * p["end_iter"] + 2 + 2 + 2 * 3, 2 * 3 * p["max_iter"], 3)


def reading(p: Parameters) -> Work:
    photos = len(p["photos"])
    to_K = (1 + READINGS) * p["max_iter"] + to_a_picture(p)
    return Work(photos * 3 * p["end_iter"], photos * to_K, photos)


def comparison(p: Parameters) -> Work:
    photos, N = len(p["photos"]), p["max_iter"]
    walk = math.ceil(N / (InBall.halvings + 1))
    carlini = 3 * math.ceil(2 * N / 3)
    sure = 2 + N + walk * (InBall.halvings + 1) + carlini + N  # FGSM, FGV, end, PGD, C&W, DDN
    to_K = N + 12 * walk + 10 * max(50, N)  # x(K), PGD's balls before the first, DeepFool
    to_K += len(p["ranks"]) * len(p["shrinking_alphas"]) * p["shrinking_iter"]
    return Work(photos * sure, photos * to_K, 1)


def psychometrics(p: Parameters) -> Work:
    """Of each of its machines."""
    swept = len(SCALINGS) * len(p["scales"]) + len(p["ranks"])
    swept += sum(1 / factor for factor in p["alpha_factors"])
    levels = sum(len(d.levels) for d in DISTORTIONS.values())
    levels += len(along(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).levels)
    borders = 6 * (p["count"] + p["swept"] * (1 + len(SCALINGS) * len(p["scales"])))
    to_K = round(p["max_iter"] * (p["count"] + p["swept"] * swept))
    return Work(0, to_K, BATCH, p["count"] * levels + borders)


WORK: dict[str, Callable[[Parameters], Work]] = {
    "imagenet": imagenet,
    "pictures": pictures,
    "derivation": derivation,
    "cifar10": of_cifar10,
    "detection": detection,
    "reading": reading,
    "comparison": comparison,
    "psychometrics": psychometrics,
}


def training() -> Work:
    epochs = sum(of for _, of in cifar10.SETTINGS["inception_v3"]["stages"])
    return Work(epochs * (OF_CIFAR10 // cifar10.BATCH) * cifar10.BATCH, 0, cifar10.BATCH)


def classifier(name: str) -> nn.Module:
    options = {"aux_logits": False, "init_weights": False} if name in cifar10.SETTINGS else {}
    return torchvision.models.get_model(name, weights=None, **options)


def asked(name: str, batch: int) -> tuple[nn.Module, Tensor, dict[str, Any]]:
    """The network with random weights, so many images, and what a descent is asked of them."""
    if name in SIDES:
        machine = prepare(classifier(name).eval(), mean=[127.5] * 3, std=[127.5] * 3)
        return machine, packaged_squares(batch, SIDES[name])[0], {"label": 0}
    with tempfile.TemporaryDirectory() as folder:
        save_file(retinanet_resnet50_fpn(91).state_dict(), f"{folder}/random.safetensors")
        detector = load_detector(name, f"{folder}/random.safetensors")
    p = profile_parameters("detection", "paper")
    picture = packaged_squares(1, p["size"])[0][:, :, : p["size"] * 9 // 16]
    objective = plant(detector, picture, p["box"], p["category"], objective=PlantedBox)
    of_each = objective.select(torch.zeros(batch, dtype=torch.int64))
    return detector, picture.repeat(batch, 1, 1, 1), {"objective": of_each}


def train(network: nn.Module, photos: Tensor, timed: Wrap) -> None:
    network.train().to(memory_format=torch.channels_last)
    average = AveragedModel(network, use_buffers=True)
    optimiser = SGD(network.parameters(), lr=1e-3)
    for _ in timed(range(UPDATES)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = classification_loss(network, photos, torch.zeros(len(photos), dtype=torch.int64))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(network)


def measured(name: str, batch: int) -> dict[str, float]:
    """Seconds of an update on the processor, operations of a forward, MB of the process at most."""
    seconds = []

    def timed(updates: range) -> Iterator[int]:
        for k in updates:
            began = time.process_time()
            yield k
            seconds.append(time.process_time() - began)

    if name == TRAINING:
        machine, x0 = classifier("inception_v3"), normalised(packaged_squares(batch, 299)[0])
        train(machine, x0, timed)
    else:
        machine, x0, of_them = asked(name, batch)
        find_jnd(machine, x0, **of_them, max_iter=UPDATES, progress=timed)
    held = peak()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        machine.eval()(x0)
    return {"seconds": min(seconds[:UPDATES]), "forward": counter.get_total_flops(), "peak": held}


def per_image(name: str) -> dict[str, float]:
    """Seconds of an update, operations of a forward and MB, of an image; MB before the first."""
    few, many = BATCHES[name]
    found = {}
    for batch in (few, many):
        command = [sys.executable, __file__, "--measure", name, "--batch", str(batch)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        found[batch] = json.loads(subprocess.check_output(command, env=environment))
    image = (found[many]["peak"] - found[few]["peak"]) / (many - few)
    return {
        "seconds": found[many]["seconds"] / many,
        "forward": found[many]["forward"] / many,
        "image": image,
        "start": found[few]["peak"] - few * image,
    }


def machines_of(given: Parameters) -> list[str]:
    return given["machines"] if "machines" in given else [given["machine"]]


def jobs() -> dict[str, dict[str, Any]]:
    """Of the training and of each notebook the work, its networks, and what it downloads, bytes."""
    found = {}
    for name, work in WORK.items():
        given = profile_parameters(name, "paper")
        size = sum(entry["bytes"] for entry in files_of(given).values())
        found[name] = {"work": vars(work(given)), "machines": machines_of(given), "bytes": size}
    trained = {"work": vars(training()), "machines": [TRAINING]}
    return {"training": found["cifar10"] | trained} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", choices=BATCHES, help="this alone, in this process")
    parser.add_argument("--batch", type=int, default=1)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measured(args.measure, args.batch)))
        return
    content = {
        "provenance": origin() | {"processor": processor(), "threads": 1, "updates": UPDATES},
        "values": {
            "networks": {name: per_image(name) for name in BATCHES},
            "jobs": jobs(),
            "bytes": sum(entry["bytes"] for entry in needed("paper").values()),
        },
    }
    text = json.dumps(content, indent=1)
    (ROOT / "data" / "paper_cost.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
