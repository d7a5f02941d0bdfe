"""The scores of a planted car, rendered and real road side by side, on the page "Detection"."""

from collections.abc import Mapping
from typing import Any

from companion.style import ARM_NAMES
from page_text import ARMS, number, table

LOSSES = {"box": "box and class", "class": "class only"}


def scores(printed: Mapping[str, float], roads: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the score at the end and K for each loss and arm.

    Args:
        printed: ``"with"`` and ``"without"`` -> the paper's score.
        roads: name of a road -> values of the notebook "detection" on it.
    """
    rows = []
    for loss, title in LOSSES.items():
        for arm, column in ARMS.items():
            row = {"": f"{title}, {ARM_NAMES[arm]}", "paper": number(printed[column], ".2f")}
            for road, values in roads.items():
                row[f"{road}, end"] = number(values["confidence"][loss][arm]["end"], ".2f")
            for road, values in roads.items():
                K = values["arms"][loss][arm]["K"][0]
                row[f"{road}, K"] = str(K) if K >= 0 else "–"
            rows.append(row)
    return table(rows)
