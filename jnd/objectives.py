"""The Loss of Eq. 1 for a classifier, and whether the classifier M has noticed the change.

Descending on Eq. 1 is meant to fool M, so its y is read as the *wanted* output.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


class Objective(Protocol):
    """The questions of :func:`~jnd.descent.find_jnd` about M's output for a batch of B images."""

    def loss(self, output: Any) -> Tensor:
        """Return the Loss of Eq. 1, (B,); descending on it changes M's answer."""

    def noticed(self, output: Any) -> Tensor:
        """Return whether M(x) is no longer M(x(0)), (B,) bool."""

    def confidence(self, output: Any) -> Tensor:
        """Return M's confidence in the label and in the target, (B, 2), 0..1."""

    def select(self, images: Tensor) -> "Objective":
        """Return the objective for a subset of the images, given by their numbers, (n,) int64."""


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
    """Negative cross-entropy of the label: away from it, wherever that leads.

    The confidence "in the target" is that in the strongest class other than the label.
    ``label``: (B,) int64.
    """

    label: Tensor

    def loss(self, logits: Tensor) -> Tensor:
        return -cross_entropy(logits, self.label, reduction="none")

    def noticed(self, logits: Tensor) -> Tensor:
        return logits.argmax(1) != self.label

    def confidence(self, logits: Tensor) -> Tensor:
        confidence = logits.softmax(1)
        label = self.label.unsqueeze(1)
        strongest_other = confidence.scatter(1, label, 0.0).amax(1, keepdim=True)
        return torch.cat((confidence.gather(1, label), strongest_other), 1)

    def select(self, images: Tensor) -> "AwayFrom":
        return AwayFrom(self.label[images])


def class_change(
    logits: Tensor, label: Tensor | int | None, target: Tensor | int | None
) -> Towards | AwayFrom:
    """Return the objective for a classifier, checked against its answer for x(0).

    Args:
        logits: (B, C), M's answer for x(0).
        label: class of each image, (B,) or one for all; None: M's answer.
        target: class to pull to, (B,) or one for all; None: away from the label.

    Raises:
        ValueError: logits are not (B, C); a class is out of range; a target is its label.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"the machine must map (B, 3, H, W) to logits (B, C), but gave {got}: wrap it in a "
            "module that returns the logits alone"
        )
    if logits.shape[1] == 1:
        raise ValueError(
            "the machine gives one logit z per image, but a change of class needs two: wrap it in "
            "a module that returns torch.cat((torch.zeros_like(z), z), 1)"
        )
    label = logits.argmax(1) if label is None else _classes("label", label, logits)
    if target is None:
        return AwayFrom(label)
    target = _classes("target", target, logits)
    same = (label == target).nonzero().flatten().tolist()
    if same:
        raise ValueError(f"target = label for image {same[0]}: choose another target, or None")
    return Towards(label, target)


def _classes(name: str, value: Tensor | int, logits: Tensor) -> Tensor:
    images, count = logits.shape
    classes = torch.as_tensor(value, device=logits.device)
    whole = classes.dtype in {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    if not whole or classes.shape not in {(), (images,)}:
        raise ValueError(
            f"{name} must be a class number or one for each of the {images} images, "
            f"not {classes.dtype} of shape {tuple(classes.shape)}"
        )
    classes = classes.long()  # smaller types cannot be compared with large numbers of classes
    unknown = classes[(classes < 0) | (classes >= count)].tolist()
    if unknown:
        raise ValueError(
            f"{name} {unknown[0]} is out of range: the machine has classes 0..{count - 1}"
        )
    return classes.expand(images).clone()


def ranked_class(logits: Tensor, rank: int) -> Tensor:
    """Return the class that M ranks at ``rank``, 1 being its answer: (B, C) -> (B,) int64.

    Raises:
        ValueError: there is no such rank.
    """
    if not 1 <= rank <= logits.shape[1]:
        raise ValueError(f"rank {rank} is out of range: the machine ranks 1..{logits.shape[1]}")
    return logits.topk(rank, dim=1).indices[:, -1]
