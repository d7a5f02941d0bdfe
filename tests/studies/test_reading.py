"""Other readings against what is known of them."""

import math

import pandas as pd
import pytest
import torch

from companion.checkout import read_data
from companion.studies.idea import Plane
from companion.studies.reading import (
    closed_range,
    comparison,
    describe,
    exchange,
    outcome,
    relative_outcomes,
)
from jnd.cost import Cost, bounded_range
from jnd.descent import find_jnd
from jnd.trajectory import distance
from units import GREY, grey_cost


def slope(term, x, x0):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(term(x, x0).sum(), x)[0]


def test_distance_is_a_root_and_pulls_with_the_same_force_everywhere(generator):
    x0 = 255 * torch.rand(2, 3, 4, 5, generator=generator)
    x = x0 + torch.tensor([2.0, 3.0]).view(2, 1, 1, 1)
    assert distance(x, x0).tolist() == pytest.approx([2 * math.sqrt(60), 3 * math.sqrt(60)])
    assert slope(distance, x, x0).flatten(1).norm(dim=1).tolist() == pytest.approx([1, 1])
    assert slope(distance, x0, x0).abs().max() == 0


def test_closed_range_differs_from_ours_in_its_slope_at_the_bounds_alone():
    pixels = torch.tensor([-2.0, 0.0, 7.0, 255.0, 258.0]).view(1, 1, 1, 5)
    assert closed_range(pixels, pixels).tolist() == bounded_range(pixels).tolist() == [5.0]
    assert slope(closed_range, pixels, pixels).flatten().tolist() == [-1, -1, 0, 1, 1]
    assert slope(lambda x, _: bounded_range(x), pixels, pixels).flatten().tolist() == [
        -1,
        0,
        0,
        0,
        1,
    ]


def test_exchange_replaces_one_term_and_keeps_the_others(generator):
    x, x0 = 400 * torch.rand(2, 2, 3, 4, 5, generator=generator) - 70
    loss = torch.tensor([1.0, 2.0])
    cost = grey_cost(0.3, 2.0, 0.7)
    without = grey_cost(0.0, 2.0, 0.7)(loss, x, x0)
    assert torch.allclose(
        exchange(cost, "squared_distance", distance)(loss, x, x0),
        without + 0.3 * 255 * distance(x, x0),
    )
    assert torch.allclose(
        exchange(cost, "squared_distance", distance, 9.0)(loss, x, x0),
        without + 9 / 255 * distance(x, x0),
    )
    assert torch.allclose(
        exchange(cost, "bounded_range", closed_range)(loss, x, x0), cost(loss, x, x0)
    )


def test_a_descent_arrives_if_the_unsquared_distance_pulls_less_than_the_loss_pushes_at_the_line():
    """It always pulls with its weight; the loss pushes with ‖w‖ at first and ‖w‖ / 2 there."""
    machine = Plane(torch.tensor([[[0.06, 0.08]]]), torch.tensor([[[60.0, 0.0]]]), ("a", "b"))
    x0 = torch.zeros(1, 1, 1, 2)
    for weight, arrives in {0.049: True, 0.051: False}.items():
        cost = exchange(Cost.arm("none"), "squared_distance", distance, 255 * weight)
        trajectory = find_jnd(machine, x0, target=1, cost=cost, alpha=10.0 / GREY, max_iter=3000)
        assert (trajectory.K.item() > 0) == arrives


def test_outcome_of_a_known_change():
    x0 = torch.full((2, 3, 4, 4), 100.0)
    images = torch.stack((x0[0] + 3, x0[1] * torch.nan))
    values = outcome(x0, images, torch.tensor([7, -1]))
    for name, expected in {"K": 7, "jnd": 0.03, "psnr": 20 * math.log10(255 / 3)}.items():
        assert values[name].tolist() == pytest.approx([expected, math.nan], nan_ok=True)


def result(K, jnd):
    return {"K": torch.tensor(K), "jnd": torch.tensor(jnd), "psnr": torch.tensor(jnd)}


def test_comparison_takes_ratios_image_by_image_before_the_median():
    ours = result([1.0, 10.0, 100.0], [1.0, 2.0, 4.0])
    faster = result([3.0, 20.0, 100.0], [2.0, 2.0, torch.nan])
    never = result([torch.nan] * 3, [torch.nan] * 3)
    table = comparison(ours, {"units": {"faster": faster, "never": never}})
    row = table.loc[("units", "faster")]
    assert (row["K / ours"], row["JND / ours"]) == (2, 1.5)
    never = table.loc[("units", "never")]
    assert table["flip"].tolist() == [3, 0] and math.isnan(never["K / ours"])


@pytest.fixture
def table():
    rows = {
        ("units", "faster"): (2, 0.5),
        ("units", "never"): (0, math.nan),
    }
    numbers = [
        {"flip": n, "K / ours": k, "JND / ours": 1.0, "PSNR, dB": 40.0} for n, k in rows.values()
    ]
    return pd.DataFrame(numbers, index=pd.MultiIndex.from_tuples(rows))


READING = {
    "id": "units",
    "where": "IV",
    "about": "α",
    "unclear": "It is missing.",
    "reading": "1",
    "because": "K fits",
}


def test_words_say_what_changed_and_what_never_flips(table):
    assert describe([READING], table, 3) == (
        "**IV: α.** It is missing. *Our reading:* 1, because K fits.\n\n"
        "- faster: 2 of 3 flip; of these K × 0.5, JND × 1, PSNR 40.0 dB\n"
        "- never: nothing flips"
    )


def test_readings_and_what_was_tried_must_agree(table):
    with pytest.raises(ValueError, match="target: data/paper.yaml"):
        describe([READING, READING | {"id": "target"}], table, 3)
    with pytest.raises(ValueError, match="units: data/paper.yaml"):
        describe([READING | {"id": "target", "untried": "so"}], table, 3)


def test_readings_of_the_paper_are_complete():
    ids = [r["id"] for r in read_data("paper")["readings"]]
    assert len(set(ids)) == len(ids)
    for r in read_data("paper")["readings"]:
        assert {"about", "where", "unclear", "reading", "because"} <= r.keys()
        assert r.keys() <= {
            "id",
            "about",
            "where",
            "unclear",
            "reading",
            "because",
            "parameter",
            "untried",
        }


def test_relative_outcomes_are_multiples_of_ours():
    ours = result([10.0, 20.0, 5.0], [1.0, 2.0, 4.0])
    other = result([20.0, 20.0, torch.nan], [3.0, 2.0, torch.nan])
    left, right = relative_outcomes(ours, {"Eq. 1": {"away": other}}).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["Eq. 1", "away"]
    for axis, expected in (left, [2, 1]), (right, [3, 1]):
        (dots,) = [line for line in axis.lines if line.get_marker() == "o"]
        assert dots.get_xdata().tolist() == expected
    assert [t.get_text() for t in right.texts] == ["1 of 3 never flip"]
    assert left.get_xscale() == "log"


def test_an_image_that_flips_but_not_under_our_reading_is_not_said_never_to_flip():
    ours = result([10.0, torch.nan], [1.0, torch.nan])
    other = result([20.0, 3.0], [1.0, 1.0])
    left, right = relative_outcomes(ours, {"Eq. 1": {"towards": other}}).axes
    assert not left.texts and not right.texts
