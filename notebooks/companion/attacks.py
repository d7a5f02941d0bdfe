"""Published attacks, and our descent in the same form: run image by image, gradients counted.

They are foolbox's: J. Rauber, R. Zimmermann, M. Bethge and W. Brendel, "Foolbox Native", Journal of
Open Source Software 5(53), 2020, doi:10.21105/joss.02607. Only their settings are chosen here, and
the smallest size is searched for where an attack has to be given one.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from time import perf_counter
from typing import Any

import torch
from foolbox import attacks as library
from foolbox.criteria import Misclassification
from foolbox.models import Model, PyTorchModel
from torch import Tensor, nn

from companion.bisection import bisect
from companion.checkpoint import Checkpoint
from companion.tables import flips
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.guards import deterministic, frozen

SMALLEST = 1 / 16  # root mean square of the first change tried, grey levels
LARGEST = 256  # and of the last
FAR = 1e4  # a step so long that float32 keeps its direction, grey levels


class Metered(nn.Module):
    """A machine that counts the input gradients taken of it.

    Attributes:
        gradients: their number, one for each image.
    """

    def __init__(self, machine: nn.Module):
        super().__init__()
        self.machine = machine
        self.gradients = 0

    def forward(self, pixels: Tensor) -> Any:
        if pixels.requires_grad:
            pixels.register_hook(self._count)
        return self.machine(pixels)

    def _count(self, gradient: Tensor) -> None:
        self.gradients += len(gradient)


Attack = Callable[[Metered, Tensor, Tensor], Tensor]
"""Machine, one x(0) (1, 3, H, W) in grey levels and its label (1,) -> the changed image, which need
not flip; NaN where the attack itself knows that it has failed."""


@dataclass(frozen=True)
class Descent:
    """The paper's descent away from the label as an attack: to its end, or to x(K)."""

    cost: Cost
    alpha: float
    max_iter: int
    stop_at_K: bool = False

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        return find_jnd(machine, x0, label=label, **vars(self)).x_end


@dataclass(frozen=True)
class Minimising:
    """An attack that looks for the smallest change itself: ``method``, foolbox's."""

    method: library.base.MinimizationAttack

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        model = _in_0_to_1(machine, x0)
        return 255 * self.method.run(model, x0 / 255, Misclassification(label))


@dataclass(frozen=True)
class OneStep:
    """The smallest step that flips in the direction of an attack of one step.

    Attributes:
        method: foolbox's, which gives the direction.
        halvings: of :func:`smallest`.
    """

    method: library.base.FixedEpsilonAttack
    halvings: int = 7

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        unbounded = PyTorchModel(machine, bounds=(-math.inf, math.inf), device=x0.device)
        direction = self.method.run(unbounded, x0, Misclassification(label), epsilon=FAR) - x0
        direction = direction / direction.square().mean().sqrt()

        def step(size: float) -> Tensor:
            return (x0 + size * direction).clamp(0, 255)

        return smallest(step, partial(flips, machine, label), self.halvings)


@dataclass(frozen=True)
class InBall:
    """The smallest ball around x(0) within which an attack flips the answer.

    Attributes:
        method: foolbox's, which walks within a ball of a given radius.
        halvings: of :func:`smallest`.
    """

    method: library.L2ProjectedGradientDescentAttack
    halvings: int = 4

    def __call__(self, machine: Metered, x0: Tensor, label: Tensor) -> Tensor:
        model = _in_0_to_1(machine, x0)
        criterion = Misclassification(label)

        def walk(size: float) -> Tensor:
            radius = size / 255 * math.sqrt(x0.numel())
            return 255 * self.method.run(model, x0 / 255, criterion, epsilon=radius)

        return smallest(walk, partial(flips, machine, label), self.halvings)


def _in_0_to_1(machine: nn.Module, x0: Tensor) -> Model:
    """The machine for foolbox, whose settings are for pixels 0..1."""
    return PyTorchModel(machine, bounds=(0, 255), device=x0.device).transform_bounds((0, 1))


def smallest(
    image_at: Callable[[float], Tensor], noticed: Callable[[Tensor], Tensor], halvings: int
) -> Tensor:
    """Find the smallest change that flips: double its size until the answer does, then bisect.

    Args:
        image_at: the image changed by a size, the root mean square in grey levels.
        noticed: whether the machine notices an image: (1,) bool.
        halvings: of the interval between the last size that does not flip and the first that does.

    Returns:
        that image; one of NaN where nothing flips up to 256 grey levels.
    """
    image_at = cache(image_at)  # an image may cost a whole attack
    near = torch.zeros(1)
    far = torch.tensor([SMALLEST])
    while not noticed(image_at(far.item())):
        if far >= LARGEST:
            return torch.full_like(image_at(far.item()), torch.nan)
        near = far
        far = 2 * far
    far = bisect(lambda size: noticed(image_at(size.item())).cpu(), near, far, halvings)
    return image_at(far.item())


