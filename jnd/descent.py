"""The descent of Eq. 2 and 3, which finds K and x(K)."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from jnd.cost import WHITE, AnyCost, Cost, CostOfEach
from jnd.machines.networks import frozen
from jnd.objectives import Objective, class_change
from jnd.support.checkpoint import Checkpoint
from jnd.support.device import Parts, reproducible
from jnd.trajectory import DivergedError, Recording, Trajectory, eight_bit

DEFAULT = Cost()


def update(x: Tensor, cost: Tensor, alpha: float) -> Tensor:
    """One update of Eq. 2: x(k + 1) = x(k) + n(k), with the noise n(k) = −α ∂Cost/∂x(k) of Eq. 3.

    Args:
        x: (B, 3, H, W), x(k), from which ``cost`` was computed.
        cost: (B,), Eq. 1 of each image.
        alpha: learning rate α for pixels in 0..1; 1/255² of what it is for grey levels.

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
    cost: AnyCost = DEFAULT,
    alpha: float = 0.001,
    max_iter: int = 1000,
    pixels: Literal["float", "8bit"] = "float",
    stop_at_K: bool = False,
    progress: Callable[[range], Iterable[int]] = iter,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Trajectory:
    """Change images by plain gradient descent until the machine's answer flips, and on to the end.

    x(k + 1) = x(k) − α ∂Cost/∂x(k) (Eq. 2) for k = 0 .. max_iter − 1, each image on its own: a
    batch gives what its images give one by one, but for the rounding of a batch of another size.
    An update costs one forward and one input
    gradient, and no synchronisation with the host; without an objective, one forward more finds
    the label. A batch too large for the GPU's memory goes through the machine in parts. The
    machine is left as it was.

    Args:
        machine: maps pixels (B, 3, H, W) in 0..255 to logits (B, C). On a GPU it computes in exact
            float32 unless its ``precision`` says otherwise, as
            :func:`~jnd.machines.classifiers.load_machine` has it.
        x0: (B, 3, H, W) floating point, grey levels 0..255.
        label: class of each image, (B,) or one for all; None: what the machine says of x0. Where
            the machine does not say ``label`` of x0, K is 0.
        target: class to pull to, (B,) or one for all; None: away from ``label``.
        objective: what to ask of the machine's output instead of a change of class.
        cost: the weights of Eq. 1.
        alpha: learning rate α, for pixels in 0..1 as the weights are.
        max_iter: number of updates.
        pixels: ``"8bit"``: what is asked, kept and measured are the pictures of the path, x(k)
            rounded and clipped to whole grey levels, so that K is the first k whose picture M
            notices; one more forward per iteration.
        stop_at_K: an image leaves the batch when it is noticed, so that the time spent grows with
            the sum of K; asks the device once per iteration who is left.
        progress: wraps the range of iterations, as tqdm does.
        checkpoint: a file that keeps the state, so that the same call on the same device goes on
            after an interruption and gives the same bits; delete it when you have the result. It
            stays after an error too.
        checkpoint_seconds: time between two writes of that file.
        watch: called with k and x(k) in every iteration; the tensor is changed in place later.

    Raises:
        ValueError: an argument is out of its range (see the message).
        DivergedError: an image turned to NaN or infinity.
        MemoryError: the GPU has no room for a single image.

    Reference: Akan, Genc and Yarman Vural, ICIP 2020, Sections III and IV.
    """
    _check(x0, alpha, max_iter, pixels)
    if objective is not None and (label is not None or target is not None):
        raise ValueError("give either objective or label and target, not both")
    x0 = x0.detach()
    seen, parts = Recording(x0, max_iter, pixels), Parts()
    left = torch.arange(len(x0), device=x0.device)  # the images still in the batch
    precision = getattr(machine, "precision", "float32")

    with frozen(machine), reproducible(x0.device, tf32=precision == "tf32"), torch.no_grad():
        if objective is None:
            (logits,) = parts(lambda images: (machine(x0[images]),), left)
            objective = class_change(logits, label, target)
        every: Objective = objective

        def step(images: Tensor) -> tuple[Tensor, ...]:
            """x(k + 1) of some images and M's answers for x(k): one forward, one gradient."""
            some, some_cost = every, cost
            if len(images) < len(x0):
                some, some_cost = every.select(images), cost.select(images)
            x = seen.x[images].requires_grad_(k < max_iter)
            with torch.enable_grad():
                output = machine(x)
                total = some_cost(some.loss(output), x, x0[images])
                x_next = update(x, total, alpha) if k < max_iter else x
            said = machine(eight_bit(x)) if pixels == "8bit" else output
            confidence, noticed = some.confidence(said).to(x0.dtype), some.noticed(said)
            return x_next, confidence, noticed

        identity = (machine, precision, x0.device.type, x0, every, cost, alpha, max_iter)
        saved = Checkpoint(checkpoint, checkpoint_seconds, *identity, pixels, stop_at_K)
        for k in progress(range(saved.restore(seen.state), max_iter + 1)):
            if stop_at_K:
                left = left[~seen.noticed[:k, left].any(0)]
            if not len(left):
                break
            if watch:
                watch(k, seen.shown)
            x_next, *answers = parts(step, left)
            seen.note(k, left, *answers)
            if k < max_iter:
                seen.move(k + 1, left, x_next, stop_at_K)
                saved.save(k + 1, seen.state)
        saved.save(max_iter, seen.state, now=True)
    return seen.trajectory(every, alpha)


