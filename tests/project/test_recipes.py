"""The training recipes: their common parts, and a small run of the one for CIFAR-10."""

import sys

import pytest
import torch
import torchvision
from PIL import Image
from safetensors import safe_open
from torch import nn

import cifar10
import one_run
from cifar10_files import BATCHES, write_archive
from companion.photos import read_rgb
from companion.registry import fetch
from companion.zoo import load_machine
from road import HEIGHT, WIDTH, render
from training import accuracy, fit, normalised, save_weights


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def batches(epoch):
    """Dark images against bright ones."""
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(8):
        labels = torch.randint(2, (16,), generator=generator)
        noise = torch.randint(120, (16, 3, 8, 8), generator=generator)
        yield normalised((noise + 120 * labels.view(-1, 1, 1, 1)).byte()), labels


def train(checkpoint, evaluate=lambda net: 0.0):
    options = dict(max_lr=0.1, evaluate=evaluate, steps_per_epoch=8, ema=0.5)
    return fit(model(), batches, 4, checkpoint=checkpoint, **options)


def test_training_learns(tmp_path):
    assert accuracy(train(tmp_path / "a.pt"), batches(99)) > 0.9


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path):
    straight = train(tmp_path / "a.pt").state_dict()
    rounds = []

    def killed(net):
        rounds.append(1)
        if len(rounds) == 3:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b.pt", killed)
    resumed = train(tmp_path / "b.pt").state_dict()
    assert all(torch.equal(resumed[key], straight[key]) for key in straight)


def test_saved_weights_name_what_the_loader_needs(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(model(), path, architecture="toy", categories=["dark", "bright"])
    with safe_open(path, "pt") as file:
        assert file.metadata()["categories"] == '["dark", "bright"]'
        assert file.metadata()["architecture"] == "toy"
        assert file.get_tensor("0.weight").dtype == torch.float16
        assert file.get_tensor("1.running_var").dtype == torch.float32


def test_the_road_is_what_its_script_renders():
    road = read_rgb(fetch("road.png"))
    assert road.shape == (3, HEIGHT, WIDTH)
    rendered = torch.from_numpy(render(seed=7).clip(0, 255)).permute(2, 0, 1)
    assert (road - rendered).abs().max() < 1  # whole grey levels, and platforms round differently


@pytest.fixture
def photos(generator):
    """Ten classes of one colour each, with noise: (60, 3, 32, 32) uint8 and labels."""
    labels = torch.arange(60) % 10
    colours = torch.rand(10, 3, 1, 1, generator=generator)[labels]
    noise = torch.rand(60, 3, 32, 32, generator=generator)
    return (200 * colours + 50 * noise).byte(), labels


@pytest.fixture
def archive(photos, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, dict.fromkeys(BATCHES, (photos[1].tolist(), photos[0])))
    return path


def test_cifar10_is_read_from_a_folder_too(photos, tmp_path):
    for i, (photo, label) in enumerate(zip(*photos, strict=True)):
        folder = tmp_path / "test" / cifar10.CIFAR10[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.permute(1, 2, 0).numpy()).save(folder / f"{i:02d}.png")
    read, labels = cifar10.read(tmp_path, train=False)
    order = photos[1].argsort(stable=True)
    assert torch.equal(labels, photos[1][order]) and torch.equal(read, photos[0][order])


def test_augmentation_is_seeded_and_erases_one_square(photos):
    bright = photos[0].clamp(min=cifar10.GREY + 1)

    def once(seed):
        return cifar10.augmented(bright, torch.Generator().manual_seed(seed))

    assert torch.equal(once(0), once(0)) and not torch.equal(once(0), once(1))
    assert ((once(0) == cifar10.GREY).all(1).sum((1, 2)) == cifar10.CUTOUT**2).all()


@pytest.mark.parametrize("architecture", cifar10.SETTINGS)
def test_a_trunk_lacks_only_the_last_layer(architecture, as_official):
    options = dict(weights=None, init_weights=False)
    theirs = torchvision.models.get_model(architecture, aux_logits=True, **options)
    as_official(architecture, theirs.state_dict())
    model = torchvision.models.get_model(architecture, num_classes=10, aux_logits=False, **options)
    result = model.load_state_dict(cifar10.trunk(architecture, None), strict=False)
    assert result.missing_keys == ["fc.weight", "fc.bias"] and not result.unexpected_keys


def test_the_recipe_makes_a_machine(archive, monkeypatch, tmp_path, capsys):
    settings = cifar10.SETTINGS["googlenet"] | {"stages": [(32, 1), (48, 1)]}
    monkeypatch.setitem(cifar10.SETTINGS, "googlenet", settings)
    torch.manual_seed(0)
    network = torchvision.models.googlenet(aux_logits=False, init_weights=False)
    trunk = tmp_path / "trunk.safetensors"
    save_weights(network, trunk)
    out = tmp_path / "out.safetensors"
    options = {"data": archive, "start": trunk, "out": out, "checkpoint": tmp_path / "state.pt"}
    command = ["cifar10.py", "googlenet", *(f"--{name}={path}" for name, path in options.items())]
    monkeypatch.setattr(sys, "argv", command)
    cifar10.main()
    assert "top-1 on the 60 test images" in capsys.readouterr().out
    machine = load_machine("googlenet", out)
    assert machine.input_size == (48, 48) and machine.categories == list(cifar10.CIFAR10)
    assert machine(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize(
    ("rule", "optimiser"),
    [(one_run.unchanged, torch.optim.SGD), (one_run.adam, torch.optim.Adam)],
)
def test_a_rule_of_the_search_steps_as_torch_does(rule, optimiser):
    start = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    theirs = start.clone().requires_grad_()
    torch_optimiser = optimiser([theirs], lr=0.1)
    ours = start.clone()
    history = []
    unit = 1 if rule is one_run.unchanged else start.numel() ** 0.5  # ours has unit norm
    for _ in range(4):
        torch_optimiser.zero_grad()
        theirs.square().sum().backward()
        torch_optimiser.step()
        ours = ours - 0.1 * unit * rule(2 * ours, history)
    torch.testing.assert_close(ours, theirs.detach())


def test_the_search_stops_at_the_printed_psnr():
    class Plane(nn.Module):
        def forward(self, x):
            first = x.sum((1, 2, 3)) / 255  # log-odds; g is the root of 12
            return torch.stack((first, torch.zeros_like(first)), 1)

    x0 = torch.full((1, 3, 2, 2), 255 * 0.1)  # the border is 1.2 / g away
    result = one_run.search(Plane(), x0, "away", "normalised")
    without = result["without"]
    assert without["K"] - one_run.SMALL_K in (0, 1)  # on the border itself, rounding decides
    # every pixel changes by 0.1 / 25 an update, and the printed PSNR is at this change
    change = 10 ** (-one_run.PRINTED / 20)
    assert without["N"] == -(-change // (0.1 / 25))
    # the squared distance holds the image back
    assert [*result["with"]] == [*one_run.SHARES]
    assert all(run["psnr"] > without["psnr"] for run in result["with"].values())
