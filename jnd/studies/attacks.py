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
from foolbox import attacks as library
from foolbox.criteria import Misclassification
from foolbox.models import Model, PyTorchModel
from torch import Tensor, nn

from jnd.studies.metered import Attack, Metered, flips

SMALLEST = 1 / 16  # root mean square of the first change that is tried, grey levels
LARGEST = 256  # and of the last
FAR = 1e4  # a step so long that float32 keeps its direction, grey levels


@dataclass(frozen=True)
class Minimising:
    """An attack that looks for the smallest change itself.

    Attributes:
        method: foolbox's.
    """

    method: library.base.MinimizationAttack

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        model = _in_0_to_1(machine, x0)
        return 255 * self.method.run(model, x0 / 255, Misclassification(label))


@dataclass(frozen=True)
class OneStep:
    """The smallest step along a direction that flips.

    Attributes:
        method: foolbox's, of one step; it gives the direction.
        halvings: of the search, see :func:`~jnd.studies.attacks.smallest`.
    """

    method: library.base.FixedEpsilonAttack
    halvings: int = 7

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        unbounded = PyTorchModel(machine, bounds=(-math.inf, math.inf), device=x0.device)
        direction = self.method.run(unbounded, x0, Misclassification(label), epsilon=FAR) - x0
        direction = direction / direction.square().mean().sqrt()
        return smallest(
            lambda size: (x0 + size * direction).clamp(0, 255),
            lambda x: bool(flips(machine, label, x)),
            self.halvings,
        )


@dataclass(frozen=True)
class InBall:
    """The smallest ball around x(0) in which an attack finds something that flips.

    Attributes:
        method: walks within a ball of a given radius.
        halvings: of the search, see :func:`~jnd.studies.attacks.smallest`.
    """

    method: library.L2ProjectedGradientDescentAttack
    halvings: int = 4

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        model, criterion = _in_0_to_1(machine, x0), Misclassification(label)

        def walk(size: float) -> Tensor:
            radius = size / 255 * math.sqrt(x0.numel())
            return 255 * self.method.run(model, x0 / 255, criterion, epsilon=radius)

        return smallest(walk, lambda x: bool(flips(machine, label, x)), self.halvings)


def smallest(
    image_at: Callable[[float], Tensor], noticed: Callable[[Tensor], bool], halvings: int
) -> Tensor:
    """The least changed image that flips: its size is doubled until it does, and then bisected.

    Args:
        image_at: a size, the root mean square in grey levels -> an image changed by so much.
        noticed: whether the machine notices an image.
        halvings: of the interval between the last size that does not flip and the first that does.

    Returns:
        that image; one of NaN where nothing flips up to 256 grey levels.
    """
    low, high = 0.0, SMALLEST
    while not noticed(found := image_at(high)):
        low, high = high, 2 * high
        if high > LARGEST:
            return torch.full_like(found, torch.nan)
    for _ in range(halvings):
        middle = (low + high) / 2
        if noticed(tried := image_at(middle)):
            high, found = middle, tried
        else:
            low = middle
    return found


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
    steps = math.ceil(budget / (InBall.halvings + 1))  # of a walk; it is tried so often, at least
    searches: dict[str, Any] = dict(binary_search_steps=3, steps=math.ceil(2 * budget / 3))
    searches |= dict(stepsize=0.0005, initial_const=0.3, abort_early=False)
    # steps of Madry's 2.5 ε / steps
    walk: dict[str, Any] = dict(rel_stepsize=2.5 / steps, steps=steps, random_start=False)
    return {
        "FGSM": OneStep(library.LinfFastGradientAttack()),
        "FGV": OneStep(library.L2FastGradientAttack()),
        "PGD-L2": InBall(library.L2ProjectedGradientDescentAttack(**walk)),
        "DeepFool": Minimising(library.L2DeepFoolAttack(steps=max(50, budget))),
        "C&W-L2": Minimising(library.L2CarliniWagnerAttack(**searches)),
        "DDN": Minimising(library.DDNAttack(steps=budget, init_epsilon=0.3)),
    }


def _in_0_to_1(machine: nn.Module, x0: Tensor) -> Model:
    """For foolbox, whose settings are for pixels 0..1."""
    return PyTorchModel(machine, bounds=(0, 255), device=x0.device).transform_bounds((0, 1))
