"""Search for one run behind the paper's numbers.

    python data/recipes/one_run.py MACHINE SIZE [WEIGHTS]

One α, λ and N, the same with regularisation and without, would have to give K of 509 and 561, 38.83
and 18.83 dB, and 99 %. For each α the unregularised descent runs until its mean PSNR has fallen to
18.83 dB, or for 200 updates; only that number can be the paper's N for this α. The regularised
descents run as long, or until they rest. Writes data/measured/one_run_MACHINE.json.
"""

import json
import sys
from typing import Any

from torch import Tensor, nn

from companion.checkout import data_folder
from companion.files import write_atomically
from companion.photos import load_photos
from companion.provenance import origin, plain, subject
from companion.zoo import load_machine
from jnd.cost import WHITE, Cost
from jnd.descent import find_jnd

PHOTOS = [
    "goldfish", "cock", "flamingo", "king_penguin", "brown_bear", "african_elephant", "airliner",
    "castle", "sports_car", "strawberry",
]  # fmt: skip
WITHOUT = 18.83  # dB, Table I less 331.17
ALPHAS = (0.3, 0.1)
WEIGHTS = (1.0, 2.0)  # λ; αλ of 1 and more would diverge
MAX_ITER = 200
RESTED = 4.5  # αλk, after which x(0) is forgotten


def descend(machine: nn.Module, x0: Tensor, cost: Cost, alpha: float, max_iter: int) -> Any:
    """Return K, and for each k the mean PSNR and the mean confidence in the wrong answer."""
    trajectory = find_jnd(machine, x0, cost=cost, alpha=alpha, max_iter=max_iter)
    rms = trajectory.distance.double() / x0[0].numel() ** 0.5
    decibels = (20 * (WHITE / rms).log10()).mean(1)
    return {
        "K": trajectory.K.tolist(),
        "PSNR": decibels[1:].tolist(),
        "confidence": trajectory.confidence[1:, :, 1].double().mean(1).tolist(),
    }


def search(machine: nn.Module, x0: Tensor, alpha: float) -> dict[str, Any]:
    """Return the unregularised run at this α, and the regularised ones for each λ."""
    without = descend(machine, x0, Cost.arm("none"), alpha, MAX_ITER)
    passed = [k for k, decibels in enumerate(without["PSNR"], 1) if decibels <= WITHOUT]
    N = passed[0] if passed else MAX_ITER
    regularised = {}
    for weight in WEIGHTS:
        max_iter = min(N, round(RESTED / alpha / weight))
        run = descend(machine, x0, Cost(squared_distance=weight), alpha, max_iter)
        regularised[f"{weight:g}"] = {
            "K": run["K"],
            "updates": max_iter,
            "PSNR": run["PSNR"][-1],
            "confidence": run["confidence"][-1],
        }
    return {
        "N": N,
        "passes": bool(passed),
        "K": without["K"],
        "PSNR": without["PSNR"][N - 1],
        "confidence": without["confidence"][N - 1],
        "with": regularised,
    }


def main(name: str, size: int, weights: str = "bundled") -> None:
    machine = load_machine(name, weights)
    x0, hashes = load_photos(PHOTOS, size)
    values = {
        "photos": PHOTOS,
        "runs": {f"{alpha:g}": search(machine, x0, alpha) for alpha in ALPHAS},
    }
    provenance = {"profile": "custom", **subject([machine], f"{len(PHOTOS)} photos", hashes)}
    content = {"provenance": provenance | origin(), "values": plain(values)}
    path = data_folder() / "measured" / f"one_run_{name}.json"
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
