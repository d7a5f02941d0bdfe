"""The page "Ten real photos": the notebooks on several machines and photos, side by side."""

import math
from collections.abc import Mapping
from statistics import fmean, linear_regression
from typing import Any

import torch

from companion.statistics import Mean
from intervals import joint_interval
from jnd.metrics import INT64_DB
from page_text import interval, number, table
from prediction import NETWORKS, REPORTED

SETUPS = {
    "imagenet_lite0": "EfficientNet-Lite0, 224 px",
    "imagenet_lite1": "EfficientNet-Lite1, 240 px",
    "imagenet_lite2": "EfficientNet-Lite2, 260 px",
    "imagenet_resnet18": "ResNet-18, 224 px",
}
"""Files of data/measured, each of ten ImageNet photos -> their machine."""


COLUMNS = {"end": ("full", "with"), "matched": ("none", "without")}
"""Moment -> the arm and the printed column of Table I that is compared with it."""


def printed_columns(table1: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return our numbers for the columns that the paper prints, "with" and "without"."""
    return {column: table1[moment][arm] for moment, (arm, column) in COLUMNS.items()}


def table1(moment: str, printed: Mapping[str, Any], setups: Mapping[str, Mapping]) -> str:
    """Return a column of Table I: the paper, then a row for each set-up.

    Means of all photos, also of those that the machine has not noticed.

    Args:
        moment: ``"end"``, with all three terms; ``"matched"``, unregularised and stopped by choice.
        printed: the paper's Table I.
        setups: title -> metrics.json.
    """
    arm, column = COLUMNS[moment]
    paper = printed[column]
    known = [paper["PSNR"] - INT64_DB, *(paper[m] for m in ("UQI", "SCC", "VIF", "VIF"))]
    rows = {"**the paper**: ten ImageNet photos, Inception v3": known}
    for title, metrics in setups.items():
        means = metrics["values"]["table1"].get(moment, {}).get(arm)
        if means:  # not every network ran it
            rows[title] = [means[m] for m in REPORTED]
    return table(
        [{"": title} | dict(zip(REPORTED, row, strict=True)) for title, row in rows.items()],
        dict.fromkeys(REPORTED, ".2f") | {"PSNR": ".1f"},
    )


def gains(setups: Mapping[str, Mapping]) -> str:
    """Return what all three terms add to PSNR, and the share of them that is the distance's.

    The mean difference over the photos with its 95 % interval, at x(K) and at the end of runs of
    the same α and number of updates.
    """
    rows = []
    for title, metrics in setups.items():
        quality = metrics["values"]["quality"]
        row = {"PSNR, with − without, dB": title}
        for moment, arms in {"jnd": "$x(K)$", "end": "end"}.items():
            for other, words in {"none": "unregularised", "l2": "distance only"}.items():
                if other in quality[moment]:  # not every arm ran to the end
                    mean = _gain(quality[moment], other)
                    row[f"{arms}, − {words}"] = (
                        f"{number(mean.mean, '.2f')} ({interval(mean.low, mean.high, '.2f')})"
                    )
        rows.append(row)
    return table(rows)


def _gain(quality: Mapping[str, Any], other: str) -> Mean:
    """Return by how much PSNR with all three terms exceeds that of another arm, with interval."""
    pairs = zip(quality["full"]["PSNR"], quality[other]["PSNR"], strict=True)
    differences = [math.nan if None in pair else pair[0] - pair[1] for pair in pairs]
    return joint_interval(torch.tensor(differences), 1)


def largest_gain(setups: Mapping[str, Mapping]) -> str:
    """Return the largest mean gain of PSNR at x(K), with − without, of any set-up, in dB."""
    gains_at_K = [_gain(metrics["values"]["quality"]["jnd"], "none") for metrics in setups.values()]
    return number(max(abs(gain.mean) for gain in gains_at_K), ".1f")


def mean_change(values: Mapping[str, Any]) -> str:
    """Return the mean JND(M) with all three terms, in per cent."""
    jnds = [jnd for jnd in values["arms"]["full"]["jnd"] if jnd is not None]
    return number(100 * fmean(jnds) if jnds else None, ".2g")


def flipped(values: Mapping[str, Any]) -> str:
    """Return how many photos have a K with all three terms, such as "6 of 6"."""
    K = values["arms"]["full"]["K"]
    return f"{sum(k >= 0 for k in K)} of {len(K)}"


def trend(measured: Mapping[str, Mapping], side: int = 299) -> str:
    """Return PSNR at the end, extrapolated to another size by a line through the EfficientNets."""
    sides = []
    decibels = []
    for name in NETWORKS:
        sides.append(measured[name]["provenance"]["parameters"]["size"])
        decibels.append(measured[name]["values"]["table1"]["end"]["full"]["PSNR"])
    slope, intercept = linear_regression(sides, decibels)
    return number(slope * side + intercept, ".1f")


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
        "border": "at the decision boundary",
        "limit": "in the limit of small steps",
    }
    return table(
        [
            {"": arm} | {titles[key]: row[key] for key in titles}
            for arm, row in metrics["values"]["gap"].items()
        ],
        ".2f",
    )
