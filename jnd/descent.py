"""The descent of Eq. 2 and 3 and the just noticeable difference of Eq. 4."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jnd.checkpoint import Checkpoint
from jnd.cost import Cost
from jnd.device import Parts, reproducible
from jnd.machines import frozen
from jnd.objectives import Objective, class_change


@dataclass(frozen=True)
class Trajectory:
    """What :func:`find_jnd` saw on its way, for B images and N = max_iter updates.

    Attributes:
        x0: (B, 3, H, W), the images it started from.
        x_jnd: (B, 3, H, W), x(K): the just noticeably different images; NaN where K is -1.
        x_end: (B, 3, H, W), x(N).
        K: (B,) int64, the first k at which M's answer differs; -1: at no k up to N.
        K_8bit: (B,) int64, the same for x(k) rounded and clipped to 8 bits; None: not asked for.
        confidence: (N + 1, B, 2), M's confidence in label and target at x(k).
        distance: (N + 1, B), ‖x(k) − x(0)‖₂ in grey levels.
        noticed: (N + 1, B) bool, M(x(k)) differs.
        objective: the loss with its labels and targets.

    Of an image that left at K, x_end is x(K), and there is nothing later: NaN and False.
    """

    x0: Tensor
    x_jnd: Tensor
    x_end: Tensor
    K: Tensor
    K_8bit: Tensor | None
    confidence: Tensor
    distance: Tensor
    noticed: Tensor
    objective: Objective

    @property
    def jnd(self) -> Tensor:
        """(B,), JND(M) = ‖x(0) − x(K)‖₂ / ‖x(0)‖₂ (Eq. 4 as a ratio of norms); NaN without K."""
        norm = torch.linalg.vector_norm
        return norm((self.x0 - self.x_jnd).flatten(1), dim=1) / norm(self.x0.flatten(1), dim=1)

    @property
    def stays_adversarial(self) -> Tensor:
        """(B,) bool, K exists and M(x(k)) differs for every k ≥ K, as the paper has it.

        Raises:
            ValueError: images left at K, so nobody knows.
        """
        if self.confidence[-1].isnan().any():
            raise ValueError("images left at K; run the descent to its end, without stop_at_K")
        after = self.noticed.cummax(0).values  # True from K on
        return (self.noticed == after).all(0) & (self.K >= 0)

    def select(self, images: Tensor) -> "Trajectory":
        """That of some of the images, given by their numbers, (n,) int64."""
        return Trajectory(
            self.x0[images],
            self.x_jnd[images],
            self.x_end[images],
            self.K[images],
            None if self.K_8bit is None else self.K_8bit[images],
            self.confidence[:, images],
            self.distance[:, images],
            self.noticed[:, images],
            self.objective.select(images),
        )


class DivergedError(RuntimeError):
    """A descent left the finite numbers. ``trajectory`` holds all that was done.

    The images named stopped at their last finite x(k), the others ran to their end. ``at``, (B,)
    int64, says at which iteration; -1: an image did not leave them.
    """

    def __init__(self, message: str, trajectory: Trajectory, at: Tensor):
        super().__init__(message)
        self.trajectory = trajectory
        self.at = at


def eight_bit(x: Tensor) -> Tensor:
    """The image as an 8-bit file would hold it: rounded, clipped to 0..255; shape and dtype kept."""
    return x.round().clamp(0, 255)


def find_jnd(
    machine: nn.Module,
    x0: Tensor,
    *,
    label: Tensor | int | None = None,
    target: Tensor | int | None = None,
    objective: Objective | None = None,
    cost: Cost = Cost(),
    alpha: float = 1.0,
    max_iter: int = 1000,
    also_8bit: bool = False,
    stop_at_K: bool = False,
    progress: Callable[[range], Iterable[int]] = iter,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Trajectory:
    """Change images by plain gradient descent until the machine's answer flips, and on to the end.

    x(k + 1) = x(k) − α ∂Cost/∂x(k) (Eq. 2) for k = 0 .. max_iter − 1, each image on its own: a
    batch gives what its images give one by one. An update costs one forward and one input
    gradient, and no synchronisation with the host; without an objective, one forward more finds
    the label. A batch too large for the GPU's memory goes through the machine in parts. The
    machine is left as it was.

    Args:
        machine: maps pixels (B, 3, H, W) in 0..255 to logits (B, C). On a GPU it computes in exact
            float32 unless its ``precision`` says otherwise; see :func:`~jnd.machines.load_machine`.
        x0: (B, 3, H, W) floating point, grey levels 0..255.
        label: class of each image, (B,) or one for all; None: what the machine says of x0. Where
            the machine does not say ``label`` of x0, K is 0.
        target: class to pull to, (B,) or one for all; None: away from ``label``.
        objective: what to ask of the machine's output instead of a change of class.
        cost: the weights of Eq. 1.
        alpha: learning rate α, grey levels per unit of gradient.
        max_iter: number of updates.
        also_8bit: find ``K_8bit`` too; one more forward per iteration.
        stop_at_K: an image leaves the batch when it is noticed, so that the time spent grows with
            the sum of K; asks the device once per iteration who is left.
        progress: wraps the range of iterations, as tqdm does.
        checkpoint: a file that keeps the state, so that the same call on the same device goes on
            after an interruption and gives the same bits; who no longer needs it deletes it.
        checkpoint_seconds: time between two writes of that file.
        watch: called with k and x(k) in every iteration; the tensor is changed in place later.

    Raises:
        ValueError: an argument is out of its range (see the message).
        DivergedError: an image turned to NaN or infinity.
        MemoryError: the GPU has no room for a single image.

    Reference: Akan, Genc and Yarman Vural, ICIP 2020, Sections III and IV.
    """
    _check(x0, label, target, objective, alpha, max_iter, also_8bit, stop_at_K)
    x0 = x0.detach()
    per_step = (max_iter + 1, len(x0))
    confidence, distance = x0.new_full((*per_step, 2), torch.nan), x0.new_full(per_step, torch.nan)
    noticed = x0.new_zeros(per_step, dtype=torch.bool)
    noticed_8bit, finite = noticed.clone(), ~noticed
    x, x_jnd = x0.clone(), torch.full_like(x0, torch.nan)

    precision = getattr(machine, "precision", "float32")
    with frozen(machine), reproducible(x0.device, tf32=precision == "tf32"), torch.no_grad():
        left = torch.arange(len(x0), device=x0.device)  # the images still in the batch
        parts = Parts()
        if objective is None:
            (output,) = parts(lambda images: (machine(x0[images]),), left)
            objective = class_change(output, label, target)

        def look(images: Tensor) -> tuple[Tensor, ...]:
            """What M says of some x(k), and their x(k + 1): one forward, one input gradient."""
            of, its_cost = objective, cost
            if len(images) < len(x0):
                of, its_cost = objective.select(images), cost.select(images)
            here = x[images].requires_grad_(k < max_iter)
            with torch.enable_grad():
                output = machine(here)
                total = its_cost(of.loss(output), here, x0[images]).sum()
            (gradient,) = torch.autograd.grad(total, here) if k < max_iter else (0.0,)
            answer = of.noticed(output)
            answer_8bit = of.noticed(machine(eight_bit(here))) if also_8bit else answer
            sure = of.confidence(output).to(x0.dtype)
            return sure, answer, answer_8bit, here - alpha * gradient

        state = dict(
            x=x,
            x_jnd=x_jnd,
            confidence=confidence,
            distance=distance,
            noticed=noticed,
            noticed_8bit=noticed_8bit,
            finite=finite,
        )
        identity = (
            machine,
            precision,
            x0.device.type,
            x0,
            objective,
            cost,
            alpha,
            max_iter,
            also_8bit,
            stop_at_K,
        )
        saved = Checkpoint(checkpoint, checkpoint_seconds, *identity)
        for k in progress(range(saved.restore(state), max_iter + 1)):
            if stop_at_K:
                left = left[~noticed[:k, left].any(0)]
            if not len(left):
                break
            if watch:
                watch(k, x)
            confidence[k, left], answer, noticed_8bit[k, left], update = parts(look, left)
            finite[k, left] &= confidence[k, left].isfinite().all(1)
            noticed[k, left] = answer & finite[k, left]
            distance[k, left] = torch.linalg.vector_norm((x - x0)[left].flatten(1), dim=1)
            first = noticed[k] & ~noticed[:k].any(0)
            x_jnd.copy_(torch.where(_per_image(first), x, x_jnd))
            if k == max_iter:
                break
            stays = noticed[k, left] if stop_at_K else torch.zeros_like(answer)
            moves = update.isfinite().flatten(1).all(1) & ~stays
            finite[k + 1, left] = moves | stays
            x[left] = torch.where(_per_image(moves), update, x[left])
            saved.save(k + 1, state)
        saved.save(max_iter, state, now=True)

    trajectory = Trajectory(
        x0,
        x_jnd,
        x,
        _first(noticed),
        _first(noticed_8bit) if also_8bit else None,
        confidence,
        distance,
        noticed,
        objective,
    )
    diverged_at = _first(~finite)
    if lost := [(i, k) for i, k in enumerate(diverged_at.tolist()) if k >= 0]:
        where = ", ".join(f"image {i} at iteration {k}" for i, k in lost)
        advice = "the machine's answer for x0 itself is not finite"
        if diverged_at.max() > 0:
            advice = f"try a smaller alpha than {alpha} or smaller weights"
        raise DivergedError(
            f"the descent left the finite numbers: {where}; {advice}"
            + (f"; the state is kept in {checkpoint}" if checkpoint else ""),
            trajectory,
            diverged_at,
        )
    return trajectory


def find_arms(
    machine: nn.Module,
    x0: Tensor,
    arms: Mapping[str, Cost],
    *,
    label: Tensor | int | None = None,
    target: Tensor | int | None = None,
    objective: Objective | None = None,
    progress: Callable[[str], Callable[[range], Iterable[int]]] = lambda names: iter,
    checkpoint: Callable[[str], str | Path | None] = lambda names: None,
    **options: Any,
) -> dict[str, Trajectory]:
    """:func:`find_jnd` of the same images for several costs, in one batch where that is faster.

    That is on a GPU and for a single image: with more of them a CPU is busy anyway. Either way an
    arm's result is the same, but for the rounding of a batch of another size.

    Args:
        machine, x0, label, target, objective: as :func:`find_jnd` takes them.
        arms: name -> cost.
        progress: for the names of the arms that descend together, what :func:`find_jnd` takes, as
            :func:`jnd.progress.bar` gives it.
        checkpoint: the same for the file of their state.
        **options: the other arguments of :func:`find_jnd`.

    Raises:
        DivergedError: an image turned to NaN or infinity. Of arms in one batch, message and
            trajectory count the images on from arm to arm.
    """
    if len(x0) > 1 and x0.device.type == "cpu":
        options |= dict(label=label, target=target, objective=objective)
        return {
            arm: find_jnd(
                machine,
                x0,
                cost=cost,
                progress=progress(arm),
                checkpoint=checkpoint(arm),
                **options,
            )
            for arm, cost in arms.items()
        }

    names, images = ", ".join(arms), torch.arange(len(x0), device=x0.device).repeat(len(arms))
    try:
        joined = find_jnd(
            machine,
            x0[images],
            label=_repeated(label, len(arms)),
            target=_repeated(target, len(arms)),
            objective=objective and objective.select(images),
            cost=Cost.joined(list(arms.values()), x0),
            progress=progress(names),
            checkpoint=checkpoint(names),
            **options,
        )
    except DivergedError as error:
        error.add_note(f"images count on from arm to arm: {len(x0)} for each of {names}")
        raise
    parts = torch.arange(len(images), device=x0.device).split(len(x0))
    return {arm: joined.select(part) for arm, part in zip(arms, parts)}


def _repeated(classes: Tensor | int | None, times: int) -> Tensor | int | None:
    return classes.repeat(times) if isinstance(classes, Tensor) and classes.ndim else classes


def _per_image(mask: Tensor) -> Tensor:
    return mask.view(-1, 1, 1, 1)


def _first(flags: Tensor) -> Tensor:
    """First k at which each image's flag is up, -1 if at none: (N + 1, B) -> (B,) int64."""
    return torch.where(flags.any(0), flags.int().argmax(0), -1)


def _check(x0, label, target, objective, alpha, max_iter, also_8bit, stop_at_K) -> None:
    if x0.ndim != 4 or not x0.is_floating_point():
        raise ValueError(
            f"x0 must be floating-point pixels (B, 3, H, W) in 0..255, not {x0.dtype} of shape "
            f"{tuple(x0.shape)}"
        )
    if bad := (~x0.isfinite().flatten(1).all(1)).nonzero().flatten().tolist():
        raise ValueError(f"image {bad[0]} of x0 has pixels that are NaN or infinite")
    if objective is not None and (label is not None or target is not None):
        raise ValueError("give either objective or label and target, not both")
    if not 0 < alpha < float("inf"):
        raise ValueError(f"alpha = {alpha}, but the learning rate must be positive and finite")
    if also_8bit and stop_at_K:
        raise ValueError("also_8bit looks beyond K, where stop_at_K has ended: choose one of them")
    if max_iter < 1:
        raise ValueError(f"max_iter = {max_iter}, but at least 1 update is needed")
