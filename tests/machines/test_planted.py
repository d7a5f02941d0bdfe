import pytest
import torch
from detection import tiny_detector
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou
from units import GREY

from jnd import Cost, find_jnd
from jnd.machines import BestBox, PlantedBox, PlantedClass, TrainingLoss, plant
from jnd.machines.boxes import resize_boxes

BOX = (20.0, 14.0, 44.0, 40.0)
DETECTIONS = [PlantedBox, PlantedClass, TrainingLoss, BestBox]
BOXES = [BOX, (30.0, 30.0, 33.0, 32.0), (0.0, 0.0, 64.0, 56.0)]


def pictures(generator, count=3):
    return 255 * torch.rand(count, 3, 56, 64, generator=generator)


def planted(kind, count=3, category=1, score=0.9, box=BOX):
    return kind(
        torch.tensor(box).expand(count, 4),
        torch.full((count,), category),
        torch.full((count,), score),
    )


@pytest.mark.parametrize("size", [64, 80])
@pytest.mark.parametrize("box", BOXES)
def test_the_training_loss_is_torchvisions(size, box, generator):
    """Image by image, where torchvision takes a batch's mean; also of boxes without an anchor.

    Summed, where torchvision divides by the anchors on the box.
    """
    detector = tiny_detector(size)
    output = detector(pictures(generator))
    scale = torch.tensor(
        [new / old for new, old in zip(output.resized, output.picture, strict=True)]
    )[[1, 0, 1, 0]]
    truth = [{"boxes": scale * torch.tensor([box]), "labels": torch.tensor([1])}]
    expected = [
        sum(
            detector.network.compute_loss(
                truth,
                {
                    "cls_logits": output.logits[i : i + 1],
                    "bbox_regression": output.offsets[i : i + 1],
                },
                [output.anchors],
            ).values()
        )
        for i in range(3)
    ]
    assert torch.allclose(
        planted(TrainingLoss, box=box).loss(output),
        len(anchors_on(box, output)) * torch.stack(expected),
        rtol=1e-4,
    )


@pytest.mark.parametrize("box", BOXES)
def test_box_and_class_is_cross_entropy_and_l1_anchor_by_anchor(box, generator):
    output = tiny_detector()(pictures(generator))
    coder, wanted = BoxCoder((1.0, 1.0, 1.0, 1.0)), in_resized(box, output)
    for i in range(3):
        entropy, distance = 0.0, 0.0
        for a in anchors_on(box, output):
            entropy -= output.logits[i, a, 1].sigmoid().log()
            offsets = coder.encode_single(wanted, output.anchors[a : a + 1])[0]
            distance += (output.offsets[i, a] - offsets).abs().sum()
        assert planted(PlantedClass, box=box).loss(output)[i].item() == pytest.approx(
            entropy.item(), rel=1e-4
        )
        assert planted(PlantedBox, box=box).loss(output)[i].item() == pytest.approx(
            (entropy + distance).item(), rel=1e-4
        )


def in_resized(box, output):
    return resize_boxes(torch.tensor([box]), output.picture, output.resized)


def anchors_on(box, output):
    """As torchvision's own matcher has them."""
    matches = Matcher(0.5, 0.4, allow_low_quality_matches=True)(
        box_iou(in_resized(box, output), output.anchors)
    )
    return (matches >= 0).nonzero().flatten().tolist()


@pytest.mark.parametrize("kind", DETECTIONS)
def test_the_gradient_is_that_of_finite_differences(kind, generator):
    detector = tiny_detector().double()
    pixels = pictures(generator, 2).double()
    objective = kind(
        torch.tensor(BOX).double().expand(2, 4), torch.tensor([1, 2]), torch.tensor([0.9, 0.9])
    )
    direction = torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    x = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective.loss(detector(x)).sum(), x)
    ahead, behind = (objective.loss(detector(pixels + h * direction)) for h in (1e-4, -1e-4))
    assert torch.allclose(
        (gradient * direction).flatten(1).sum(1), (ahead - behind) / 2e-4, rtol=1e-5
    )


def test_the_loss_of_the_best_box_asks_for_one_box_in_the_region(generator):
    output = tiny_detector()(pictures(generator))
    region = planted(BestBox)
    for i, boxes in enumerate(output.boxes):
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside = (20 <= x) & (x <= 44) & (14 <= y) & (y <= 40)
        score = output.logits[i, inside, 1].sigmoid().max()
        assert torch.allclose(region.loss(output)[i], -score.log(), rtol=1e-4)
        assert torch.allclose(region.confidence(output)[i], torch.stack((1 - score, score)))


