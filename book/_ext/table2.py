"""Table II and what was tried beside it, as one Markdown table."""

from collections.abc import Mapping
from typing import Any

from reference import ARMS

from jnd.metrics import INT64_DB

METRICS = ("PSNR", "UQI", "SCC", "VIF")
WAYS = {
    "32×32": "enlarged inside the machine",
    "bilinear": "enlarged first, bilinearly",
    "nearest": "enlarged first, to the nearest pixel",
}


def beside(printed: Mapping[str, Any], page: Mapping[str, Any], enlarged: Mapping[str, Any]) -> str:
    """The paper's two columns as rows, and below them ours.

    Args:
        printed: the paper's Table II.
        page: the values of the notebook on CIFAR-10.
        enlarged: those of data/recipes/cifar10_enlarged.py.
    """
    rows = {
        f"**the paper, {column}**": printed[column] | {"PSNR": printed[column]["PSNR"] - INT64_DB}
        for column in ARMS.values()
    }
    for moment, title in {"jnd": "$x(K)$", "end": "end"}.items():
        for arm, column in ARMS.items():
            rows[f"ours, {column}, {title}"] = page["table2"][moment][arm]
    rows |= page["yardsticks"]
    for way, arms in enlarged.items():
        for arm, column in ARMS.items():
            rows[f"ImageNet network, {WAYS[way]}, {column}, end"] = arms[arm]["end"]
    lines = ["| | PSNR, dB | UQI | SCC | VIF |", "|---|--:|--:|--:|--:|"]
    for title, values in rows.items():
        cells = [f"{values[m]:.{digits}f}" for m, digits in zip(METRICS, "1222", strict=True)]
        lines.append(f"| {title} | {' | '.join(cells).replace('-', '−')} |")
    return "\n".join(lines)
