import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou

from detection import (
    BOX,
    BOXES,
    anchors_on,
    in_resized,
    pictures,
    planted,
    tiny_detector,
)
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.planted import PlantedBox, PlantedClass, plant
from units import GREY

OBJECTIVES = [PlantedBox, PlantedClass]


@pytest.mark.parametrize("box", BOXES)
def test_box_and_class_is_cross_entropy_and_l1_anchor_by_anchor(box, generator):
    output = tiny_detector()(pictures(generator))
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    class_losses = planted(PlantedClass, box=box).loss(output)
    box_losses = planted(PlantedBox, box=box).loss(output)
    for i in range(3):
        entropy = 0.0
        distance = 0.0
        for a in anchors_on(box, output):
            entropy -= output.logits[i, a, 1].sigmoid().log().item()
            (wanted,) = coder.encode_single(in_resized(box, output), output.anchors[a : a + 1])
            distance += (output.offsets[i, a] - wanted).abs().sum().item()
        assert class_losses[i].item() == pytest.approx(entropy, rel=1e-4)
        assert box_losses[i].item() == pytest.approx(entropy + distance, rel=1e-4)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_gradient_is_that_of_finite_differences(kind, generator):
    detector = tiny_detector().double()
    x = pictures(generator, 2).double().requires_grad_()
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    objective = kind(
        torch.tensor(BOX).double().expand(2, 4), torch.tensor([1, 2]), torch.tensor([0.9, 0.9])
    )
    (gradient,) = torch.autograd.grad(objective.loss(detector(x)).sum(), x)
    with torch.no_grad():
        ahead = objective.loss(detector(x + 1e-4 * direction))
        behind = objective.loss(detector(x - 1e-4 * direction))
    slope = (gradient * direction).flatten(1).sum(1)
    assert torch.allclose(slope, (ahead - behind) / 2e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "box, centred, overlapping",
    [
        (BOX, True, True),
        ((0, 0, 64, 54), True, False),
        ((31, 26, 33, 28), True, False),
        ((0, 14, 40, 40), True, False),
        ((0, 14, 39.9, 40), False, False),
        ((20, 14, 44, 27), True, True),
        ((20, 14, 44, 26.9), True, False),
    ],
)
def test_a_class_needs_its_centre_in_the_box_and_a_box_half_of_the_union(box, centred, overlapping):
    boxes = torch.tensor([[box]])
    assert planted(PlantedClass, 1).fits(boxes).item() is centred
    assert planted(PlantedBox, 1).fits(boxes).item() is overlapping


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_noticed_agrees_with_torchvisions_postprocessing(kind, generator):
    output = tiny_detector(spread=0.6)(pictures(generator, 12))
    detections = output.detections()

    def fits(boxes, box):
        box = torch.tensor(box)
        if issubclass(kind, PlantedBox):
            return box_iou(boxes, box[None])[:, 0] >= 0.5
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        return ((centres >= box[:2]) & (centres <= box[2:])).all(1)

    answers = []
    for category in range(3):
        for score in 0.1, 0.3, 0.6, 0.9:
            for box in BOX, (4.0, 6.0, 30.0, 40.0), (30.0, 20.0, 62.0, 54.0):
                expected = []
                for picture in detections:
                    counts = (picture["labels"] == category) & (picture["scores"] >= score)
                    expected.append((counts & fits(picture["boxes"], box)).any().item())
                assert planted(kind, 12, category, score, box).noticed(output).tolist() == expected
                answers += expected
    assert 0.05 < sum(answers) / len(answers) < 0.95


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_descent_makes_the_detector_see_the_planted_object(kind, generator):
    """The detector is left as it was, and images do not influence each other."""
    detector = tiny_detector()
    detector.network.backbone.train()
    detector.requires_grad_(True)
    state = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    x0 = pictures(generator)
    objective = plant(detector, x0, BOX, "car", objective=kind, score=0.3)
    options = dict(cost=Cost.arm("none"), alpha=2e4 / GREY, max_iter=30)
    trajectory = find_jnd(detector, x0, objective=objective, **options)
    assert detector.network.backbone.training and not detector.network.head.training
    assert all(p.requires_grad and p.grad is None for p in detector.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in detector.state_dict().items())
    assert (trajectory.K > 0).all() and not trajectory.noticed[0].any()

    last = objective.select(torch.tensor([2]))
    alone = find_jnd(detector, x0[2:], objective=last, **options)
    assert alone.K.item() == trajectory.K[2].item()

    with torch.no_grad():
        detections = detector.eval()(trajectory.x_jnd).detections()
    for picture in detections:
        assert ((picture["labels"] == 1) & (picture["scores"] >= 0.3)).any()


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(category="cat"), "tiny has no category 'cat'; try car"),
        (dict(score=0.05), "tiny reports scores from 0.05 to 1"),
        (dict(score=1.0), "score = 1.0"),
        (dict(box=(0, 0, 5)), r"box must be \(4,\) or \(3, 4\), not \(3,\)"),
        (dict(box=(30, 10, 20, 40)), "x1 < x2"),
        (dict(box=(30, 10, 65, 40)), "lie within the picture of 64×56"),
        (dict(score=0.06), "the detector already sees a car there in image 0"),
    ],
)
def test_what_cannot_be_planted(wrong, message, generator):
    detector = tiny_detector(spread=0.6)
    options = dict(box=BOX, category="car", objective=PlantedClass, score=0.99) | wrong
    with pytest.raises(ValueError, match=message):
        plant(detector, pictures(generator), **options)


def test_a_detector_needs_an_objective(generator):
    with pytest.raises(ValueError, match="must map .* to logits .*DetectorOutput"):
        find_jnd(tiny_detector(), pictures(generator), target=1)
