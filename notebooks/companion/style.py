"""One style for every figure: colours, how a picture is drawn, one scale for changes."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from jnd.pictures import eight_bit

WIDTH = 7.4  # inches, of every figure: a reader sees all letters in one size
STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
}
# Okabe and Ito's colours, which colour-blind readers can tell apart
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
GREY = "#666666"
SERIES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), ("#cc79a7", ":"), (GREY, "-"))
ARMS = {"full": (BLUE, "-"), "l2": (GREEN, "--"), "none": (ORANGE, ":")}
ARM_NAMES = {"full": "all three terms", "l2": "distance only", "none": "unregularised"}
CHANGES = "RdBu_r"  # red: more, blue: less
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw in our style; the caller shows the figure that it returns."""

    @wraps(draw)
    def figure(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            result = draw(*args, **kwargs)
        plt.close(result)
        return result

    return figure


def panels(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure as wide as the column, and its axes, (rows, columns); each row has this height."""
    return plt.subplots(rows, columns, figsize=(WIDTH, height * rows), squeeze=False, **options)


def log_scale(axis: Axes, *sides: str) -> None:
    """Make sides, "x" and "y", logarithmic, with so few labels that they do not overlap.

    To be called when all has been drawn, once for a side that several panels share. It spans a
    factor of ten or more, so that values that nearly coincide look so.
    """
    for side in sides:
        axis.set(**{f"{side}scale": "log"})
        low, high = getattr(axis, f"get_{side}lim")()
        margin = max(1, (10 * low / high) ** 0.5)
        axis.set(**{f"{side}lim": (low / margin, high * margin)})
        labelled = getattr(axis, f"{side}axis")
        if high / low < 200:
            steps = (1, 2, 5) if high / low < 20 else (1, 3)
            labelled.set_major_locator(LogLocator(subs=steps))
        if low > 5e-5:  # no label is below 0.0001
            labelled.set_major_formatter("{x:g}")
        labelled.set_minor_formatter(NullFormatter())


def reach_of(changes: Tensor) -> float:
    """The change that gets the full red or blue: (n, H, W), grey levels.

    The largest, over the changes that are finite, of the 99 % quantile of their size.
    """
    finite = changes[changes.isfinite().flatten(1).all(1)].abs().flatten(1)
    return max(finite.quantile(0.99, dim=1).max().item(), 1e-6) if len(finite) else 1.0


def draw_picture(axis: Axes, image: Tensor) -> None:
    """Draw an image (3, H, W) in 0..255, or "not noticed" if it is NaN."""
    if _prepared(axis, image):
        pixels = eight_bit(image.detach()).to("cpu", torch.uint8).permute(1, 2, 0).numpy()
        axis.imshow(pixels, interpolation="nearest" if is_small(image) else None)


def is_small(image: Tensor) -> bool:
    """Whether an image, (..., H, W), is shown pixel by pixel."""
    return max(image.shape[-2:]) <= 64


def draw_map(axis: Axes, values: Tensor, **colours: Any) -> None:
    """Draw values (H, W) in grey levels with their scale, or "not noticed" if they are NaN."""
    if _prepared(axis, values):
        shown = axis.imshow(values.numpy(), **colours)
        axis.figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.02, label="grey levels")


def bare(axis: Axes) -> None:
    """Remove frame and ticks."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _prepared(axis: Axes, values: Tensor) -> bool:
    """Remove frame and ticks, and tell whether the values are finite; if not, write so."""
    bare(axis)
    finite = bool(values.isfinite().all())
    if not finite:
        axis.text(0.5, 0.5, "not noticed", ha="center", va="center", transform=axis.transAxes)
    return finite


def draw_box(axis: Axes, box: Tensor, colour: str, **style: Any) -> None:
    """Draw the outline of a box (4,), x1, y1, x2, y2."""
    x1, y1, x2, y2 = box.tolist()
    style |= {"edgecolor": colour, "facecolor": "none"}
    axis.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, **style))


def draw_quartiles(
    axis: Axes, x: Sequence[float], quartiles: Tensor, line: tuple[str, str], label: str
) -> None:
    """Draw medians over x (n,) in a band between the quartiles, (3, n).

    ``line`` is the colour and style of the medians.
    """
    colour, style = line
    axis.plot(x, quartiles[1], style, marker="o", markersize=3.5, color=colour, label=label)
    axis.fill_between(x, quartiles[0], quartiles[2], color=colour, alpha=0.15, linewidth=0)


def note(axis: Axes, text: str, at: Any, offset: tuple[float, float], **style: Any) -> None:
    """Write beside a place, ``offset`` points to the right of it and above it."""
    axis.annotate(text, at, xytext=offset, textcoords="offset points", **style)
