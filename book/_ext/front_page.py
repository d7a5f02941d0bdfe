"""The front page: Table I as paired dots, the paper's numbers beside those of this run."""

from collections.abc import Mapping
from html import escape

from jnd.metrics import INT64_DB
from page_text import number

# our name -> the paper's, its title here, the end of its axis, digits
ROWS = {
    "PSNR": ("PSNR", "PSNR, dB", 50, ".1f"),
    "UQI": ("UQI", "UQI", 1, ".2f"),
    "SCC": ("SCC", "SCC", 1, ".2f"),
    "VIF (early sewar)": ("VIF", "VIF, sewar 0.4.1", 1, ".2f"),
}


TITLES = {
    "with": "with regularisation, end of the run",
    "without": "without regularisation, stopped by choice",
}


def paired_dots(
    printed: Mapping[str, Mapping[str, float]], measured: Mapping[str, Mapping[str, float | None]]
) -> str:
    """Draw two columns of rows, with and without regularisation, in HTML.

    Args:
        printed: ``"with"`` and ``"without"`` -> metric -> the paper's number.
        measured: the same of ours.
    """
    columns = []
    for arm, numbers in measured.items():
        rows = []
        for ours, (theirs, title, top, digits) in ROWS.items():
            paper = printed[arm][theirs]
            if theirs == "PSNR":
                paper -= INT64_DB
            rows.append(dots_row(title, top, digits, paper, numbers[ours]))
        columns.append(f"<div><p>{escape(TITLES[arm])}</p>{''.join(rows)}</div>")
    key = '<i class="paper"></i>paper <i class="ours"></i>ours'
    return f'<div class="dots">\n{"".join(columns)}\n<p class="dots-key">{key}</p>\n</div>'


def dots_row(title: str, top: float, digits: str, paper: float, ours: float | None) -> str:
    """Draw a metric: its axis from 0 to ``top`` with two dots and a line between, its numbers."""
    values = {"paper": paper, "ours": ours}
    words = {name: number(value, digits) for name, value in values.items()}
    places = {
        name: 100 * min(max(value / top, 0), 1)
        for name, value in values.items()
        if value is not None
    }
    low = min(places.values())
    width = max(places.values()) - low
    dots = "".join(f'<i class="{name}" style="left: {at:.1f}%"></i>' for name, at in places.items())
    label = f"{title}: paper {words['paper']}, ours {words['ours']}"
    return (
        f'<div class="dots-row" role="img" aria-label="{label}">'
        f'<span>{title}</span><span class="dots-axis" data-top="{top}">'
        f'<b style="left: {low:.1f}%; width: {width:.1f}%"></b>{dots}</span>'
        f"<span>{words['paper']} / {words['ours']}</span></div>"
    )
