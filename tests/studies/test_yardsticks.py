"""What stands beside Table II, against closed forms."""

import math

import pytest
import torch

from jnd import Cost
from jnd.metrics import METRICS, psnr
from jnd.studies.distortions import noise_of
from jnd.studies.yardsticks import pull_at_rest, regularisers_alone, yardsticks


@pytest.fixture
def photos():
    generator = torch.Generator().manual_seed(1)
    return 40 + 170 * torch.rand(3, 3, 32, 32, generator=generator)


def test_noise_has_the_psnr_asked_for(photos):
    assert psnr(photos, noise_of(photos, 10.0)).tolist() == pytest.approx([10.0] * 3, abs=1e-4)


def test_the_regularisers_alone_rest_where_their_gradients_cancel(photos):
    x0 = photos.double()
    alone = regularisers_alone(x0, Cost(), 0.1, 200).requires_grad_()
    cost = Cost()(torch.zeros(3, dtype=torch.float64), alone, x0)
    (gradient,) = torch.autograd.grad(cost.sum(), alone)
    assert gradient.abs().max() < 1e-12 and not torch.equal(alone, x0)


def test_the_squared_distance_alone_leaves_the_photo_as_it_is(photos):
    assert torch.equal(regularisers_alone(photos, Cost(1, 0, 0), 0.1, 5), photos)


def test_beyond_one_over_lambda_the_regularisers_alone_run_away(photos):
    cost = Cost(squared_distance=2.0)
    below, above = (regularisers_alone(photos, cost, alpha, 200) for alpha in (0.4, 0.6))
    assert psnr(photos, below).min() > 40 and psnr(photos, above).max() < 0


def test_the_pull_at_rest_is_that_of_a_constant_gradient(photos):
    """Loss = g·x: x comes to rest at x(0) − g / 2λ."""
    g = torch.full_like(photos[:1], 0.05, dtype=torch.float64)
    rested = photos[:1].double() - 255 * g / (2 * 3.0)
    decibels = psnr(photos[:1].double(), rested).item()
    assert pull_at_rest(decibels, g.numel(), 3.0) == pytest.approx(0.05 * math.sqrt(g.numel()))


def test_every_yardstick_has_a_value_for_every_photo(photos):
    rows = yardsticks(photos, 10.0, Cost(), 0.1, 3, side=48)
    assert len(rows) == 4
    assert all(rows[name][metric].shape == (3,) for name in rows for metric in METRICS)
    noise = [rows[name]["PSNR"].tolist() for name in rows if name.startswith("noise")]
    assert noise == [pytest.approx([10.0] * 3, abs=1e-4)] * 3
