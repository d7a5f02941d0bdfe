"""What several pages share: Markdown tables, numbers for a reader, the paper's names for arms."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

ARMS = {"full": "with", "none": "without"}  # ours -> the paper's, "with regularisation"


def number(value: float | None, digits: str = ".3g") -> str:
    """Return a number with a minus sign at which no line breaks; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:{digits}}".replace("-", "−")


def interval(low: float | None, high: float | None, digits: str = ".2g") -> str:
    """Return ``"2.5 to 3.1"``, or a dash where there is no interval."""
    if any(bound is None or math.isnan(bound) for bound in (low, high)):
        return "–"
    return f"{number(low, digits)} to {number(high, digits)}"


def table(
    rows: Iterable[Mapping[str, object]],
    digits: str | Mapping[str, str] = ".3g",
    text_columns: int = 1,
) -> str:
    """Return a Markdown table.

    Args:
        rows: column -> its text, number or None.
        digits: format of the numbers, one for all or column -> format.
        text_columns: how many columns, from the first, are aligned to the left.
    """
    frame = pd.DataFrame(rows, dtype=object)
    for column in frame:
        spec = digits if isinstance(digits, str) else digits.get(column, ".3g")
        frame[column] = [v if isinstance(v, str) else number(v, spec) for v in frame[column]]
    alignment = ["left"] * text_columns + ["right"] * (len(frame.columns) - text_columns)
    return frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)
