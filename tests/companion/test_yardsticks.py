"""The regularisers alone, against closed forms."""

import pytest
import torch

from companion.yardsticks import regularisers_alone
from jnd.cost import Cost
from jnd.metrics import psnr


@pytest.fixture
def photos():
    generator = torch.Generator().manual_seed(1)
    return 40 + 170 * torch.rand(3, 3, 32, 32, generator=generator)


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
