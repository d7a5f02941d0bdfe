"""Table I as paired dots, in HTML: what the paper prints beside what this run measured."""

from collections.abc import Mapping
from html import escape

from jnd.metrics import INT64_DB

# our name -> the paper's, how it is called here, the end of its axis, digits
ROWS = {
    "PSNR": ("PSNR", "PSNR, dB", 50, 1),
    "UQI": ("UQI", "UQI", 1, 2),
    "SCC": ("SCC", "SCC", 1, 2),
    "VIF (early sewar)": ("VIF", "VIF, sewar 0.4.1", 1, 2),
}


def paired_dots(
    printed: Mapping[str, Mapping[str, float]], measured: Mapping[str, Mapping[str, float | None]]
) -> str:
    """Two columns of rows, with and without regularisation.

    Args:
        printed: ``"with"`` and ``"without"`` -> metric -> the paper's number.
        measured: the same of ours, at the end of the run.
    """
    columns = []
    for arm, numbers in measured.items():
        rows = []
        for ours, (theirs, title, top, digits) in ROWS.items():
            paper = printed[arm][theirs] - INT64_DB * (theirs == "PSNR")
            rows.append(row(title, top, digits, paper, numbers[ours]))
        columns.append(f"<div><p>{escape(arm)} regularisation</p>{''.join(rows)}</div>")
    key = '<i class="paper"></i>paper <i class="ours"></i>ours, end of the run'
    return f'<div class="dots">\n{"".join(columns)}\n<p class="dots-key">{key}</p>\n</div>'


def row(title: str, top: float, digits: int, paper: float, ours: float | None) -> str:
    """A metric's name, its axis from 0 to ``top`` with two dots and a line between, its numbers."""
    values = [("paper", paper)] + ([] if ours is None else [("ours", ours)])
    places = {name: 100 * min(max(value / top, 0), 1) for name, value in values}
    low, high = min(places.values()), max(places.values())
    dots = "".join(f'<i class="{name}" style="left: {at:.1f}%"></i>' for name, at in places.items())
    said = [f"{value:.{digits}f}" for _, value in values] + ["–"] * (ours is None)
    return (
        f'<div class="dots-row" role="img" aria-label="{title}: paper {said[0]}, ours {said[1]}">'
        f'<span>{title}</span><span class="dots-axis" data-top="{top}">'
        f'<b style="left: {low:.1f}%; width: {high - low:.1f}%"></b>{dots}</span>'
        f"<span>{said[0]} / {said[1]}</span></div>"
    )
