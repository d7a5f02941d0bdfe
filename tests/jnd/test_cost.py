import pytest
import torch

from jnd.cost import Cost, bounded_range, squared_distance, total_variation


def noise(generator, *shape):
    return 400 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 70


def test_squared_distance_of_a_constant_shift():
    x0 = torch.zeros(2, 3, 4, 5)
    shift = torch.tensor([2.0, 3.0]).view(2, 1, 1, 1)
    assert squared_distance(x0 + shift, x0).tolist() == [4.0 * 60, 9.0 * 60]


def test_bounded_range_counts_only_the_excess_beyond_the_range():
    pixels = torch.tensor([-2.0, 0.0, 7.0, 255.0, 258.0, 100.0]).view(1, 1, 2, 3)
    assert bounded_range(pixels).tolist() == [2.0 + 3.0]


def test_bounded_range_does_not_move_pixels_at_the_bounds():
    pixels = torch.tensor([0.0, 255.0]).view(1, 1, 1, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(bounded_range(pixels).sum(), pixels)
    assert gradient.abs().max() == 0


def test_total_variation_of_a_ramp():
    # p(v, u) = 2u + 5v: H(W−1) horizontal steps of 2, (H−1)W vertical steps of 5, 3 channels
    height = 6
    width = 4
    ramp = 2.0 * torch.arange(width) + 5.0 * torch.arange(height).view(-1, 1)
    expected = 3 * (height * (width - 1) * 4 + (height - 1) * width * 25) / (height * width)
    assert total_variation(ramp.expand(1, 3, height, width)).item() == pytest.approx(expected)


def test_the_cost_is_the_weighted_sum(generator):
    x = noise(generator, 2, 3, 5, 4)
    x0 = noise(generator, 2, 3, 5, 4)
    loss = torch.tensor([1.0, 2.0])
    expected = loss + 0.3 * squared_distance(x / 255, x0 / 255)  # the weights are for 0..1
    expected += 2.0 * bounded_range(x) / 255 + 0.7 * total_variation(x / 255)
    assert torch.allclose(Cost(0.3, 2.0, 0.7)(loss, x, x0), expected)


def test_arms():
    weights = dict(squared_distance=0.3, bounded_range=2.0, total_variation=0.7)
    assert Cost.arm("full", **weights) == Cost(0.3, 2.0, 0.7)
    assert Cost.arm("l2", **weights) == Cost(0.3, 0.0, 0.0)
    assert Cost.arm("none", **weights) == Cost(0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="unknown arm 'tv'"):
        Cost.arm("tv")


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_must_be_finite_and_not_negative(weight):
    with pytest.raises(ValueError, match="total_variation"):
        Cost(total_variation=weight)
