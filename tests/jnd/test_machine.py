"""A user's network as a machine: the same answers, and the network is left as it was."""

import pytest
import torch
import torchvision
from torch import nn

import jnd
from random_norms import randomise_norms

MEAN = [123.7, 116.3, 103.5]
STD = [58.4, 57.1, 57.4]
NETWORKS = {
    "ResNet": lambda: torchvision.models.resnet18(num_classes=5),
    "MobileNet": lambda: torchvision.models.mobilenet_v3_small(num_classes=5),
    "vision transformer": lambda: torchvision.models.VisionTransformer(64, 32, 2, 2, 32, 64),
}


def random_network(name):
    torch.manual_seed(0)
    return randomise_norms(NETWORKS[name]())


@pytest.fixture
def pixels(generator):
    return 255 * torch.rand(2, 3, 64, 64, generator=generator)


def normalised(pixels):
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_logits_stay_and_the_network_is_not_changed(name, fold, pixels):
    network = random_network(name)
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    machine = jnd.prepare(network, mean=MEAN, std=STD, fold=fold)
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(state[key], tensor) for key, tensor in network.state_dict().items())
    assert not machine.training and not any(p.requires_grad for p in machine.parameters())
    assert norms(machine) == (0 if fold else norms(network))
    with torch.no_grad():
        expected = network.eval()(normalised(pixels))
        assert torch.allclose(machine(pixels), expected, rtol=1e-5, atol=1e-5 * expected.std())


@pytest.mark.parametrize("name", NETWORKS)
def test_by_default_it_is_the_network_in_channels_last_to_the_bit(name, pixels):
    network = random_network(name)
    machine = jnd.prepare(network, mean=MEAN, std=STD)
    network = network.eval().to(memory_format=torch.channels_last)
    images = normalised(pixels).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(machine(pixels), network(images))


def small_network():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return randomise_norms(network).eval()


def test_a_prepared_network_is_a_machine(pixels):
    network = small_network()
    machine = jnd.prepare(
        network, mean=MEAN, std=STD, categories=["a", "b_c", "d", "e", "f"], input_size=(64, 64)
    )
    assert machine.name == "Sequential"
    x0 = pixels[:1, :, :20, :30]
    trajectory = jnd.find_jnd(machine, x0, max_iter=1)
    assert trajectory.x_end.shape == x0.shape
    confidence, answer = machine(x0).softmax(1)[0].max(0)
    name = ["a", "b c", "d", "e", "f"][answer]
    assert machine.class_name(answer.item()) == name
    assert machine.answers(x0) == [f"{name}, {confidence:.2f}"]
    assert machine.answers(torch.full_like(x0, torch.nan)) == [""]


def test_classes_without_a_name_have_a_number(pixels):
    machine = jnd.prepare(small_network(), mean=MEAN, std=STD)
    assert machine.class_name(3) == "class 3"
    assert machine.answers(pixels[:1])[0].startswith("class ")
    named = jnd.prepare(small_network(), mean=MEAN, std=STD, categories=["a", "b"])
    assert [named.class_name(c) for c in (1, 2)] == ["b", "class 2"]


def test_the_hash_depends_on_the_weights_alone():
    network = small_network()
    before = jnd.prepare(network, mean=MEAN, std=STD).sha256
    assert len(before) == 64
    assert jnd.prepare(small_network(), mean=STD, std=STD, fold=True).sha256 == before
    with torch.no_grad():
        network[0].bias[0] += 1
    assert jnd.prepare(network, mean=MEAN, std=STD).sha256 != before


def test_images_are_resized_inside_and_the_gradient_reaches_their_own_pixels(pixels):
    """Enlarging 8 pixels to 64 by hand gives the same logits and gradient."""
    network = small_network()
    machine = jnd.prepare(network, mean=MEAN, std=STD, input_size=(64, 64))
    x = pixels[..., :8, :8].clone().requires_grad_()
    enlarged = nn.functional.interpolate(normalised(x), (64, 64), mode="bilinear")
    (expected,) = torch.autograd.grad(network(enlarged).square().sum(), x)
    (gradient,) = torch.autograd.grad(machine(x).square().sum(), x)
    assert torch.allclose(machine(x), network(enlarged), rtol=1e-4, atol=1e-5)
    assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("given, computed", [("bfloat16", "float32"), ("float64", "float64")])
def test_a_network_computes_in_float32_at_least(given, computed, fold, pixels):
    dtype = getattr(torch, computed)
    network = small_network().to(getattr(torch, given))
    machine = jnd.prepare(network, mean=MEAN, std=STD, fold=fold)
    assert {p.dtype for p in machine.parameters()} == {dtype}
    with torch.no_grad():
        expected = network.to(dtype)(normalised(pixels).to(dtype))
        logits = machine(pixels)
    assert logits.dtype == dtype
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-5 * expected.std())
    assert jnd.find_jnd(machine, pixels, max_iter=1).x_end.dtype == torch.float32


def test_a_network_without_parameters_is_a_machine(pixels):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    machine = jnd.prepare(network, mean=MEAN, std=STD, fold=True)
    assert torch.allclose(machine(pixels), network(normalised(pixels)), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 8, 8)])
def test_images_of_the_wrong_shape_are_refused(shape):
    machine = jnd.prepare(small_network(), mean=MEAN, std=STD)
    with pytest.raises(ValueError, match=r"Sequential takes pixels \(B, 3, H, W\), not \("):
        machine(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"mean": [0.5]}, "give one number for each of red, green and blue"),
        ({"std": [9.0, 0.0, 9.0]}, "those of std are positive"),
        ({"std": [0.229, 0.224, 0.225]}, "is for pixels in 0..1: multiply mean and std by 255"),
    ],
)
def test_wrong_means_are_refused(wrong, message):
    options = {"mean": MEAN, "std": STD} | wrong
    with pytest.raises(ValueError, match=message):
        jnd.prepare(small_network(), **options)


@pytest.mark.parametrize("wrong", [32, (32,), (32, 0), (32.5, 32), "32"])
def test_an_input_size_is_height_and_width(wrong):
    with pytest.raises(ValueError, match=r"input_size = .*: give \(height, width\)"):
        jnd.prepare(random_network("ResNet"), mean=MEAN, std=STD, input_size=wrong)


def failing_networks():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 5))  # RuntimeError
    return {"RuntimeError": flat, "AssertionError": random_network("vision transformer")}


@pytest.mark.parametrize("name", failing_networks())
def test_a_network_for_one_size_says_so_in_a_sentence_for_another(name, pixels):
    machine = jnd.prepare(failing_networks()[name], mean=MEAN, std=STD)
    assert len(machine(pixels)) == 2
    message = "the machine fails on images of 96×48 pixels .*give input_size to jnd.prepare"
    for use in (machine, lambda x: jnd.find_jnd(machine, x, max_iter=1)):
        with pytest.raises(ValueError, match=message):
            use(torch.ones(2, 3, 96, 48))
