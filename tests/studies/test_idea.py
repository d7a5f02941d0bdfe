"""The plane against its closed form, and figures against what they are given."""

import numpy as np
import pytest
import torch

from companion.studies.idea import (
    Plane,
    distance_curves,
    paths_in_the_plane,
    psychometric_function,
)
from jnd.cost import Cost
from jnd.descent import find_jnd
from units import GREY


def test_the_jnd_of_a_plane_is_its_distance():
    """(3, 4)·(x − (10, 20)) = 0 is 25 / 5 from (15, 22.5), and x(K) is at most a step beyond."""
    machine = Plane(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[10.0, 20.0]]]), ("a", "b"))
    x0 = torch.tensor([[[[15.0, 22.5]]], [[[10.0, 20.0]]]])
    assert machine.distance(x0).tolist() == pytest.approx([5, 0])
    assert machine(x0).argmax(1)[0] == 1
    trajectory = find_jnd(machine, x0[:1], target=0, alpha=0.01 / GREY, cost=Cost.arm("none"))
    distance = trajectory.jnd.item() * x0[0].norm().item()
    assert 5 < distance <= 5 + 0.01 * 5


def test_two_planes_have_two_hashes():
    normal = torch.ones(1, 1, 2)
    mean = torch.zeros(1, 1, 2)
    hashes = {Plane(normal * k, mean, ("a", "b")).sha256 for k in (1, 2, 2)}
    assert len(hashes) == 2 and all(len(h) == 64 for h in hashes)


def test_the_psychometric_function_of_a_machine_is_a_step_at_its_threshold():
    change = torch.tensor([0.0, 1.0, 2.0, 3.0])
    figure = psychometric_function(change, torch.tensor([0.0, 0.2, 0.6, 1.0]), change / 3, 1.5)
    step, expected, counted = figure.axes[0].lines
    assert step.get_xdata().tolist() == [0, 1.5, 3] and step.get_ydata().tolist() == [0, 1, 1]
    assert np.allclose(expected.get_ydata(), change / 3)
    assert counted.get_ydata()[1] == pytest.approx(0.2)


@pytest.fixture
def machine():
    """Day is to the right of the line left = 100."""
    return Plane(torch.tensor([[[0.1, 0.0]]]), torch.tensor([[[100.0, 0.0]]]), ("night", "day"))


def descend(machine, alpha, watch=()):
    """From an image of two pixels, 2 away from the line."""
    x0 = torch.tensor([[[[98.0, 30.0]]]])
    cost = Cost.arm("none")
    return find_jnd(machine, x0, target=1, alpha=alpha / GREY, max_iter=9, cost=cost, watch=watch)


@pytest.fixture
def still(machine):
    """A descent of steps too small to arrive."""
    return descend(machine, 1e-3)


def test_paths_in_the_plane_end_at_K(machine):
    path = []
    keep = [lambda recording: path.append(recording.x[0].clone())]
    trajectory = descend(machine, 10.0, keep)
    figure = paths_in_the_plane(machine, {"none": torch.stack(path)}, {"none": trajectory})
    (axis,) = figure.axes
    K = trajectory.K.item()
    assert 0 < K < 9 and f"K = {K}," in axis.get_title()
    assert np.allclose(axis.lines[0].get_xydata(), torch.stack(path)[: K + 1].view(-1, 2))
    (circle,) = axis.patches
    assert np.allclose(circle.center, (98, 30)) and circle.radius == pytest.approx(2)


def test_paths_in_the_plane_that_never_arrive_are_shown_whole(machine, still):
    path = still.x0.repeat(10, 1, 1, 1)
    (axis,) = paths_in_the_plane(machine, {"none": path}, {"none": still}).axes
    assert len(axis.lines[0].get_xdata()) == 10
    assert "x(K)" not in [text.get_text() for text in axis.texts]


def test_distance_curves_mark_K_only_where_there_is_one(machine, still):
    trajectory = descend(machine, 10.0)
    (axis,) = distance_curves({"step": {"long": trajectory, "short": still}}, 2.0).axes
    threshold, long, mark, short = axis.lines
    K = trajectory.K.item()
    assert threshold.get_ydata()[0] == 2
    assert np.allclose(long.get_ydata(), trajectory.distance[:, 0])
    assert (mark.get_xdata(), mark.get_ydata()) == (K, trajectory.distance[K, 0])
    assert short.get_label() == "short"