def state_of_the_art(budget: int) -> dict[str, Attack]:
    """The attacks with which ours is compared, by name.

    An attack that continues after the first flip gets at least ``budget`` gradient evaluations.
    Settings not given here are foolbox's defaults.

    Args:
        budget: gradient evaluations per image, as many as our descent takes to its end.

    Raises:
        ValueError: budget is below 1.

    FGSM: I. Goodfellow, J. Shlens, C. Szegedy, ICLR 2015. FGV: A. Rozsa, E. Rudd, T. Boult, CVPR
    Workshops 2016. PGD: A. Madry et al., ICLR 2018. DeepFool: S. Moosavi-Dezfooli, A. Fawzi,
    P. Frossard, CVPR 2016. C&W: N. Carlini, D. Wagner, IEEE S&P 2017. DDN: J. Rony et al.,
    CVPR 2019.
    """
    if budget < 1:
        raise ValueError(f"budget = {budget}, but an attack needs at least 1 gradient")
    steps = math.ceil(budget / (InBall.halvings + 1))  # of a walk, repeated at least so often
    # steps of Madry's 2.5 ε / steps
    walk: dict[str, Any] = dict(rel_stepsize=2.5 / steps, steps=steps, random_start=False)
    carlini_wagner: dict[str, Any] = dict(
        binary_search_steps=3,
        steps=math.ceil(2 * budget / 3),
        stepsize=0.0005,
        initial_const=0.3,
        abort_early=False,
    )
    return {
        "FGSM": OneStep(library.LinfFastGradientAttack()),
        "FGV": OneStep(library.L2FastGradientAttack()),
        "PGD-L2": InBall(library.L2ProjectedGradientDescentAttack(**walk)),
        "DeepFool": Minimising(library.L2DeepFoolAttack(steps=max(50, budget))),
        "C&W-L2": Minimising(library.L2CarliniWagnerAttack(**carlini_wagner)),
        "DDN": Minimising(library.DDNAttack(steps=budget, init_epsilon=0.3)),
    }


@dataclass(frozen=True)
class Attacked:
    """The result of an attack on B images.

    Attributes:
        images: (B, 3, H, W), grey levels; NaN where M's answer is still the label.
        gradients: (B,), gradient evaluations.
        seconds: (B,).
    """

    images: Tensor
    gradients: Tensor
    seconds: Tensor


def run_attack(
    attack: Attack,
    machine: nn.Module,
    x0: Tensor,
    label: Tensor,
    *,
    progress: Callable[[range], Iterable[int]] = iter,
    checkpoint: Checkpoint | None = None,
) -> Attacked:
    """Attack images one by one, count the gradients and take the time.

    Args:
        attack: one of :func:`state_of_the_art`, or any with the same signature.
        machine: maps pixels (B, 3, H, W) in 0..255 to logits; left as it was.
        x0: (B, 3, H, W), grey levels.
        label: (B,) int64.
        progress: a wrapper for the range of the images' numbers, such as a progress bar.
        checkpoint: where to keep the state between images.
    """
    state = {
        "images": torch.full_like(x0, torch.nan),
        "gradients": torch.zeros(len(x0), dtype=torch.float64),
        "seconds": torch.zeros(len(x0), dtype=torch.float64),
        "done": torch.tensor(0),
    }
    saved = checkpoint.load() if checkpoint else None
    for name, tensor in (saved or {}).items():
        state[name].copy_(tensor)
    with frozen(machine), deterministic(x0.device), torch.random.fork_rng():
        for i in progress(range(int(state["done"]), len(x0))):
            torch.manual_seed(0)  # DDN draws a direction where the gradient vanishes
            metered = Metered(machine).eval()
            one = slice(i, i + 1)
            start = perf_counter()
            image = attack(metered, x0[one], label[one])
            flipped = bool(flips(metered, label[one], image))  # waits for the device too
            state["seconds"][i] = perf_counter() - start
            state["gradients"][i] = metered.gradients
            if flipped:
                state["images"][one] = image
            state["done"].fill_(i + 1)
            if checkpoint:
                checkpoint.save(state, now=i + 1 == len(x0))
    return Attacked(state["images"], state["gradients"], state["seconds"])
