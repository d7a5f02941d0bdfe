"""A network of the user's own as a machine: the same answers, folded where that is safe."""

import pytest
import torch
import torchvision
from torch import nn

import jnd

MEAN, STD = [123.7, 116.3, 103.5], [58.4, 57.1, 57.4]


def block(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


class Looking(nn.Module):
    """Its forward looks at its numbers, so that torch.fx cannot trace it; its blocks it can."""

    def __init__(self):
        super().__init__()
        self.first, self.second = block(3), block(4)

    def forward(self, x):
        x = self.first(x)
        return (self.second(x) if x.mean() > -9 else x).mean((2, 3))


class Shared(nn.Module):
    """One convolution before two norms: folding either would spoil the other."""

    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x):
        return (self.one(self.conv(x)) + self.two(self.conv(x.flip(3)))).mean((2, 3))


class Hooked(nn.Sequential):
    """A hook halves what comes out."""

    def __init__(self):
        super().__init__(block(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self[0].register_forward_hook(lambda module, args, output: output / 2)


class Optional(nn.Module):
    """Its forward may be given more than images."""

    def __init__(self):
        super().__init__()
        self.block = block(3)

    def forward(self, x, targets=None):
        return self.block(x).mean((2, 3)) if targets is None else targets


class Going(nn.Module):
    """Its forward cannot be traced and goes through the layers of a child itself."""

    def __init__(self):
        super().__init__()
        self.layers = block(3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x) if x.mean() > -9 else x
        return x.mean((2, 3))


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = block(3)

    def forward(self, x):
        return self.features(x).mean((2, 3))

    def features(self, x):
        return self.layers(x)


class Asking(nn.Module):
    """Its forward cannot be traced and calls another method of a child."""

    def __init__(self):
        super().__init__()
        self.child = Features()

    def forward(self, x):
        return self.child.features(x).mean((2, 3)) if x.mean() > -9 else x


class Reading(nn.Module):
    """A weight that is folded would be read as another one."""

    def __init__(self):
        super().__init__()
        self.layers = block(3)

    def forward(self, x):
        again = nn.functional.conv2d(x, self.layers[0].weight)
        return (self.layers(x) + again).mean((2, 3))


NETWORKS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=5), 0),
    "mobilenet_v3_small": (lambda: torchvision.models.mobilenet_v3_small(num_classes=5), 0),
    "vit_b_32": (lambda: torchvision.models.vit_b_32(num_classes=5, image_size=64), 0),
    "cannot be traced": (Looking, 0),
    "shared convolution": (Shared, 2),
    "hook": (Hooked, 1),
    "options": (Optional, 0),
    "goes through a child": (Going, 1),
    "another method of a child": (Asking, 1),
    "reads a weight": (Reading, 1),
    "without parameters": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 0),
}


def network_of(name):
    torch.manual_seed(0)
    network = NETWORKS[name][0]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_answers_stay_and_the_network_is_not_changed(name, generator):
    network = network_of(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    machine = jnd.prepare(network, mean=MEAN, std=STD)
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(before[key], now) for key, now in network.state_dict().items())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in machine.modules()) == NETWORKS[name][1]

    pixels = 255 * torch.rand(2, 3, 64, 64, generator=generator)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    with torch.no_grad():
        expected = network.eval()((pixels - mean) / std)
        assert torch.allclose(machine(pixels), expected, rtol=1e-5, atol=1e-5 * expected.std())


def test_a_prepared_network_is_a_machine(generator):
    network = network_of("resnet18")
    machine = jnd.prepare(
        network, mean=MEAN, std=STD, categories=list("abcde"), input_size=(64, 64)
    )
    assert machine.name == "ResNet" and len(machine.sha256) == 64
    found = jnd.find_jnd(machine, 255 * torch.rand(1, 3, 20, 30, generator=generator), max_iter=1)
    assert found.x_end.shape == (1, 3, 20, 30)
    (answer,) = machine.answers(found.x_end)
    assert answer[0] in "abcde"
    (answer,) = jnd.prepare(network, mean=MEAN, std=STD).answers(found.x_end.repeat(1, 1, 2, 2))
    assert answer.startswith("class ")
    with torch.no_grad():
        network.fc.bias[0] += 1
    assert jnd.prepare(network, mean=MEAN, std=STD).sha256 != machine.sha256


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"mean": [0.5]}, "give one number for each of red, green and blue"),
        ({"std": [9.0, 0.0, 9.0]}, "those of std are positive"),
        ({"std": [0.229, 0.224, 0.225]}, "is for pixels in 0..1: take mean and std times 255"),
    ],
)
def test_wrong_means_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        jnd.prepare(nn.Conv2d(3, 4, 1), **({"mean": MEAN, "std": STD} | wrong))
