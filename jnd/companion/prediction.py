"""What the profile paper must give, said before anybody has run it: data/prediction.yaml.

``python -m jnd.companion.prediction`` writes that file anew from data/measured.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import torch
import yaml

from jnd.companion.provenance import origin
from jnd.studies.statistics import Mean, next_value
from jnd.support.checkout import data_folder
from jnd.support.files import write_atomically

# trained with label smoothing on ImageNet, as Inception v3 was
NETWORKS = ("imagenet_lite0", "imagenet_lite1", "imagenet_lite2")
PHOTOS = {"K, bear": "brown_bear", "K, rooster": "cock"}
CONFIDENCE = "confidence at the end"
METRICS = ("PSNR", "UQI", "SCC", "VIF", "VIF (early sewar)")


def quantities(values: Mapping[str, Any]) -> dict[str, float]:
    """What is predicted, of the values of the notebook on ImageNet: name -> number."""
    end = values["table1"]["end"]["full"]
    found = {metric: end[metric] for metric in METRICS}
    certainty = values["arms"]["full"]["target_confidence_at_end"]
    found[CONFIDENCE] = sum(certainty) / len(certainty)
    K = dict(zip(values["photos"], values["arms"]["full"]["K"], strict=True))
    return found | {name: K[photo] for name, photo in PHOTOS.items()}


def predict(measured: Sequence[Mapping[str, float]]) -> dict[str, Mean]:
    """The interval in which the next network's numbers lie with 95 %, by name.

    K is a ratio of exponentials, so its logarithm is what is taken to be normal.
    """
    found = {}
    for name in measured[0]:
        values = torch.tensor([of[name] for of in measured], dtype=torch.float64)
        if name in PHOTOS:
            log = next_value(values.log())
            found[name] = Mean(log.n, *(math.exp(v) for v in (log.mean, log.low, log.high)))
        else:
            found[name] = next_value(values)
    if CONFIDENCE in found:  # all are 1 but for a little: give it the per cent that is printed
        of = found[CONFIDENCE]
        found[CONFIDENCE] = Mean(of.n, of.mean, of.low - 0.01, 1.0)
    return found


def of_networks() -> list[dict[str, float]]:
    """The quantities that were measured on the networks."""
    files = [data_folder() / "measured" / f"{name}.json" for name in NETWORKS]
    return [quantities(json.loads(file.read_text("utf-8"))["values"]) for file in files]


if __name__ == "__main__":
    content = {
        "made": date.today().isoformat(),
        "commit": origin()["commit"],
        "networks": [*NETWORKS],
        "interval": {
            name: [float(f"{v:.4g}") for v in (of.low, of.high)]
            for name, of in predict(of_networks()).items()
        },
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    head = "# What the profile paper must give; by jnd/companion/prediction.py, before a run.\n"
    write_atomically(data_folder() / "prediction.yaml", (head + text).encode())
