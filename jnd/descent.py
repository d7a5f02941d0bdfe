"""The descent of Eq. 2 and 3, which finds K and x(K)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from jnd.cost import WHITE, Cost
from jnd.guards import (
    NO_GRADIENT,
    as_images,
    check_machine,
    deterministic,
    fails_by_size,
    frozen,
    watched_input,
)
from jnd.objectives import Objective, class_change
from jnd.trajectory import VIEWS, Recording, Trajectory

DEFAULT = Cost()


def update(x: Tensor, cost: Tensor, alpha: float) -> Tensor:
    """Make one update of Eq. 2, x(k + 1) = x(k) + n(k), with n(k) = −α ∂Cost/∂x(k) of Eq. 3.

    Args:
        x: (B, 3, H, W), x(k), from which ``cost`` was computed.
        cost: (B,), Eq. 1 of each image.
        alpha: learning rate α for pixels in 0..1; multiplied by 255² for grey levels.

    Returns:
        x(k + 1), (B, 3, H, W), grey levels.
    """
    (gradient,) = torch.autograd.grad(cost.sum(), x)
    return x.detach() - alpha * WHITE**2 * gradient


def find_jnd(
    machine: nn.Module,
    x0: Tensor,
    *,
    label: Tensor | int | None = None,
    target: Tensor | int | None = None,
    objective: Objective | None = None,
    cost: Callable[[Tensor, Tensor, Tensor], Tensor] = DEFAULT,
    alpha: float = 0.001,
    max_iter: int = 1000,
    pixels: Literal["float", "clipped", "8bit"] = "float",
    stop_at_K: bool = False,
    watch: Sequence[Callable[[Recording], None]] = (),
    resume: Mapping[str, Tensor] | None = None,
) -> Trajectory:
    """Descend on Eq. 1 and find the first image for which the machine's answer changes.

    x(k + 1) = x(k) − α ∂Cost/∂x(k) (Eq. 2) for k = 0 .. max_iter − 1. Images are independent:
    results match running each alone, up to rounding that depends on batch size. An update costs
    one forward and one input gradient, without synchronising the device; finding the label costs
    one forward more. The machine is left as it was.

    If M is sure of an image, the squared distance can hold it for ever (K = -1). Then its weight λ
    must be less than about g² exp(1 − m) / 2, with m the log-odds of the label and g the norm of
    its gradient at x0, for pixels in 0..1.

    Args:
        machine: maps pixels (B, 3, H, W) in 0..255 to logits (B, C).
        x0: (B, 3, H, W) floating point, grey levels 0..255.
        label: class of each image, (B,) or one for all; None: the machine's answer for x0. K is 0
            where that answer is not ``label``.
        target: class to pull to, (B,) or one for all; None: away from ``label``.
        objective: what to ask of the machine's output instead of a change of class.
        cost: Eq. 1, from loss (B,), x and x0 (B, 3, H, W) to (B,).
        alpha: learning rate α, for pixels in 0..1, as are the weights of the cost.
        max_iter: number of updates.
        pixels: what M judges: x(k) (``"float"``), x(k) clipped to 0..255 (``"clipped"``) or also
            rounded (``"8bit"``), so that K is the first *picture* that M notices. The last two
            cost one more forward per iteration and also give K and x(K) of x(k) itself.
        stop_at_K: stop each image once K, with and without rounding, is known, so that time grows
            with the sum of K; costs one device synchronisation per iteration.
        watch: functions called once per iteration with the :class:`~jnd.trajectory.Recording`,
            after M's answer for x(k) is recorded and before the update; its tensors change later.
        resume: ``state`` of the recording of an interrupted call with the same arguments. On the
            same device the result is the same to the bit.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or out of range, or no gradient
            reaches the pixels (see the message).
        DivergedError: an image diverged to NaN or infinity.

    Reference: Akan, Genc and Yarman Vural, ICIP 2020, Sections III and IV.
    """
    _check(alpha, max_iter, pixels)
    check_machine(machine)
    if objective is not None and (label is not None or target is not None):
        raise ValueError("give either objective or label and target, not both")
    x0 = as_images(x0, pixels)
    # in the caller's inference mode there would be no gradients
    with torch.inference_mode(False), frozen(machine), deterministic(x0.device), torch.no_grad():
        recording = Recording(x0, max_iter, pixels, stop_at_K)
        if resume:
            recording.restore(resume)
        if objective is None:
            with fails_by_size(x0):
                answer = machine(x0)
            objective = class_change(answer, label, target)
        reached: list[bool] = []
        for k in range(recording.k, max_iter + 1):
            active = recording.active
            subset_objective = objective.select(active)
            x = recording.x[active].requires_grad_(k < max_iter)
            with torch.enable_grad():
                output = machine(watched_input(x, reached) if k == 0 else x)
                loss = subset_objective.loss(output)
                total = cost(loss, x, x0[active])
                if k < max_iter and not loss.requires_grad:
                    raise ValueError(NO_GRADIENT)
                # before the answers, so that the memory of the forward is free again
                x_next = update(x, total, alpha) if k < max_iter else x
            if (
                k == 0
                and reached == [False]
                and (subset_objective.confidence(output) < 1).all(1).any()
            ):
                raise ValueError(NO_GRADIENT)  # where M is sure beyond rounding, its loss is flat
            judged_output = output if pixels == "float" else machine(VIEWS[pixels](x))
            noticed = subset_objective.noticed(judged_output)
            recording.note(
                k,
                subset_objective.confidence(judged_output).to(x0.dtype),
                noticed,
                noticed if pixels == "float" else subset_objective.noticed(output),
            )
            for watcher in watch:
                watcher(recording)
            if recording.done:
                break
            recording.move(x_next)
    return recording.trajectory(objective, alpha)


def _check(alpha: float, max_iter: int, pixels: str) -> None:
    if pixels not in VIEWS:
        raise ValueError(f"pixels = {pixels!r}: choose 'float', 'clipped' or '8bit'")
    if not 0 < alpha < float("inf"):
        raise ValueError(f"alpha = {alpha}, but the learning rate must be positive and finite")
    if max_iter < 1:
        raise ValueError(f"max_iter = {max_iter}, but at least 1 update is needed")
