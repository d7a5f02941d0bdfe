"""The predictions against machines of which everything is known."""

import pytest
import torch
from torch import nn

from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machines import Plane
from jnd.studies.derivation import rest, slope, updates_to_K
from jnd.trajectory import distance

NORMAL = torch.tensor([[[0.06, -0.02]], [[0.01, 0.03]]], dtype=torch.float64)
MIDDLE = torch.full_like(NORMAL, 100.0)


@pytest.fixture
def machine():
    return Plane(NORMAL, MIDDLE, ("left", "right"))


@pytest.fixture
def x0():
    return MIDDLE + torch.tensor([5.0, 15.0, 30.0]).view(3, 1, 1, 1) * NORMAL.sign()


def test_the_slope_of_a_plane_is_its_normal(machine, x0):
    at = slope(machine, x0, torch.ones(3, dtype=torch.int64))
    assert torch.allclose(at.log_odds, machine(x0)[:, 1])
    assert torch.allclose(at.runner_up, torch.ones(3, dtype=torch.float64))
    assert torch.allclose(at.gradient, 255 * NORMAL.expand_as(x0))
    assert torch.allclose(at.steepness, 255 * NORMAL.norm().expand(3))
    assert at.aligned(-NORMAL.expand_as(x0)).tolist() == pytest.approx([1, 1, 1])


def test_the_slope_is_that_of_finite_differences(generator):
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 5)).double()
    x = 255 * torch.rand(2, 3, 2, 2, generator=generator, dtype=torch.float64)
    label, step = torch.tensor([0, 3]), torch.zeros(2, 3, 2, 2, dtype=torch.float64)
    network[1].weight.data /= 255
    step[:, 1, 0, 1] = 1e-3
    at, ahead, behind = (slope(network, y, label) for y in (x, x + step, x - step))
    expected = (ahead.log_odds - behind.log_odds) / 2e-3 * 255
    assert torch.allclose(at.gradient[:, 1, 0, 1], expected, rtol=1e-6)
    p = network(x).softmax(1)
    others = p.scatter(1, label[:, None], 0.0)
    assert torch.allclose(at.log_odds, p.gather(1, label[:, None])[:, 0].logit())
    assert torch.allclose(at.runner_up, others.amax(1) / others.sum(1))


def test_K_on_a_plane(machine, x0):
    """Its gradient is the same everywhere, so that small steps take as many as predicted."""
    label = torch.ones(3, dtype=torch.int64)
    at = slope(machine, x0, label)
    alpha = 5e-5
    found = find_jnd(machine, x0, alpha=alpha, max_iter=5000, cost=Cost.arm("none"), stop_at_K=True)
    predicted = updates_to_K(at, at.steepness, alpha)
    assert found.K.min() > 50
    assert found.K.tolist() == pytest.approx(predicted.tolist(), rel=0.02)


def test_K_with_a_runner_up(x0):
    """Two others that share what is not the label's flip it before it falls to one half."""
    linear = nn.Linear(4, 3, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.zero_()[0] = 0.01
        linear.bias.zero_()[0] = -3.5
    machine = nn.Sequential(nn.Flatten(), linear)
    found = find_jnd(
        machine, x0, label=0, alpha=5e-4, max_iter=5000, cost=Cost.arm("none"), stop_at_K=True
    )
    at = slope(machine, x0, torch.zeros(3, dtype=torch.int64))
    assert at.runner_up.tolist() == pytest.approx([0.5] * 3)
    predicted = updates_to_K(at, at.steepness, 5e-4)
    assert found.K.tolist() == pytest.approx(predicted.tolist(), rel=0.02)


def test_a_steady_gradient_comes_to_rest_where_it_balances_the_distance(machine, x0):
    label = torch.ones(3, dtype=torch.int64)
    strength = 4.0
    found = find_jnd(machine, x0, alpha=0.01, max_iter=300, cost=Cost(strength, 0.0, 0.0))
    at = slope(machine, found.x_end, label)
    hopeless = machine(found.x_end).softmax(1)[:, 0]  # 1 − p(y), nearly 1
    r = distance(found.x_end, x0) / 255
    aligned = at.aligned(found.x_end - x0)
    assert aligned.tolist() == pytest.approx([1, 1, 1])
    predicted = rest(hopeless * at.steepness, aligned, 1e-9, strength)
    assert r.tolist() == pytest.approx(predicted.tolist(), rel=1e-3)


@pytest.mark.parametrize("aligned", [0.0, 0.05, 1.0])
def test_gradients_that_turn_at_every_step(aligned, generator):
    """The recursion itself, with gradients of one length and a random direction each."""
    alpha, strength, g, size = 0.01, 1.0, 3.0, 5000
    x, ways = torch.ones(size, dtype=torch.float64) / size, []
    for _ in range(600):
        away = x / x.norm()
        noise = torch.randn(size, generator=generator, dtype=torch.float64)
        noise -= (noise @ away) * away
        push = g * (aligned * away + abs(1 - aligned**2) ** 0.5 * noise / noise.norm())
        x = (1 - 2 * alpha * strength) * x + alpha * push
        ways.append(x.norm().item())
    one = torch.ones(1, dtype=torch.float64)
    predicted = rest(g * one, aligned * one, alpha, strength).item()
    assert sum(ways[-200:]) / 200 == pytest.approx(predicted, rel=0.03)
