import hashlib
import json
import pickle

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms.v2.functional import center_crop

from companion.checkout import ROOT
from companion.photos import load_photos, packaged_photos
from companion.zoo import CIFAR10_GOOGLENET, load_machine
from jnd.descent import find_jnd

PIXELS = (2, 3, 80, 96)


@pytest.fixture
def pixels(generator):
    return 255 * torch.rand(PIXELS, generator=generator)


def random_network(name, **options):
    """A network with batch norm adapted to noise, so that its answers depend on the picture."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, 3, 128, 128))
    return network.eval()


@pytest.fixture(params=["resnet18", "googlenet"])
def official(request, tmp_path):
    """A file in the layout of torchvision's official one, and the network it came from."""
    name = request.param
    options = {}
    if name != "resnet18":
        options = dict(transform_input=True, aux_logits=True, init_weights=False)
    network = random_network(name, **options)
    path = tmp_path / f"{name}.safetensors"
    save_file(network.state_dict(), path)
    return name, path, network


def test_a_file_without_header_is_read_as_torchvisions_own(official, pixels):
    """The same logits as torchvision's network behind torchvision's preprocessing."""
    name, path, network = official
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    normalised = torchvision.transforms.v2.functional.normalize(
        pixels / 255, preset.mean, preset.std
    )
    machine = load_machine(name, path)
    with torch.no_grad():
        assert torch.allclose(machine(pixels), network(normalised), rtol=1e-4, atol=1e-4)
    assert len(machine.categories) == 1000 and machine.categories[294] == "brown bear"


def test_a_header_brings_categories_and_preprocessing(tmp_path, pixels):
    network = random_network("googlenet", num_classes=2, aux_logits=False, init_weights=False)
    path = tmp_path / "two.safetensors"
    header = {
        "architecture": "googlenet",
        "categories": '["cup", "cat"]',
        "mean": "[1, 2, 3]",
        "std": "[4, 5, 6]",
        "input_size": "[80, 96]",
    }
    save_file(
        {k: v.half() if v.ndim > 1 else v for k, v in network.state_dict().items()}, path, header
    )
    machine = load_machine("googlenet", str(path))
    assert machine.categories == ["cup", "cat"] and machine.input_size == PIXELS[2:]
    network.load_state_dict(
        {k: v.half().float() if v.ndim > 1 else v for k, v in network.state_dict().items()}
    )
    normalised = torch.stack([(pixels[:, c] - (1, 2, 3)[c]) / (4, 5, 6)[c] for c in range(3)], 1)
    with torch.no_grad():
        assert torch.allclose(machine(pixels), network(normalised), rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="holds a googlenet, not a resnet18"):
        load_machine("resnet18", path)


def test_the_bundled_machine_knows_a_cat_and_nothing_nearer_to_a_motorcycle_than_an_automobile():
    machine = load_machine(CIFAR10_GOOGLENET)
    photos, _ = load_photos(["cat", "motorcycle"], 32)
    with torch.no_grad():
        classes = machine(photos.to(machine.mean.device)).argmax(1)
    assert [machine.categories[c] for c in classes] == ["cat", "automobile"]


@pytest.mark.parametrize(
    "photos, steps",
    [(["cat", "motorcycle"], 13), pytest.param(packaged_photos(), 120, marks=pytest.mark.slow)],
)
def test_folding_and_channels_last_leave_the_gradient_and_K(photos, steps):
    """Against torchvision's network as it is and Eq. 1 to 3 in a plain loop, photo by photo."""
    weights = ROOT / "data" / "weights" / f"{CIFAR10_GOOGLENET}.safetensors"
    with safe_open(weights, "pt") as file:
        state, header = {k: file.get_tensor(k).float() for k in file.keys()}, file.metadata()
    network = torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False)
    network.load_state_dict(state)
    network.eval().requires_grad_(False)
    mean, std = (torch.tensor(json.loads(header[key])).view(3, 1, 1) for key in ("mean", "std"))
    size = json.loads(header["input_size"])
    x0, _ = load_photos(photos, 32)
    machine = load_machine(CIFAR10_GOOGLENET, device="cpu")

    def plain_machine(x):
        return network(nn.functional.interpolate((x - mean) / std, size, mode="bilinear"))

    label, target = plain_machine(x0).topk(2).indices.T

    def loss_gradient(answer):
        x = x0.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(answer(x), target, reduction="sum")
        return torch.autograd.grad(loss, x)[0].flatten(1)

    gradients = loss_gradient(plain_machine), loss_gradient(machine)
    assert torch.nn.functional.cosine_similarity(*gradients).min() >= 0.9999

    x, expected = x0.clone(), torch.full((len(x0),), -1)
    for k in range(steps + 1):
        answer = plain_machine(x.requires_grad_())
        expected[(expected < 0) & (answer.argmax(1) != label)] = k
        across, down = x.diff(dim=3).square().sum(), x.diff(dim=2).square().sum()
        outside = (x - x.clamp(0, 255)).abs().sum()
        loss = torch.nn.functional.cross_entropy(answer, target, reduction="sum")
        squares = (x - x0).square().sum() + (across + down) / 32**2
        total = loss + squares / 255**2 + outside / 255
        x = x.detach() - 0.001 * 255**2 * torch.autograd.grad(total, x)[0]
    trajectory = find_jnd(machine, x0, target=target, alpha=0.001, max_iter=steps, stop_at_K=True)
    assert expected.min() > 0 and (trajectory.K - expected).abs().max() <= 1


