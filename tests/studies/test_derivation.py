"""The predictions against machines with closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from companion.studies.derivation import (
    LastUpdates,
    Slope,
    around_the_trap,
    flow_time_to_K,
    measured_against_predicted,
    psnr_against_alpha,
    regularised_runs,
    rest,
    search_for_one_run,
    slope,
    trapped_or_not,
    trapping_weight,
    updates_to_K,
)
from companion.studies.idea import Plane
from jnd.cost import Cost
from jnd.descent import find_jnd
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
    label = torch.tensor([0, 3])
    step = torch.zeros(2, 3, 2, 2, dtype=torch.float64)
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
    K = find_jnd(machine, x0, alpha=alpha, max_iter=5000, cost=Cost.arm("none"), stop_at_K=True).K
    predicted = updates_to_K(at, at.steepness, alpha)
    assert K.min() > 50
    assert K.tolist() == pytest.approx(predicted.tolist(), rel=0.02)


def test_K_with_a_runner_up(x0):
    """With two other classes that share the rest, the answer flips before p(y) is one half."""
    linear = nn.Linear(4, 3, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.zero_()[0] = 0.01
        linear.bias.zero_()[0] = -3.5
    machine = nn.Sequential(nn.Flatten(), linear)
    trajectory = find_jnd(
        machine, x0, label=0, alpha=5e-4, max_iter=5000, cost=Cost.arm("none"), stop_at_K=True
    )
    at = slope(machine, x0, torch.zeros(3, dtype=torch.int64))
    assert at.runner_up.tolist() == pytest.approx([0.5] * 3)
    predicted = updates_to_K(at, at.steepness, 5e-4)
    assert trajectory.K.tolist() == pytest.approx(predicted.tolist(), rel=0.02)


@pytest.fixture
def slopes():
    """Unsure, sure and very sure answers, with and without a clear runner-up."""
    log_odds = torch.tensor([-0.4, 0.5, 2.0, 3.0, 6.0, 9.0], dtype=torch.float64)
    runner_up = torch.tensor([0.5, 0.9, 0.3, 1.0, 0.5, 0.8], dtype=torch.float64)
    return Slope(log_odds, runner_up, torch.rand(6, 3, 2, 2, dtype=torch.float64) + 0.1)


def test_the_trapping_weight_is_where_the_pulls_first_touch(slopes):
    """Against the largest value on a fine grid up to the border."""
    limits = trapping_weight(slopes)
    for m, q, g, limit in zip(
        slopes.log_odds, slopes.runner_up, slopes.steepness, limits, strict=True
    ):
        u = np.linspace(0, (m - q.log()).item(), 200_001)
        pull_back = u * (1 + np.exp(m.item() - u))
        assert limit == pytest.approx(g.item() ** 2 / 2 / pull_back.max(), rel=1e-6)
    sure = slopes.steepness[5] ** 2 * math.exp(1 - 9.0) / 2
    assert limits[5] == pytest.approx(sure.item(), rel=0.01)


def test_the_time_to_K_without_a_distance_is_the_closed_form(slopes):
    expected = updates_to_K(slopes, slopes.steepness, 1.0)
    assert torch.allclose(flow_time_to_K(slopes, torch.zeros(6)), expected, rtol=1e-6)


def test_the_squared_distance_delays_and_then_traps(slopes):
    limits = trapping_weight(slopes)
    times = torch.stack([flow_time_to_K(slopes, share * limits) for share in (0, 0.5, 0.99)])
    assert (times.diff(dim=0) > 0).all()
    assert flow_time_to_K(slopes, 1.001 * limits).isinf().all()


def test_a_plane_is_noticed_below_the_limit_and_never_above_it(machine, x0):
    """Its gradient is the same everywhere, so that the law is exact but for the steps."""
    label = torch.ones(3, dtype=torch.int64)
    runs = around_the_trap(machine, x0, label, slope(machine, x0, label), (0.25, 0.5, 1.2, 4.0))
    assert runs["flow_time"].isfinite().tolist() == [[True] * 3] * 2 + [[False] * 3] * 2
    assert torch.allclose(runs["flow_time"][:2], runs["predicted"][:2], rtol=0.15)
    figure = trapped_or_not({"a": {name: values.tolist() for name, values in runs.items()}})
    left, _ = figure.axes
    full = [line for line in left.lines if line.get_markerfacecolor() != "white"]
    assert sum(len(line.get_xdata()) for line in full if line.get_marker() == "o") == 6


def test_a_steady_gradient_comes_to_rest_where_it_balances_the_distance(machine, x0):
    label = torch.ones(3, dtype=torch.int64)
    strength = 4.0
    trajectory = find_jnd(machine, x0, alpha=0.01, max_iter=300, cost=Cost(strength, 0.0, 0.0))
    at = slope(machine, trajectory.x_end, label)
    hopeless = machine(trajectory.x_end).softmax(1)[:, 0]  # 1 − p(y), nearly 1
    r = distance(trajectory.x_end, x0) / 255
    aligned = at.aligned(trajectory.x_end - x0)
    assert aligned.tolist() == pytest.approx([1, 1, 1])
    predicted = rest(hopeless * at.steepness, aligned, 1e-9, strength)
    assert r.tolist() == pytest.approx(predicted.tolist(), rel=1e-3)


@pytest.mark.parametrize("aligned", [0.0, 0.05, 1.0])
def test_gradients_that_turn_at_every_step(aligned, generator):
    """The recursion itself, with gradients of one length and a random direction each."""
    alpha = 0.01
    strength = 1.0
    g = 3.0
    size = 5000
    x = torch.ones(size, dtype=torch.float64) / size
    distances = []
    for _ in range(600):
        away = x / x.norm()
        noise = torch.randn(size, generator=generator, dtype=torch.float64)
        noise -= (noise @ away) * away
        push = g * (aligned * away + abs(1 - aligned**2) ** 0.5 * noise / noise.norm())
        x = (1 - 2 * alpha * strength) * x + alpha * push
        distances.append(x.norm().item())
    one = torch.ones(1, dtype=torch.float64)
    predicted = rest(g * one, aligned * one, alpha, strength).item()
    assert sum(distances[-200:]) / 200 == pytest.approx(predicted, rel=0.03)


def test_the_last_updates_are_averaged(machine, x0):
    """Of x(N − 2), x(N − 1) and x(N); the gradient of a plane is the same at each."""
    label = torch.ones(3, dtype=torch.int64)
    last = LastUpdates(machine, label, 3)
    trajectory = find_jnd(machine, x0, label=label, alpha=0.01, max_iter=20, watch=[last])
    steepness, aligned, r = last.means()
    assert torch.allclose(steepness, 255 * NORMAL.norm().expand(3))
    assert torch.allclose(r, trajectory.distance[-3:].mean(0) / 255)
    assert (aligned > 0.9).all()


def test_a_descent_shorter_than_the_last_updates_is_averaged_whole(machine, x0):
    label = torch.ones(3, dtype=torch.int64)
    last = LastUpdates(machine, label, 10)
    trajectory = find_jnd(machine, x0, label=label, alpha=0.01, max_iter=2, watch=[last])
    assert torch.allclose(last.means()[2], trajectory.distance.mean(0) / 255)


def test_the_search_counts_the_photos_that_come_as_far():
    with_terms = {"0.5": {"K": -1, "psnr": 40.0}, "0.1": {"K": 4, "psnr": 39.0}}
    far = {"without": {"K": 3, "N": 9, "psnr": 18.0}, "with": with_terms}
    near = {"without": {"K": 5, "N": 250, "psnr": 50.0}, "with": {}}
    values = {"photos": ["penguin", "cat"], "readings": {"away, plain": [far, near]}}
    assert search_for_one_run(values).loc["away, plain"].tolist() == [1, 50.0]
    table = regularised_runs(values)
    assert table.index.tolist() == ["penguin"] * 2
    assert table["λ / λ*"].tolist() == [0.5, 0.1] and table["PSNR with, dB"].tolist() == [40, 39]
    assert table["K with"].isna().tolist() == [True, False]


def test_predictions_are_drawn_beside_the_line_of_equality():
    measured = torch.tensor([1.0, 10.0])
    predicted = {"one": torch.tensor([2.0, 20.0]), "two": torch.tensor([1.0, 10.0])}
    (axis,) = measured_against_predicted({"K": (measured, predicted)}).axes
    one, two, equality = axis.lines
    assert one.get_xydata().tolist() == [[2, 1], [20, 10]]
    assert two.get_xydata().tolist() == [[1, 1], [10, 10]]
    assert equality.get_xdata().tolist() == equality.get_ydata().tolist() == [*axis.get_xlim()]
    assert axis.get_xlim() == axis.get_ylim()


def test_psnr_is_drawn_at_each_learning_rate_beside_the_printed_one():
    figure = psnr_against_alpha([0.1, 0.01], {"cat": torch.tensor([36.0, 39.0])}, 38.8)
    curve, printed = figure.axes[0].lines
    assert curve.get_xydata().tolist() == [[0.1, 36], [0.01, 39]] and curve.get_label() == "cat"
    assert printed.get_ydata()[0] == 38.8
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0.1", "0.01"]
