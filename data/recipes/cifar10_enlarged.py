"""Measure descents of an ImageNet network on enlarged CIFAR-10 photos, for the page on Table II.

    python data/recipes/cifar10_enlarged.py cifar10.npz

The photos are the first ones of the file, in three versions: 32×32, which the machine enlarges
itself, and enlarged beforehand, bilinearly or to the nearest pixel. Each descends away from the
machine's answer, with all weights 1 until it rests, and without regularisation until its PSNR has
fallen to about 10 dB. Writes data/measured/cifar10_enlarged.json.
"""

import argparse

from torch.nn.functional import interpolate

from companion.checkout import ROOT
from companion.files import write_json
from companion.photos import load_cifar10
from companion.provenance import origin, plain, subject
from companion.tables import means
from companion.zoo import load_machine
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.metrics import all_metrics
from jnd.networks import resized

PHOTOS = 8
SIDE = 224
REST = dict(cost=Cost(), alpha=0.03, max_iter=100)
# α and N without regularisation, for each version
RUNAWAY = {"32×32": (0.3, 70), "bilinear": (10.0, 60), "nearest": (2.0, 45)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="CIFAR-10, as companion.photos.load_cifar10 reads it")
    args = parser.parse_args()
    pixels, _, hashes = load_cifar10(args.data)
    photos = pixels[:PHOTOS].float()
    versions = {
        "32×32": photos,
        "bilinear": resized(photos, (SIDE, SIDE)),
        "nearest": interpolate(photos, (SIDE, SIDE)),
    }
    values = {}
    machine = load_machine("efficientnet_lite0", device="cpu")
    machine.input_size = SIDE, SIDE
    for version, x0 in versions.items():
        alpha, max_iter = RUNAWAY[version]
        runaway = dict(cost=Cost.arm("none"), alpha=alpha, max_iter=max_iter)
        for arm, settings in {"full": REST, "none": runaway}.items():
            trajectory = find_jnd(machine, x0, **settings)
            values.setdefault(version, {})[arm] = {
                "alpha": settings["alpha"],
                "max_iter": settings["max_iter"],
                "K": trajectory.K,
                "noticed_at_end": trajectory.noticed[-1],
                "end": means(all_metrics(x0, trajectory.x_end)),
            }
            print(version, arm, plain(values[version][arm]), flush=True)
    provenance = {"profile": "custom", **subject([machine], f"{PHOTOS} images of CIFAR-10", hashes)}
    content = {"provenance": provenance | origin(), "values": plain(values)}
    path = ROOT / "data" / "measured" / "cifar10_enlarged.json"
    write_json(path, content)


if __name__ == "__main__":
    main()
