"""The page "Ten real photos": the notebooks on several machines and photos, side by side."""

from collections.abc import Mapping
from itertools import compress
from statistics import fmean
from typing import Any

from jnd.metrics import INT64_DB
from page_text import number, table
from prediction import REPORTED

SETUPS = {
    "imagenet_lite0": "EfficientNet-Lite0, 224 px",
    "imagenet_lite1": "EfficientNet-Lite1, 240 px",
    "imagenet_lite2": "EfficientNet-Lite2, 260 px",
    "imagenet_resnet18": "ResNet-18, 224 px",
}
"""Files of data/measured, each of ten ImageNet photos -> their machine."""


def table1(arm: str, printed: Mapping[str, float], setups: Mapping[str, Mapping]) -> str:
    """Return Table I at the end of an arm's run: the paper, then a row for each set-up.

    Args:
        arm: ``"full"`` or ``"none"``.
        printed: the paper's column.
        setups: title -> metrics.json. Runs of a single update in that arm are left out, and
            photos that have not flipped by its end.
    """
    confidence = 0.99
    known = [printed["PSNR"] - INT64_DB, *(printed[m] for m in ("UQI", "SCC", "VIF", "VIF"))]
    rows = {"**the paper**: ten ImageNet photos, Inception v3": [*known, confidence]}
    for title, metrics in setups.items():
        values = metrics["values"]
        flipped = values["arms"][arm]["noticed_at_end"]
        if metrics["provenance"]["parameters"]["end_iters"][arm] > 1 and any(flipped):
            columns = [values["quality"]["end"][arm][m] for m in REPORTED]
            columns.append(values["arms"][arm]["target_confidence_at_end"])
            count = "" if all(flipped) else f" ({sum(flipped)} of {len(flipped)} photos)"
            rows[title + count] = [fmean(compress(column, flipped)) for column in columns]
    names = [*REPORTED, "confidence"]
    return table(
        [{"": title} | dict(zip(names, row, strict=True)) for title, row in rows.items()],
        dict.fromkeys(names, ".2f") | {"PSNR": ".1f"},
    )


def first_flips(measured: Mapping[str, Mapping]) -> str:
    """Return K with regularisation and M's confidence in x(0), photo by photo, for each machine."""
    setups = {title: measured[name] for name, title in SETUPS.items()}
    photos = next(iter(setups.values()))["values"]["photos"]
    rows = []
    for i, photo in enumerate(photos):
        row = {"photo": photo.replace("_", " ")}
        for title, metrics in setups.items():
            K = metrics["values"]["arms"]["full"]["K"][i]
            shown = K if K >= 0 else f"> {metrics['provenance']['parameters']['max_iter']}"
            row[title] = f"{shown} ({number(metrics['values']['confidence'][i])})"
        rows.append(row)
    return table(rows)


def pictures(metrics: Mapping[str, Any]) -> str:
    """Return the paths to a picture, and what the pictures survive: the notebook "pictures"."""
    values = metrics["values"]
    means = {path: row for path, row in values["means"].items() if path in values["ways"]}
    rows = []
    for title, key, digits in (
        ("median of K", "K, median", ".0f"),
        ("JND(M), mean", "JND(M)", ".3g"),
        ("JND(M), times that of x(K)", "times x(K)'s", ".3g"),
        ("PSNR, dB", "PSNR, dB", ".3g"),
    ):
        rows.append({"": title} | {path: number(row[key], digits) for path, row in means.items()})
    for treatment, by_path in values["survives"].items():
        tested = {path: [v for v in fools if v is not None] for path, fools in by_path.items()}
        pairs = len(next(iter(tested.values())))
        counts = {path: f"{sum(fools):.0f}" for path, fools in tested.items()}
        rows.append({"": f"fools, {treatment} ({pairs} pairs)"} | counts)
    return table(rows)


def gap(metrics: Mapping[str, Any]) -> str:
    """Return how many times the least known the descent's JND is: the notebook "comparison"."""
    titles = {
        "x(K)": "at $x(K)$",
        "border": "at the border",
        "limit": "in the limit of small steps",
    }
    return table(
        [
            {"": arm} | {titles[key]: row[key] for key in titles}
            for arm, row in metrics["values"]["gap"].items()
        ],
        ".2f",
    )
