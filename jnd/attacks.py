"""Other people's attacks on a machine, for comparison, and what each of them spends.

They are foolbox's: J. Rauber, R. Zimmermann, M. Bethge and W. Brendel, "Foolbox Native", Journal of
Open Source Software 5(53), 2020, doi:10.21105/joss.02607. Here are only their settings, the search
for the smallest step where an attack wants its size given, and the counting.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from eagerpy import astensor
from foolbox import attacks as library
from foolbox.criteria import Misclassification, TargetedMisclassification
from foolbox.devutils import atleast_kd
from foolbox.models import PyTorchModel
from torch import Tensor, nn

from jnd.checkpoint import Checkpoint
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.device import reproducible
from jnd.machines import frozen
from jnd.objectives import Towards

SMALLEST = 1 / 16  # root mean square of the first change that is tried, grey levels
LARGEST = 256  # and of the last
FAR = 1e4  # a step so long that float32 keeps its direction, grey levels


class Metered(nn.Module):
    """A machine that counts the input gradients taken of it, one for each image: ``gradients``."""

    def __init__(self, machine: nn.Module):
        super().__init__()
        self.machine, self.gradients = machine, 0
        self.precision = getattr(machine, "precision", "float32")

    def forward(self, pixels: Tensor) -> Any:
        if pixels.requires_grad:
            pixels.register_hook(self._count)
        return self.machine(pixels)

    def _count(self, gradient: Tensor) -> None:
        self.gradients += len(gradient)


Attack = Callable[[Metered, Tensor, Tensor, Tensor], Tensor]
"""Machine, x(0) (B, 3, H, W) in grey levels, label (B,), target (B,) -> the changed images, which
need not flip; NaN where the attack itself knows that it found nothing."""


@dataclass(frozen=True)
class Descent:
    """The paper's own, to be called like the others: to its end, or to x(K)."""

    cost: Cost
    alpha: float
    max_iter: int
    stop_at_K: bool = False

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor, target: Tensor) -> Tensor:
        return find_jnd(machine, x0, label=label, target=target, **vars(self)).x_end


class Noticed(TargetedMisclassification):
    """Pulls to the target, but is content, as K is, with any answer that is not the label."""

    def __init__(self, label: Tensor, target: Tensor):
        super().__init__(target)
        self.changed = Misclassification(label)

    def __call__(self, perturbed: Any, outputs: Any) -> Any:
        return self.changed(perturbed, outputs)


@dataclass(frozen=True)
class Minimising:
    """An attack that looks for the smallest change itself.

    Attributes:
        method: foolbox's.
        targeted: it can be pulled to a class.
    """

    method: library.base.MinimizationAttack
    targeted: bool = True

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor, target: Tensor) -> Tensor:
        criterion = Noticed(label, target) if self.targeted else Misclassification(label)
        return 255 * self.method.run(_in_0_to_1(machine, x0), x0 / 255, criterion)


@dataclass(frozen=True)
class OneStep:
    """The smallest step along a direction that flips.

    Attributes:
        method: foolbox's, of one step; it gives the direction.
        halvings: of the search, see :func:`~jnd.attacks.smallest`.
    """

    method: library.base.FixedEpsilonAttack
    halvings: int = 7

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor, target: Tensor) -> Tensor:
        unbounded = PyTorchModel(machine, bounds=(-math.inf, math.inf), device=x0.device)
        direction = self.method.run(unbounded, x0, Noticed(label, target), epsilon=FAR) - x0
        direction = direction / direction.square().mean((1, 2, 3), keepdim=True).sqrt()

        def step(some: Tensor, size: Tensor) -> Tensor:
            return (x0[some] + size.view(-1, 1, 1, 1) * direction[some]).clamp(0, 255)

        return smallest(x0, step, _noticed(machine, label, target), self.halvings)


