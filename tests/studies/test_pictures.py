"""Pictures that fool, against a plane, where all is known, and against Pillow."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from companion.photos import packaged_squares
from companion.studies.pictures import (
    TREATMENTS,
    StraightThrough,
    halved,
    jnd_of_pictures,
    pictures_by_method,
    read_descents,
    survival,
    survival_figure,
    up_or_down,
)
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.pictures import eight_bit, save_png
from jnd.trajectory import distance
from units import GREY

NONE = Cost.arm("none")


class Plane(nn.Module):
    """Two classes: logits (0, w·(x − 100) − margin)."""

    def __init__(self, w, margin):
        super().__init__()
        self.w = nn.Parameter(w)
        self.margin = margin

    def forward(self, x):
        beyond = ((x - 100) * self.w).flatten(1).sum(1) - self.margin
        return torch.stack((torch.zeros_like(beyond), beyond), 1)


@pytest.fixture
def w(generator):
    return torch.randn(3, 2, 2, generator=generator, dtype=torch.float64)


@pytest.fixture
def x0():
    return torch.full((1, 3, 2, 2), 100.0, dtype=torch.float64)


def test_up_or_down_is_the_greedy_answer_to_the_knapsack(w, x0):
    """By a level each, the pixels of the largest weights, until they suffice: enumerated."""
    changes = torch.cartesian_prod(*[torch.tensor([-1, 0, 1])] * 12).to(x0.dtype)
    gained = w.abs().flatten().sort(descending=True).values.cumsum(0)
    for share in 0.1, 0.2, 0.3:
        machine = Plane(w, share * w.abs().sum().item())
        plain = find_jnd(machine, x0, target=1, cost=NONE, alpha=0.01 / GREY, stop_at_K=True)
        picture = up_or_down(machine, plain.objective, x0, plain.x_jnd)
        assert machine(picture).argmax() == 1 and torch.equal(picture, eight_bit(picture))
        assert plain.K > 0 and (plain.x_jnd - x0).abs().max() < 1  # so that a level is the next one
        needed = (gained > machine.margin).int().argmax() + 1
        assert distance(picture, x0).item() == pytest.approx(math.sqrt(needed))
        least = changes.norm(dim=1)[changes @ w.flatten() > machine.margin].min()
        assert distance(picture, x0).item() == pytest.approx(least.item())


def test_up_or_down_says_when_no_rounding_suffices(x0):
    """At white all pixels can go no further up; without x(K) there is nothing to round."""
    machine = Plane(torch.ones(3, 2, 2, dtype=torch.float64), 155 * 12 + 1)
    white = torch.full_like(x0, 255.0)
    plain = find_jnd(machine, white, cost=NONE, alpha=1 / GREY, stop_at_K=True)
    assert plain.K.item() > 0
    assert up_or_down(machine, plain.objective, white, plain.x_jnd).isnan().all()
    never = find_jnd(machine, x0, cost=NONE, alpha=1e-6 / GREY, max_iter=1)
    assert never.K.item() == -1
    assert up_or_down(machine, never.objective, x0, never.x_jnd).isnan().all()


def test_the_straight_through_gradient_is_that_of_the_picture(generator):
    """Finite differences of a curved machine at x rounded and clipped, for x between the levels."""

    class Curved(nn.Module):
        def forward(self, x):
            score = (x.flatten(1) * weights).sum(1)
            return torch.stack((score.sin(), score.square() / 1e4), 1)

    weights = torch.randn(12, generator=generator, dtype=torch.float64) / 50
    x = 280 * torch.rand(1, 3, 2, 2, generator=generator, dtype=torch.float64) - 10
    x.requires_grad_()
    answer = StraightThrough(Curved())(x)
    assert torch.equal(answer, Curved()(eight_bit(x)))
    steps = 1e-5 * torch.eye(12, dtype=x.dtype).view(12, 3, 2, 2)
    picture = eight_bit(x.detach())
    for logit in range(2):
        (gradient,) = torch.autograd.grad(answer[:, logit].sum(), x, retain_graph=True)
        difference = (Curved()(picture + steps) - Curved()(picture - steps))[:, logit]
        assert torch.allclose(gradient.flatten(), difference / 2e-5, atol=1e-8)
    assert (picture - x).abs().max() > 0.3


def test_the_four_methods_on_a_plane(w, x0, tmp_path):
    """Towards class 1: x(k) = 100 + c(k)w with c(k + 1) = c(k) + α σ(margin − c(k)‖w‖²)."""
    margin = 4.0
    alpha = 0.05
    machine = Plane(w, margin)

    def descend(network, **options):
        return find_jnd(
            network, x0, label=0, target=1, cost=NONE, alpha=alpha / GREY, max_iter=400,
            stop_at_K=True, **options,
        )  # fmt: skip

    plain = descend(machine)
    straight = descend(StraightThrough(machine))
    first = descend(machine, pixels="8bit")
    pictures = pictures_by_method(machine, plain.objective, x0, plain, straight, first)
    squared = w.square().sum().item()
    c = 0.0
    path = [x0]
    for _ in range(400):
        c += alpha / (1 + math.exp(c * squared - margin))
        path.append(x0 + c * w)
    K = [machine(x)[0, 1].item() > 0 for x in path].index(True)
    K_of_picture = [machine(eight_bit(x))[0, 1].item() > 0 for x in path].index(True)
    assert plain.K.tolist() == pictures["x(K), rounded"].K.tolist() == [K]
    assert torch.equal(pictures["x(K), rounded"].x_jnd, eight_bit(path[K]))
    later = pictures["first on the path"]
    assert later.K.tolist() == [K_of_picture] and later.K > plain.K
    assert torch.equal(later.x_jnd, eight_bit(path[K_of_picture]))
    for method in "first on the path", "x(K), up or down", "straight-through":
        picture = pictures[method].x_jnd
        assert machine(picture).argmax() == 1
        save_png(tmp_path / f"{method}.png", picture[0])
        with Image.open(tmp_path / f"{method}.png") as file:
            read = torch.tensor(np.array(file)).permute(2, 0, 1)
        assert machine(read.to(x0)[None]).argmax() == 1
    assert pictures["straight-through"].K < later.K  # until a pixel moves its slope is that of x(0)


def test_descents_are_read_where_they_lead_away(tmp_path):
    images = torch.rand(2, 2, 3, 4, 4)
    save_file(
        {"x_jnd.full": images[0].clone(), "picture": images[1].clone()},
        tmp_path / "images.safetensors",
    )
    values = {"target": None, "arms": {"full": {"K": [3, -1]}}, "pictures": {"K": [5, 6]}}
    (tmp_path / "metrics.json").write_text(json.dumps({"values": values}))
    plain, first = read_descents(tmp_path, torch.device("cpu"))
    assert plain.K.tolist() == [3, -1] and first.K.tolist() == [5, 6]
    assert torch.equal(torch.stack((plain.x_jnd, first.x_jnd)), images)
    (tmp_path / "metrics.json").write_text(json.dumps({"values": values | {"target": ["cup"]}}))
    assert read_descents(tmp_path, torch.device("cpu")) is None


def test_half_the_size_and_back_is_pillows(generator):
    """Bilinear and antialiased; whole grey levels, which may round another way."""
    images, _ = packaged_squares(2, 48)
    for image, ours in zip(images, halved(images), strict=True):
        picture = Image.fromarray(image.byte().permute(1, 2, 0).numpy())
        small = picture.resize((24, 24), Image.Resampling.BILINEAR)
        back = np.asarray(small.resize((48, 48), Image.Resampling.BILINEAR), dtype=np.float32)
        error = np.abs(ours.permute(1, 2, 0).numpy() - back)  # Pillow rounds rows, then columns
        assert error.max() <= 2 and error.mean() < 0.5
    assert halved(images[..., :47]).shape == (2, 3, 48, 47)


def test_what_survives_is_counted_where_the_photo_keeps_its_answer():
    """One machine looks for fine chequers, which half the size takes away, the other for coarse."""
    rows = torch.arange(32).view(-1, 1), torch.arange(32)
    fine, coarse = (
        (2.0 * ((rows[0] // side + rows[1] // side) % 2) - 1).expand(3, 32, 32) for side in (1, 8)
    )
    machine = Plane(fine / fine.numel(), 0.5)
    other = Plane(coarse / coarse.numel(), 0.5)
    grey = torch.full((2, 3, 32, 32), 100.0)
    x0 = grey + torch.tensor([0.0, 20.0]).view(-1, 1, 1, 1) * fine  # the second is chequered
    pictures = {
        "fine": torch.stack((x0[0] + fine, x0[1] - 20 * fine)),
        "coarse": torch.stack((x0[0] + 4 * coarse, x0[1])),
        "none": torch.full_like(x0, torch.nan),
    }
    survived = survival(machine, other, x0, pictures)
    png = survived["saved as PNG"]
    half = survived["half the size and back"]
    another = survived["another network"]
    assert png["fine"].tolist() == [1, 1] and another["fine"].tolist() == [0, 0]
    assert png["coarse"].tolist() == [0, 0] and another["coarse"].tolist() == [1, 0]
    # of the second the photo itself turns grey: nothing can be said of its picture
    assert half["fine"].nan_to_num(-1).tolist() == [0, -1]
    for treated in survived.values():
        assert treated["none"].nan_to_num(0).tolist() == [0, 0]
    # seen the other way round, coarse chequers outlive half the size, and JPEG
    outlives = survival(other, machine, grey, {"coarse": grey + 4 * coarse})
    for treatment in TREATMENTS:
        assert outlives[treatment]["coarse"].tolist() == [1, 1], treatment


def test_pictures_are_marked_in_the_row_of_their_pair():
    pictures = {
        "rounded": torch.tensor([torch.nan, torch.nan]),
        "first": torch.tensor([0.2, torch.nan]),
    }
    (axis,) = jnd_of_pictures(torch.tensor([0.1, 0.3]), pictures, ["cat, away", "cat, cup"]).axes
    floating, first = axis.lines
    assert floating.get_ydata().tolist() == [0, 1]
    assert floating.get_xdata().tolist() == pytest.approx([0.1, 0.3])
    assert first.get_label() == "first" and first.get_xdata()[0] == pytest.approx(0.2)
    (spans,) = axis.collections
    assert spans.get_segments()[0][:, 0].tolist() == pytest.approx([0.1, 0.2])


def test_shares_that_survive_are_marked_in_the_row_of_the_treatment():
    shares = {"PNG": {"a": 1.0, "b": 0.5}, "JPEG": {"a": 0.25, "b": 0.0}}
    (axis,) = survival_figure(shares).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["PNG", "JPEG"]
    assert {line.get_label(): list(line.get_xdata()) for line in axis.lines} == {
        "a": [1.0, 0.25],
        "b": [0.5, 0.0],
    }
    assert all(np.round(line.get_ydata()).tolist() == [0, 1] for line in axis.lines)
