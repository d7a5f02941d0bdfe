"""x(k), K, x(K) and the just noticeable difference of Eq. 4: the result of a descent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.linalg import vector_norm

from jnd.objectives import Objective
from jnd.pictures import eight_bit

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "float": lambda x: x,
    "clipped": lambda x: x.clamp(0, 255),
    "8bit": eight_bit,
}
"""What M sees of x(k), for each value of ``pixels``."""


def distance(x: Tensor, x0: Tensor) -> Tensor:
    """‖x − x(0)‖₂, grey levels: (B, 3, H, W) twice -> (B,)."""
    return vector_norm((x - x0).flatten(1), dim=1)


def relative_distance(x: Tensor, x0: Tensor) -> Tensor:
    """‖x − x(0)‖₂ / ‖x(0)‖₂: (B, 3, H, W) twice -> (B,).

    At x(K) it is JND(M), Eq. 4 read as a ratio of norms. NaN for a black x(0), whose norm is 0.
    """
    norm = vector_norm(x0.flatten(1), dim=1)
    return distance(x, x0) / norm.masked_fill(norm == 0, torch.nan)


@dataclass(frozen=True)
class Trajectory:
    """The result of :func:`~jnd.descent.find_jnd` for B images and N = max_iter updates.

    Attributes:
        x0: (B, 3, H, W), the images it started from.
        x_jnd: (B, 3, H, W), x(K): the just noticeably different images; NaN where K is -1.
        x_end: (B, 3, H, W), x(N).
        K: (B,) int64, the first k at which M's answer differs; -1: at no k up to N.
        confidence: (N + 1, B, 2), M's confidence in label and target at x(k).
        distance: (N + 1, B), ‖x(k) − x(0)‖₂ in grey levels.
        noticed: (N + 1, B) bool, M(x(k)) differs.
        objective: the loss with its labels and targets.
        K_unrounded, x_unrounded: K and x(K) of the path without rounding or clipping; K and x_jnd
            themselves where ``pixels`` is "float".

    For an image that stopped at K, x_end is x(K) and later entries are NaN and False.
    """

    x0: Tensor
    x_jnd: Tensor
    x_end: Tensor
    K: Tensor
    confidence: Tensor
    distance: Tensor
    noticed: Tensor
    objective: Objective
    K_unrounded: Tensor
    x_unrounded: Tensor

    @property
    def jnd(self) -> Tensor:
        """(B,), JND(M), Eq. 4; NaN where K is -1, and for a black x0, whose norm is 0."""
        return relative_distance(self.x_jnd, self.x0)

    @property
    def stays_adversarial(self) -> Tensor:
        """(B,) bool, K exists and M(x(k)) differs for every k ≥ K, as the paper defines x(K).

        Raises:
            ValueError: images stopped at K, so the rest of the path is unknown.
        """
        if self.confidence[-1].isnan().any():
            raise ValueError("images stopped at K; run the descent to its end, without stop_at_K")
        after = self.noticed.cummax(0).values  # True from K on
        return (self.noticed == after).all(0) & (self.K >= 0)


class DivergedError(RuntimeError):
    """A descent diverged to NaN or infinity; ``trajectory`` holds everything computed.

    Diverged images stopped at their last finite x(k), the others ran to their end.

    Attributes:
        trajectory: of all images.
        at: (B,) int64, the iteration at which an image diverged; -1: it did not.
    """

    def __init__(self, trajectory: Trajectory, at: Tensor, alpha: float):
        diverged = [f"image {i} at iteration {k}" for i, k in enumerate(at.tolist()) if k >= 0]
        advice = "the machine's answer for x0 itself is not finite"
        if at.max() > 0:
            advice = f"try a smaller alpha than {alpha} or smaller weights"
        super().__init__(f"diverged to NaN or infinity: {', '.join(diverged)}; {advice}")
        self.trajectory = trajectory
        self.at = at
        self.alpha = alpha

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments, so that the error arrives from another process."""
        return type(self), (self.trajectory, self.at, self.alpha)


STATE = "active x x_jnd x_unrounded K_unrounded confidence distance noticed finite".split()


