r"""Train a classifier of CIFAR-10 that enlarges the photos inside.

    python data/recipes/cifar10.py googlenet --start trunk.safetensors
    python data/recipes/cifar10.py inception_v3 \
        --out results/weights/inception_v3_cifar10.safetensors

The first is the bundled machine (model card: data/weights/googlenet_cifar10.md). The second
stands in for the paper's, whose weights were not published: Inception v3 at 299 px, from
torchvision's ImageNet weights, with a new last layer, and every layer is trained; it needs a GPU.
Resumable: run the same command again after an interruption.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import interpolate, pad

from companion.photos import CIFAR10, load_cifar10
from companion.weights import read_weights
from companion.zoo import load_machine
from training import DEVICE, IMAGENET_MEAN, IMAGENET_STD, accuracy, fit, normalised, save_weights

BATCH = 128
SHIFT = 4  # pixels of 32
CUTOUT = 8  # side of the square erased, pixels of 32
GREY = 114  # what the square is filled with
SETTINGS: dict[str, dict[str, Any]] = {
    # stages: side the photos are enlarged to in pixels, epochs
    "googlenet": dict(
        stages=[(64, 22), (96, 13)], max_lr=0.1, mean=IMAGENET_MEAN, std=IMAGENET_STD
    ),
    # torchvision's official Inception v3 takes pixels scaled to -1..1
    "inception_v3": dict(stages=[(299, 8)], max_lr=0.02, mean=(127.5,) * 3, std=(127.5,) * 3),
}


def read(source, train):
    """Read photos, (N, 3, 32, 32) uint8, and labels, (N,), from the data set or a folder."""
    if not Path(source).is_dir():
        return load_cifar10(source, train)[:2]
    files = [
        (file, label)
        for label, category in enumerate(CIFAR10)
        for file in sorted(Path(source, "train" if train else "test", category).iterdir())
    ]
    photos = [torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file, _ in files]
    labels = torch.tensor([label for _, label in files])
    return torch.stack(photos).permute(0, 3, 1, 2).contiguous(), labels


def augmented(photos, generator):
    """Flip, shift and erase a square of each photo at random: uint8 (B, 3, 32, 32)."""
    padded = pad(photos.float(), [SHIFT] * 4, mode="reflect").to(photos.dtype)
    shifts = torch.randint(0, 2 * SHIFT + 1, (len(photos), 2), generator=generator)
    squares = torch.randint(0, 32 - CUTOUT + 1, (len(photos), 2), generator=generator)
    flips = torch.rand(len(photos), generator=generator) < 0.5
    out = torch.empty_like(photos)
    for i, ((top, left), (y, x)) in enumerate(zip(shifts.tolist(), squares.tolist(), strict=True)):
        photo = padded[i, :, top : top + 32, left : left + 32]
        out[i] = photo.flip(-1) if flips[i] else photo
        out[i, :, y : y + CUTOUT, x : x + CUTOUT] = GREY
    return out


def trunk(architecture, start):
    """Read the state dict to start from, without the layers that answer."""
    state = load_file(start) if start else read_weights("official", architecture).state
    return {k: v.float() for k, v in state.items() if not k.startswith(("fc.", "aux", "Aux"))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("architecture", choices=SETTINGS)
    parser.add_argument(
        "--data",
        default="official",
        help='"official", a copy of its archive, or a folder {train,test}/<class>/*.jpg',
    )
    parser.add_argument(
        "--start", help="safetensors file whose trunk to start from; default: torchvision's"
    )
    parser.add_argument("--out", help="default: data/weights/<architecture>_cifar10.safetensors")
    parser.add_argument("--checkpoint", default="results/cifar10.pt")
    args = parser.parse_args()
    out = Path(args.out or f"data/weights/{args.architecture}_cifar10.safetensors")
    torch.manual_seed(0)
    for path in (out, Path(args.checkpoint)):
        path.parent.mkdir(parents=True, exist_ok=True)

    settings = SETTINGS[args.architecture]
    sides = [side for side, epochs in settings["stages"] for _ in range(epochs)]
    photos, labels = read(args.data, train=True)
    test, test_labels = read(args.data, train=False)
    model = torchvision.models.get_model(
        args.architecture, num_classes=len(CIFAR10), aux_logits=False, init_weights=True
    )
    model.load_state_dict(trunk(args.architecture, args.start), strict=False)

    def enlarged(pixels, side):
        x = normalised(pixels.to(DEVICE), settings["mean"], settings["std"])
        x = interpolate(x, size=(side, side), mode="bilinear")
        return x.contiguous(memory_format=torch.channels_last)

    def batches(epoch):
        generator = torch.Generator().manual_seed(epoch)
        order = torch.randperm(len(photos), generator=generator)
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            yield enlarged(augmented(photos[chosen], generator), sides[epoch]), labels[chosen]

    def watched(net):
        tenth = zip(test[::10].split(250), test_labels[::10].split(250), strict=True)
        return accuracy(net, ((enlarged(x, sides[-1]), y) for x, y in tenth))

    best = fit(
        model,
        batches,
        len(sides),
        checkpoint=args.checkpoint,
        max_lr=settings["max_lr"],
        evaluate=watched,
        steps_per_epoch=len(photos) // BATCH,
    )
    save_weights(
        best,
        out,
        architecture=args.architecture,
        categories=CIFAR10,
        mean=settings["mean"],
        std=settings["std"],
        input_size=(sides[-1], sides[-1]),
    )

    machine = load_machine(args.architecture, out, DEVICE)  # as the notebooks use it
    tests = zip(test.float().split(250), test_labels.split(250), strict=True)
    right = accuracy(machine, tests, bf16=False)
    error = math.sqrt(right * (1 - right) / len(test))
    print(f"{out}: top-1 on the {len(test)} test images: {right:.4f} ± {error:.4f} standard error")


if __name__ == "__main__":
    main()
