"""A network with random weights, as torchvision has it and as jnd loads it."""

import json
import tempfile

import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from jnd import Machine, load_machine

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Classifier(nn.Module):
    """torchvision's network as it is, for images in 0..1: what other libraries are given."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.register_buffer("mean", MEAN.view(3, 1, 1))
        self.register_buffer("std", STD.view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def machines(
    architecture: str, device: str, precision: str = "float32"
) -> tuple[Classifier, Machine]:
    """The same random weights in a :class:`Classifier` and in a :class:`jnd.Machine`."""
    torch.manual_seed(0)
    options = dict(num_classes=1000, aux_logits=False, init_weights=False, transform_input=False)
    network = torchvision.models.get_model(architecture, **options).eval()
    header = {
        "architecture": architecture,
        "categories": json.dumps([str(i) for i in range(1000)]),
        "mean": json.dumps((255 * MEAN).tolist()),
        "std": json.dumps((255 * STD).tolist()),
    }
    with tempfile.TemporaryDirectory() as folder:
        save_file(network.state_dict(), f"{folder}/weights.safetensors", header)
        machine = load_machine(architecture, f"{folder}/weights.safetensors", device, precision)
    return Classifier(network).eval().to(device), machine
