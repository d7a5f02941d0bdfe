"""x(k), K, x(K) and the just noticeable difference of Eq. 4: what a descent leaves behind."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from jnd.machines.networks import frozen
from jnd.objectives import Objective
from jnd.support.device import Parts


def distance(x: Tensor, x0: Tensor) -> Tensor:
    """‖x − x(0)‖₂, grey levels: (B, 3, H, W) twice -> (B,)."""
    return vector_norm((x - x0).flatten(1), dim=1)


def relative_distance(x: Tensor, x0: Tensor) -> Tensor:
    """‖x − x(0)‖₂ / ‖x(0)‖₂: (B, 3, H, W) twice -> (B,).

    At x(K) it is JND(M), Eq. 4 read as a ratio of norms.
    """
    return distance(x, x0) / vector_norm(x0.flatten(1), dim=1)


def eight_bit(x: Tensor) -> Tensor:
    """The image as an 8-bit file holds it: rounded, clipped to 0..255; shape and dtype kept."""
    return x.round().clamp(0, 255)


@dataclass(frozen=True)
class Trajectory:
    """What :func:`~jnd.descent.find_jnd` saw on its way, for B images and N = max_iter updates.

    Attributes:
        x0: (B, 3, H, W), the images it started from.
        x_before: (B, 3, H, W), x(K − 1); x(0) where K is 0; x(N − 1) where K is -1.
        x_jnd: (B, 3, H, W), x(K): the just noticeably different images; NaN where K is -1.
        x_end: (B, 3, H, W), x(N).
        K: (B,) int64, the first k at which M's answer differs; -1: at no k up to N.
        confidence: (N + 1, B, 2), M's confidence in label and target at x(k).
        distance: (N + 1, B), ‖x(k) − x(0)‖₂ in grey levels.
        noticed: (N + 1, B) bool, M(x(k)) differs.
        objective: the loss with its labels and targets.

    Of an image that left at K, x_end is x(K), and there is nothing later: NaN and False.
    """

    x0: Tensor
    x_before: Tensor
    x_jnd: Tensor
    x_end: Tensor
    K: Tensor
    confidence: Tensor
    distance: Tensor
    noticed: Tensor
    objective: Objective

    @property
    def jnd(self) -> Tensor:
        """(B,), JND(M), Eq. 4; NaN where K is -1."""
        return relative_distance(self.x_jnd, self.x0)

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

    def at_border(self, machine: nn.Module, halvings: int = 10) -> Tensor:
        """Where between x(K − 1) and x(K) the answer of the descent's machine changes.

        By bisection, at one forward for each halving: (B, 3, H, W), noticed as x(K) is and nearer
        by up to an update; NaN where K is -1. It does not keep to whole grey levels.
        """
        parts, near, far = Parts(), self.x_before, self.x_jnd

        def noticed(images: Tensor) -> tuple[Tensor]:
            return (self.objective.select(images).noticed(machine(middle[images])),)

        with frozen(machine), torch.no_grad():
            for _ in range(halvings):
                middle = (near + far) / 2
                (flags,) = parts(noticed, torch.arange(len(far), device=far.device))
                near = torch.where(_per_image(flags), near, middle)
                far = torch.where(_per_image(flags), middle, far)
        return far

    def select(self, images: Tensor) -> "Trajectory":
        """That of some of the images, given by their numbers, (n,) int64."""
        by_time = {"confidence", "distance", "noticed"}
        tensors = {name: v for name, v in vars(self).items() if isinstance(v, Tensor)}
        some: Any = {n: v[:, images] if n in by_time else v[images] for n, v in tensors.items()}
        return replace(self, **some, objective=self.objective.select(images))


class DivergedError(RuntimeError):
    """A descent left the finite numbers. ``trajectory`` holds all that was done.

    The images named stopped at their last finite x(k), the others ran to their end. ``at``, (B,)
    int64, says at which iteration; -1: an image did not leave them.
    """

    def __init__(self, trajectory: Trajectory, at: Tensor, alpha: float):
        where = [f"image {i} at iteration {k}" for i, k in enumerate(at.tolist()) if k >= 0]
        advice = "the machine's answer for x0 itself is not finite"
        if at.max() > 0:
            advice = f"try a smaller alpha than {alpha} or smaller weights"
        super().__init__(f"the descent left the finite numbers: {', '.join(where)}; {advice}")
        self.trajectory = trajectory
        self.at = at


class Recording:
    """A descent while it lasts: x(k), and what M said of it at every k so far.

    Args:
        x0: (B, 3, H, W), grey levels.
        max_iter: number of updates.
        pixels: as :func:`~jnd.descent.find_jnd` takes it.

    Attributes:
        x: (B, 3, H, W), x(k), in floating point.
        noticed: (N + 1, B) bool.
    """

    def __init__(self, x0: Tensor, max_iter: int, pixels: Literal["float", "8bit"] = "float"):
        per_step = max_iter + 1, len(x0)
        self.x0, self.pixels = x0, pixels
        self.x, self.x_before, self.x_jnd = x0.clone(), x0.clone(), torch.full_like(x0, torch.nan)
        self.confidence = x0.new_full((*per_step, 2), torch.nan)
        self.distance = x0.new_full(per_step, torch.nan)
        self.noticed = x0.new_zeros(per_step, dtype=torch.bool)
        self.finite = ~self.noticed

    @property
    def state(self) -> dict[str, Tensor]:
        """All that changes, for a checkpoint."""
        return {n: v for n, v in vars(self).items() if isinstance(v, Tensor) and n != "x0"}

    @property
    def shown(self) -> Tensor:
        """x(k), or its picture."""
        return eight_bit(self.x) if self.pixels == "8bit" else self.x

    def note(self, k: int, images: Tensor, confidence: Tensor, noticed: Tensor) -> None:
        """Keep what M says of x(k) of some images, (n,): (n, 2) and (n,) bool."""
        self.confidence[k, images] = confidence
        self.finite[k, images] &= confidence.isfinite().all(1)
        self.noticed[k, images] = noticed & self.finite[k, images]
        self.distance[k, images] = distance(self.shown, self.x0)[images]
        first = self.noticed[k] & ~self.noticed[:k].any(0)
        self.x_jnd.copy_(torch.where(_per_image(first), self.shown, self.x_jnd))

    def move(self, k: int, images: Tensor, x: Tensor, stop_at_K: bool) -> None:
        """On to x(k), (n, 3, H, W), unless an image is not finite there or stops."""
        unnoticed = ~self.noticed[:k].any(0)
        self.x_before.copy_(torch.where(_per_image(unnoticed), self.shown, self.x_before))
        stays = self.noticed[k - 1, images] & stop_at_K
        moves = x.isfinite().flatten(1).all(1) & ~stays
        self.finite[k, images] = moves | stays
        self.x[images] = torch.where(_per_image(moves), x, self.x[images])

    def trajectory(self, objective: Objective, alpha: float) -> Trajectory:
        """What is left at the end.

        Raises:
            DivergedError: an image turned to NaN or infinity.
        """
        images, K = (self.x0, self.x_before, self.x_jnd, self.shown), _first(self.noticed)
        course = self.confidence, self.distance, self.noticed
        trajectory = Trajectory(*images, K, *course, objective)
        diverged_at = _first(~self.finite)
        if (diverged_at >= 0).any():
            raise DivergedError(trajectory, diverged_at, alpha)
        return trajectory


def _per_image(mask: Tensor) -> Tensor:
    return mask.view(-1, 1, 1, 1)


def _first(flags: Tensor) -> Tensor:
    """First k at which each image's flag is up, -1 if at none: (N + 1, B) -> (B,) int64."""
    return torch.where(flags.any(0), flags.int().argmax(0), -1)
