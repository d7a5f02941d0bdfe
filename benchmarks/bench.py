"""Time the descent and the metrics beside other libraries: make bench

Each contender runs in turn, round after round in one process, so that what slows the computer for
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
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import browser
import gpu
import numpy as np
import sewar
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from foolbox import PyTorchModel
from foolbox.attacks import LinfProjectedGradientDescentAttack
from networks import Classifier, machines
from processor import processor
from torch import nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torchattacks import PGD

from jnd import Cost, find_jnd, load_detector, load_machine
from jnd.companion.provenance import commit
from jnd.datasets import load_photos, load_picture, packaged_photos
from jnd.machines.classifiers import PRECISIONS
from jnd.metrics import quality
from jnd.support.checkout import ROOT

LITE, SIZE = "efficientnet_lite0", 224  # the default machine and its size, pixels
SETTINGS = [(LITE, SIZE, 1), (LITE, SIZE, 4), ("inception_v3", 299, 1)]
UPDATES = 100  # of descents whose photos leave at K
MEMORY = Path(__file__).with_name("memory.py")
STEPS = (1, 5)  # lengths of a run; their difference is what the steps alone cost

Name = TypeVar("Name", bound=Hashable)


def contenders(
    classifier: Classifier, machine: nn.Module, x0: torch.Tensor
) -> dict[str, Callable[[int], object]]:
    """Name -> a function that takes so many steps from x0 (B, 3, H, W) in 0..255."""
    x, y = x0 / 255, torch.arange(len(x0))
    frozen = copy.deepcopy(classifier).requires_grad_(False)

    def floor(steps):
        here = x.clone()
        for _ in range(steps):
            here.requires_grad_()
            (gradient,) = torch.autograd.grad(cross_entropy(frozen(here), y), here)
            here = (here - gradient).detach()

    def ours(arm):
        cost = Cost.arm(arm)
        return lambda steps: find_jnd(machine, x0, label=y, max_iter=steps, cost=cost)

    eps = 8 / 255
    bounded = PyTorchModel(classifier, bounds=(0, 1))
    art_model = PyTorchClassifier(
        classifier, nn.CrossEntropyLoss(), x.shape[1:], 1000, clip_values=(0, 1), device_type="cpu"
    )
    labels = np.eye(1000, dtype=np.float32)[y.numpy()]
    numbers = x.numpy()

    def torchattacks(steps):
        PGD(classifier, eps=eps, alpha=eps / 10, steps=steps)(x, y)

    def foolbox(steps):
        LinfProjectedGradientDescentAttack(steps=steps).run(bounded, x, y, epsilon=eps)

    def art(steps):
        ProjectedGradientDescent(
            art_model, eps=eps, eps_step=eps / 10, max_iter=steps, batch_size=len(x), verbose=False
        ).generate(numbers, labels)

    return {
        "floor": floor,
        "jnd, none": ours("none"),
        "jnd, full": ours("full"),
        "torchattacks": torchattacks,
        "foolbox": foolbox,
        "ART": art,
    }


def interleaved(timed: Mapping[Name, Callable[[], object]], rounds: int) -> dict[Name, np.ndarray]:
    """Name -> seconds of each round, after one round that does not count."""
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
    """Name -> seconds of a step in each round: what a longer run takes more than a shorter one."""
    few, many = STEPS
    timed = {(name, n): lambda f=f, n=n: f(n) for name, f in functions.items() for n in STEPS}
    seconds = interleaved(timed, rounds)
    return {name: (seconds[name, many] - seconds[name, few]) / (many - few) for name in functions}


def summary(seconds: dict[str, np.ndarray], reference: str) -> dict[str, dict]:
    """Median milliseconds, and the median and quartiles of the ratio to the reference."""
    rows = {}
    for name, values in seconds.items():
        low, middle, high = np.percentile(values / seconds[reference], [25, 50, 75]).tolist()
        ms = 1e3 * float(np.median(values))
        rows[name] = {"ms": ms, "ratio": middle, "low": low, "high": high}
    return rows


def steps(rounds: int) -> dict[str, dict]:
    found = {}
    for name, size, batch in SETTINGS:
        classifier, machine = machines(name, "cpu")
        x0, _ = load_photos(packaged_photos()[:batch], size)
        times = per_step(contenders(classifier, machine, x0), rounds)
        found[f"{name}, {size} px, batch {batch}"] = {
            "contenders": summary(times, "floor"),
            "cosine": gradient_cosine(classifier, machine, x0),
        }
    return found


def on_gpu(rounds: int) -> dict[str, dict]:
    return {
        f"inception_v3, 299 px, batch {batch}": {
            "contenders": summary(per_step(gpu.contenders(batch), rounds), "floor"),
            "memory": gpu.peak(batch),
        }
        for batch in gpu.BATCHES
    }


def gradient_cosine(classifier: Classifier, machine: nn.Module, x0: torch.Tensor) -> float:
    """The smallest cosine in a batch between the input gradients of a machine's two forms."""
    labels = torch.arange(len(x0))
    theirs, ours = input_gradient(classifier, x0 / 255, labels), input_gradient(machine, x0, labels)
    # eps: the gradients of random weights are shorter than its default
    return cosine_similarity(theirs, ours, eps=0.0).min().item()


