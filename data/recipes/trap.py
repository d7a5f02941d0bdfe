"""Measure which of ten ImageNet photos the squared distance traps, around λ* of each.

    python data/recipes/trap.py MACHINE SIZE [WEIGHTS]

As the notebook "derivation" does for the packaged photos. Writes data/measured/trap_MACHINE.json.
"""

import sys

import torch

from companion.checkout import data_folder
from companion.files import write_json
from companion.parameters import profile_parameters
from companion.photos import load_photos
from companion.provenance import origin, plain, subject
from companion.studies.derivation import around_the_trap, slope
from companion.zoo import load_machine

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


def main(name: str, size: int, weights: str = "bundled") -> None:
    machine = load_machine(name, weights)
    photos = profile_parameters("imagenet", "paper")["photos"]
    x0, hashes = load_photos(photos, size)
    with torch.no_grad():
        label = machine(x0).argmax(1)
    trap = around_the_trap(machine, x0, label, slope(machine, x0, label), MULTIPLES)
    values = {"photos": photos, **trap}
    provenance = {"profile": "custom", **subject([machine], f"{len(photos)} photos", hashes)}
    content = {"provenance": provenance | origin(), "values": plain(values)}
    path = data_folder() / "measured" / f"trap_{name}.json"
    write_json(path, content)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
