"""The study of CIFAR-10, against closed forms."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from companion.studies.cifar10 import first_correct, paired_differences, pull_at_rest, yardsticks
from jnd.cost import Cost
from jnd.metrics import METRICS, psnr


@pytest.fixture
def photos():
    generator = torch.Generator().manual_seed(1)
    return 40 + 170 * torch.rand(3, 3, 32, 32, generator=generator)


class Brightness(nn.Module):
    """Class 1 for bright images."""

    def __init__(self):
        super().__init__()
        self.register_buffer("grey", torch.tensor(127.5))

    def forward(self, x):
        return torch.stack((self.grey.expand(len(x)), x.mean((1, 2, 3))), 1)


def test_the_first_images_that_the_machine_classifies_correctly():
    levels = torch.tensor([0, 255, 0, 255, 255], dtype=torch.uint8)
    images = levels.view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    labels = torch.tensor([0, 1, 1, 1, 1])
    assert first_correct(Brightness(), images, labels, 3).tolist() == [0, 1, 3]
    with pytest.raises(ValueError, match="4 of 5 images.* 5 are needed"):
        first_correct(Brightness(), images, labels, 5)
    with pytest.raises(ValueError, match="agrees with only 1 of the first 5 labels"):
        first_correct(Brightness(), images, 1 - labels, 1)


def test_every_yardstick_has_a_value_for_every_photo(photos):
    rows = yardsticks(photos, 10.0, Cost(), 0.1, 3, side=48)
    assert len(rows) == 4
    assert all(rows[name][metric].shape == (3,) for name in rows for metric in METRICS)
    noise = [rows[name]["PSNR"].tolist() for name in rows if name.startswith("noise")]
    assert noise == [pytest.approx([10.0] * 3, abs=1e-4)] * 3


def test_the_pull_at_rest_is_that_of_a_constant_gradient(photos):
    """Loss = g·x: x comes to rest at x(0) − g / 2λ."""
    g = torch.full_like(photos[:1], 0.05, dtype=torch.float64)
    rested = photos[:1].double() - 255 * g / (2 * 3.0)
    decibels = psnr(photos[:1].double(), rested).item()
    assert pull_at_rest(decibels, g.numel(), 3.0) == pytest.approx(0.05 * math.sqrt(g.numel()))


def test_paired_differences_mark_mean_and_interval(generator):
    differences = {
        "PSNR": torch.randn(50, generator=generator).double(),
        "UQI": torch.full((50,), torch.nan),
    }
    differences["UQI"][:20] = torch.linspace(0, 1, 20)
    test = pd.DataFrame(
        {"difference": [0.1, 0.5], "low": [0.0, 0.4], "high": [0.2, 0.6]}, index=["PSNR", "UQI"]
    )
    left, right = paired_differences(differences, test).axes
    assert left.get_title() == "PSNR, dB" and right.get_title() == "UQI"
    zero, mean, dots = right.lines
    assert [zero.get_ydata()[0], mean.get_ydata()[0]] == [0, 0.5]
    assert dots.get_ydata() == pytest.approx(differences["UQI"][:20])
    assert left.lines[-1].get_ydata() == pytest.approx(differences["PSNR"].sort().values)


def test_paired_differences_of_no_pair():
    test = pd.DataFrame({"difference": [torch.nan], "low": torch.nan, "high": torch.nan}, ["PSNR"])
    (axis,) = paired_differences({"PSNR": torch.full((3,), torch.nan)}, test).axes
    assert axis.get_title() == "PSNR, dB" and not len(axis.lines[-1].get_ydata())
