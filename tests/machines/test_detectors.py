import hashlib

import pytest
import torch
import torchvision
from detection import CATEGORIES, tiny_detector
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import nms

from jnd.datasets import load_picture
from jnd.machines import load_detector
from jnd.machines.boxes import decode, encode, resize_boxes, unsuppressed
from jnd.machines.detectors import retinanet_googlenet_fpn
from jnd.support.checkout import data_folder


def random_boxes(count, generator, side=100):
    corner = side * torch.rand(count, 2, generator=generator)
    return torch.cat((corner, corner + 5 + side / 2 * torch.rand(count, 2, generator=generator)), 1)


def assert_same_detections(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert len(theirs["scores"]) > 3
        assert torch.equal(ours["labels"], theirs["labels"])
        assert torch.allclose(ours["scores"], theirs["scores"], atol=1e-5)
        assert torch.allclose(ours["boxes"], theirs["boxes"], atol=1e-2)


def as_in(detector, network):
    """torchvision's transform normalises as the detector does; it takes pictures in 0..1."""
    mean, std = detector.mean.flatten(), detector.std.flatten()
    network.transform.image_mean, network.transform.image_std = (
        (mean / 255).tolist(),
        (std / 255).tolist(),
    )
    return network


def assert_same_answer(detector, network, pixels):
    """The preprocessing is torchvision's, and folding batch norm changed nothing."""
    pictures, _ = as_in(detector, network).transform(list(pixels / 255))
    with torch.no_grad():
        output = detector(pixels)
        expected = network.head(list(network.backbone(pictures.tensors).values()))
    assert output.resized == pictures.image_sizes[0]
    assert torch.allclose(output.logits, expected["cls_logits"], atol=1e-3)
    assert torch.allclose(output.offsets, expected["bbox_regression"], atol=1e-3)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in detector.modules())


@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (90, 100), (33, 21)])
def test_the_detections_are_torchvisions(shape, generator):
    detector = tiny_detector()
    pixels = 255 * torch.rand(2, 3, *shape, generator=generator)
    output = detector(pixels)
    assert output.picture == shape and max(output.resized) == 64
    assert sum(output.levels) == len(output.anchors) == output.logits.shape[1]
    expected = as_in(detector, detector.network)(list(pixels / 255))
    assert_same_detections(output.detections(), expected)


def test_every_detection_is_one_of_the_boxes(generator):
    output = tiny_detector()(255 * torch.rand(1, 3, 50, 100, generator=generator))
    (found,) = output.detections()
    distance = (output.boxes[0][:, None] - found["boxes"]).abs().amax(2).amin(0)
    assert distance.max() < 1e-3
    assert (
        found["boxes"].min() >= 0
        and (found["boxes"].amax(0) <= torch.tensor([100.0, 50, 100, 50]) + 1e-3).all()
    )


def test_gradients_reach_the_pixels_given(generator):
    pixels = (255 * torch.rand(2, 3, 40, 60, generator=generator)).requires_grad_()
    tiny_detector()(pixels).logits.sum().backward()
    assert pixels.grad.shape == pixels.shape and (pixels.grad != 0).float().mean() > 0.9


def test_pictures_of_several_sizes_are_refused():
    sizes = [torch.zeros(3, 64, 64), torch.zeros(3, 48, 64)]
    with pytest.raises(
        ValueError, match="not a list; pictures of several sizes go in batches of one"
    ):
        tiny_detector()(sizes)
    with pytest.raises(ValueError, match=r"takes pixels \(B, 3, H, W\), not \(3, 64, 64\)"):
        tiny_detector()(sizes[0])


def test_boxes_to_offsets_and_back(generator):
    boxes, anchors = random_boxes(50, generator), random_boxes(50, generator)
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    offsets = encode(boxes, anchors)
    assert torch.allclose(offsets, coder.encode_single(boxes, anchors), atol=1e-5)
    assert torch.allclose(decode(offsets, anchors), boxes, atol=1e-3)
    wild = 5 * offsets
    ours = decode(wild, anchors, coder.bbox_xform_clip)
    assert torch.allclose(ours, coder.decode_single(wild, anchors), rtol=1e-4, atol=1e-2)


def test_resized_boxes():
    box = torch.tensor([10.0, 20, 30, 40])
    assert resize_boxes(box, (100, 200), (50, 400)).tolist() == [20, 10, 60, 20]


def test_suppression_is_torchvisions(generator):
    for _ in range(20):
        boxes = random_boxes(80, generator, side=40)
        stays = unsuppressed(boxes[None], 0.5)[0]
        best_first = torch.arange(80, 0, -1.0)
        assert stays.nonzero().flatten().tolist() == nms(boxes, best_first, 0.5).tolist()


