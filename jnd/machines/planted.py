"""Objects that are not there: what a descent asks of a detector."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torchvision.ops import box_iou, sigmoid_focal_loss

from jnd.machines.boxes import encode, resize_boxes, unsuppressed
from jnd.machines.detectors import Detector, DetectorOutput
from jnd.machines.networks import frozen

CANDIDATES = 100  # boxes of the wanted class, best first, that go through suppression


@dataclass(frozen=True)
class Planted:
    """An object that is not there and that a detector is to see.

    It is noticed when, of the detections left by the detector's postprocessing, one of the class
    has the score and fits the place. The suppression of overlapping boxes is that of
    torchvision among the ``CANDIDATES`` best boxes of the class; only a crowd of better boxes
    could push the planted object out of them. The confidences are those that nothing fitting is
    there and that something is, the best score of any box that fits.

    Attributes:
        box: (B, 4), x1, y1, x2, y2 in pixels.
        category: (B,) int64.
        score: (B,), the score from which on a detection counts.
    """

    box: Tensor
    category: Tensor
    score: Tensor

    def fits(self, boxes: Tensor) -> Tensor:
        """Whether boxes (B, N, 4) are where the object is planted -> (B, N) bool."""
        raise NotImplementedError

    def noticed(self, output: DetectorOutput) -> Tensor:
        logits = self._logits(output)
        logits, best = logits.topk(min(CANDIDATES, logits.shape[1]), dim=1)
        boxes = output.boxes.gather(1, best.unsqueeze(2).expand(-1, -1, 4))
        counts = self.fits(boxes) & (logits.sigmoid() >= self.score.unsqueeze(1))
        return (counts & unsuppressed(boxes, output.network.nms_thresh)).any(1)

    def confidence(self, output: DetectorOutput) -> Tensor:
        scores = self._logits(output).sigmoid()
        best = scores.where(self.fits(output.boxes), 0).amax(1)
        return torch.stack((1 - best, best), 1)

    def select(self, images: Tensor) -> "Planted":
        return type(self)(self.box[images], self.category[images], self.score[images])

    def _logits(self, output: DetectorOutput) -> Tensor:
        """Those of the wanted class, (B, A)."""
        category = self.category.view(-1, 1, 1).expand(-1, output.logits.shape[1], 1)
        return output.logits.gather(2, category).squeeze(2)


class PlantedClass(Planted):
    """Class only: cross-entropy of the class's score, summed over the anchors on the box.

    A sum over n anchors is their mean with the weights of Eq. 1 n-fold and an n-th of α. A
    detection fits whose centre is in the box, its border included.
    """

    def loss(self, output: DetectorOutput) -> Tensor:
        return softplus(-self._logits(output)).where(self.on_box(output), 0).sum(1)

    def fits(self, boxes: Tensor) -> Tensor:
        centre, box = (boxes[..., :2] + boxes[..., 2:]) / 2, self.box.unsqueeze(1)
        return ((centre >= box[..., :2]) & (centre <= box[..., 2:])).all(-1)

    def on_box(self, output: DetectorOutput) -> Tensor:
        """The anchors on the box as torchvision matches them, (B, A) bool.

        Those with an IoU of 0.5 or more, and the one with the highest in any case.
        """
        overlap = self._overlap(output)
        best = overlap == overlap.amax(1, keepdim=True)
        return best | (overlap >= output.network.proposal_matcher.high_threshold)

    def _overlap(self, output: DetectorOutput) -> Tensor:
        """IoU of anchors and box, (B, A)."""
        return box_iou(resize_boxes(self.box, output.picture, output.resized), output.anchors)


class PlantedBox(PlantedClass):
    """Box and class: the loss of :class:`PlantedClass` and the L1 distance of the offsets.

    The distance is that of the anchors on the box from the offsets that lead to it, summed. A
    detection fits whose IoU with the box is 0.5 or more.
    """

    def loss(self, output: DetectorOutput) -> Tensor:
        return super().loss(output) + self._distance(output)

    def fits(self, boxes: Tensor) -> Tensor:
        return box_iou(boxes, self.box.unsqueeze(1)).squeeze(2) >= 0.5

    def _distance(self, output: DetectorOutput) -> Tensor:
        box = resize_boxes(self.box, output.picture, output.resized)
        distance = (output.offsets - encode(box.unsqueeze(1), output.anchors)).abs().sum(2)
        return distance.where(self.on_box(output), 0).sum(1)


class TrainingLoss(PlantedBox):
    """Box and class by RetinaNet's own training loss, the planted object being the ground truth.

    The focal loss of every anchor and class in place of the cross-entropy (Lin, Goyal, Girshick,
    He and Dollár, ICCV 2017). It is summed; torchvision divides it by the number of anchors on the
    box.
    """

    def loss(self, output: DetectorOutput) -> Tensor:
        on_box, least = self.on_box(output), output.network.proposal_matcher.low_threshold
        undecided = ~on_box & (self._overlap(output) >= least)
        classes = torch.arange(output.logits.shape[2], device=on_box.device)
        truth = on_box.unsqueeze(2) & (classes == self.category.view(-1, 1, 1))
        focal = sigmoid_focal_loss(output.logits, truth.to(output.logits.dtype)).sum(2)
        return focal.where(~undecided, 0).sum(1) + self._distance(output)


class BestBox(PlantedClass):
    """Class only: −log of the best score of any box centred in the given one, whatever its size."""

    def loss(self, output: DetectorOutput) -> Tensor:
        inside = self.fits(output.boxes)
        return softplus(-self._logits(output).where(inside, -torch.inf).amax(1))


def plant(
    machine: Detector,
    x0: Tensor,
    box: Tensor | Sequence[float],
    category: str = "car",
    *,
    objective: type[Planted] = PlantedBox,
    score: float = 0.5,
) -> Planted:
    """The objective that a detector see an object where there is none, checked against x0.

    Args:
        machine: a detector, from :func:`~jnd.machines.detectors.load_detector`.
        x0: (B, 3, H, W), grey levels 0..255.
        box: x1, y1, x2, y2 in pixels of x0, (4,) for all images or (B, 4).
        category: name of the class, one of ``machine.categories``.
        objective: :class:`~jnd.machines.planted.PlantedBox`,
            :class:`~jnd.machines.planted.PlantedClass` or another class of this file.
        score: the score τ from which on a detection counts.

    Raises:
        ValueError: an argument is out of its range, or the detector sees the object in x0 already.
    """
    if category not in machine.categories:
        hint = difflib.get_close_matches(category, machine.categories) or machine.categories
        raise ValueError(f"{machine.name} knows no {category!r}, but {', '.join(hint)}")
    least = machine.network.score_thresh
    if not least < score < 1:
        raise ValueError(f"score = {score}, but {machine.name} reports scores from {least} to 1")
    height, width = x0.shape[2:]
    box = torch.as_tensor(box, dtype=x0.dtype, device=x0.device)
    if box.shape not in {(4,), (len(x0), 4)}:
        raise ValueError(f"box must be (4,) or ({len(x0)}, 4), not {tuple(box.shape)}")
    box = box.expand(len(x0), 4)
    for x1, y1, x2, y2 in box.tolist():
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise ValueError(
                f"box {x1:g}, {y1:g}, {x2:g}, {y2:g} must have x1 < x2 and y1 < y2 and lie within "
                f"the picture of {width}×{height}"
            )
    planted = objective(
        box,
        torch.full_like(box[:, 0], machine.categories.index(category), dtype=torch.int64),
        torch.full_like(box[:, 0], score),
    )
    with frozen(machine), torch.no_grad():
        seen = planted.noticed(machine(x0))
    if sees := seen.nonzero().flatten().tolist():
        raise ValueError(
            f"in image {sees[0]} the detector sees a {category} there already: choose another box, "
            "another picture or a higher score"
        )
    return planted
