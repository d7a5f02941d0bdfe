"""Search for one run behind the paper's numbers: one α, one λ and one N for both columns.

    python data/recipes/one_run.py MACHINE SIZE [WEIGHTS]

Each of the ten photos of the profile "paper" descends without regularisation until it is at the
paper's 18.83 dB. If it gets there, it descends with all three terms for as many updates, with λ at
several shares of the limit above which the photo should not flip. α is such that the formulas of
the notebook "derivation" give K = 25, for each photo its own. The paper's K of 509 and 561 would
take twenty times as long with the same result, as far as only α k counts. Adam's averages, which
last for 10 and 1,000 updates, don't scale. Momentum is not tried: after its first few updates it is
plain descent with a larger α.

Writes data/measured/one_run_MACHINE.json.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from companion.checkout import data_folder
from companion.files import write_json
from companion.parameters import profile_settings
from companion.photos import load_photos
from companion.provenance import origin, plain, subject
from companion.studies.derivation import flow_time_to_K, slope, trapping_weight
from companion.zoo import load_machine
from jnd.cost import WHITE, Cost
from jnd.guards import frozen
from jnd.metrics import psnr
from jnd.objectives import Objective, class_change, ranked_class

PRINTED = 18.83  # dB, Table I without regularisation
SMALL_K = 25
LONGEST = 10 * SMALL_K  # our choice: N of at most about 10 K
SHARES = (0.5, 0.25, 0.1)  # of the limit of λ


def unchanged(gradient: Tensor, history: list[Tensor]) -> Tensor:
    return gradient


def normalised(gradient: Tensor, history: list[Tensor]) -> Tensor:
    return gradient / gradient.norm()


def sign(gradient: Tensor, history: list[Tensor]) -> Tensor:
    return gradient.sign() / gradient.numel() ** 0.5


def adam(gradient: Tensor, history: list[Tensor]) -> Tensor:
    """Adam with its usual constants; ``history`` holds both averages and the number of updates."""
    if not history:
        history += [torch.zeros_like(gradient), torch.zeros_like(gradient), torch.tensor(0)]
    mean, square, count = history
    count += 1
    mean.lerp_(gradient, 0.1)
    square.lerp_(gradient.square(), 0.001)
    step = mean / (1 - 0.9**count) / ((square / (1 - 0.999**count)).sqrt() + 1e-8)
    return step / gradient.numel() ** 0.5


RULES = {"plain": unchanged, "normalised": normalised, "sign": sign, "Adam": adam}


def descend(
    machine: nn.Module,
    x0: Tensor,
    objective: Objective,
    rule: Callable[[Tensor, list[Tensor]], Tensor],
    alpha: float,
    cost: Cost,
    max_iter: int,
) -> dict[str, float]:
    """Descend for ``max_iter`` updates, or until the image is at the printed PSNR.

    Returns:
        ``K``, -1 for none; ``N``, the updates made; ``psnr`` and ``confidence`` at N.
    """
    x = x0
    history: list[Tensor] = []
    K = -1
    for k in range(max_iter + 1):
        x.requires_grad_()
        with torch.enable_grad():
            output = machine(x)
            total = cost(objective.loss(output), x, x0)
            (gradient,) = torch.autograd.grad(total.sum(), x)
        x = x.detach()
        if K < 0 and objective.noticed(output).item():
            K = k
        decibels = psnr(x0, x).item()
        if not decibels > PRINTED:
            break
        if k < max_iter:
            x = x - alpha * WHITE * rule(WHITE * gradient, history)
    confidence = objective.confidence(output)[0, 1].item()
    return {"K": K, "N": k, "psnr": decibels, "confidence": confidence}


def search(machine: nn.Module, x0: Tensor, direction: str, rule: str) -> dict[str, object]:
    """Both columns of one reading on one photo, (1, 3, H, W)."""
    logits = machine(x0)
    label = logits.argmax(1)
    target = ranked_class(logits, 2) if direction == "towards" else None
    objective = class_change(logits, label, target)
    at_x0 = slope(machine, x0, label)
    g = at_x0.steepness.item()
    to_border = (at_x0.log_odds - at_x0.runner_up.log()).item() / g
    if direction == "away":
        limit = trapping_weight(at_x0).item()
        flow_time = flow_time_to_K(at_x0, torch.zeros(1)).item()
    else:  # at first the pull is g, and about g / 2 at the border
        limit = g / (4 * to_border)
        flow_time = to_border / g
    alpha = (flow_time if rule == "plain" else to_border) / SMALL_K
    arguments = (machine, x0, objective, RULES[rule], alpha)
    without = descend(*arguments, Cost.arm("none"), LONGEST)
    result: dict[str, object] = {"alpha": alpha, "limit": limit, "without": without, "with": {}}
    if without["psnr"] <= PRINTED:
        costs = {share: Cost(squared_distance=share * limit) for share in SHARES}
        N = int(without["N"])
        result["with"] = {share: descend(*arguments, cost, N) for share, cost in costs.items()}
    return result


def main(name: str, size: int, weights: str = "bundled") -> None:
    machine = load_machine(name, weights)
    photos = profile_settings("imagenet", "paper")["photos"]
    x0, hashes = load_photos(photos, size)
    described = subject([machine], f"{len(photos)} photos", hashes)
    provenance = {"profile": "custom", **described, **origin()}  # before a file changes
    readings: dict[str, list] = {}
    path = data_folder() / "measured" / f"one_run_{name}.json"
    for direction in ("away", "towards"):
        for rule in RULES:
            with torch.no_grad(), frozen(machine):
                runs = [search(machine, photo[None], direction, rule) for photo in x0]
            readings[f"{direction}, {rule}"] = runs
            print(direction, rule, runs, flush=True)
            values = {"photos": photos, "readings": readings}
            content = {"provenance": provenance, "values": plain(values)}
            write_json(path, content)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