def test_the_bundled_machine_is_small_and_has_a_card():
    weights = ROOT / "data" / "weights" / f"{CIFAR10_GOOGLENET}.safetensors"
    assert weights.stat().st_size <= 12e6
    assert (
        weights.with_suffix(".md").read_text(encoding="utf-8").startswith(f"# {CIFAR10_GOOGLENET}")
    )
    assert load_machine(CIFAR10_GOOGLENET).name == CIFAR10_GOOGLENET


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown machine 'resnet81'; there is .*resnet18"):
        load_machine("resnet81")
    with pytest.raises(ValueError, match='no weights for googlenet_cifar10: use weights="bundled"'):
        load_machine("googlenet_cifar10", "official")
    for name in ("resnet18", "googlenet"):
        with pytest.raises(ValueError, match=rf"no weights for {name} are bundled \(only for eff"):
            load_machine(name)


def test_images_too_small_for_the_machine(official):
    name, path, _ = official
    if name == "googlenet":
        with pytest.raises(ValueError, match="fails on images of 14×80 pixels .*is too small"):
            load_machine(name, path)(torch.zeros(1, 3, 14, 80))


def test_missing_truncated_foreign_and_pickled_weights(tmp_path):
    state = random_network("squeezenet1_1").state_dict()
    path = tmp_path / "weights.safetensors"
    with pytest.raises(FileNotFoundError, match="no weights file"):
        load_machine("squeezenet1_1", path)
    save_file(state, path)
    with pytest.raises(ValueError, match="does not fit alexnet: Missing key"):
        load_machine("alexnet", path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="not a valid safetensors file .*; download it again"):
        load_machine("squeezenet1_1", path)
    torch.save(state, path)
    with pytest.raises(ValueError, match="A pickle .* is never loaded"):
        load_machine("squeezenet1_1", path)
    path.write_bytes(pickle.dumps(state))
    with pytest.raises(ValueError, match="A pickle .* is never loaded"):
        load_machine("squeezenet1_1", path)


class TestOfficialWeights:
    """From files of random weights, with the names and the layout of torchvision's."""

    @pytest.fixture(params=["inception_v3", "googlenet", "resnet18"])
    def theirs(self, request, as_official, monkeypatch):
        """Their file, and the network and preprocessing that torchvision makes of its content."""
        options = {} if request.param == "resnet18" else {"init_weights": False}
        state = random_network(request.param, **options).state_dict()
        path = as_official(request.param, state)
        weights = torchvision.models.get_model_weights(request.param).DEFAULT
        monkeypatch.setattr(type(weights), "get_state_dict", lambda *_, **__: state)
        network = torchvision.models.get_model(request.param, weights=weights).eval()
        return request.param, path, network, weights.transforms()

    def test_the_answers_are_torchvisions(self, theirs, generator):
        name, path, network, preset = theirs
        sides = 2 * [preset.resize_size[0]]  # so that the preset resizes nothing, it cuts only
        pictures = torch.randint(256, (2, 3, *sides), generator=generator, dtype=torch.uint8)
        machine = load_machine(name, "official", "cpu")
        cut = center_crop(pictures, preset.crop_size)
        with torch.no_grad():
            expected, logits = network(preset(pictures)), machine(cut.float())
        spread = (expected[0] - expected[1]).std()
        assert spread > 1e-2 * expected.std()
        assert (logits - expected).abs().max() < 1e-3 * spread
        assert machine.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        # the auxiliary heads are in the file and serve training only
        assert not any(key.startswith(("aux", "Aux")) for key in machine.network.state_dict())

    def test_another_file_of_that_name_is_not_loaded(self, as_official, monkeypatch):
        path = as_official("inception_v3", {})
        path.write_bytes(b"other")
        monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("loaded"))
        with pytest.raises(
            ValueError, match="inception_v3_google-0cc3c7bd.pth is not the registered file"
        ):
            load_machine("inception_v3", "official")

    def test_unregistered_ones_are_checked_by_the_hash_in_their_name(self, monkeypatch, tmp_path):
        monkeypatch.setenv("JND_MIRROR", str(tmp_path))
        torch.save({}, tmp_path / "squeezenet1_1-b8a52dc0.pth")
        with pytest.raises(ValueError, match="instead of b8a52dc0 .*copy of https://"):
            load_machine("squeezenet1_1", "official")
