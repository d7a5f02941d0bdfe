"""The interface that libraries of attacks share."""

import pytest
import torch
from torch import nn

import jnd


class Model(nn.Module):
    """Takes pixels in 0..1 and has its normalisation inside, as everybody wraps it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 36, 5)
        )
        self.register_buffer("mean", torch.full((3, 1, 1), 0.45))

    def forward(self, inputs):
        assert 0 <= inputs.min() + 0.5 and inputs.max() <= 1.5  # not grey levels
        return self.network((inputs - self.mean) / 0.22)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def inputs(generator):
    return torch.rand(6, 3, 8, 8, generator=generator)


OPTIONS = {"alpha": 0.003, "max_iter": 60}


def test_the_results_fool_and_lie_in_0_to_1(model, inputs):
    labels = model(inputs).argmax(1)
    adversarial = jnd.attack(model, inputs, **OPTIONS)
    assert adversarial.shape == inputs.shape and adversarial.dtype == inputs.dtype
    assert 0 <= adversarial.min() and adversarial.max() <= 1
    trajectory = jnd.find_jnd(InGreyLevels(model), 255 * inputs, pixels="clipped", **OPTIONS)
    fooled = model(adversarial).argmax(1) != labels
    assert fooled.any() and torch.equal(fooled, trajectory.K >= 0)


class InGreyLevels(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels / 255)


def test_where_clipping_undoes_the_change_the_result_lies_further_along_the_path(model, inputs):
    """White and black images, half of whose changes lie outside 0..1."""
    extreme = inputs.round()
    labels = model(extreme).argmax(1)
    machine = InGreyLevels(model)
    free = jnd.find_jnd(machine, 255 * extreme, cost=jnd.Cost.arm("none"), **OPTIONS)
    clipped = model((free.x_jnd / 255).clamp(0, 1).nan_to_num()).argmax(1)
    undone = (free.K > 0) & (clipped == labels)
    assert undone.any()
    adversarial = jnd.attack(model, extreme, cost=jnd.Cost.arm("none"), **OPTIONS)
    assert (model(adversarial[undone]).argmax(1) != labels[undone]).any()


def test_targets_and_labels_are_those_of_the_caller(model, inputs):
    targets = (model(inputs).argmax(1) + 1) % 5
    adversarial = jnd.attack(model, inputs, targets=targets, alpha=0.003, max_iter=400)
    answers = model(adversarial).argmax(1)
    assert (answers == targets).float().mean() > 0.5
    wrong = torch.full((6,), 4)
    unchanged = jnd.attack(model, inputs, wrong, **OPTIONS)
    misnamed = model(inputs).argmax(1) != 4
    assert torch.allclose(unchanged[misnamed], inputs[misnamed], atol=1e-6)


def test_an_image_that_is_not_fooled_comes_back_as_its_last(model, inputs):
    one = jnd.attack(model, inputs, alpha=1e-7, max_iter=1)
    assert torch.allclose(one, inputs, atol=1e-3) and not torch.equal(one, inputs)


def test_whole_grey_levels_stay_whole(model, inputs):
    inputs = (255 * inputs).round() / 255
    adversarial = jnd.attack(model, inputs, pixels="8bit", **OPTIONS)
    levels = 255 * adversarial
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    labels = model(inputs).argmax(1)
    as_files = levels.round().to(torch.uint8).float() / 255
    fooled = model(adversarial).argmax(1) != labels
    assert fooled.any() and torch.equal(model(as_files).argmax(1) != labels, fooled)


@pytest.mark.parametrize(
    "wrong, options, message",
    [
        (lambda x: 255 * x, {}, "inputs must lie in 0..1: divide grey levels by 255"),
        (lambda x: x - 0.5, {}, "inputs must lie in 0..1"),
        (lambda x: x, {"pixels": "8bit"}, "inputs must be multiples of 1/255"),
    ],
)
def test_inputs_in_other_units_are_refused(model, inputs, wrong, options, message):
    with pytest.raises(ValueError, match=message):
        jnd.attack(model, wrong(inputs), **options)
