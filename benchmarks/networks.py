"""A network as other libraries have it and as the companion loads it."""

from collections.abc import Sequence

import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from companion.efficientnet import MEAN, STD, VARIANTS
from companion.weights import read_pickled
from companion.zoo import load_machine
from jnd.machine import Machine, prepare

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # grey levels
IMAGENET_STD = (58.395, 57.12, 57.375)


class Classifier(nn.Module):
    """A network as other libraries take it, for images in 0..1."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) / 255)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) / 255)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def input_gradient(network: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """Differentiate the mean cross-entropy of images x, (B, ...), by them."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(cross_entropy(network(x), label), x)[0]


def machines(name: str, device: str) -> tuple[Classifier, Machine]:
    """Return the same weights in a :class:`Classifier` and in a :class:`jnd.Machine`.

    An EfficientNet-Lite has its own weights, in the code of those who converted them; torchvision's
    networks have random ones.
    """
    if name in VARIANTS:
        network = EfficientNet.from_name(name.replace("_", "-"))
        network.load_state_dict(read_pickled(VARIANTS[name][-1]).state)
        classifier = Classifier(network, [MEAN] * 3, [STD] * 3)
        return classifier.to(device), load_machine(name, device=device)
    torch.manual_seed(0)
    options = dict(num_classes=1000, aux_logits=False, init_weights=False, transform_input=False)
    network = torchvision.models.get_model(name, **options)
    classifier = Classifier(network, IMAGENET_MEAN, IMAGENET_STD).to(device)
    return classifier, prepare(network, mean=IMAGENET_MEAN, std=IMAGENET_STD, fold=True)