def test_the_region_is_for_centres_whatever_the_size():
    region, box = planted(PlantedClass, 1), planted(PlantedBox, 1)
    boxes = torch.tensor(
        [
            [
                BOX,
                (0, 0, 64, 54),
                (31, 26, 33, 28),
                (0, 14, 40, 40),
                (0, 14, 39.9, 40),
                (20, 14, 44, 27),
                (20, 14, 44, 26.9),
            ]
        ]
    )
    assert region.fits(boxes).tolist() == [[True, True, True, True, False, True, True]]
    assert box.fits(boxes).tolist() == [[True, False, False, False, False, True, False]]


@pytest.mark.parametrize("kind", DETECTIONS)
def test_noticed_agrees_with_torchvisions_postprocessing(kind, generator):
    detector = tiny_detector(spread=0.6)
    output = detector(pictures(generator, 12))
    answers = []
    for category in range(3):
        for score in 0.1, 0.3, 0.6, 0.9:
            for box in BOX, (4.0, 6.0, 30.0, 40.0), (30.0, 20.0, 62.0, 54.0):
                objective = planted(kind, 12, category, score, box)

                def fits(boxes, box=box):
                    if kind in {PlantedBox, TrainingLoss}:
                        return box_iou(boxes, torch.tensor([box]))[:, 0] >= 0.5
                    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
                    return (
                        (centres >= torch.tensor(box[:2])) & (centres <= torch.tensor(box[2:]))
                    ).all(1)

                expected = [
                    (
                        fits(found["boxes"])
                        & (found["labels"] == category)
                        & (found["scores"] >= score)
                    )
                    .any()
                    .item()
                    for found in output.detections()
                ]
                assert objective.noticed(output).tolist() == expected
                answers += expected
    assert 0.05 < sum(answers) / len(answers) < 0.95


@pytest.mark.parametrize("kind", DETECTIONS)
def test_one_descent_finds_what_was_planted(kind, generator):
    """The detector is left as it was, and images do not influence each other."""
    detector = tiny_detector()
    detector.network.backbone.train()
    detector.requires_grad_(True)
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    x0 = pictures(generator)
    objective = plant(detector, x0, BOX, "car", objective=kind, score=0.3)
    cost = Cost.arm("none")
    both = find_jnd(detector, x0, objective=objective, cost=cost, alpha=2e4 / GREY, max_iter=30)
    assert detector.network.backbone.training and not detector.network.head.training
    assert all(p.requires_grad and p.grad is None for p in detector.parameters())
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())
    assert (both.K > 0).all() and not both.noticed[0].any()
    last = objective.select(torch.tensor([2]))
    alone = find_jnd(detector, x0[2:], objective=last, cost=cost, alpha=2e4 / GREY, max_iter=30)
    assert alone.K.item() == both.K[2].item()
    with torch.no_grad():
        found = detector.eval()(both.x_jnd).detections()
    assert all(((f["labels"] == 1) & (f["scores"] >= 0.3)).any() for f in found)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(category="cat"), "tiny knows no 'cat', but car"),
        (dict(score=0.05), "tiny reports scores from 0.05 to 1"),
        (dict(score=1.0), "score = 1.0"),
        (dict(box=(0, 0, 5)), r"box must be \(4,\) or \(3, 4\), not \(3,\)"),
        (dict(box=(30, 10, 20, 40)), "x1 < x2"),
        (dict(box=(30, 10, 65, 40)), "lie within the picture of 64×56"),
        (dict(score=0.06), "in image 0 the detector sees a car there already"),
    ],
)
def test_what_cannot_be_planted(wrong, message, generator):
    detector = tiny_detector(spread=0.6)
    arguments = dict(box=BOX, category="car", objective=PlantedClass, score=0.99) | wrong
    with pytest.raises(ValueError, match=message):
        plant(detector, pictures(generator), **arguments)


def test_a_detector_needs_an_objective(generator):
    with pytest.raises(ValueError, match="must map .* to logits .*DetectorOutput"):
        find_jnd(tiny_detector(), pictures(generator), target=1)
