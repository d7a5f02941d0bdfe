"""Time the descent and the metrics beside other libraries: make bench

The contenders take turns, round after round in one process, so that whatever slows the computer for
a while slows all of them; a ratio compares runs of the same round. Writes data/speed.json.
"""

import argparse
import copy
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import sewar
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from foolbox import PyTorchModel
from foolbox.attacks import LinfProjectedGradientDescentAttack
from torch import nn
from torch.nn.functional import cosine_similarity
from torchattacks import PGD

import browser
import gpu
from companion.checkout import ROOT
from companion.photos import load_photos, packaged_photos
from companion.provenance import origin
from companion.zoo import load_machine
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.metrics import table_metrics
from networks import Classifier, input_gradient, machines
from processor import processor

LITE = "efficientnet_lite0"  # the default machine
SIZE = 224  # of its photos, pixels
SETTINGS = [(LITE, SIZE, 1), (LITE, SIZE, 4), ("inception_v3", 299, 1)]
UPDATES = 100  # of descents whose photos stop at K
MEMORY = Path(__file__).with_name("memory.py")
STEPS = (1, 5)  # lengths of two runs, whose difference is the cost of the steps alone

Name = TypeVar("Name", bound=Hashable)


def contenders(
    classifier: Classifier, machine: nn.Module, x0: torch.Tensor
) -> dict[str, Callable[[int], object]]:
    """Return functions that take a number of steps from x0, (B, 3, H, W) in 0..255, by name."""
    x = x0 / 255
    y = torch.arange(len(x0))
    frozen = copy.deepcopy(classifier).requires_grad_(False)

    def floor(steps):
        x_k = x
        for _ in range(steps):
            x_k = x_k - input_gradient(frozen, x_k, y)

    def ours(arm):
        cost = Cost.arm(arm)
        return lambda steps: find_jnd(machine, x0, label=y, max_iter=steps, cost=cost)

    eps = 8 / 255
    bounded = PyTorchModel(classifier, bounds=(0, 1))
    options = {"nb_classes": 1000, "clip_values": (0, 1), "device_type": "cpu"}
    art_model = PyTorchClassifier(classifier, nn.CrossEntropyLoss(), x.shape[1:], **options)
    numbers = x.numpy()
    labels = np.eye(1000, dtype=np.float32)[y.numpy()]

    def torchattacks(steps):
        PGD(classifier, eps=eps, alpha=eps / 10, steps=steps)(x, y)

    def foolbox(steps):
        LinfProjectedGradientDescentAttack(steps=steps).run(bounded, x, y, epsilon=eps)

    def art(steps):
        limits = {"eps": eps, "eps_step": eps / 10, "max_iter": steps, "batch_size": len(x)}
        ProjectedGradientDescent(art_model, verbose=False, **limits).generate(numbers, labels)

    return {
        "floor": floor,
        "jnd, none": ours("none"),
        "jnd, full": ours("full"),
        "torchattacks": torchattacks,
        "foolbox": foolbox,
        "ART": art,
    }


def interleaved(timed: Mapping[Name, Callable[[], object]], rounds: int) -> dict[Name, np.ndarray]:
    """Return the seconds of each round by name, after one round that does not count."""
    seconds: dict[Name, list[float]] = {name: [] for name in timed}
    for _ in range(rounds + 1):
        for name, function in timed.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def per_step(
    functions: Mapping[str, Callable[[int], object]], rounds: int
) -> dict[str, np.ndarray]:
    """Return the seconds of a step in each round by name: the difference of two runs, per step."""
    few, many = STEPS
    timed = {(name, n): partial(f, n) for name, f in functions.items() for n in STEPS}
    seconds = interleaved(timed, rounds)
    return {name: (seconds[name, many] - seconds[name, few]) / (many - few) for name in functions}


def summary(seconds: dict[str, np.ndarray], reference: str) -> dict[str, dict]:
    """Return the median in ms, and the median and quartiles of the ratio to the reference."""
    rows = {}
    for name, values in seconds.items():
        low, middle, high = np.percentile(values / seconds[reference], [25, 50, 75]).tolist()
        ms = 1e3 * float(np.median(values))
        rows[name] = {"ms": ms, "ratio": middle, "low": low, "high": high}
    return rows


