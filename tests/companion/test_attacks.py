"""Other people's attacks on a machine whose smallest changes are known."""

import pytest
import torch

from companion.attacks import Descent, run_attack, smallest, state_of_the_art
from companion.checkpoint import Checkpoint
from companion.studies.idea import Plane
from jnd.cost import Cost
from jnd.descent import find_jnd
from units import GREY

BUDGET = 40


@pytest.fixture
def plane(generator):
    """Two classes with a plane between, of which the photos below are some grey levels away."""
    normal = torch.randn(3, 8, 8, generator=generator)
    return Plane(0.005 * normal, torch.full((3, 8, 8), 120.0), ("here", "there"))


@pytest.fixture
def x0(plane, generator):
    """Two images on the first class's side, at distances of 8 and 16 grey levels in all."""
    along = torch.randn(2, 3, 8, 8, generator=generator)
    unit = plane.normal / plane.normal.norm()
    along -= (along * unit).flatten(1).sum(1).view(-1, 1, 1, 1) * unit
    return plane.mean + 10 * along - torch.tensor([8.0, 16.0]).view(-1, 1, 1, 1) * unit


def attack(name, plane, x0, budget=BUDGET):
    label = torch.zeros(len(x0), dtype=torch.int64)
    return run_attack(state_of_the_art(budget)[name], plane, x0, label)


@pytest.mark.parametrize(
    "name, budget, tolerance",
    [
        ("FGV", 1, 0.01),
        ("PGD-L2", BUDGET, 0.07),
        ("DeepFool", BUDGET, 0.03),
        ("DDN", 100, 0.02),
        ("C&W-L2", 300, 0.1),
    ],  # Adam's first steps are nearly those of the signs
)
def test_the_euclidean_attacks_find_the_nearest_point_of_a_plane(
    plane, x0, name, budget, tolerance
):
    attacked = attack(name, plane, x0, budget).images
    change = (attacked - x0).flatten(1).norm(dim=1)
    assert (plane(attacked).argmax(1) == 1).all()
    assert change.tolist() == pytest.approx(plane.distance(x0).tolist(), rel=tolerance)
    assert (change >= plane.distance(x0) * (1 - 1e-4)).all()


def test_the_signs_step_is_as_long_as_the_plane_is_far_in_the_largest_change(plane, x0):
    change = (attack("FGSM", plane, x0).images - x0).abs().flatten(1)
    expected = plane(x0)[:, 1].abs() / plane.normal.abs().sum()
    assert change.amax(1).tolist() == pytest.approx(expected.tolist(), rel=0.01)
    assert torch.allclose(change, change[:, :1].expand_as(change), rtol=1e-3)


@pytest.mark.parametrize("name", state_of_the_art(BUDGET))
def test_each_image_is_on_its_own_and_counted(plane, x0, name):
    both = attack(name, plane, x0)
    alone = attack(name, plane, x0[1:])
    assert torch.equal(both.images[1:], alone.images)
    assert both.gradients[1:] == alone.gradients
    if name in {"FGSM", "FGV"}:
        assert both.gradients.tolist() == [1, 1]
    elif name != "DeepFool":  # which stops at the first flip
        assert (both.gradients >= BUDGET).all()


def test_our_descent_is_counted_as_it_says(plane, x0):
    settings = dict(alpha=100.0 / GREY, max_iter=60, cost=Cost.arm("none"))
    label = torch.zeros(2, dtype=torch.int64)
    to_K = run_attack(Descent(**settings, stop_at_K=True), plane, x0, label)
    to_end = run_attack(Descent(**settings), plane, x0, label)
    alone = find_jnd(plane, x0, **settings)
    extra = to_K.gradients - alone.K  # that of x(K) itself is taken before it leaves
    assert (alone.K > 0).all() and ((extra == 0) | (extra == 1)).all()
    assert torch.allclose(to_K.images, alone.x_jnd) and torch.allclose(to_end.images, alone.x_end)
    assert to_end.gradients.tolist() == [60, 60]


@pytest.mark.parametrize("name", [*state_of_the_art(BUDGET), "descent"])
def test_an_interrupted_attack_goes_on_where_it_was(plane, x0, name, tmp_path, monkeypatch):
    """The first image is not attacked again, by an attack created anew."""
    label = torch.zeros(2, dtype=torch.int64)

    def attack():
        if name == "descent":
            return Descent(Cost.arm("none"), 100.0, 60)
        return state_of_the_art(BUDGET)[name]

    def run(**options):
        return run_attack(attack(), plane, x0, label, **options)

    def interrupted(images):
        for i in images:
            if i == 1:
                raise KeyboardInterrupt
            yield i

    def remaining(images):
        numbers.extend(images)
        return numbers

    monkeypatch.setattr("companion.checkpoint.SECONDS", 0)
    checkpoint = Checkpoint(tmp_path / "x.checkpoint")
    numbers = []
    expected = run()
    with pytest.raises(KeyboardInterrupt):
        run(progress=interrupted, checkpoint=checkpoint)
    resumed = run(progress=remaining, checkpoint=checkpoint)
    assert numbers == [1]
    assert torch.equal(resumed.images, expected.images)
    assert torch.equal(resumed.gradients, expected.gradients)


def test_what_does_not_flip_has_no_image(plane, x0):
    label = torch.zeros(2, dtype=torch.int64)
    attacked = run_attack(lambda machine, x0, label: x0, plane, x0, label)
    assert attacked.images.isnan().all() and attacked.gradients.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["DeepFool", "DDN", "PGD-L2", "C&W-L2"])
def test_any_other_answer_will_do(name, generator):
    """Of two classes to flip to, as far as their planes, the nearer one is taken."""
    normals = torch.randn(2, 3, 8, 8, generator=generator)
    normals /= normals.flatten(1).norm(dim=1).view(2, 1, 1, 1)

    class Three(torch.nn.Module):
        """Logits of the label, of a class 40 grey levels away and of one 10 away."""

        def forward(self, pixels):
            along = ((pixels - 120)[:, None] * normals).flatten(2).sum(2)
            far, near = (along - along.new_tensor([40.0, 10.0])).unbind(1)
            return 0.1 * torch.stack((torch.zeros_like(far), far, near), 1)

    x0 = torch.full((1, 3, 8, 8), 120.0)
    attacked = run_attack(state_of_the_art(400)[name], Three(), x0, torch.tensor([0])).images
    assert Three()(attacked).argmax(1) == 2
    assert (attacked - x0).norm().item() == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("border", [0.01, 0.0625, 0.7, 3.0, 200.0])
def test_the_smallest_size_is_bracketed_and_bisected(border):
    sizes = []

    def image_at(size):
        sizes.append(size)
        return torch.full((1, 3, 2, 2), size)

    reached = smallest(image_at, lambda image: image[:, 0, 0, 0] >= border, 7).max().item()
    assert border <= reached <= border + max(border, 1 / 16) / 2**6
    doubled = [1 / 16 * 2**i for i in range(20)]
    count = next(i for i, size in enumerate(doubled) if size >= border) + 1
    assert sizes[:count] == doubled[:count] and len(sizes) == count + 7


def test_a_direction_in_which_nothing_flips():
    sizes = []

    def image_at(size):
        sizes.append(size)
        return torch.full((1, 3, 1, 1), size)

    assert smallest(image_at, lambda image: image[:, 0, 0, 0] < 0, 3).isnan().all()
    assert max(sizes) == 256


def test_no_budget():
    with pytest.raises(ValueError, match="budget = 0, but an attack needs at least 1 gradient"):
        state_of_the_art(0)
