"""What a checkpoint takes for the same work, and what not."""

import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from jnd.support.checkout import ROOT
from jnd.support.checkpoint import fingerprint


@dataclass
class Holder:
    inside: object


def adder(amount):
    return lambda x: x + amount


class Setting(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride, self.register = stride, {}


ONE = torch.tensor([1.0])
NEXT = torch.nextafter(ONE, torch.tensor([2.0]))


@pytest.mark.parametrize(
    "one, other",
    [
        (ONE, NEXT),
        (Holder(Holder(ONE)), Holder(Holder(NEXT))),
        ([1, 2], [12]),
        (["a", "b"], ["ab"]),
        ({"a": 1}, {"a": 2}),
        (1, 1.0),
        (adder(1), adder(2)),
        (Setting(1), Setting(2)),
        (nn.Linear(1, 1, bias=False), nn.Linear(1, 1)),
        (None, "None"),
    ],
)
def test_what_differs_has_another_fingerprint(one, other):
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(TypeError, match="cannot tell one generator from another"):
        fingerprint(i for i in range(3))


def test_a_change_of_the_descent_counts_and_one_of_a_colour_does_not(tmp_path):
    shutil.copytree(ROOT / "jnd", tmp_path / "jnd", ignore=shutil.ignore_patterns("__pycache__"))
    script = "from jnd.support.checkpoint import fingerprint; print(fingerprint(1))"

    def print_of(changed=None):
        if changed:
            with open(tmp_path / "jnd" / changed, "a") as file:
                file.write("\n# changed\n")
        return subprocess.check_output([sys.executable, "-c", script], cwd=tmp_path, text=True)

    prints = [print_of(), print_of("companion/figures/style.py")]
    assert prints[0] == prints[1]
    for room in ("descent.py", "machines/networks.py", "support/device.py"):
        prints.append(print_of(room))
    assert len({*prints}) == 4
