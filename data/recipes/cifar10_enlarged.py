"""Descents on enlarged CIFAR-10 photos, by an ImageNet network, for the page on Table II.

    python data/recipes/cifar10_enlarged.py cifar10.npz

The photos are the first ones of the file, in three ways: 32×32, which the machine itself enlarges,
and enlarged beforehand, bilinearly or to the nearest pixel. Each is led away from what the machine
says of it with all weights 1 until it rests, and without regularisation until its PSNR has come
down to about 10 dB. Writes data/measured/cifar10_enlarged.json.
"""

import argparse
import json

from torch.nn.functional import interpolate

from jnd import Cost, find_jnd, load_machine
from jnd.companion.provenance import origin, plain, subject
from jnd.companion.tables import means
from jnd.datasets import load_cifar10
from jnd.machines import resized
from jnd.metrics import scores
from jnd.support.checkout import ROOT
from jnd.support.files import write_atomically

PHOTOS = 8
SIDE = 224
REST = dict(cost=Cost(), alpha=0.03, max_iter=100)
# α and N without regularisation, for each way
RUNAWAY = {"32×32": (0.3, 70), "bilinear": (10.0, 60), "nearest": (2.0, 45)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="CIFAR-10, as jnd.datasets.load_cifar10 reads it")
    args = parser.parse_args()
    pixels, _, hashes = load_cifar10(args.data)
    photos = pixels[:PHOTOS].float()
    ways = {
        "32×32": photos,
        "bilinear": resized(photos, (SIDE, SIDE)),
        "nearest": interpolate(photos, (SIDE, SIDE)),
    }
    values = {}
    machine = load_machine("efficientnet_lite0", device="cpu")
    machine.input_size = SIDE, SIDE
    for way, x0 in ways.items():
        alpha, max_iter = RUNAWAY[way]
        runaway = dict(cost=Cost.arm("none"), alpha=alpha, max_iter=max_iter)
        for arm, settings in {"full": REST, "none": runaway}.items():
            found = find_jnd(machine, x0, **settings)
            values.setdefault(way, {})[arm] = {
                "alpha": settings["alpha"],
                "max_iter": settings["max_iter"],
                "K": found.K,
                "noticed_at_end": found.noticed[-1],
                "end": means(scores(x0, found.x_end)),
            }
            print(way, arm, plain(values[way][arm]), flush=True)
    provenance = {"profile": "custom", **subject([machine], f"{PHOTOS} images of CIFAR-10", hashes)}
    content = {"provenance": provenance | origin(), "values": plain(values)}
    path = ROOT / "data" / "measured" / "cifar10_enlarged.json"
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
