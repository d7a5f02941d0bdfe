"""What the study of other attacks reads and draws."""

import json

import pytest
import torch
from safetensors.torch import save_file

from companion.statistics import Mean
from companion.studies.comparison import (
    against_gradients,
    against_the_least,
    read_descent,
    shrinking_steps,
)


@pytest.mark.parametrize("target", [None, ["cup", "cup"]])
@pytest.mark.parametrize("K", [[3, 40], [3, 41], [-1, 5]])
def test_a_descent_is_read_where_it_is_the_same(tmp_path, target, K):
    """With 40 updates and away from the labels."""
    values = {"target": target, "arms": {"full": {"K": K}}}
    (tmp_path / "metrics.json").write_text(json.dumps({"values": values}))
    images = torch.rand(2, 2, 3, 4, 4)
    save_file(
        {"x_before.full": images[0].clone(), "x_jnd.full": images[1].clone()},
        tmp_path / "images.safetensors",
    )
    known = read_descent(tmp_path, 40, torch.device("cpu"))
    if target is None and K == [3, 40]:
        assert torch.equal(torch.stack(known), images)
    else:
        assert known is None


def test_against_gradients_has_means_with_their_intervals():
    cheap = {"cost": Mean(9, 2.0, 1.0, 4.0), "loss": Mean(9, 0.3, 0.2, 0.5)}
    dear = {"cost": Mean(9, 50.0, 50.0, 50.0), "loss": Mean(9, 0.1, 0.1, 0.2)}
    (axis,) = against_gradients({"cheap": cheap, "dear": dear}, cost="cost").axes
    across, up, mean = axis.lines[:3]
    assert across.get_xydata().tolist() == [[1, 0.3], [4, 0.3]]
    assert up.get_xydata().tolist() == [[2, 0.2], [2, 0.5]]
    assert mean.get_xydata().tolist() == [[2, 0.3]] and mean.get_label() == "cheap"
    assert (axis.get_title(), axis.get_xlabel()) == ("loss", "cost")


def test_shrinking_steps_have_the_limit_left_of_the_smallest():
    gaps = {"x(K)": torch.tensor([[3.0, 2.0], [2.0, 1.5]]), "border": torch.full((2, 2), 1.25)}
    (axis,) = shrinking_steps(
        [0.2, 0.1], {"away": gaps}, {"away": torch.tensor([1.5, 1.0])}, ["cat", "cup"]
    ).axes
    x_K, border, limit = axis.lines[:3]
    assert x_K.get_ydata().tolist() == [3, 2] and border.get_ydata().tolist() == [1.25, 1.25]
    assert limit.get_xydata().tolist() == [[0.05, 1.5]] and border.get_label() == "cat"


def test_an_attack_is_as_many_times_the_least_as_in_the_mean_of_the_logarithms():
    """On the photo that it does not flip it has no factor."""
    values = {
        "attacks": {
            "near": {"change": [0.001, 0.004, 0.5], "gradients": [10, 20, 30]},
            "far": {"change": [0.002, 0.002, None], "gradients": [1, 1, 1]},
        },
        "optimality": {"near": 0.9, "far": 0.2},
    }
    table = against_the_least(values)
    assert table["flipped"].tolist() == [3, 2]
    assert table["times the least"].tolist() == pytest.approx([2 ** (1 / 3), 2**0.5])
    assert table["gradients"].tolist() == [20, 1] and table["optimality"].tolist() == [0.9, 0.2]
