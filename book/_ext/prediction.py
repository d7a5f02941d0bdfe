"""What the profile paper must give, predicted before anybody has run it: data/prediction.yaml.

``python book/_ext/prediction.py`` writes that file anew from data/measured.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import torch
import yaml

from companion.checkout import data_folder
from companion.files import write_atomically
from companion.provenance import origin
from companion.statistics import Mean, next_value
from jnd.metrics import INT64_DB, METRICS
from page_text import interval, number, table

# trained with label smoothing on ImageNet, as Inception v3 was
NETWORKS = ("imagenet_lite0", "imagenet_lite1", "imagenet_lite2")
PHOTOS = {"K, bear": "brown_bear", "K, rooster": "cock"}
CONFIDENCE = "confidence at the end"
REPORTED = (*METRICS, "VIF (early sewar)")


def quantities(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the predicted quantities by name, given the values of the notebook on ImageNet."""
    arm = values["arms"]["full"]
    confidence = arm["target_confidence_at_end"]
    K = dict(zip(values["photos"], arm["K"], strict=True))
    return {
        **{metric: values["table1"]["end"]["full"][metric] for metric in REPORTED},
        CONFIDENCE: sum(confidence) / len(confidence),
        **{name: K[photo] for name, photo in PHOTOS.items()},
    }


def predict(measured: Sequence[Mapping[str, float]]) -> dict[str, Mean]:
    """Return, by name, the interval in which the next network's numbers lie with 95 %.

    K is a ratio of exponentials, so its logarithm is taken to be normal.
    """
    intervals = {}
    for name in measured[0]:
        values = torch.tensor([numbers[name] for numbers in measured], dtype=torch.float64)
        if name in PHOTOS:
            log = next_value(values.log())
            intervals[name] = Mean(log.n, *(math.exp(v) for v in (log.mean, log.low, log.high)))
        else:
            intervals[name] = next_value(values)
    if CONFIDENCE in intervals:  # all are nearly 1: allow the per cent that is printed
        mean = intervals[CONFIDENCE]
        intervals[CONFIDENCE] = Mean(mean.n, mean.mean, mean.low - 0.01, 1.0)
    return intervals


def measured_quantities() -> list[dict[str, float]]:
    """Return the quantities measured on each of the networks."""
    files = [data_folder() / "measured" / f"{name}.json" for name in NETWORKS]
    return [quantities(json.loads(file.read_text("utf-8"))["values"]) for file in files]


def printed_quantities(paper: Mapping[str, Any]) -> dict[str, float]:
    """Return what the paper prints of the predicted quantities, by name."""
    table1 = paper["tables"]["table1"]["with"]
    figures = paper["figures"]
    return {
        **table1,
        "PSNR": table1["PSNR"] - INT64_DB,
        "VIF (early sewar)": table1["VIF"],
        CONFIDENCE: figures["fig1"]["confidence"],
        **{f"K, {name}": K for name, K in figures["fig2"]["K"].items()},
    }


def prediction_table(
    predicted: Mapping[str, Any], printed: Mapping[str, float], metrics: Mapping[str, Any]
) -> str:
    """Return what is printed, predicted, and measured if the profile paper ran, as a table.

    Args:
        predicted: data/prediction.yaml.
        printed: from :func:`printed_quantities`.
        metrics: metrics.json of the notebook on ImageNet.
    """
    ran = metrics["provenance"]["profile"] == "paper"
    measured = quantities(metrics["values"]) if ran else {}
    rows = []
    for name, (low, high) in predicted["interval"].items():
        words = "not yet run"
        if ran:
            value = number(measured[name]) if measured[name] >= 0 else "no K"
            words = f"{value} {'✓ inside' if low <= measured[name] <= high else '✗ outside'}"
        digits = ".3g"
        if name in PHOTOS:
            low = max(low, 1)  # a descent begins at its label, so K is at least 1
            digits = ".0f"
        rows.append(
            {
                "": name,
                "printed": number(printed[name], ".4g"),
                "predicted": interval(low, high, digits),
                "measured": words,
            }
        )
    return table(rows)


def main() -> None:
    content = {
        "made": date.today().isoformat(),
        "commit": origin()["commit"],
        "networks": [*NETWORKS],
        "interval": {
            name: [float(f"{bound:.4g}") for bound in (mean.low, mean.high)]
            for name, mean in predict(measured_quantities()).items()
        },
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    head = "# What the profile paper must give; by book/_ext/prediction.py, before a run.\n"
    write_atomically(data_folder() / "prediction.yaml", (head + text).encode())


if __name__ == "__main__":
    main()
