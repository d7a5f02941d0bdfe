"""The page "Real CIFAR-10 images": Table II and what was tried beside it, the paired test."""

import math
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pandas as pd

from companion.studies.forensics import LABEL, label_text
from companion.tables import MOMENTS
from intervals import reach_of_few
from jnd.metrics import INT64_DB
from page_text import ARMS, interval, number, table

ENLARGED = {
    "32×32": "enlarged inside the machine",
    "bilinear": "enlarged first, bilinearly",
    "nearest": "enlarged first, to the nearest pixel",
}
FEW = (10, 4)  # pairs in the paper: the caption's ten images, or half of the text's eight


def table2(printed: Mapping[str, Any], cifar10: Mapping[str, Any], enlarged: Mapping) -> str:
    """Return the paper's two columns as rows, and ours below them.

    Args:
        printed: the paper's Table II.
        cifar10: values of the notebook on CIFAR-10.
        enlarged: values of data/recipes/cifar10_enlarged.py.
    """
    rows = {
        f"**the paper, {column}**": printed[column] | {"PSNR": printed[column]["PSNR"] - INT64_DB}
        for column in ARMS.values()
    }
    for moment, title in MOMENTS.items():
        for arm, column in ARMS.items():
            if arm in cifar10["table2"][moment]:
                known = [v for v in cifar10["quality"][moment][arm]["PSNR"] if v is not None]
                of_all = f"{len(known)} of {len(cifar10['photos'])} images"
                rows[f"ours, {column}, {title}, {of_all}"] = cifar10["table2"][moment][arm]
    rows |= cifar10["yardsticks"]
    for setup, arms in enlarged.items():
        for arm, column in ARMS.items():
            rows[f"ImageNet network, {ENLARGED[setup]}, {column}, end"] = arms[arm]["end"]
    return table(
        [
            {"": title, "PSNR, dB": number(row["PSNR"], ".1f")}
            | {metric: row[metric] for metric in ("UQI", "SCC", "VIF")}
            for title, row in rows.items()
        ],
        ".2f",
    )


def noticeable_by_few(test: SimpleNamespace) -> dict[str, list[float]]:
    """Return, by metric, the least difference that as few pairs as the paper's tell from none."""
    return {
        metric: [reach_of_few(row.low, row.high, row.images, few) for few in FEW]
        for metric, row in vars(test).items()
    }


def paired_test(test: SimpleNamespace) -> str:
    """Return the paired test of a notebook's metrics.json as a table, a column for each metric."""
    columns = {}
    for metric, reaches in noticeable_by_few(test).items():
        values = vars(getattr(test, metric))
        column = {"images": str(values["images"])}
        for arm in ARMS.values():
            column[arm] = f"{number(values[arm])} ± {number(values[f'{arm}, sd'], '.2g')}"
        column["difference"] = number(values["difference"], ".2g")
        column["95 % interval"] = interval(values["low"], values["high"])
        for few, reach in zip(FEW, reaches, strict=True):
            column[f"± of {few} pairs"] = number(reach, ".2g")
        columns[metric] = column | {"p": number(values["p_holm"], ".1g")}
    frame = pd.DataFrame(columns).rename_axis("").reset_index()
    return table(frame.to_dict("records"))


def pipelines(rows: Iterable[SimpleNamespace]) -> str:
    """Return pipelines of the forensics and the metrics that they give, with / without."""
    columns = {"noise, dB": ("noise", ".1f")}
    columns |= {metric: (metric, ".2f") for metric in ("UQI", "SCC", "VIF")}
    lines = []
    for values in map(vars, rows):
        line = {"": label_text([values[name] for name in LABEL])}
        for title, (name, digits) in columns.items():
            both = [number(values[f"{name}, {arm}"], digits) for arm in ARMS.values()]
            line[title] = " / ".join(both).replace("– / –", "–")
        near = values["near"]
        line["near"] = "" if math.isnan(near) else f"{near:.0f} of 6"
        lines.append(line)
    return table(lines)