class Recording:
    """A descent in progress: x(k), and M's answers for every k so far.

    Args:
        x0: (B, 3, H, W), grey levels.
        max_iter: number of updates.
        pixels, stop_at_K: as :func:`~jnd.descent.find_jnd` takes them.

    Attributes:
        k: the current iteration.
        x: (B, 3, H, W), x(k), in floating point.
        active: (n,) int64, numbers of the images that M is asked about at k.
        remaining: those of them that go on to k + 1.
        confidence, distance, noticed: as in :class:`Trajectory`, up to k.
        kept: tensors that watchers keep here become part of the state.
    """

    def __init__(
        self,
        x0: Tensor,
        max_iter: int,
        pixels: Literal["float", "clipped", "8bit"],
        stop_at_K: bool,
    ):
        iterations = max_iter + 1
        images = len(x0)
        self.k = 0
        self.x0 = x0
        self.max_iter = max_iter
        self.pixels = pixels
        self.stop_at_K = stop_at_K
        self.kept: dict[str, Tensor] = {}
        self.active = torch.arange(images, device=x0.device)
        self.remaining = self.active
        self.x = x0.clone()
        self.x_jnd = torch.full_like(x0, torch.nan)
        self.x_unrounded = torch.full_like(x0, torch.nan)
        self.K_unrounded = torch.full((images,), -1, device=x0.device)
        self.confidence = x0.new_full((iterations, images, 2), torch.nan)
        self.distance = x0.new_full((iterations, images), torch.nan)
        self.noticed = x0.new_zeros((iterations, images), dtype=torch.bool)
        self.finite = ~self.noticed

    @property
    def shown(self) -> Tensor:
        """x(k) as M sees it, clipped or rounded if ``pixels`` says so."""
        return VIEWS[self.pixels](self.x)

    @property
    def done(self) -> bool:
        """Whether no update follows."""
        return self.k == self.max_iter or not len(self.remaining)

    @property
    def state(self) -> dict[str, Tensor]:
        """Everything that changes, for a descent that is to be resumed."""
        tensors = {name: getattr(self, name) for name in STATE}
        return tensors | self.kept | {"k": torch.tensor(self.k)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the ``state`` of another recording of the same descent."""
        tensors = {name: tensor.to(self.x0.device, copy=True) for name, tensor in state.items()}
        self.k = int(tensors.pop("k"))
        for name in STATE:
            setattr(self, name, tensors.pop(name))
        self.kept = tensors

    def note(self, k: int, confidence: Tensor, noticed: Tensor, unrounded: Tensor) -> None:
        """Record M's answers for x(k) of the n active images.

        Args:
            confidence, noticed: (n, 2) and (n,) bool, for x(k) as ``pixels`` has it.
            unrounded: (n,) bool, whether M notices x(k) itself.
        """
        self.k = k
        self.confidence[k, self.active] = confidence
        self.finite[k, self.active] &= confidence.isfinite().all(1)
        self.noticed[k, self.active] = noticed & self.finite[k, self.active]
        self.distance[k, self.active] = distance(self.shown, self.x0)[self.active]
        first = self.noticed[k] & ~self.noticed[:k].any(0)
        self.x_jnd = torch.where(_per_image(first), self.shown, self.x_jnd)
        if self.pixels != "float":
            first = torch.zeros_like(first).index_put((self.active,), unrounded)
            first &= self.finite[k] & (self.K_unrounded < 0)
            self.K_unrounded = torch.where(first, k, self.K_unrounded)
            self.x_unrounded = torch.where(_per_image(first), self.x, self.x_unrounded)
        if self.stop_at_K:
            self.remaining = self.active[~self._known()]

    def move(self, x_next: Tensor) -> None:
        """Continue with x(k + 1) of the n active images, (n, 3, H, W), where it is finite."""
        stops = self._known() & self.stop_at_K
        moves = x_next.isfinite().flatten(1).all(1) & ~stops
        self.finite[self.k + 1, self.active] = moves | stops
        self.x[self.active] = torch.where(_per_image(moves), x_next, self.x[self.active])
        self.active = self.remaining

    def _known(self) -> Tensor:
        """(n,) bool, whether K of the active images is known, with and without rounding."""
        known = self.noticed[: self.k + 1].any(0)
        if self.pixels != "float":
            known = known & (self.K_unrounded >= 0)
        return known[self.active]

    def trajectory(self, objective: Objective, alpha: float) -> Trajectory:
        """The result, once the descent is done.

        Raises:
            DivergedError: an image diverged to NaN or infinity.
        """
        K = _first(self.noticed)
        is_float = self.pixels == "float"
        trajectory = Trajectory(
            x0=self.x0,
            x_jnd=self.x_jnd,
            x_end=self.shown,
            K=K,
            confidence=self.confidence,
            distance=self.distance,
            noticed=self.noticed,
            objective=objective,
            K_unrounded=K if is_float else self.K_unrounded,
            x_unrounded=self.x_jnd if is_float else self.x_unrounded,
        )
        diverged_at = _first(~self.finite)
        if (diverged_at >= 0).any():
            raise DivergedError(trajectory, diverged_at, alpha)
        return trajectory


def _per_image(mask: Tensor) -> Tensor:
    return mask.view(-1, 1, 1, 1)


def _first(flags: Tensor) -> Tensor:
    """First k at which each image's flag is up, -1 if at none: (N + 1, B) -> (B,) int64."""
    return torch.where(flags.any(0), flags.int().argmax(0), -1)
