"""Bad input to a descent: refused with a sentence before any work, or made right."""

import pickle
import threading

import numpy as np
import pytest
import torch
from torch import nn

import jnd
from jnd.trajectory import DivergedError


class Small(nn.Module):
    """A network of few layers whose answer for random images changes within a few updates."""

    def __init__(self, classes=5):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 36, classes)
        )
        nn.init.normal_(self.layers[3].weight)

    def forward(self, pixels):
        return self.layers(pixels / 255 - 0.5)


@pytest.fixture
def machine():
    return Small()


@pytest.fixture
def x0(generator):
    return 255 * torch.rand(4, 3, 8, 8, generator=generator)


OPTIONS = {"alpha": 0.002, "max_iter": 60}


def same(one, other):
    for name in ("K", "x_jnd", "x_end", "confidence", "distance"):
        torch.testing.assert_close(
            getattr(one, name), getattr(other, name), rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_images_descend_in_float32(machine, x0, dtype):
    low = x0.to(dtype)
    same(jnd.find_jnd(machine, low, **OPTIONS), jnd.find_jnd(machine, low.float(), **OPTIONS))


def test_float64_stays(machine, x0):
    trajectory = jnd.find_jnd(machine.double(), x0.double(), **OPTIONS)
    assert trajectory.x_end.dtype == torch.float64


def test_the_callers_autocast_does_not_apply(machine, x0):
    expected = jnd.find_jnd(machine, x0, **OPTIONS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same(jnd.find_jnd(machine, x0, **OPTIONS), expected)


def test_the_callers_inference_mode_and_no_grad_do_not_apply(machine, x0):
    label = machine(x0).argmax(1)
    expected = jnd.find_jnd(machine, x0, label=label, **OPTIONS)
    with torch.inference_mode():
        inside = x0.clone()
        same(jnd.find_jnd(machine, inside, label=label.clone(), **OPTIONS), expected)
    with torch.no_grad():
        same(jnd.find_jnd(machine, x0, label=label, **OPTIONS), expected)


def test_a_machine_made_in_inference_mode_is_refused(x0):
    with torch.inference_mode():
        machine = Small()
    with pytest.raises(ValueError, match="made inside torch.inference_mode"):
        jnd.find_jnd(machine, x0)


class Wrapped(nn.Module):
    def __init__(self, around):
        super().__init__()
        self.network = Small()
        self.around = around

    def forward(self, pixels):
        return self.around(self.network, pixels)


@pytest.mark.parametrize(
    "around, message",
    [
        (torch.no_grad()(lambda network, x: network(x)), "no gradient reaches the pixels"),
        (lambda network, x: network(x.detach()), "no gradient reaches the pixels"),
        (
            lambda network, x: network(torch.from_numpy(x.detach().numpy())),
            "no gradient reaches the pixels",
        ),
        (lambda network, x: network(x.to(torch.uint8).float()), "no gradient reaches the pixels"),
        (lambda network, x: network(x.round()), "no gradient reaches the pixels"),
        (lambda network, x: network(x).max(1).values, "logits .B, C., but gave .4,."),
        (lambda network, x: network(x)[:, :1], "two: wrap it in a module that returns torch.cat"),
        (lambda network, x: {"logits": network(x)}, "but gave dict: wrap it in a module"),
        (lambda network, x: (network(x),), "but gave tuple: wrap it in a module"),
        (lambda network, x: network(x[:, :, :5]), "fails on images of 8×8 pixels"),
    ],
)
def test_a_machine_that_cannot_be_descended_on_is_refused(x0, around, message):
    with pytest.raises(ValueError, match=message):
        jnd.find_jnd(Wrapped(around), x0)


def test_an_objective_without_gradient_is_refused(machine, x0):
    class Detached:
        def loss(self, output):
            return output.detach()[:, 0]

        def noticed(self, output):
            return output[:, 0] > 1e9

        def confidence(self, output):
            return output[:, :2]

        def select(self, images):
            return self

    with pytest.raises(ValueError, match="no gradient reaches the pixels"):
        jnd.find_jnd(machine, x0, objective=Detached())


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda x: x / 255, "image 0 of x0 has no pixel above 1.*multiply pixels in 0..1 by 255"),
        (lambda x: (x / 255 - 0.45) / 0.22, "image 0 of x0 has many negative pixels"),
        (lambda x: torch.cat((x[:3], x[3:] / 255)), "image 3 of x0 has no pixel above 1"),
        (lambda x: x - 128, "image 0 of x0 has many negative pixels"),
        (lambda x: torch.cat((x[:3], torch.nan * x[3:])), "image 3 of x0 has pixels that are NaN"),
        (lambda x: x.to(torch.uint8), r"x0.float\(\) converts"),
        (lambda x: x[0], r"x0\[None\] makes a batch of one"),
    ],
)
def test_pixels_in_other_units_are_refused(machine, x0, wrong, message):
    with pytest.raises(ValueError, match=message):
        jnd.find_jnd(machine, wrong(x0))


