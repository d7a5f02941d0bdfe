"""One style for every figure: colours, how a picture is drawn, one scale for changes."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from jnd.trajectory import eight_bit

STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",
    "figure.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
}
# Okabe and Ito's colours, told apart by colour-blind readers
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#666666"
SERIES = ((BLUE, "-"), (ORANGE, "--"), ("#009e73", "-."), ("#cc79a7", ":"), (GREY, "-"))
CHANGES = "RdBu_r"  # red: more, blue: less
P = ParamSpec("P")
ARMS = {"full": (BLUE, "-"), "l2": ("#009e73", "--"), "none": (ORANGE, ":")}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function that draws in our style; the caller shows what it returns."""

    @wraps(draw)
    def figure(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            result = draw(*args, **kwargs)
        plt.close(result)
        return result

    return figure


def reach_of(changes: Tensor) -> float:
    """The change that gets the full red or blue: (n, H, W), grey levels.

    Of the n changes that are finite, the largest 99 % quantile of their size.
    """
    finite = changes[changes.isfinite().flatten(1).all(1)].abs().flatten(1)
    return max(finite.quantile(0.99, dim=1).max().item(), 1e-6) if len(finite) else 1.0


def draw_picture(axis: Axes, image: Tensor) -> None:
    """An image (3, H, W) in 0..255; words in its place if it is of NaN."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if image.isfinite().all():
        pixels = eight_bit(image.detach()).to("cpu", torch.uint8)
        small = max(pixels.shape[1:]) <= 64  # shown pixel by pixel
        shown = pixels.permute(1, 2, 0).numpy()
        axis.imshow(shown, interpolation="nearest" if small else None)
    else:
        say_not_noticed(axis)


def draw_box(axis: Axes, box: Tensor, colour: str, **style: Any) -> None:
    """The outline of a box (4,), x1, y1, x2, y2."""
    x1, y1, x2, y2 = box.tolist()
    sides = x2 - x1, y2 - y1
    axis.add_patch(plt.Rectangle((x1, y1), *sides, edgecolor=colour, facecolor="none", **style))


def say_not_noticed(axis: Axes) -> None:
    """Words where there is no x(K)."""
    axis.text(0.5, 0.5, "not noticed", ha="center", va="center", transform=axis.transAxes)


def grey_level_bar(figure: Figure, shown: Any, axis: Any) -> None:
    """The scale of what is shown."""
    bar = figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("grey levels", fontsize=7)
