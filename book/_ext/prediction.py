"""What the profile paper must give, predicted before anybody has run it: data/prediction.yaml.

``python book/_ext/prediction.py`` adds a prediction from data/measured to that file, dated, above
the earlier ones, which stay as they were.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from statistics import fmean, geometric_mean
from typing import Any

import numpy as np
import torch
import yaml
from scipy import stats

from companion.checkout import data_folder, read_measured
from companion.files import write_atomically
from companion.provenance import origin
from intervals import next_value
from jnd.metrics import INT64_DB, METRICS
from page_text import interval, number, table

# trained with label smoothing on ImageNet, as Inception v3 was
NETWORKS = ("imagenet_lite0", "imagenet_lite1", "imagenet_lite2")
PHOTOS = {"K, bear": "brown_bear", "K, rooster": "cock", "K, castle": "castle"}
CONFIDENCE = "confidence at the end"
JND = "JND(M), geometric mean"
REPORTED = (*METRICS, "VIF (early sewar)")
# said before a run, our choice: what must not differ, and what would count against our reading
NULL = {
    "PSNR at x(K), three terms − unregularised": (-0.5, 0.5),
    "PSNR at the end, three terms − distance only": (-0.5, 0.5),
    "SCC at the end, three terms − distance only": (-0.01, 0.01),
    "pictures of x(K) that fool, of ten": (0, 1),
    "VIF, unregularised, PSNR matched": (0, 0.3),
    "JND(M), times the least of six attacks": (1.1, 1.8),
}
AGAINST = (
    "Our reading is wrong if, at α = 0.015, the mean PSNR at the end with all three terms, over "
    "the photos that are noticed, is below 37 or above 42 dB (for a network trained with label "
    "smoothing), or if x(K) with all three terms is more than 0.5 dB closer to the photo than "
    "without."
)


def similarity_at_rest(imagenet: Mapping[str, Any]) -> dict[str, float]:
    """Return what an interval over networks is predicted for, given values of the notebook."""
    arm = imagenet["arms"]["full"]
    return {
        **{metric: imagenet["table1"]["end"]["full"][metric] for metric in REPORTED},
        CONFIDENCE: fmean(arm["target_confidence_at_end"]),
        JND: geometric_mean(jnd for jnd in arm["jnd"] if jnd is not None),
    }


def quantities(
    imagenet: Mapping[str, Any], comparison: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Return the predicted quantities by name, given the values of the notebooks.

    A photo without a K has none here either.
    """
    K = dict(zip(imagenet["photos"], imagenet["arms"]["full"]["K"], strict=True))
    table1 = imagenet["table1"]
    saved = imagenet["pictures"]["fools_when_saved"]["x(K)"]
    measured = {
        **similarity_at_rest(imagenet),
        **{name: K[photo] for name, photo in PHOTOS.items() if K.get(photo, -1) >= 0},
        "pictures of x(K) that fool, of ten": 10 * fmean(s for s in saved if s is not None),
        "VIF, unregularised, PSNR matched": table1["matched"]["none"]["VIF"],
    }
    for name, (moment, metric, other) in {
        "PSNR at x(K), three terms − unregularised": ("jnd", "PSNR", "none"),
        "PSNR at the end, three terms − distance only": ("end", "PSNR", "l2"),
        "SCC at the end, three terms − distance only": ("end", "SCC", "l2"),
    }.items():
        arms = imagenet["quality"][moment]
        pairs = zip(arms["full"][metric], arms[other][metric], strict=True)
        measured[name] = fmean(a - b for a, b in pairs if None not in (a, b))
    if comparison:
        ratio = comparison["gap"]["away from the label"]["x(K)"]
        measured["JND(M), times the least of six attacks"] = ratio
    return measured


def predict_K(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of each photo's K on the next network.

    log K = photo + network + residual, all networks alike but for a constant within the noise: the
    photo's mean over the networks, ± Student's t of the residuals' degrees of freedom.

    Args:
        K: (photos, networks).
    """
    logs = np.log(K)
    photos, networks = logs.shape
    of_photo = logs.mean(1, keepdims=True)
    residuals = logs - of_photo - logs.mean(0) + logs.mean()
    freedom = (photos - 1) * (networks - 1)
    deviation = math.sqrt((residuals**2).sum() / freedom)
    reach = stats.t.ppf(0.975, freedom) * deviation * math.sqrt(1 + 1 / networks)
    return np.exp(of_photo[:, 0] - reach), np.exp(of_photo[:, 0] + reach)


def predict(measured: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return, by name, the interval in which the next network's numbers lie with 95 %.

    Args:
        measured: values of the notebook on ImageNet, of several networks and the same photos.
    """
    numbers = [similarity_at_rest(values) for values in measured]
    intervals = {}
    for name in (*REPORTED, CONFIDENCE, JND):
        values = torch.tensor([row[name] for row in numbers], dtype=torch.float64)
        mean = next_value(values.log() if name == JND else values)
        intervals[name] = [mean.low, mean.high]
    intervals[JND] = [math.exp(bound) for bound in intervals[JND]]
    # all are nearly 1: allow the per cent that is printed
    intervals[CONFIDENCE] = [intervals[CONFIDENCE][0] - 0.01, 1.0]
    low, high = predict_K(np.array([values["arms"]["full"]["K"] for values in measured]).T)
    photos = measured[0]["photos"]
    for name, photo in PHOTOS.items():
        i = photos.index(photo)
        intervals[name] = [low[i].item(), high[i].item()]
    return intervals | {name: [*bounds] for name, bounds in NULL.items()}


def measured_networks() -> list[dict[str, Any]]:
    """Return the values of the notebook on ImageNet for each of the networks."""
    return [read_measured(name)["values"] for name in NETWORKS]


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
    predicted: Mapping[str, Any],
    printed: Mapping[str, float],
    metrics: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return what is printed, predicted, and measured if the profile paper ran, as a table.

    Args:
        predicted: an entry of data/prediction.yaml.
        printed: from :func:`printed_quantities`.
        metrics: notebook -> its metrics.json.
    """
    ran = metrics["imagenet"]["provenance"]["profile"] == "paper"
    measured = {}
    if ran:
        comparison = metrics.get("comparison", {}).get("values")
        measured = quantities(metrics["imagenet"]["values"], comparison)
    rows = []
    for name, (low, high) in predicted["interval"].items():
        words = "not yet run"
        if ran:
            words = "none"
            if name in measured:
                mark = "✓ inside" if low <= measured[name] <= high else "✗ outside"
                words = f"{number(measured[name])} {mark}"
        digits = ".3g"
        if name in PHOTOS:
            low = max(low, 1)  # a descent begins at its label, so K is at least 1
            digits = ".0f"
        rows.append(
            {
                "": name,
                "printed": number(printed.get(name), ".4g"),
                "predicted": interval(low, high, digits),
                "measured": words,
            }
        )
    return table(rows)


def main() -> None:
    path = data_folder() / "prediction.yaml"
    new = {
        "made": date.today().isoformat(),
        "commit": origin()["commit"],
        "networks": [*NETWORKS],
        "against": AGAINST,
        "interval": {
            name: [float(f"{bound:.4g}") for bound in bounds]
            for name, bounds in predict(measured_networks()).items()
        },
    }
    earlier = yaml.safe_load(path.read_text("utf-8"))
    text = yaml.safe_dump([new, *earlier], sort_keys=False, allow_unicode=True)
    head = "# What the profile paper must give; by book/_ext/prediction.py, before a run.\n"
    write_atomically(path, (head + text).encode())


if __name__ == "__main__":
    main()
