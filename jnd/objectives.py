"""The Loss of Eq. 1 and the question whether M has noticed, of a classifier's answer.

Eq. 1 is descended on and yet has to fool M, so its y is read as the *wanted* output.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


class Objective(Protocol):
    """What :func:`~jnd.descent.find_jnd` asks of M's output for a batch of B images."""

    def loss(self, output: Any) -> Tensor:
        """-> (B,): Loss of Eq. 1; its descent changes M's answer."""

    def noticed(self, output: Any) -> Tensor:
        """-> (B,) bool: M(x) is no longer M(x(0))."""

    def confidence(self, output: Any) -> Tensor:
        """-> (B, 2): M's confidence in the label and in the target, 0..1."""

    def select(self, images: Tensor) -> "Objective":
        """The objective of some of the images, given by their numbers, (n,) int64."""


@dataclass(frozen=True)
class Towards:
    """Cross-entropy to a wanted class. ``label`` and ``target``: (B,) int64."""

    label: Tensor
    target: Tensor

    def loss(self, logits: Tensor) -> Tensor:
        return cross_entropy(logits, self.target, reduction="none")

    def noticed(self, logits: Tensor) -> Tensor:
        return logits.argmax(1) != self.label

    def confidence(self, logits: Tensor) -> Tensor:
        classes = torch.stack((self.label, self.target), 1)
        return logits.softmax(1).gather(1, classes)

    def select(self, images: Tensor) -> "Towards":
        return Towards(self.label[images], self.target[images])


@dataclass(frozen=True)
class AwayFrom:
    """Ascent on the label's cross-entropy, wherever it leads. ``label``: (B,) int64.

    The confidence "in the target" is that in the strongest class other than the label.
    """

    label: Tensor

    def loss(self, logits: Tensor) -> Tensor:
        return -cross_entropy(logits, self.label, reduction="none")

    def noticed(self, logits: Tensor) -> Tensor:
        return logits.argmax(1) != self.label

    def confidence(self, logits: Tensor) -> Tensor:
        confidence = logits.softmax(1)
        label = self.label.unsqueeze(1)
        others = confidence.scatter(1, label, 0.0).amax(1, keepdim=True)
        return torch.cat((confidence.gather(1, label), others), 1)

    def select(self, images: Tensor) -> "AwayFrom":
        return AwayFrom(self.label[images])


def class_change(
    logits: Tensor, label: Tensor | int | None, target: Tensor | int | None
) -> Towards | AwayFrom:
    """The objective of a classifier, checked against its answer for x(0).

    Args:
        logits: (B, C), M's answer for x(0).
        label: class of each image, (B,) or one for all; None: what M says.
        target: class to pull to, (B,) or one for all; None: away from the label.

    Raises:
        ValueError: logits are not (B, C); a class is out of range; a target is its label.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"the machine must map (B, 3, H, W) to logits (B, C), but gave {got}")
    label = logits.argmax(1) if label is None else _classes("label", label, logits)
    if target is None:
        return AwayFrom(label)
    target = _classes("target", target, logits)
    if same := (label == target).nonzero().flatten().tolist():
        raise ValueError(f"target = label for image {same[0]}: choose another target, or None")
    return Towards(label, target)


def _classes(name: str, value: Tensor | int, logits: Tensor) -> Tensor:
    images, count = logits.shape
    classes = torch.as_tensor(value, device=logits.device)
    if classes.is_floating_point() or classes.shape not in {(), (images,)}:
        raise ValueError(
            f"{name} must be a class number or one for each of the {images} images, "
            f"not {classes.dtype} of shape {tuple(classes.shape)}"
        )
    if wrong := classes[(classes < 0) | (classes >= count)].tolist():
        raise ValueError(
            f"{name} {wrong[0]} is out of range: the machine has classes 0..{count - 1}"
        )
    return classes.long().expand(images)


def ranked_class(logits: Tensor, rank: int) -> Tensor:
    """The class that M ranks at ``rank``, 1 being its answer: (B, C) -> (B,) int64.

    Raises:
        ValueError: there is no such rank.
    """
    if not 1 <= rank <= logits.shape[1]:
        raise ValueError(f"rank {rank} is out of range: the machine ranks 1..{logits.shape[1]}")
    return logits.topk(rank, dim=1).indices[:, -1]
