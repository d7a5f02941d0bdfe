"""Bisection to the border that the last update of a descent crosses, where it is known."""

import pytest
import torch

from companion.bisection import BeforeK, bisect
from companion.checkpoint import Checkpoint
from companion.studies.idea import Plane
from companion.tables import flips
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.pictures import eight_bit
from jnd.trajectory import distance
from units import GREY


@pytest.fixture
def plane(generator):
    normal = torch.randn(3, 6, 5, generator=generator, dtype=torch.float64)
    return Plane(0.05 * normal, torch.full_like(normal, 120.0), ("left", "right"))


@pytest.fixture
def x0(plane, generator):
    """Images on the left, from a fraction of a grey level to some away."""
    images = 255 * torch.rand(4, 3, 6, 5, generator=generator, dtype=torch.float64)
    unit = plane.normal / plane.normal.norm()
    wanted = -torch.tensor([0.1, 1.0, 3.0, 9.0], dtype=torch.float64).view(-1, 1, 1, 1)
    along = ((images - plane.mean) * unit).flatten(1).sum(1).view(-1, 1, 1, 1)
    return images + (wanted - along) * unit


def watched(plane, x0, *, watch=(), **options):
    """A descent to the right along the normal and its images before K."""
    before = BeforeK()
    options = dict(target=1, cost=Cost.arm("none"), alpha=2.0 / GREY, max_iter=60) | options
    return find_jnd(plane, x0, label=0, watch=[before, *watch], **options), before.x


@pytest.mark.parametrize("shape", [(), (3, 2, 2)])
def test_bisection_halves_every_interval_on_its_own(shape):
    borders = torch.tensor([0.3, 0.7, 1.0], dtype=torch.float64)
    near = torch.zeros(3, *shape, dtype=torch.float64)
    far = torch.ones_like(near)

    def beyond(places):
        return places.flatten(1).mean(1) >= borders if shape else places >= borders

    for halvings in 0, 1, 20:
        reached = bisect(beyond, near, far, halvings)
        assert beyond(reached).all() and reached.shape == near.shape
        excess = reached.view(3, -1) - borders.view(3, 1)
        assert (excess <= 0.5**halvings).all()


@pytest.mark.parametrize("stop_at_K", [False, True])
def test_before_K_is_the_image_of_one_update_less(plane, x0, stop_at_K):
    trajectory, before = watched(plane, x0, stop_at_K=stop_at_K)
    assert (trajectory.K > 0).all() and len(trajectory.K.unique()) > 2
    for i, K in enumerate(trajectory.K.tolist()):
        if K == 1:
            assert torch.equal(before[i], x0[i])
        else:
            shorter, _ = watched(plane, x0[i : i + 1], max_iter=K - 1)
            assert torch.allclose(before[i], shorter.x_end[0], rtol=1e-12)


def test_before_K_of_pictures_is_a_picture(plane, x0):
    trajectory, before = watched(plane, eight_bit(x0), pixels="8bit")
    flipped = trajectory.K > 0
    assert flipped.any() and torch.equal(before, eight_bit(before))
    assert (plane(before[flipped]).argmax(1) == 0).all()


def test_before_K_survives_an_interruption(plane, x0, tmp_path):
    expected, before = watched(plane, x0, stop_at_K=True)
    checkpoint = Checkpoint(tmp_path / "x.checkpoint")

    def interrupted(recording):
        checkpoint.save(recording.state, now=True)
        if recording.k == int(expected.K.median()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched(plane, x0, stop_at_K=True, watch=[interrupted])
    resumed, before_resumed = watched(plane, x0, stop_at_K=True, resume=checkpoint.load())
    assert torch.equal(resumed.K, expected.K) and torch.equal(before_resumed, before)


def test_at_the_border_the_margin_is_gone(plane, x0):
    """The path is straight, so the border on it is as far as the plane."""
    trajectory, before = watched(plane, x0, stop_at_K=True)
    label = torch.zeros(4, dtype=torch.int64)
    border = bisect(lambda x: flips(plane, label, x), before, trajectory.x_jnd, halvings=30)
    assert torch.allclose(distance(border, x0), plane.distance(x0), rtol=1e-7)
    assert (distance(trajectory.x_jnd, x0) > 1.001 * distance(border, x0)).any()
    assert flips(plane, label, border).all()


def test_without_K_there_is_no_border_and_with_K_0_it_is_at_the_original(plane, x0):
    x0[0] += 20 * plane.normal / plane.normal.norm()
    trajectory, before = watched(plane, x0, alpha=1e-6 / GREY, max_iter=2)
    assert trajectory.K.tolist() == [0, -1, -1, -1]
    label = torch.zeros(4, dtype=torch.int64)
    border = bisect(lambda x: flips(plane, label, x), before, trajectory.x_jnd, halvings=10)
    assert torch.equal(border[0], x0[0]) and border[1:].isnan().all()
