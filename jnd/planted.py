"""Objectives for detectors: make one see an object that is not there."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torchvision.ops import box_iou

from jnd.detectors import Detector, DetectorOutput, resize_boxes
from jnd.guards import frozen


@dataclass(frozen=True)
class Planted:
    """An object that is not there and that a detector is made to see.

    It is noticed when one of the detector's detections has the class, reaches the score and fits
    the place; for their postprocessing the host waits for the device. The confidence in the target
    is the best score of any box that fits, and that in the label is 1 minus it.

    Attributes:
        box: (B, 4), x1, y1, x2, y2 in pixels.
        category: (B,) int64.
        score: (B,), the lowest score of a detection that counts.
    """

    box: Tensor
    category: Tensor
    score: Tensor

    def fits(self, boxes: Tensor) -> Tensor:
        """Return which boxes (B, N, 4) are where the object is planted, (B, N) bool."""
        raise NotImplementedError

    def noticed(self, output: DetectorOutput) -> Tensor:
        answers = []
        for i, detections in enumerate(output.detections()):
            planted = self.select(torch.tensor([i]))
            counts = (detections["labels"] == planted.category) & (
                detections["scores"] >= planted.score
            )
            answers.append((counts & planted.fits(detections["boxes"][None])[0]).any())
        return torch.stack(answers)

    def confidence(self, output: DetectorOutput) -> Tensor:
        scores = self.logits(output).sigmoid()
        best = scores.where(self.fits(output.boxes), 0).amax(1)
        return torch.stack((1 - best, best), 1)

    def select(self, images: Tensor) -> "Planted":
        return type(self)(self.box[images], self.category[images], self.score[images])

    def logits(self, output: DetectorOutput) -> Tensor:
        """Return the logits of the wanted class, (B, A)."""
        category = self.category.view(-1, 1, 1).expand(-1, output.logits.shape[1], 1)
        return output.logits.gather(2, category).squeeze(2)


class PlantedClass(Planted):
    """Class only: cross-entropy of the class's score, summed over the anchors on the box.

    Averaging over the n anchors instead is the same as summing with n times the weights of Eq. 1
    and α / n. A detection fits if its centre is in the box or on its border.
    """

    def loss(self, output: DetectorOutput) -> Tensor:
        return softplus(-self.logits(output)).where(self.on_box(output), 0).sum(1)

    def fits(self, boxes: Tensor) -> Tensor:
        centre = (boxes[..., :2] + boxes[..., 2:]) / 2
        box = self.box.unsqueeze(1)
        return ((centre >= box[..., :2]) & (centre <= box[..., 2:])).all(-1)

    def on_box(self, output: DetectorOutput) -> Tensor:
        """Return which anchors torchvision would match to the box, (B, A) bool.

        Those with an IoU of 0.5 or more, and the one with the highest IoU in any case.
        """
        overlap = self.overlap(output)
        best = overlap == overlap.amax(1, keepdim=True)
        return best | (overlap >= output.network.proposal_matcher.high_threshold)

    def overlap(self, output: DetectorOutput) -> Tensor:
        """Return the IoU of anchors and box, (B, A)."""
        return box_iou(resize_boxes(self.box, output.picture, output.resized), output.anchors)


class PlantedBox(PlantedClass):
    """Box and class: the loss of :class:`PlantedClass` plus the L1 distance of the offsets.

    The distance is that between the offsets at the anchors on the box and those that lead to it,
    summed. A detection fits if its IoU with the box is 0.5 or more.
    """

    def loss(self, output: DetectorOutput) -> Tensor:
        return super().loss(output) + self.distance(output)

    def fits(self, boxes: Tensor) -> Tensor:
        return box_iou(boxes, self.box.unsqueeze(1)).squeeze(2) >= 0.5

    def distance(self, output: DetectorOutput) -> Tensor:
        """Return the L1 distance of the offsets at the anchors on the box, summed, (B,)."""
        boxes = resize_boxes(self.box, output.picture, output.resized)
        encode = output.network.box_coder.encode_single
        wanted = [encode(box.expand_as(output.anchors), output.anchors) for box in boxes]
        distance = (output.offsets - torch.stack(wanted)).abs().sum(2)
        return distance.where(self.on_box(output), 0).sum(1)


def plant(
    machine: Detector,
    x0: Tensor,
    box: Tensor | Sequence[float],
    category: str = "car",
    *,
    objective: type[Planted] = PlantedBox,
    score: float = 0.5,
) -> Planted:
    """Return the objective of making a detector see an object that x0 does not show it yet.

    Args:
        machine: the detector.
        x0: (B, 3, H, W), grey levels 0..255.
        box: x1, y1, x2, y2 in pixels of x0, (4,) for all images or (B, 4).
        category: name of the class, one of ``machine.categories``.
        objective: :class:`PlantedBox`, :class:`PlantedClass` or another subclass of
            :class:`Planted`.
        score: the lowest score τ of a detection that counts.

    Raises:
        ValueError: an argument is out of range, or the detector already sees the object in x0.
    """
    if category not in machine.categories:
        hint = difflib.get_close_matches(category, machine.categories) or machine.categories
        raise ValueError(f"{machine.name} has no category {category!r}; try {', '.join(hint)}")
    lowest = machine.network.score_thresh
    if not lowest < score < 1:
        raise ValueError(f"score = {score}, but {machine.name} reports scores from {lowest} to 1")
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
        noticed = planted.noticed(machine(x0)).nonzero().flatten().tolist()
    if noticed:
        raise ValueError(
            f"the detector already sees a {category} there in image {noticed[0]}: choose another "
            "box, another picture or a higher score"
        )
    return planted
