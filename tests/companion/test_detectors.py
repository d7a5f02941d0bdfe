"""Detectors by name, beside torchvision's own builders and preprocessing."""

import hashlib

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from companion.checkout import data_folder
from companion.photos import load_picture
from companion.zoo import load_detector, retinanet_googlenet_fpn

SMALL_HEADER = {
    "architecture": "retinanet_googlenet_fpn",
    "categories": '["person", "car", "bus"]',
    "size": "96",
    "mean": "[120, 115, 105]",
    "std": "[58, 57, 57]",
}


def randomise_norms(network):
    """Moderate statistics, which a deep network in eval mode survives."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network.eval()


def torchvision_retinanet():
    torch.manual_seed(0)
    return torchvision.models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None)


def assert_same_answer(detector, network, pixels):
    """The preprocessing is torchvision's, and folding batch norm changed nothing."""
    network.transform.image_mean = (detector.mean.flatten() / 255).tolist()
    network.transform.image_std = (detector.std.flatten() / 255).tolist()
    pictures, _ = network.transform(list(pixels / 255))
    with torch.no_grad():
        output = detector(pixels)
        expected = network.head(list(network.backbone(pictures.tensors).values()))
    assert output.resized == pictures.image_sizes[0]
    assert torch.allclose(output.logits, expected["cls_logits"], atol=1e-3)
    assert torch.allclose(output.offsets, expected["bbox_regression"], atol=1e-3)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in detector.modules())


def as_torchvision_published_it(state):
    """The official file is older than batch norm's counters and the heads' present names."""
    published = {}
    for key, value in state.items():
        head, separator, layer = key.partition("_head.conv.")
        if separator:
            number, _, kind = layer.split(".")
            key = f"{head}_head.conv.{2 * int(number)}.{kind}"
        if not key.endswith("num_batches_tracked"):
            published[key] = value
    return published


def test_a_file_without_header_is_read_as_torchvisions_own(tmp_path, generator):
    network = randomise_norms(torchvision_retinanet())
    path = tmp_path / "coco.safetensors"
    save_file(as_torchvision_published_it(network.state_dict()), path)
    detector = load_detector("retinanet_resnet50_fpn", path, "cpu")
    assert len(detector.categories) == 91 and detector.categories[3] == "car"
    assert detector.network.transform.min_size == (800,)
    for transform in (network.transform, detector.network.transform):
        transform.min_size = (32,)
        transform.max_size = 48
    assert_same_answer(detector, network, 255 * torch.rand(1, 3, 36, 64, generator=generator))
    with pytest.raises(ValueError, match="names no categories in its header"):
        load_detector("retinanet_googlenet_fpn", path)


def test_the_official_file_is_read_as_torchvision_reads_it(as_official, monkeypatch, generator):
    """The same logits as its own builder and preprocessing give on a file of random weights."""
    network = torchvision_retinanet()
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
        transform.min_size = (64,)
        transform.max_size = 96
    picture = torch.randint(256, (3, 50, 70), generator=generator, dtype=torch.uint8)
    pictures, _ = theirs.transform([weights.transforms()(picture)])
    with torch.no_grad():
        expected = theirs.head(list(theirs.backbone(pictures.tensors).values()))
        output = detector(picture[None].float())
    assert output.resized == pictures.image_sizes[0]
    for ours, name in ((output.logits, "cls_logits"), (output.offsets, "bbox_regression")):
        spread = expected[name].std().item()
        assert spread > 1e-3
        assert torch.allclose(ours, expected[name], rtol=1e-3, atol=1e-2 * spread)


@pytest.fixture
def small_network():
    torch.manual_seed(0)
    return randomise_norms(retinanet_googlenet_fpn(3, 96))


@pytest.fixture
def small_file(tmp_path, small_network):
    path = tmp_path / "small.safetensors"
    save_file(small_network.state_dict(), path, SMALL_HEADER)
    return path


def test_a_header_brings_categories_preprocessing_and_size(small_file, small_network, generator):
    detector = load_detector("retinanet_googlenet_fpn", small_file, "cpu")
    assert detector.categories == ["person", "car", "bus"]
    pixels = 255 * torch.rand(1, 3, 64, 80, generator=generator)
    assert_same_answer(detector, small_network, pixels)
    assert not detector.training and not any(p.requires_grad for p in detector.parameters())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["yolo"], "unknown detector 'yolo': use 'retinanet_googlenet_fpn' or"),
        (
            ["retinanet_googlenet_fpn", "official"],
            'no official weights for retinanet_googlenet_fpn; use weights="bundled"',
        ),
        (
            ["retinanet_resnet50_fpn"],
            'no bundled weights for retinanet_resnet50_fpn; use weights="official"',
        ),
    ],
)
def test_unknown_names_and_weights(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_detector(*arguments)


def test_files_of_another_detector_and_missing_ones(small_file):
    message = "holds a retinanet_googlenet_fpn, not a retinanet_resnet50_fpn"
    with pytest.raises(ValueError, match=message):
        load_detector("retinanet_resnet50_fpn", small_file)
    with pytest.raises(FileNotFoundError, match="no weights file"):
        load_detector("retinanet_resnet50_fpn", small_file.with_name("none.safetensors"))


def test_the_bundled_detector_is_small_has_a_card_and_sees_an_empty_road():
    weights = data_folder() / "weights" / "retinanet_voc2007.safetensors"
    assert weights.stat().st_size <= 16e6
    assert weights.with_suffix(".md").read_text(encoding="utf-8").startswith(f"# {weights.stem}")
    detector = load_detector(device="cpu")
    (detections,) = detector(load_picture("road", 320)[0]).detections()
    assert "car" in detector.categories
    assert (detections["scores"] < 0.1).all()