def find_arms(
    machine: nn.Module,
    x0: Tensor,
    arms: Mapping[str, Cost],
    *,
    label: Tensor | int | None = None,
    target: Tensor | int | None = None,
    objective: Objective | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> dict[str, Trajectory]:
    """:func:`find_jnd` of the same images for several costs, in one batch where that is faster.

    That is on a GPU and for a single image: with more of them a CPU is busy anyway. Either way an
    arm's result is the same, but for the rounding of a batch of another size.

    Args:
        machine, x0, label, target, objective: as :func:`find_jnd` takes them.
        arms: name -> cost.
        checkpoint: as :func:`find_jnd` takes it. Arms that descend one by one have a file each,
            with the arm's number behind this name.
        **options: the other arguments of :func:`find_jnd`.

    Raises:
        DivergedError: an image turned to NaN or infinity. Of arms in one batch, message and
            trajectory count the images on from arm to arm.
    """
    options |= dict(checkpoint=checkpoint)
    if len(x0) > 1 and x0.device.type == "cpu":
        options |= dict(label=label, target=target, objective=objective)
        found = {}
        for i, (arm, cost) in enumerate(arms.items(), 1):
            if checkpoint:
                path = Path(checkpoint)
                options["checkpoint"] = path.with_stem(f"{path.stem}, {i}")
            found[arm] = find_jnd(machine, x0, cost=cost, **options)
        return found

    images = torch.arange(len(x0), device=x0.device).repeat(len(arms))
    try:
        joined = find_jnd(
            machine,
            x0[images],
            label=_repeated(label, len(arms)),
            target=_repeated(target, len(arms)),
            objective=objective and objective.select(images),
            cost=CostOfEach.of(list(arms.values()), x0),
            **options,
        )
    except DivergedError as error:
        error.add_note(f"images count on from arm to arm: {len(x0)} for each of {', '.join(arms)}")
        raise
    blocks = torch.arange(len(images), device=x0.device).split(len(x0))
    return {arm: joined.select(block) for arm, block in zip(arms, blocks, strict=True)}


def _repeated(classes: Tensor | int | None, times: int) -> Tensor | int | None:
    return classes.repeat(times) if isinstance(classes, Tensor) and classes.ndim else classes


def _check(x0: Tensor, alpha: float, max_iter: int, pixels: str) -> None:
    if x0.ndim != 4 or not x0.is_floating_point():
        raise ValueError(
            f"x0 must be floating-point pixels (B, 3, H, W) in 0..255, not {x0.dtype} of shape "
            f"{tuple(x0.shape)}"
        )
    if bad := (~x0.isfinite().flatten(1).all(1)).nonzero().flatten().tolist():
        raise ValueError(f"image {bad[0]} of x0 has pixels that are NaN or infinite")
    if pixels not in {"float", "8bit"}:
        raise ValueError(f"pixels = {pixels!r}: choose 'float' or '8bit'")
    if pixels == "8bit" and not torch.equal(x0, eight_bit(x0)):
        raise ValueError("x0 must hold whole grey levels 0..255 for pixels='8bit': round it first")
    if not 0 < alpha < float("inf"):
        raise ValueError(f"alpha = {alpha}, but the learning rate must be positive and finite")
    if max_iter < 1:
        raise ValueError(f"max_iter = {max_iter}, but at least 1 update is needed")
