"""The study of detection: the score of a car that is not there, and Fig. 3."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import softplus
from torchvision.ops import sigmoid_focal_loss

from companion.style import ORANGE, WIDTH, draw_box, draw_picture, panels, styled
from jnd.cost import WHITE, Cost
from jnd.detectors import Detector, DetectorOutput
from jnd.objectives import Objective
from jnd.pictures import eight_bit
from jnd.planted import PlantedBox, PlantedClass


class TrainingLoss(PlantedBox):
    """Box and class by RetinaNet's own training loss, with the planted object as ground truth.

    The focal loss of every anchor and class replaces the cross-entropy (Lin, Goyal, Girshick, He
    and Dollár, ICCV 2017). It is summed; torchvision divides it by the number of anchors on the
    box.
    """

    def loss(self, output: DetectorOutput) -> Tensor:
        on_box = self.on_box(output)
        background = self.overlap(output) < output.network.proposal_matcher.low_threshold
        classes = torch.arange(output.logits.shape[2], device=on_box.device)
        truth = on_box.unsqueeze(2) & (classes == self.category.view(-1, 1, 1))
        focal = sigmoid_focal_loss(output.logits, truth.to(output.logits.dtype)).sum(2)
        return focal.where(on_box | background, 0).sum(1) + self.distance(output)


class BestBox(PlantedClass):
    """Class only: −log of the best score of any box, of any size, centred in the given one."""

    def loss(self, output: DetectorOutput) -> Tensor:
        inside = self.fits(output.boxes)
        return softplus(-self.logits(output).where(inside, -torch.inf).amax(1))


@torch.no_grad()
def reported(machine: Detector, picture: Tensor, score: float) -> list[tuple[str, Tensor]]:
    """Caption and box, (4,), of each detection in a picture (1, 3, H, W) with at least a score."""
    (detections,) = machine(picture).detections()
    rows = zip(detections["labels"], detections["scores"], detections["boxes"].cpu(), strict=True)
    return [(f"{machine.categories[c]}, {p:.2f}", box) for c, p, box in rows if p >= score]


@torch.no_grad()
def planted_score(machine: Detector, objective: Objective, picture: Tensor) -> float:
    """The score of the best box that fits the planted object in a picture (1, 3, H, W)."""
    return objective.confidence(machine(picture))[0, 1].item()


@torch.no_grad()
def noticed_in_8_bits(machine: Detector, objective: Objective, picture: Tensor) -> bool:
    """Whether M still notices the planted object when a picture (1, 3, H, W) is rounded."""
    return bool(objective.noticed(machine(eight_bit(picture))))


def pull(machine: Detector, objective: Objective, picture: Tensor) -> float:
    """The norm of the Loss's gradient for a picture (1, 3, H, W), for pixels in 0..1."""
    x = picture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective.loss(machine(x)).sum(), x)
    return WHITE * gradient.norm().item()


def scaled(cost: Cost, factor: float) -> Cost:
    """A cost with every weight of Eq. 1 times a factor."""
    return Cost(*(factor * weight for weight in astuple(cost)))


@styled
def pictures_with_boxes(
    columns: Mapping[str, Tensor],
    boxes: Mapping[str, Sequence[Sequence[tuple[str, Tensor]]]],
    rows: Sequence[str],
    planted: Tensor,
) -> Figure:
    """Fig. 3: pictures under their column's title, with the boxes that the detector reports.

    Args:
        columns: title -> a picture for each row, (R, 3, H, W) in 0..255.
        boxes: title -> for each row the caption and the box, (4,), of each detection.
        rows: R titles.
        planted: (4,), x1, y1, x2, y2 in pixels, drawn dashed.
    """
    height, width = next(iter(columns.values())).shape[2:]
    row_height = WIDTH / len(columns) * height / width + 0.1
    figure, axes = panels(len(rows), len(columns), row_height)
    tag = {"facecolor": ORANGE, "edgecolor": "none", "pad": 1.5}
    for (title, pictures), axes_column in zip(columns.items(), axes.T, strict=True):
        for axis, picture, detected in zip(axes_column, pictures, boxes[title], strict=True):
            draw_picture(axis, picture)
            draw_box(axis, planted, "white", linestyle="--", linewidth=0.8)
            for caption, box in detected:
                draw_box(axis, box, ORANGE)
                axis.text(*box[:2].tolist(), caption, color="white", va="bottom", bbox=tag)
        axes_column[0].set_title(title)
    for axis, title in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(title)
    return figure
