"""`jnd.attack` in the place of an attack of other libraries."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18
from torchvision.transforms import Normalize

import jnd

LARGE_STEPS = {"alpha": 0.01}  # for a network with random weights, which is never sure


@pytest.fixture(autouse=True)
def without_their_loggers(monkeypatch):
    """The two libraries import these, and the tests use neither."""
    for name in ("visdom", "wandb"):
        module = ModuleType(name)
        module.Api = None
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def model():
    """A network of torchvision's with its normalisation before it, as everybody wraps it."""
    torch.manual_seed(0)
    network = resnet18(num_classes=10)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return nn.Sequential(Normalize(mean, std), network).eval()


@pytest.fixture
def inputs(generator):
    return torch.rand(3, 3, 32, 32, generator=generator)


def test_it_runs_as_a_custom_attack_of_attackbench(model, inputs):
    attackbench = pytest.importorskip("attackbench")
    labels = model(inputs).argmax(1).detach()
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=3)
    attack = attackbench.create_custom_attack(jnd.attack)
    results = attackbench.run_attack(
        model, loader, attack, "l2", torch.device("cpu"), **LARGE_STEPS
    )
    adversarial = jnd.attack(model, inputs, labels, **LARGE_STEPS)
    fooled = model(adversarial).argmax(1) != labels
    distances = (adversarial - inputs).flatten(1).norm(dim=1)
    assert fooled.all() and results["adv_success"] == fooled.tolist()
    assert results["distances"]["l2"] == pytest.approx(distances.tolist(), rel=1e-2)


def test_it_is_called_as_those_of_adv_lib_and_needs_no_larger_change_than_twice_theirs(
    model, inputs
):
    ddn = pytest.importorskip("adv_lib.attacks").ddn
    labels = model(inputs).argmax(1).detach()
    norms = []
    for attack, options in ((ddn, {"steps": 50}), (jnd.attack, LARGE_STEPS)):
        adversarial = attack(model, inputs, labels, **options)
        assert (model(adversarial).argmax(1) != labels).all()
        assert 0 <= adversarial.min() and adversarial.max() <= 1
        norms.append((adversarial - inputs).flatten(1).norm(dim=1))
    assert (norms[1] < 2 * norms[0]).all()
