"""Export what the book's page needs so that a reader's own photo descends in the browser.

    python book/live/export.py FOLDER

writes there the network, the settings, the packaged photos and a still picture. What the page
reads comes as scripts, as a page that was opened from a disk can read nothing else.

The network is that of the default run. Batch norm is folded in float64. Each row of a weight
matrix, the weights of one output channel, is kept as 24-bit whole numbers times one float32: three
quarters of float32's size, and as close. With 16 bits K would move, for the gradient jumps where a
ReLU6 switches.
"""

import json
import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import astuple
from inspect import signature
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from companion.efficientnet import MEAN, STD, VARIANTS, Residual, efficientnet_lite, renamed
from companion.parameters import profile_parameters
from companion.photos import load_photos, packaged_photos
from companion.style import CHANGES, reach_of
from companion.weights import read_pickled
from companion.zoo import load_machine
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machine import Machine
from jnd.pictures import eight_bit

NETWORK = "efficientnet_lite0"
SIDE = 224
ARMS: tuple[Literal["full", "l2", "none"], ...] = ("full", "l2", "none")
PARTS = 16  # scripts of weights, so that the page can show how far it is
FULL = 2**23 - 1  # largest 24-bit number


def layers(
    network: nn.Sequential, side: int
) -> tuple[list[dict[str, Any]], list[Tensor], list[Tensor]]:
    """List what the page has to compute, in order.

    Args:
        network: from :func:`~companion.efficientnet.efficientnet_lite`, in eval mode.
        side: of its input, pixels.

    Returns:
        The shape of each layer, with the ``side`` of its output and, under ``add``, the number of
        the layer whose output is added to it; its weights, (outputs, kernel, kernel, inputs), with
        one input where it is depthwise; and its biases. All float64. Pictures and kernels are
        upright, which the network turns by 180°.
    """
    shapes: list[dict[str, Any]] = []
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for block in network:
        start = len(shapes) - 1
        for layer in block if isinstance(block, nn.Sequential) else [block]:
            if isinstance(layer, nn.Conv2d):
                side //= layer.stride[0]
                shapes.append({
                    "inputs": layer.in_channels, "outputs": layer.out_channels,
                    "kernel": layer.kernel_size[0], "stride": layer.stride[0],
                    "depthwise": layer.groups > 1, "relu6": False, "side": side,
                })  # fmt: skip
                weights.append(layer.weight.detach().double().flip(2, 3).permute(0, 2, 3, 1))
                biases.append(torch.zeros(layer.out_channels).double())
            elif isinstance(layer, nn.BatchNorm2d):
                mean, variance = layer.running_mean, layer.running_var
                assert mean is not None and variance is not None
                gain = (layer.weight / (variance.double() + layer.eps).sqrt()).detach()
                weights[-1] = weights[-1] * gain.view(-1, 1, 1, 1)
                biases[-1] = layer.bias.detach() - mean * gain
            elif isinstance(layer, nn.ReLU6):
                shapes[-1]["relu6"] = True
            elif isinstance(layer, nn.Linear):
                shapes.append({"inputs": layer.in_features, "outputs": layer.out_features})
                weights.append(layer.weight.detach().double()[:, None, None])
                biases.append(layer.bias.detach().double())
        if isinstance(block, Residual):
            shapes[-1]["add"] = start
    return shapes, weights, biases


def packed(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> bytes:
    """Pack all numbers of the network, little-endian.

    For each layer the float32 unit of each row and the bias, then for each layer the 24-bit rows.
    """
    floats = []
    wholes = []
    for weight, bias in zip(weights, biases, strict=True):
        rows = weight.flatten(1)
        unit = (rows.abs().amax(1, keepdim=True) / FULL).clamp(min=1e-30).float()
        floats += [unit.flatten(), bias.float()]
        wholes.append((rows / unit.double()).round().flatten())
    whole = torch.cat(wholes).numpy().astype("<i4").view("u1").reshape(-1, 4)[:, :3]
    return torch.cat(floats).numpy().astype("<f4").tobytes() + whole.tobytes()


def write_network(network: nn.Sequential, side: int, folder: Path) -> dict[str, Any]:
    """Write the weights as network-0.js and so on, and return what the page must know of them."""
    shapes, weights, biases = layers(network, side)
    numbers = packed(weights, biases)
    bounds = np.linspace(0, len(numbers), PARTS + 1).astype(int).tolist()
    size = 0
    for part, (start, end) in enumerate(pairwise(bounds)):
        text = f'live.arrived({start}, "{b64encode(numbers[start:end]).decode()}");\n'
        size += (folder / f"network-{part}.js").write_text(text)
    return {
        "layers": shapes,
        "side": side,
        "mean": MEAN,
        "std": STD,
        "bytes": len(numbers),
        "parts": PARTS,
        "megabytes": round(size / 1e6, 1),
    }


def write_photos(names: Sequence[str], folder: Path) -> None:
    """Write each photo as a small picture for the eye, and all as photos.js, without loss."""
    coded = {}
    for name, pixels in zip(names, load_photos(names, SIDE)[0], strict=True):
        picture = Image.fromarray(pixels.byte().permute(1, 2, 0).numpy())
        buffer = BytesIO()
        picture.save(folder / f"{name}.webp", quality=75)
        picture.save(buffer, "webp", lossless=True)
        coded[name] = b64encode(buffer.getvalue()).decode()
    (folder / "photos.js").write_text(f"live.photos = {json.dumps(coded)};\n")


def write_still(machine: Machine, photo: str, folder: Path) -> None:
    """Write still.webp: x(K) of a photo beside what was added to it."""
    x0, _ = load_photos([photo], SIDE)
    x_jnd = find_jnd(machine, x0, stop_at_K=True).x_jnd
    picture = eight_bit(x_jnd)[0].to(torch.uint8).permute(1, 2, 0).numpy()
    added = (x_jnd - x0).mean(1)
    colours = mpl.colormaps[CHANGES]((added / reach_of(added) / 2 + 0.5)[0].numpy(), bytes=True)
    # lossless, or the change would have specks of other colours
    Image.fromarray(np.hstack([picture, colours[..., :3]])).save(
        folder / "still.webp", lossless=True
    )


def unfolded() -> nn.Sequential:
    """Return the network of :func:`~companion.zoo.load_machine`, batch norm still apart."""
    network = efficientnet_lite(NETWORK).eval()
    network.load_state_dict(renamed(read_pickled(VARIANTS[NETWORK][-1]).state, network))
    return network.requires_grad_(False)


def defaults() -> dict[str, Any]:
    """Return the page's settings until the reader changes them.

    They are those of Cost and find_jnd, and beyond K those of the notebook on ImageNet.
    """
    to_end = profile_parameters("imagenet", "bundled")
    options = signature(find_jnd).parameters
    return {
        "target": "",
        "lambda": Cost().squared_distance,
        "arm": "full",
        "alpha": options["alpha"].default,
        "updates": options["max_iter"].default,
        "after": to_end["end_alpha"],
        "more": to_end["end_iter"],
    }


def write_all(folder: Path) -> None:
    """Write all files into the folder, settings.js as the last."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = load_machine(NETWORK, device="cpu")
    photos = packaged_photos()
    write_photos(photos, folder)
    write_still(machine, photos[0], folder)
    settings = {
        "network": write_network(unfolded(), SIDE, folder),
        "names": machine.categories,
        "defaults": defaults(),
        "arms": {arm: astuple(Cost.arm(arm)) for arm in ARMS},
        "photos": photos,
    }
    (folder / "settings.js").write_text(f"live.settings = {json.dumps(settings)};\n")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