def test_dark_photos_are_no_pixels_in_0_to_1(machine):
    """Nearly black in whole grey levels, and all black."""
    x0 = torch.zeros(2, 3, 8, 8)
    x0[0, :, 2] = 1
    trajectory = jnd.find_jnd(machine, x0, **OPTIONS)
    assert trajectory.jnd[1].isnan()  # its norm is 0
    assert trajectory.K[0] < 0 or trajectory.jnd[0].isfinite()


@pytest.mark.parametrize("wrong", [np.zeros((1, 3, 8, 8)), [[0.0]], None])
def test_what_is_no_tensor_is_refused(machine, wrong):
    with pytest.raises(TypeError, match="x0 must be a torch.Tensor, not"):
        jnd.find_jnd(machine, wrong)


def test_a_function_is_no_machine(x0):
    with pytest.raises(TypeError, match="must be a torch.nn.Module, not a function"):
        jnd.find_jnd(lambda x: x, x0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_of_any_whole_number_type_are_classes(x0, dtype):
    machine = Small(classes=1000)
    label = torch.tensor([250, 3, 7, 200], dtype=dtype)
    same(
        jnd.find_jnd(machine, x0, label=label, **OPTIONS),
        jnd.find_jnd(machine, x0, label=label.long(), **OPTIONS),
    )


def test_small_types_of_labels_are_checked_against_the_number_of_classes(x0):
    with pytest.raises(ValueError, match=r"label 250 is out of range: .* classes 0..99"):
        jnd.find_jnd(Small(classes=100), x0, label=torch.full((4,), 250, dtype=torch.uint8))
    with pytest.raises(ValueError, match="label must be a class number"):
        jnd.find_jnd(Small(), x0, label=torch.ones(4, dtype=torch.bool))


def test_threads_may_share_a_frozen_machine(machine, x0):
    machine.eval().requires_grad_(False)
    expected = jnd.find_jnd(machine, x0, **OPTIONS)
    results = {}

    def descend(name):
        results[name] = jnd.find_jnd(machine, x0, **OPTIONS)

    threads = [threading.Thread(target=descend, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in range(3):
        same(results[name], expected)


def test_a_diverged_descent_arrives_from_another_process(machine, x0):
    with pytest.raises(DivergedError) as raised:
        jnd.find_jnd(machine, x0, alpha=1e30, max_iter=9)
    arrived = pickle.loads(pickle.dumps(raised.value))
    assert str(arrived) == str(raised.value)
    assert torch.equal(arrived.at, raised.value.at)
    assert torch.equal(arrived.trajectory.K, raised.value.trajectory.K)


def test_one_descent_gives_K_with_and_without_rounding(machine, x0):
    x0 = x0.round()
    plain = jnd.find_jnd(machine, x0, **OPTIONS)
    picture = jnd.find_jnd(machine, x0, pixels="8bit", **OPTIONS)
    both = jnd.find_jnd(machine, x0, pixels="8bit", stop_at_K=True, **OPTIONS)
    assert (plain.K > 0).any() and not torch.equal(plain.K, picture.K)
    for trajectory in (picture, both):
        assert torch.equal(trajectory.K, picture.K)
        assert torch.equal(trajectory.K_unrounded, plain.K)
        for name, expected in {"x_unrounded": plain.x_jnd, "x_jnd": picture.x_jnd}.items():
            torch.testing.assert_close(
                getattr(trajectory, name), expected, rtol=0, atol=1e-4, equal_nan=True
            )
    assert plain.K_unrounded is plain.K or torch.equal(plain.K_unrounded, plain.K)
