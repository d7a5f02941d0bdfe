"""The study of detection, on a tiny detector and against closed forms."""

import pytest
import torch

from companion.studies.detection import (
    BestBox,
    TrainingLoss,
    noticed_in_8_bits,
    pictures_with_boxes,
    planted_score,
    pull,
    reported,
    scaled,
)
from detection import BOXES, anchors_on, in_resized, pictures, planted, tiny_detector
from jnd.cost import Cost


@pytest.fixture(scope="module")
def detector():
    return tiny_detector()


@pytest.fixture
def picture(generator):
    return (255 * torch.rand(1, 3, 64, 64, generator=generator)).round()


def test_reported_are_the_detections_from_the_score_on(detector, picture):
    with torch.no_grad():
        (detections,) = detector(picture).detections()
    scores = detections["scores"]
    assert len(scores) > 2
    score = scores[1].item()
    captions, boxes = zip(*reported(detector, picture, score), strict=True)
    names = [detector.categories[label] for label in detections["labels"][:2]]
    expected = [f"{name}, {p:.2f}" for name, p in zip(names, scores, strict=False)]
    assert list(captions) == expected
    assert torch.equal(torch.stack(boxes), detections["boxes"][:2])


class Brightness:
    """Asks for a mean of 100 grey levels; its loss is 3 times the sum of the pixels."""

    def loss(self, output):
        return 3 * output.flatten(1).sum(1)

    def noticed(self, output):
        return output.flatten(1).mean(1) >= 100

    def confidence(self, output):
        share = output.flatten(1).mean(1) / 255
        return torch.stack((1 - share, share), 1)


def test_the_pull_is_the_gradients_norm_in_units_of_0_to_1(picture):
    """Every pixel's derivative is 3 by grey level, 765 by pixels in 0..1."""
    expected = 765 * picture.numel() ** 0.5
    assert pull(torch.nn.Identity(), Brightness(), picture) == pytest.approx(expected)


def test_the_planted_score_is_the_confidence_in_the_target():
    dark = torch.full((1, 3, 4, 4), 51.0)
    assert planted_score(torch.nn.Identity(), Brightness(), dark) == pytest.approx(0.2)


def test_a_picture_is_judged_after_rounding():
    for level, noticed in (99.4, False), (99.6, True):
        picture = torch.full((1, 3, 4, 4), level)
        assert noticed_in_8_bits(torch.nn.Identity(), Brightness(), picture) is noticed


def test_a_scaled_cost_is_so_many_times_as_large(picture):
    cost = Cost(squared_distance=2.0, bounded_range=0.5, total_variation=3.0)
    x = 1.2 * picture - 20
    nothing = torch.zeros(1)
    expected = 7 * cost(nothing, x, picture)
    assert scaled(cost, 7)(nothing, x, picture).item() == pytest.approx(expected.item())


def test_detections_are_boxed_and_named():
    pictures = torch.full((2, 3, 8, 12), 40.4)
    box = torch.tensor([1.0, 2.0, 5.0, 6.0])
    planted = torch.tensor([2.0, 2.0, 4.0, 5.0])
    figure = pictures_with_boxes(
        {"original": pictures, "end": pictures},
        {"original": [[], []], "end": [[], [("car, 0.91", box)]]},
        ["box and class", "class only"],
        planted,
    )
    boxes = [[patch.get_bbox().extents.tolist() for patch in axis.patches] for axis in figure.axes]
    assert boxes == [[planted.tolist()]] * 3 + [[planted.tolist(), box.tolist()]]
    assert [text.get_text() for axis in figure.axes for text in axis.texts] == ["car, 0.91"]
    assert [axis.get_title() for axis in figure.axes] == ["original", "end", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["box and class", "", "class only", ""]


@pytest.mark.parametrize("size", [64, 80])
@pytest.mark.parametrize("box", BOXES)
def test_the_training_loss_is_torchvisions(size, box, generator):
    """Image by image, where torchvision takes a batch's mean; also for boxes without an anchor.

    Summed, where torchvision divides by the number of anchors on the box.
    """
    detector = tiny_detector(size)
    output = detector(pictures(generator))
    truth = [{"boxes": in_resized(box, output), "labels": torch.tensor([1])}]
    losses = planted(TrainingLoss, box=box).loss(output)
    for logits, offsets, loss in zip(output.logits, output.offsets, losses, strict=True):
        heads = {"cls_logits": logits[None], "bbox_regression": offsets[None]}
        terms = detector.network.compute_loss(truth, heads, [output.anchors])
        expected = len(anchors_on(box, output)) * sum(terms.values())
        assert torch.allclose(loss, expected, rtol=1e-4)


def test_the_loss_of_the_best_box_asks_for_one_box_centred_in_the_given_one(generator):
    output = tiny_detector()(pictures(generator))
    objective = planted(BestBox)
    for i, boxes in enumerate(output.boxes):
        x = (boxes[:, 0] + boxes[:, 2]) / 2
        y = (boxes[:, 1] + boxes[:, 3]) / 2
        inside = (20 <= x) & (x <= 44) & (14 <= y) & (y <= 40)
        score = output.logits[i, inside, 1].sigmoid().max()
        assert torch.allclose(objective.loss(output)[i], -score.log(), rtol=1e-4)
        assert torch.allclose(objective.confidence(output)[i], torch.stack((1 - score, score)))
