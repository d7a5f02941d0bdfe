"""Other people's attacks on a machine, for comparison.

They are foolbox's: J. Rauber, R. Zimmermann, M. Bethge and W. Brendel, "Foolbox Native", Journal of
Open Source Software 5(53), 2020, doi:10.21105/joss.02607. Here are only their settings and the
search for the smallest step where an attack wants its size given.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from eagerpy import astensor
from foolbox import attacks as library
from foolbox.criteria import Misclassification, TargetedMisclassification
from foolbox.devutils import atleast_kd
from foolbox.models import Model, PyTorchModel
from torch import Tensor, nn

from jnd.studies.metered import Attack, Metered, flips

SMALLEST = 1 / 16  # root mean square of the first change that is tried, grey levels
LARGEST = 256  # and of the last
FAR = 1e4  # a step so long that float32 keeps its direction, grey levels


class PulledUntilNoticed(TargetedMisclassification):
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
        criterion = PulledUntilNoticed(label, target) if self.targeted else Misclassification(label)
        return 255 * self.method.run(_in_0_to_1(machine, x0), x0 / 255, criterion)


@dataclass(frozen=True)
class OneStep:
    """The smallest step along a direction that flips.

    Attributes:
        method: foolbox's, of one step; it gives the direction.
        halvings: of the search, see :func:`~jnd.studies.attacks.smallest`.
    """

    method: library.base.FixedEpsilonAttack
    halvings: int = 7

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor, target: Tensor) -> Tensor:
        unbounded = PyTorchModel(machine, bounds=(-math.inf, math.inf), device=x0.device)
        criterion = PulledUntilNoticed(label, target)
        direction = self.method.run(unbounded, x0, criterion, epsilon=FAR) - x0
        direction = direction / direction.square().mean((1, 2, 3), keepdim=True).sqrt()

        def step(some: Tensor, size: Tensor) -> Tensor:
            return (x0[some] + size.view(-1, 1, 1, 1) * direction[some]).clamp(0, 255)

        return smallest(x0, step, lambda some, x: flips(machine, label[some], x), self.halvings)


class L2PGDOfRadii(library.L2ProjectedGradientDescentAttack):
    """foolbox's, with a radius ``epsilon`` (B,) for each image."""

    def get_optimizer(self, x: Any, stepsize: Any) -> Any:
        of_each: Any = atleast_kd(stepsize, x.ndim)
        return super().get_optimizer(x, of_each)


@dataclass(frozen=True)
class InBall:
    """The smallest ball around x(0) in which an attack finds something that flips.

    Attributes:
        method: walks within balls of given radii.
        halvings: of the search, see :func:`~jnd.studies.attacks.smallest`.
    """

    method: L2PGDOfRadii
    halvings: int = 4

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor, target: Tensor) -> Tensor:
        model = _in_0_to_1(machine, x0)

        def walk(some: Tensor, size: Tensor) -> Tensor:
            radius: Any = astensor(size / 255 * math.sqrt(x0[0].numel()))
            wanted = PulledUntilNoticed(label[some], target[some])
            return 255 * self.method.run(model, x0[some] / 255, wanted, epsilon=radius)

        return smallest(x0, walk, lambda some, x: flips(machine, label[some], x), self.halvings)


def smallest(
    x0: Tensor,
    image_at: Callable[[Tensor, Tensor], Tensor],
    noticed: Callable[[Tensor, Tensor], Tensor],
    halvings: int,
) -> Tensor:
    """The least changed image that flips: its size is doubled until it does, and then bisected.

    Args:
        x0: (B, 3, H, W).
        image_at: numbers of some images (n,) and a size for each (n,), the root mean square in
            grey levels -> the images changed (n, 3, H, W).
        noticed: these numbers and the images -> (n,) bool, whether the machine notices.
        halvings: of the interval between the last size that does not flip and the first that does.

    Returns:
        those images, (B, 3, H, W); NaN where nothing flips up to 256 grey levels.
    """
    found, images = x0.new_zeros(len(x0), dtype=torch.bool), torch.full_like(x0, torch.nan)
    low, high = x0.new_zeros(len(x0)), x0.new_full((len(x0),), SMALLEST)

    def look(some: Tensor, size: Tensor) -> Tensor:
        tried = image_at(some, size)
        flipped = noticed(some, tried)
        images[some[flipped]] = tried[flipped]
        return flipped

    while len(left := (~found & (high <= LARGEST)).nonzero().flatten()):
        found[left] = look(left, high[left])
        left = left[~found[left]]
        low[left], high[left] = high[left], 2 * high[left]
    if len(some := found.nonzero().flatten()):
        for _ in range(halvings):
            middle = (low[some] + high[some]) / 2
            flipped = look(some, middle)
            low[some] = middle.where(~flipped, low[some])
            high[some] = middle.where(flipped, high[some])
    return images


def state_of_the_art(budget: int) -> dict[str, Attack]:
    """The attacks that ours is compared with, by their names.

    An attack that goes on after the first flip gets at least ``budget`` gradient evaluations.
    Where a setting is not said here it is foolbox's own.

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
    one_step: dict[str, Any] = dict(rel_stepsize=1.0, steps=1, random_start=False)
    steps = math.ceil(budget / (InBall.halvings + 1))  # of a walk; it is tried so often, at least
    searches: dict[str, Any] = dict(binary_search_steps=3, steps=math.ceil(2 * budget / 3))
    searches |= dict(stepsize=0.003, initial_const=0.3, abort_early=False)
    return {
        # foolbox's fast gradient attacks refuse a target; these are the same, and don't
        "FGSM": OneStep(library.LinfProjectedGradientDescentAttack(**one_step)),
        "FGV": OneStep(library.L2ProjectedGradientDescentAttack(**one_step)),
        # steps of Madry's 2.5 ε / steps
        "PGD-L2": InBall(L2PGDOfRadii(rel_stepsize=2.5 / steps, steps=steps, random_start=False)),
        "DeepFool": Minimising(library.L2DeepFoolAttack(steps=max(50, budget)), targeted=False),
        "C&W-L2": Minimising(library.L2CarliniWagnerAttack(**searches)),
        "DDN": Minimising(library.DDNAttack(steps=budget, init_epsilon=0.3)),
    }


def _in_0_to_1(machine: nn.Module, x0: Tensor) -> Model:
    """For foolbox, whose settings are for pixels 0..1."""
    return PyTorchModel(machine, bounds=(0, 255), device=x0.device).transform_bounds((0, 1))