def randomised(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network.eval()


def as_torchvision_published_it(state):
    """The official file is older than batch norm's counters and the heads' present names."""
    old = {}
    for key, value in state.items():
        head, found, rest = key.partition("_head.conv.")
        if found:
            number, _, kind = rest.split(".")
            key = f"{head}_head.conv.{2 * int(number)}.{kind}"
        if not key.endswith("num_batches_tracked"):
            old[key] = value
    return old


def test_a_file_without_header_is_read_as_torchvisions_own(tmp_path, generator):
    torch.manual_seed(0)
    network = torchvision.models.detection.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None
    )
    randomised(network)
    network.transform.min_size, network.transform.max_size = (32,), 48
    path = tmp_path / "coco.safetensors"
    save_file(as_torchvision_published_it(network.state_dict()), path)
    detector = load_detector("retinanet_resnet50_fpn", path, "cpu")
    assert len(detector.categories) == 91 and detector.categories[3] == "car"
    assert detector.network.transform.min_size == (800,)
    detector.network.transform.min_size, detector.network.transform.max_size = (32,), 48
    pixels = 255 * torch.rand(1, 3, 36, 64, generator=generator)
    assert_same_answer(detector, network, pixels)
    with pytest.raises(ValueError, match="names no categories in its header"):
        load_detector("retinanet_googlenet_fpn", path)


def test_the_official_file_is_read_as_torchvision_reads_it(as_official, monkeypatch, generator):
    """The same logits as its own builder and preprocessing give on a file of random weights."""
    torch.manual_seed(0)
    network = torchvision.models.detection.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # such that an eps of 1e-5 would count
            nn.init.constant_(module.running_var, 1e-4)
            nn.init.constant_(module.weight, 1e-2)
    state = as_torchvision_published_it(network.state_dict())
    path = as_official("retinanet_resnet50_fpn", state)
    detector = load_detector("retinanet_resnet50_fpn", "official", "cpu")
    assert detector.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()

    weights = torchvision.models.get_model_weights("retinanet_resnet50_fpn").DEFAULT
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *_, **__: state)
    theirs = torchvision.models.detection.retinanet_resnet50_fpn(weights=weights).eval()
    for transform in (theirs.transform, detector.network.transform):
        assert (transform.min_size, transform.max_size) == ((800,), 1333)
        transform.min_size, transform.max_size = (64,), 96
    picture = torch.randint(256, (3, 50, 70), generator=generator, dtype=torch.uint8)
    pictures, _ = theirs.transform([weights.transforms()(picture)])
    with torch.no_grad():
        expected = theirs.head(list(theirs.backbone(pictures.tensors).values()))
        output = detector(picture[None].float())
    assert output.resized == pictures.image_sizes[0]
    for found, name in ((output.logits, "cls_logits"), (output.offsets, "bbox_regression")):
        spread = expected[name].std().item()
        assert spread > 1e-3
        assert torch.allclose(found, expected[name], rtol=1e-3, atol=1e-2 * spread)


@pytest.fixture
def ours(tmp_path):
    torch.manual_seed(0)
    network = randomised(retinanet_googlenet_fpn(len(CATEGORIES), 96))
    path = tmp_path / "ours.safetensors"
    header = {
        "architecture": "retinanet_googlenet_fpn",
        "categories": '["person", "car", "bus"]',
        "size": "96",
        "mean": "[120, 115, 105]",
        "std": "[58, 57, 57]",
    }
    save_file(network.state_dict(), path, header)
    return path, network


def test_a_header_brings_categories_preprocessing_and_size(ours, generator):
    path, network = ours
    detector = load_detector("retinanet_googlenet_fpn", path, "cpu")
    assert detector.categories == CATEGORIES
    pixels = 255 * torch.rand(1, 3, 64, 80, generator=generator)
    assert_same_answer(detector, network, pixels)
    assert not detector.training and not any(p.requires_grad for p in detector.parameters())


def test_unknown_names_and_weights(ours):
    path, network = ours
    with pytest.raises(
        ValueError, match="unknown detector 'yolo': use 'retinanet_googlenet_fpn' or"
    ):
        load_detector("yolo")
    with pytest.raises(
        ValueError, match='no official weights for retinanet_googlenet_fpn; use weights="bundled"'
    ):
        load_detector("retinanet_googlenet_fpn", "official")
    with pytest.raises(
        ValueError, match='no bundled weights for retinanet_resnet50_fpn; use weights="official"'
    ):
        load_detector("retinanet_resnet50_fpn")
    with pytest.raises(
        ValueError, match="holds a retinanet_googlenet_fpn, not a retinanet_resnet50_fpn"
    ):
        load_detector("retinanet_resnet50_fpn", path)
    with pytest.raises(FileNotFoundError, match="no weights file"):
        load_detector("retinanet_resnet50_fpn", path.with_name("none.safetensors"))


def test_the_bundled_detector_is_small_has_a_card_and_finds_the_road_empty():
    weights = data_folder() / "weights" / "retinanet_voc2007.safetensors"
    assert weights.stat().st_size <= 16e6
    assert weights.with_suffix(".md").read_text(encoding="utf-8").startswith(f"# {weights.stem}")
    detector = load_detector(device="cpu")
    (seen,) = detector(load_picture("road", 320)[0]).detections()
    assert "car" in detector.categories and (seen["scores"] < 0.1).all()
