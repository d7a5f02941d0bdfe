"""What the training recipes share."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from jnd.datasets import fetch, read_rgb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data" / "recipes"))

from road import HEIGHT, WIDTH, render  # noqa: E402
from training import accuracy, fit, normalised, save_weights  # noqa: E402


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 2),
    )


def batches(epoch):
    """Dark images against bright ones."""
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(8):
        labels = torch.randint(2, (16,), generator=generator)
        noise = torch.randint(120, (16, 3, 8, 8), generator=generator)
        yield normalised((noise + 120 * labels.view(-1, 1, 1, 1)).byte()), labels


def train(checkpoint, evaluate=lambda net: 0.0):
    return fit(model(), batches, 4, checkpoint=checkpoint, max_lr=0.1, evaluate=evaluate,
               steps_per_epoch=8, ema=0.5)


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
    save_weights(model(), tmp_path / "w.safetensors", architecture="toy", categories=["dark", "bright"])
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert file.metadata()["categories"] == '["dark", "bright"]'
        assert file.metadata()["architecture"] == "toy"
        assert file.get_tensor("0.weight").dtype == torch.float16
        assert file.get_tensor("1.running_var").dtype == torch.float32


def test_the_road_is_what_its_script_renders():
    road = read_rgb(fetch("road.png"))
    assert road.shape == (3, HEIGHT, WIDTH)
    rendered = torch.from_numpy(render(seed=0).clip(0, 255)).permute(2, 0, 1)
    assert (road - rendered).abs().max() < 1  # whole grey levels, and platforms round differently