class L2PGDOfRadii(library.L2ProjectedGradientDescentAttack):
    """foolbox's, with a radius ``epsilon`` (B,) for each image."""

    def get_optimizer(self, x: Any, stepsize: Any) -> Any:
        return super().get_optimizer(x, atleast_kd(stepsize, x.ndim))


@dataclass(frozen=True)
class InBall:
    """The smallest ball around x(0) in which an attack finds something that flips.

    Attributes:
        method: walks within balls of given radii.
        halvings: of the search, see :func:`~jnd.attacks.smallest`.
    """

    method: L2PGDOfRadii
    halvings: int = 4

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor, target: Tensor) -> Tensor:
        model = _in_0_to_1(machine, x0)

        def walk(some: Tensor, size: Tensor) -> Tensor:
            radius = astensor(size / 255 * math.sqrt(x0[0].numel()))
            wanted = Noticed(label[some], target[some])
            return 255 * self.method.run(model, x0[some] / 255, wanted, epsilon=radius)

        return smallest(x0, walk, _noticed(machine, label, target), self.halvings)


def smallest(
    x0: Tensor,
    image_at: Callable[[Tensor, Tensor], Tensor],
    flips: Callable[[Tensor, Tensor], Tensor],
    halvings: int,
) -> Tensor:
    """The least changed image that flips: its size is doubled until it does, and then bisected.

    Args:
        x0: (B, 3, H, W).
        image_at: numbers of some images (n,) and a size for each (n,), the root mean square in
            grey levels -> the images changed (n, 3, H, W).
        flips: these numbers and the images -> (n,) bool, whether the machine notices.
        halvings: of the interval between the last size that does not flip and the first that does.

    Returns:
        those images, (B, 3, H, W); NaN where nothing flips up to 256 grey levels.
    """
    found, images = x0.new_zeros(len(x0), dtype=torch.bool), torch.full_like(x0, torch.nan)
    low, high = x0.new_zeros(len(x0)), x0.new_full((len(x0),), SMALLEST)

    def look(some: Tensor, size: Tensor) -> Tensor:
        tried = image_at(some, size)
        there = flips(some, tried)
        images[some[there]] = tried[there]
        return there

    while len(left := (~found & (high <= LARGEST)).nonzero().flatten()):
        found[left] = look(left, high[left])
        left = left[~found[left]]
        low[left], high[left] = high[left], 2 * high[left]
    if len(some := found.nonzero().flatten()):
        for _ in range(halvings):
            middle = (low[some] + high[some]) / 2
            there = look(some, middle)
            low[some], high[some] = middle.where(~there, low[some]), middle.where(there, high[some])
    return images


def state_of_the_art(budget: int) -> dict[str, Attack]:
    """The attacks that ours is compared with, by their names.

    Whoever looks on after the first flip gets ``budget`` gradient evaluations or more. Where a
    setting is not said here it is foolbox's own.

    Args:
        budget: gradient evaluations for an image, as our descent takes them to its end.

    Raises:
        ValueError: budget is below 1.

    FGSM: I. Goodfellow, J. Shlens, C. Szegedy, ICLR 2015. FGV: A. Rozsa, E. Rudd, T. Boult, CVPR
    Workshops 2016. PGD: A. Madry et al., ICLR 2018. DeepFool: S. Moosavi-Dezfooli, A. Fawzi,
    P. Frossard, CVPR 2016. C&W: N. Carlini, D. Wagner, IEEE S&P 2017. DDN: J. Rony et al.,
    CVPR 2019.
    """
    if budget < 1:
        raise ValueError(f"budget = {budget}, but an attack needs at least 1 gradient")
    one_step = dict(rel_stepsize=1.0, steps=1, random_start=False)
    walk = InBall.halvings + 1  # times that a walk is tried, at least
    steps, searches = math.ceil(budget / walk), 3
    return {
        # foolbox's fast gradient attacks refuse a target; these are the same, and don't
        "FGSM": OneStep(library.LinfProjectedGradientDescentAttack(**one_step)),
        "FGV": OneStep(library.L2ProjectedGradientDescentAttack(**one_step)),
        "PGD-L2": InBall(
            L2PGDOfRadii(
                rel_stepsize=2.5 / steps,
                steps=steps,
                random_start=False,  # Madry's 2.5 ε / steps
            )
        ),
        "DeepFool": Minimising(library.L2DeepFoolAttack(steps=max(50, budget)), targeted=False),
        "C&W-L2": Minimising(
            library.L2CarliniWagnerAttack(
                binary_search_steps=searches,
                steps=math.ceil(2 * budget / searches),
                stepsize=0.003,
                initial_const=0.3,
                abort_early=False,
            )
        ),
        "DDN": Minimising(library.DDNAttack(steps=budget, init_epsilon=0.3)),
    }