def steps(rounds: int) -> dict[str, dict]:
    results = {}
    for name, size, batch in SETTINGS:
        classifier, machine = machines(name, "cpu")
        x0, _ = load_photos(packaged_photos()[:batch], size)
        times = per_step(contenders(classifier, machine, x0), rounds)
        results[f"{name}, {size} px, batch {batch}"] = {
            "contenders": summary(times, "floor"),
            "cosine": gradient_cosine(classifier, machine, x0),
        }
    return results


def on_gpu(rounds: int) -> dict[str, dict]:
    return {
        f"inception_v3, 299 px, batch {batch}": {
            "contenders": summary(per_step(gpu.contenders(batch), rounds), "floor"),
            "memory": gpu.peak(batch),
        }
        for batch in gpu.BATCHES
    }


def gradient_cosine(classifier: Classifier, machine: nn.Module, x0: torch.Tensor) -> float:
    """Return the smallest cosine in a batch between the input gradients of both forms."""
    labels = torch.arange(len(x0))
    theirs = input_gradient(classifier, x0 / 255, labels).flatten(1).double()
    ours = input_gradient(machine, x0, labels).flatten(1).double()
    # with the default of eps, the short gradients of random weights would count as zero
    return cosine_similarity(theirs, ours, eps=0.0).min().item()


def early_leaving() -> dict[str, float]:
    """Descend from the packaged photos to the end of the updates, and stopping each at its K."""
    machine = load_machine(LITE, device="cpu")
    x0, _ = load_photos(packaged_photos(), SIZE)
    seconds = {}
    for name, stop in {"seconds, to the end": False, "seconds, leaving": True}.items():
        began = time.perf_counter()
        trajectory = find_jnd(machine, x0, max_iter=UPDATES, stop_at_K=stop)
        seconds[name] = time.perf_counter() - began
    last = trajectory.K.where(trajectory.K >= 0, UPDATES)
    return seconds | {
        "image steps, leaving": int((last + 1).sum()),
        "image steps, to the end": (UPDATES + 1) * len(x0),
        "photos": len(x0),
        "updates": UPDATES,
    }


def metrics(rounds: int) -> dict[str, dict]:
    """Time PSNR, UQI, SCC and VIF of one pair of 299×299, on one thread."""
    x, _ = load_photos(["coffee"], 299)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    y = (x + 5 * noise).round().clamp(0, 255)
    pair = [image[0].permute(1, 2, 0).to(torch.uint8).numpy() for image in (x, y)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    libraries = {
        "sewar": lambda: [f(*pair) for f in (sewar.psnr, sewar.uqi, sewar.scc, sewar.vifp)],
        "jnd": lambda: table_metrics(x, y),
    }
    times = interleaved(libraries, rounds)
    torch.set_num_threads(threads)
    return summary(times, "sewar")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "speed.json")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    packages = ("torch", "torchattacks", "foolbox", "adversarial-robustness-toolbox", "sewar")
    content = {
        "provenance": {
            "processor": processor(),
            "threads": torch.get_num_threads(),
            **origin(),
            "packages": {name: version(name) for name in packages},
            "rounds": args.rounds,
            "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        },
        "values": {
            "steps": steps(args.rounds),
            "leaving": early_leaving(),
            "metrics": metrics(args.rounds),
            "memory": json.loads(subprocess.check_output([sys.executable, MEMORY])),
            "gpu": on_gpu(args.rounds) if device == "cuda" else None,
            "browser": browser.beside_pytorch(args.rounds) if shutil.which("node") else None,
        },
    }
    for title, rows in content["values"]["steps"].items():
        table = pd.DataFrame(rows["contenders"]).T
        print(title, table.to_string(float_format="{:.2f}".format), sep="\n")
    print({key: value for key, value in content["values"].items() if key != "steps"})
    args.out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
