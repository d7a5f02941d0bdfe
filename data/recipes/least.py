"""Search ten ImageNet photos for the smallest change that flips EfficientNet-Lite0's answer.

    python data/recipes/least.py

The protocol is AttackBench's, by its authors' library: each attack may send an image through the
network and its gradient back 2,000 times in all, and the smallest change met on the way counts,
clipped to the range of pixels. A. E. Cinà et al., "AttackBench: Evaluating Gradient-based Attacks
for Adversarial Examples", AAAI 2025, arXiv 2404.19460. The settings are its authors', but for the
number of steps of PDGD and of foolbox's FMN, which get as many as the budget allows. TR stops at
its first flip. Ours is the descent to x(K), with all three terms and several α.

Writes data/measured/least.json after every attack. Attacks that it has already of the same photos,
machine and libraries are not run again.
Needs adv-lib, attackbenchlib and foolbox: pip install --no-deps -r tests/requirements.lock.
"""

import json
import sys
from functools import partial
from importlib.metadata import version
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from companion.checkout import data_folder
from companion.files import write_json
from companion.parameters import profile_parameters
from companion.photos import load_photos
from companion.provenance import origin, plain, subject
from companion.zoo import load_machine
from jnd.cost import WHITE
from jnd.descent import find_jnd
from jnd.trajectory import distance

# the libraries import these loggers; nothing here uses them
for logger in ("visdom", "wandb"):
    sys.modules[logger] = ModuleType(logger)
    sys.modules[logger].Api = None  # type: ignore[attr-defined]

import attackbench  # noqa: E402
from adv_lib.attacks import alma, ddn, fmn, pdgd, tr  # noqa: E402
from attackbench.attacks.foolbox.wrapper import foolbox_wrapper  # noqa: E402
from foolbox.attacks import L2FMNAttack  # noqa: E402

STEPS = 1000  # half of the 2,000 passes are gradients
# what attacks in one file have in common
SAME = ("data_sha256", "machine_sha256", "libraries")
PATH = data_folder() / "measured" / "least.json"


class Scaled(nn.Module):
    """A machine for pixels in another unit.

    Args:
        factor: times which pixels are those of the machine.
    """

    def __init__(self, machine: nn.Module, factor: float):
        super().__init__()
        self.machine = machine
        self.factor = factor

    def forward(self, pixels: Tensor) -> Tensor:
        return self.machine(self.factor * pixels)


def descent(model: nn.Module, inputs: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Return x(K), or the end of the run where there is no K, for pixels in 0..1."""
    machine = Scaled(model, 1 / WHITE)
    trajectory = find_jnd(
        machine, WHITE * inputs, label=labels, alpha=alpha, max_iter=STEPS - 1, stop_at_K=True
    )
    return trajectory.x_end / WHITE


def fmn_l2(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """FMN in the Euclidean norm, of which adv-lib does not know the benchmark's name, "l2"."""
    return fmn(model, inputs, labels, norm=2, steps=STEPS)


OURS = {f"x(K), α = {alpha:g}": partial(descent, alpha=alpha) for alpha in (0.0005, 0.001, 0.004)}
ATTACKS = OURS | {
    "DDN, adv-lib": partial(ddn, steps=STEPS, levels=None),
    "FMN, adv-lib": fmn_l2,
    "FMN, foolbox": partial(foolbox_wrapper, partial(L2FMNAttack, steps=STEPS)),
    "ALMA, adv-lib": partial(alma, num_steps=STEPS, init_lr_distance=0.1),
    "PDGD, adv-lib": partial(pdgd, num_steps=STEPS),
    "TR, adv-lib": tr,
}


def optimality(results: dict) -> dict[str, float]:
    """AttackBench's local optimality of each attack among all of them."""
    changes = {name: np.array(result["change"], dtype=float) for name, result in results.items()}
    for values in changes.values():
        values[np.isnan(values)] = np.inf
    least = np.min([*changes.values()], axis=0)
    return {
        name: attackbench.eval_optimality(values, least, 1.0) for name, values in changes.items()
    }


def known(provenance: dict) -> dict[str, dict]:
    """Return the attacks of an earlier run of the same photos, machine and libraries."""
    if not PATH.exists():
        return {}
    content = json.loads(PATH.read_text("utf-8"))
    same = all(content["provenance"].get(key) == provenance[key] for key in SAME)
    attacks = content["values"]["attacks"] if same else {}
    return {name: result for name, result in attacks.items() if name in ATTACKS}


def best(results: dict[str, dict]) -> dict[str, dict]:
    """Return our descent with the best α for each photo, and what all of them cost."""
    ours = [result for name, result in results.items() if name in OURS]
    changes = np.array([result["change"] for result in ours], dtype=float)
    cost = np.array([result["gradients"] for result in ours])
    return {"change": np.nanmin(changes, axis=0).tolist(), "gradients": cost.sum(axis=0).tolist()}


def main() -> None:
    machine = load_machine("efficientnet_lite0", "bundled")
    photos = profile_parameters("imagenet", "paper")["photos"]
    x0, hashes = load_photos(photos, 224)
    model = Scaled(machine, WHITE).eval()
    inputs = x0 / WHITE
    with torch.no_grad():
        labels = model(inputs).argmax(1)
    norm = distance(x0, torch.zeros_like(x0)) / WHITE
    provenance = {"profile": "custom", **subject([machine], f"{len(photos)} photos", hashes)}
    libraries = {name: version(name) for name in ("adv-lib", "attackbenchlib", "foolbox")}
    provenance |= {"libraries": libraries}
    results = known(provenance)
    for name, attack in ATTACKS.items():
        if name in results:
            continue
        print(name, flush=True)
        loader = DataLoader(TensorDataset(inputs, labels), batch_size=len(inputs))
        run = attackbench.run_attack(model, loader, attack, "l2", torch.device("cpu"), debug=True)
        smallest = torch.tensor(run["distances"]["l2"]) / norm
        results[name] = {
            "change": smallest.tolist(),
            "forwards": run["num_forwards"],
            "gradients": run["num_backwards"],
        }
        attacks = {"x(K), best α": best(results)} | results
        values = {"photos": photos, "attacks": attacks, "optimality": optimality(attacks)}
        content = {"provenance": provenance | origin(), "values": plain(values)}
        write_json(PATH, content)


if __name__ == "__main__":
    main()
