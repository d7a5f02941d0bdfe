"""Pictures that fool and the distance to the least, measured on real photos, as Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any


def ways(page: Mapping[str, Any]) -> str:
    """The four ways to a picture, and what the pictures survive: the notebook "pictures"."""
    values = page["values"]
    means = {way: of for way, of in values["means"].items() if way in values["ways"]}
    rows = [["median of K", *(f"{of['K, median']:.0f}" for of in means.values())]]
    for title, key in {
        "JND(M), mean": "JND(M)",
        "JND(M), times that of x(K)": "times x(K)'s",
        "PSNR, dB": "PSNR, dB",
    }.items():
        rows.append([title, *(_number(of[key]) for of in means.values())])
    for treatment, of_way in values["survives"].items():
        counted = [[v for v in of if v is not None] for of in of_way.values()]
        title = f"fools, {treatment} ({len(counted[0])} pairs)"
        rows.append([title, *(f"{sum(v):.0f}" for v in counted)])
    return _table(["", *means], rows)


def gap(page: Mapping[str, Any]) -> str:
    """How many times the least known the descent's JND is: the notebook "comparison"."""
    titles = {
        "x(K)": "at $x(K)$",
        "border": "at the border",
        "limit": "in the limit of small steps",
    }
    rows = [
        [way, *(f"{of[key]:.2f}" for key in titles)] for way, of in page["values"]["gap"].items()
    ]
    return _table(["", *titles.values()], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