@dataclass(frozen=True)
class Attacked:
    """What an attack made of B images.

    Attributes:
        images: (B, 3, H, W), grey levels; NaN where M's answer is still the label.
        gradients: (B,), gradient evaluations, the mean over the batch that an image was in.
        seconds: (B,), likewise.
    """

    images: Tensor
    gradients: Tensor
    seconds: Tensor


def attacked(
    attack: Attack,
    machine: nn.Module,
    x0: Tensor,
    label: Tensor,
    target: Tensor,
    *,
    batch: int = 1,
    progress: Callable[[range], Iterable[int]] = iter,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
) -> Attacked:
    """Attack images, count the gradients and take the time.

    No image influences another. But DeepFool stops when all images of a batch have flipped, so
    one that flips early is counted for longer than it needs.

    Args:
        attack: one of :func:`~jnd.attacks.state_of_the_art`, or any that is called alike.
        machine: maps pixels (B, 3, H, W) in 0..255 to logits; left as it was.
        x0: (B, 3, H, W), grey levels.
        label, target: (B,) int64.
        batch: images at a time.
        progress: wraps the range of images, as tqdm does.
        checkpoint: a file that keeps the images done, so that the same call goes on after an
            interruption, if the attack prints as it did; who no longer needs it deletes it.
        checkpoint_seconds: time between two writes of that file.
    """
    images, spent = torch.full_like(x0, torch.nan), torch.zeros(len(x0), 2, dtype=torch.float64)
    state = dict(images=images, spent=spent)
    saved = Checkpoint(checkpoint, checkpoint_seconds, machine, attack, x0, label, target, batch)
    tf32 = getattr(machine, "precision", "float32") == "tf32"
    with frozen(machine), reproducible(x0.device, tf32), torch.random.fork_rng():
        for first in progress(range(saved.restore(state), len(x0), batch)):
            torch.manual_seed(0)  # DDN draws a direction where the gradient vanishes
            metered, some = Metered(machine).eval(), torch.arange(len(x0))[first : first + batch]
            start = perf_counter()
            tried = attack(metered, x0[some], label[some], target[some])
            there = _noticed(metered, label, target)(some, tried).cpu()  # waits for the device too
            took = torch.tensor((metered.gradients, perf_counter() - start), dtype=torch.float64)
            spent[some] = took / len(some)
            images[some[there]] = tried[there]
            saved.save(first + len(some), state)
    saved.save(len(x0), state, now=True)
    return Attacked(images, *spent.T)


def _in_0_to_1(machine: nn.Module, x0: Tensor) -> PyTorchModel:
    """For foolbox, whose settings are for pixels 0..1."""
    return PyTorchModel(machine, bounds=(0, 255), device=x0.device).transform_bounds((0, 1))


def _noticed(
    machine: nn.Module, label: Tensor, target: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    @torch.no_grad()
    def flips(some: Tensor, images: Tensor) -> Tensor:
        there = images.isfinite().flatten(1).all(1)
        return there & Towards(label[some], target[some]).noticed(machine(images))

    return flips
