"""The figures of pictures that fool, and of how near the least they are."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from jnd.companion.figures.style import GREY, SERIES, panels, styled

MARKERS = "sD^o"


@styled
def pictures_found(plain: Tensor, found: Mapping[str, Tensor], pairs: Sequence[str]) -> Figure:
    """JND(M) of x(K) in floating point and of the pictures found: a row for each pair.

    Args:
        plain: (P,).
        found: way -> (P,), NaN where it has found none; a way without any is not drawn.
        pairs: names of the P pairs of photo and wanted class.
    """
    figure, axes = panels(1, 1, (6.4, 0.9 + 0.19 * len(pairs)))
    axis, rows = axes[0, 0], range(len(pairs))
    every = torch.stack([plain, *found.values()])
    reach = [every.nan_to_num(v).cpu() for v in (torch.inf, -torch.inf)]
    axis.hlines(rows, reach[0].amin(0), reach[1].amax(0), color="#cccccc", linewidth=2, zorder=0)
    axis.plot(plain.cpu(), rows, "|", color="black", markersize=9, label="x(K), floating point")
    for (way, jnds), (colour, _), marker in zip(found.items(), SERIES, MARKERS, strict=False):
        if jnds.isfinite().any():
            axis.plot(jnds.cpu(), rows, marker, color=colour, label=way, markersize=4.5)
    axis.set(xscale="log", xlabel="JND(M)", yticks=rows, yticklabels=pairs, ylim=(len(pairs), -1))
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@styled
def survival(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """The share of the pictures that fool after each treatment.

    Args:
        shares: treatment -> way -> share, 0..1.
    """
    figure, axes = panels(1, 1, (6.4, 2.9))
    axis, rows = axes[0, 0], range(len(shares))
    ways = list(next(iter(shares.values())))
    for i, (way, (colour, _), marker) in enumerate(zip(ways, SERIES, MARKERS, strict=False)):
        at = [row + 0.17 * (i - (len(ways) - 1) / 2) for row in rows]
        values = [of[way] for of in shares.values()]
        axis.hlines(at, 0, values, color=colour, linewidth=1)
        axis.plot(values, at, marker, color=colour, label=way, markersize=5)
    axis.set(xlim=(-0.02, 1.02), xlabel="share that fools", ylim=(len(shares) - 0.5, -0.5))
    axis.set_yticks(rows, list(shares))
    figure.legend(loc="outside upper center", ncols=4)
    return figure


@styled
def shrinking_steps(
    alphas: Sequence[float],
    found: Mapping[str, Mapping[str, Tensor]],
    limits: Mapping[str, Tensor],
    photos: Sequence[str],
) -> Figure:
    """JND(M) against α, photo by photo, in units of the least change known; a panel for each way.

    Args:
        alphas: growing or falling, (A,).
        found: way -> ``"x(K)"`` and ``"border"`` -> (A, B), times the least.
        limits: way -> (B,), what the border tends to.
        photos: names of the B photos.
    """
    figure, axes = panels(1, len(found), (3.6, 3.2), sharey=True)
    for axis, (way, of) in zip(axes[0], found.items(), strict=True):
        for i, photo in enumerate(photos):
            colour = f"C{i % 10}"
            axis.plot(alphas, of["x(K)"][:, i].cpu(), "o:", color=colour, markersize=3, linewidth=1)
            axis.plot(alphas, of["border"][:, i].cpu(), "-", color=colour, label=photo)
            axis.plot(min(alphas) / 2, limits[way][i].cpu(), "<", color=colour, markersize=4)
        axis.axhline(1, color=GREY, linewidth=1)
        axis.set(xscale="log", yscale="log", title=way, xlabel="learning rate α")
        axis.set_xticks([min(alphas) / 2, *alphas], ["→ 0", *(f"{a:g}" for a in alphas)])
        low, high = axis.get_ylim()
        ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20) if low < tick < high]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    axes[0, 0].set_ylabel("JND(M), times the least of the six")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
