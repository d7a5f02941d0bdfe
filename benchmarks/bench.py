"""Time the descent and the metrics beside other libraries: make bench

Each contender runs in turn, round after round in one process, so that what slows the computer for
a while slows all of them; a ratio compares runs of the same round. Writes data/speed.json.
"""

import argparse
import copy
import json
import multiprocessing
import resource
import tempfile
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sewar
import torch
import torchvision
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from foolbox import PyTorchModel
from foolbox.attacks import LinfProjectedGradientDescentAttack
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torchattacks import PGD

from jnd import Cost, find_jnd, load_machine
from jnd.datasets import PACKAGED, load_photos
from jnd.metrics import quality
from jnd.objectives import ranked_class
from jnd.registry import DATA
from jnd.results import commit
from processor import processor

SETTINGS = [("googlenet", 224, 1), ("googlenet", 224, 4), ("inception_v3", 299, 1)]
STEPS = 5
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Classifier(nn.Module):
    """torchvision's network as it is, for images in 0..1: what other libraries are given."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network((x - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1))


def machines(architecture: str) -> tuple[Classifier, nn.Module]:
    """The same random weights as torchvision has them, and as jnd loads them."""
    torch.manual_seed(0)
    options = dict(num_classes=1000, aux_logits=False, init_weights=False, transform_input=False)
    network = torchvision.models.get_model(architecture, **options).eval()
    header = {
        "architecture": architecture,
        "categories": json.dumps([str(i) for i in range(1000)]),
        "mean": json.dumps((255 * MEAN).tolist()),
        "std": json.dumps((255 * STD).tolist()),
    }
    with tempfile.TemporaryDirectory() as folder:
        save_file(network.state_dict(), f"{folder}/weights.safetensors", header)
        return Classifier(network).eval(), load_machine(architecture, f"{folder}/weights.safetensors")


def contenders(classifier: Classifier, machine: nn.Module, x0: torch.Tensor) -> dict:
    """Name -> a function that takes ``STEPS`` steps from x0 (B, 3, H, W) in 0..255."""
    x, y = x0 / 255, torch.arange(len(x0))
    frozen = copy.deepcopy(classifier).requires_grad_(False)
    frozen = Classifier(classifier.network)

    def floor():
        here = x.clone()
        for _ in range(STEPS):
            here.requires_grad_()
            (gradient,) = torch.autograd.grad(cross_entropy(frozen(here), y), here)
            here = (here - gradient).detach()

    def ours(**options):
        return lambda: find_jnd(
            machine, x0, label=0, target=y + 1, max_iter=STEPS, **options
        )

    eps = 8 / 255
    pgd = PGD(classifier, eps=eps, alpha=eps / 10, steps=STEPS)
    bounded = PyTorchModel(classifier, bounds=(0, 1))
    foolbox_pgd = LinfProjectedGradientDescentAttack(steps=STEPS)
    art_model = PyTorchClassifier(
        classifier, nn.CrossEntropyLoss(), x.shape[1:], 1000, clip_values=(0, 1), device_type="cpu"
    )
    art_pgd = ProjectedGradientDescent(
        art_model, eps=eps, eps_step=eps / 10, max_iter=STEPS, batch_size=len(x), verbose=False
    )
    labels = np.eye(1000, dtype=np.float32)[y.numpy()]
    return {
        "floor": floor,
        "jnd, none": ours(cost=Cost.arm("none")),
        "jnd, full": ours(cost=Cost.arm("full")),
        "torchattacks": lambda: pgd(x, y),
        "foolbox": lambda: foolbox_pgd.run(bounded, x, y, epsilon=eps),
        "ART": lambda: art_pgd.generate(x.numpy(), labels),
    }


def interleaved(timed: dict, rounds: int) -> dict[str, list[float]]:
    """Name -> seconds of each round, after one round that does not count."""
    seconds = {name: [] for name in timed}
    for _ in range(rounds + 1):
        for name, function in timed.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    return {name: values[1:] for name, values in seconds.items()}


def summary(seconds: dict[str, list[float]], reference: str, per: int = 1) -> dict[str, dict]:
    """Median milliseconds, and the median and quartiles of the ratio to the reference."""
    rows = {}
    for name, values in seconds.items():
        ratios = np.array(values) / np.array(seconds[reference])
        low, middle, high = np.percentile(ratios, [25, 50, 75]).tolist()
        rows[name] = {"ms": 1e3 * float(np.median(values)) / per, "ratio": middle, "low": low, "high": high}
    return rows


def steps(rounds: int) -> dict[str, dict]:
    found = {}
    for architecture, size, batch in SETTINGS:
        classifier, machine = machines(architecture)
        x0, _ = load_photos(PACKAGED[:batch], size)
        times = interleaved(contenders(classifier, machine, x0), rounds)
        found[f"{architecture}, {size} px, batch {batch}"] = {
            "contenders": summary(times, "floor", STEPS),
            "cosine": gradient_cosine(classifier, machine, x0),
        }
    return found


def gradient_cosine(classifier: Classifier, machine: nn.Module, x0: torch.Tensor) -> float:
    """The smallest cosine over the batch between the input gradients of the two forms of a machine."""
    gradients = []
    for network, scale in ((classifier, 255), (machine, 1)):
        x = (x0 / scale).requires_grad_()
        loss = cross_entropy(network(x), torch.arange(len(x)), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        gradients.append(gradient.flatten(1))
    # eps: the gradients of random weights are shorter than its default
    return cosine_similarity(*gradients, eps=0.0).min().item()


def early_leaving() -> dict[str, float]:
    """Ten bundled photos to the end of 150 updates, and the same where each leaves at its K."""
    machine = load_machine("googlenet", device="cpu")
    x0, _ = load_photos(PACKAGED, 160)
    with torch.no_grad():
        target = ranked_class(machine(x0), 2)
    settings = dict(target=target, cost=Cost.arm("none"), alpha=200.0, max_iter=150)
    seconds = {}
    for stop in (False, True):
        began = time.perf_counter()
        found = find_jnd(machine, x0, **settings, stop_at_K=stop)
        seconds["seconds, leaving" if stop else "seconds, to the end"] = time.perf_counter() - began
    left_at = found.K.where(found.K >= 0, 150)
    return seconds | {
        "image steps, leaving": int((left_at + 1).sum()), "image steps, to the end": 151 * len(x0)
    }


def metrics(rounds: int) -> dict[str, dict]:
    """PSNR, UQI, SCC and VIF of one pair of 299×299, on one thread."""
    x, _ = load_photos(["coffee"], 299)
    y = (x + 5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).round().clamp(0, 255)
    pair = [image[0].permute(1, 2, 0).to(torch.uint8).numpy() for image in (x, y)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = interleaved({
        "sewar": lambda: [f(*pair) for f in (sewar.psnr, sewar.uqi, sewar.scc, sewar.vifp)],
        "jnd": lambda: quality(x, y),
    }, rounds)
    torch.set_num_threads(threads)
    return summary(times, "sewar")


def peak_memory(queue) -> None:
    """What a process holds at most, MB, for ten images of 299 px through Inception v3."""
    _, machine = machines("inception_v3")
    x0, _ = load_photos(PACKAGED[:10], 299)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    find_jnd(machine, x0, label=0, target=1, max_iter=3)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queue.put({"before": before / 1e3, "peak": after / 1e3})


def in_its_own_process(function) -> dict:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=function, args=(queue,))
    process.start()
    found = queue.get()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=DATA / "speed.json")
    args = parser.parse_args()
    packages = ("torch", "torchattacks", "foolbox", "adversarial-robustness-toolbox", "sewar")
    content = {
        "provenance": {
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "commit": commit(),
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "packages": {name: version(name) for name in packages},
            "rounds": args.rounds,
            "steps": STEPS,
        },
        "values": {
            "steps": steps(args.rounds),
            "leaving": early_leaving(),
            "metrics": metrics(args.rounds),
            "memory": in_its_own_process(peak_memory),
        },
    }
    for title, rows in content["values"]["steps"].items():
        print(title)
        for name, row in rows["contenders"].items():
            print(f"  {name:14s} {row['ms']:8.1f} ms  {row['ratio']:.2f} × the floor "
                  f"({row['low']:.2f} to {row['high']:.2f})")
    print({key: value for key, value in content["values"].items() if key != "steps"})
    args.out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