def input_gradient(machine: nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of the cross-entropy of each image: (B, 3, H, W) -> (B, 3·H·W), float64 for its cosine."""
    x = x.clone().requires_grad_()
    loss = cross_entropy(machine(x), target, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, x)
    return gradient.flatten(1).double()


def precision(rounds: int, device: str) -> dict[str, dict]:
    """The default machine on the packaged photos, in each precision there is."""
    x0, _ = load_photos(packaged_photos(), SIZE)
    loaded = {
        name: load_machine(LITE, device=device, precision=name)
        for name in PRECISIONS
        if device == "cuda" or name != "tf32"
    }
    x0 = x0.to(device)
    with torch.no_grad():
        label = loaded["float32"](x0).argmax(1)
    exact = input_gradient(loaded["float32"], x0, label)

    def once(M: nn.Module) -> torch.Tensor:
        return input_gradient(M, x0, label).cpu()  # which waits for a GPU

    times = interleaved({name: partial(once, M) for name, M in loaded.items()}, rounds)
    found = {}
    for name, M in loaded.items():
        seen = find_jnd(M, x0, label=label, max_iter=UPDATES, stop_at_K=True)
        found[name] = {
            "cosine": cosine_similarity(input_gradient(M, x0, label), exact).tolist(),
            "K": seen.K.tolist(),
            "jnd": seen.jnd.tolist(),
            **summary(times, "float32")[name],
        }
    return found


def arms(rounds: int) -> dict[str, dict]:
    """A forward and a gradient for three arms, in one batch and one arm after the other."""
    lite = load_machine(LITE, device="cpu")
    photos, _ = load_photos(packaged_photos(), SIZE)
    road, _ = load_picture("road", 320)
    detector = load_detector(device="cpu")

    def scores(x: torch.Tensor) -> torch.Tensor:
        return detector(x).logits

    return {
        f"{LITE}, one photo of {SIZE} px": three_arms(lite, photos[:1], rounds),
        f"{LITE}, {len(photos)} photos of {SIZE} px": three_arms(lite, photos, rounds),
        "retinanet_googlenet_fpn, one picture of 320 px": three_arms(scores, road, rounds),
    }


def three_arms(
    machine: Callable[[torch.Tensor], torch.Tensor], x0: torch.Tensor, rounds: int
) -> dict[str, dict]:
    def step(x: torch.Tensor) -> None:
        x = x.clone().requires_grad_()
        torch.autograd.grad(machine(x).square().sum(), x)

    def apart() -> None:
        for _ in range(3):
            step(x0)

    def together() -> None:
        step(x0.repeat(3, 1, 1, 1))

    return summary(interleaved({"apart": apart, "together": together}, rounds), "apart")


def early_leaving() -> dict[str, float]:
    """The packaged photos to the end of the updates, and the same where each leaves at its K."""
    machine = load_machine(LITE, device="cpu")
    x0, _ = load_photos(packaged_photos(), SIZE)
    descend = partial(find_jnd, machine, x0, max_iter=UPDATES)
    seconds = {}
    for stop in (False, True):
        began = time.perf_counter()
        found = descend(stop_at_K=stop)
        seconds["seconds, leaving" if stop else "seconds, to the end"] = time.perf_counter() - began
    left_at = found.K.where(found.K >= 0, UPDATES)
    return seconds | {
        "image steps, leaving": int((left_at + 1).sum()),
        "image steps, to the end": (UPDATES + 1) * len(x0),
        "photos": len(x0),
        "updates": UPDATES,
    }


def metrics(rounds: int) -> dict[str, dict]:
    """PSNR, UQI, SCC and VIF of one pair of 299×299, on one thread."""
    x, _ = load_photos(["coffee"], 299)
    y = (
        (x + 5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))
        .round()
        .clamp(0, 255)
    )
    pair = [image[0].permute(1, 2, 0).to(torch.uint8).numpy() for image in (x, y)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = interleaved(
        {
            "sewar": lambda: [f(*pair) for f in (sewar.psnr, sewar.uqi, sewar.scc, sewar.vifp)],
            "jnd": lambda: quality(x, y),
        },
        rounds,
    )
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
            "commit": commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "packages": {name: version(name) for name in packages},
            "rounds": args.rounds,
            "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        },
        "values": {
            "steps": steps(args.rounds),
            "leaving": early_leaving(),
            "precision": precision(args.rounds, device),
            "arms": arms(args.rounds),
            "metrics": metrics(args.rounds),
            "memory": json.loads(subprocess.check_output([sys.executable, MEMORY])),
            "gpu": on_gpu(args.rounds) if device == "cuda" else None,
            "browser": browser.beside_pytorch(args.rounds) if shutil.which("node") else None,
        },
    }
    for title, rows in content["values"]["steps"].items():
        print(title)
        for name, row in rows["contenders"].items():
            print(
                f"  {name:14s} {row['ms']:8.1f} ms  {row['ratio']:.2f} × the floor "
                f"({row['low']:.2f} to {row['high']:.2f})"
            )
    print({key: value for key, value in content["values"].items() if key != "steps"})
    args.out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
