"""What a checkpoint takes for the same work, and what not."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import fx, nn

from jnd.support.checkout import ROOT
from jnd.support.checkpoint import fingerprint


@dataclass
class Holder:
    inside: object

    def show(self): ...

    def tell(self): ...


class Times(nn.Module):
    """What differs is in the forward alone, once it is traced."""

    def __init__(self, times):
        super().__init__()
        self._times = times

    def forward(self, x):
        return self._times * x


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
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x=1: x, lambda x=2: x),
        (partial(adder, 1), partial(adder, 2)),
        (iter, len),
        (Holder(1).show, Holder(2).show),
        (Holder(1).show, Holder(1).tell),
        (fx.symbolic_trace(Times(1)), fx.symbolic_trace(Times(5))),
    ],
)
def test_what_differs_has_another_fingerprint(one, other):
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(TypeError, match="cannot tell one generator from another"):
        fingerprint(i for i in range(3))


def test_a_change_of_the_descent_counts_and_one_of_a_colour_does_not(tmp_path):
    shutil.copytree(ROOT / "jnd", tmp_path / "jnd", ignore=shutil.ignore_patterns("__pycache__"))
    script = """
from jnd.support.checkpoint import fingerprint
from jnd.studies.readings import closed_range
print(fingerprint(1), fingerprint(closed_range))
"""

    def print_of(changed=None):
        if changed:
            with open(tmp_path / "jnd" / changed, "a") as file:
                file.write("\n# changed\n")
        said = subprocess.check_output([sys.executable, "-c", script], cwd=tmp_path, text=True)
        return said.split()

    prints = [print_of(), print_of("companion/figures/style.py")]
    assert prints[0] == prints[1]
    prints.append(print_of("studies/readings.py"))  # what descends on one of its terms begins anew
    assert prints[1][0] == prints[2][0] and prints[1][1] != prints[2][1]
    for room in ("descent.py", "machines/networks.py", "support/device.py"):
        prints.append(print_of(room))
    assert len({first for first, _ in prints}) == 4
