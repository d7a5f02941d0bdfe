"""Other readings of the paper: exchange one choice at a time and compare it with ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.style import ARM_NAMES, BLUE, GREY, ORANGE, SERIES, log_scale, panels, styled
from jnd.cost import WHITE, Cost
from jnd.metrics import psnr
from jnd.trajectory import relative_distance

Outcome = Mapping[str, Tensor]


def closed_range(x: Tensor, x0: Tensor) -> Tensor:
    """BR with the branches of Eq. 5 as printed: (B, 3, H, W) -> (B,), grey levels.

    The value is that of :func:`~jnd.cost.bounded_range`, but the branches include 0 and 255, so
    pixels there are pushed inwards. ``x0`` is not used.
    """
    below = torch.where(x <= 0, -x, 0)
    above = torch.where(x >= 255, x - 255, 0)
    return (below + above).flatten(1).sum(1)


def exchange(
    cost: Cost, name: str, term: Callable[[Tensor, Tensor], Tensor], weight: float | None = None
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return Eq. 1 with another term in place of one of its own.

    Args:
        cost: all terms and weights.
        name: weight whose term is replaced, such as ``"bounded_range"``.
        term: the new term, from x and x(0), both (B, 3, H, W), to (B,), grey levels.
        weight: of the new term, for pixels in 0..1; None: the old weight.
    """
    new_weight = getattr(cost, name) if weight is None else weight
    other_terms = replace(cost, **{name: 0.0})

    def exchanged(loss: Tensor, x: Tensor, x0: Tensor) -> Tensor:
        return other_terms(loss, x, x0) + new_weight / WHITE * term(x, x0)

    return exchanged


def outcome(x0: Tensor, images: Tensor, K: Tensor) -> Outcome:
    """``K``, ``jnd`` and ``psnr`` of changed images, (B,) each; NaN where K is -1.

    Args:
        x0: (B, 3, H, W), grey levels.
        images: the changed images, such as x(K), of the same shape.
        K: (B,) int64.
    """
    flipped = K >= 0
    images = images.where(flipped.view(-1, 1, 1, 1), x0)
    values = {"K": K, "jnd": relative_distance(images, x0), "psnr": psnr(x0, images)}
    return {name: v.double().masked_fill(~flipped, torch.nan) for name, v in values.items()}


def comparison(ours: Outcome, others: Mapping[str, Mapping[str, Outcome]]) -> pd.DataFrame:
    """Tabulate medians over the images that flip, and medians of the ratios to ours.

    Args:
        ours: outcome of our own reading.
        others: id of a reading -> choice -> its outcome.
    """
    outcomes: dict[tuple[str, str], Outcome] = {}
    for id, choices in others.items():
        outcomes |= {(id, choice): result for choice, result in choices.items()}
    rows = [
        {
            "flip": int(result["K"].isfinite().sum()),
            "K / ours": _median(result["K"] / ours["K"]),
            "JND / ours": _median(result["jnd"] / ours["jnd"]),
            "PSNR, dB": _median(result["psnr"]),
        }
        for result in outcomes.values()
    ]
    index = pd.MultiIndex.from_tuples(outcomes, names=["reading", "choice"])
    return pd.DataFrame(rows, index=index)


def _median(values: Tensor) -> float:
    finite = values[values.isfinite()].cpu().numpy()
    return float(np.median(finite)) if len(finite) else float("nan")


def describe(readings: Sequence[Mapping], table: pd.DataFrame, images: int) -> str:
    """Write what is unclear, how we read it and what other choices change, as Markdown.

    Args:
        readings: those of data/paper.yaml.
        table: the result of :func:`comparison`.
        images: number of images.

    Raises:
        ValueError: ``readings`` and ``table`` disagree about which readings were tried.
    """
    tried = {*table.index.get_level_values(0)}
    expected = {reading["id"] for reading in readings if "untried" not in reading}
    if tried != expected:
        raise ValueError(
            f"{min(tried ^ expected)}: data/paper.yaml and the readings that were tried disagree"
        )
    blocks = []
    for reading in readings:
        blocks.append(_paragraph(reading))
        if reading["id"] in tried:
            rows = table.loc[reading["id"]].iterrows()
            blocks.append("\n".join(f"- {choice}: {_change(row, images)}" for choice, row in rows))
    return "\n\n".join(blocks)


def _paragraph(reading: Mapping) -> str:
    text = f"**{reading['where']}: {reading['about']}.** {reading['unclear']} "
    text += f"*Our reading:* {reading['reading']}, because {reading['because']}."
    if "parameter" in reading:
        text += f" (Parameter: {reading['parameter']}.)"
    if "untried" in reading:
        text += f" Not tried here: {reading['untried']}."
    return text


def _change(row: pd.Series, images: int) -> str:
    if not row["flip"]:
        return "nothing flips"
    change = (
        f"K × {row['K / ours']:.3g}, JND × {row['JND / ours']:.3g}, PSNR {row['PSNR, dB']:.1f} dB"
    )
    if row["flip"] == images:
        return change
    return f"{row['flip']:.0f} of {images} flip; of these {change}"


@styled
def by_weight(gains: Mapping[str, Mapping[int, Tensor]]) -> Figure:
    """By how much PSNR at x(K) changes with a term, against its weight, a dot per photo.

    Args:
        gains: term -> decade of its weight, as a multiple of Eq. 1's -> with − without, dB, (B,);
            NaN where the photo is not noticed.
    """
    figure, axes = panels(1, 1, 2.8)
    axis = axes[0, 0]
    for place, (term, by_decade) in enumerate(gains.items()):
        colour, style = SERIES[place]
        decades = [decade * 1.15**place for decade in by_decade]  # side by side
        values = torch.stack([*by_decade.values()]).cpu()
        axis.plot(decades, values.nanmean(1), style, color=colour, label=term)
        axis.plot(decades, values, "o", color=colour, markersize=4)
        for decade, row in zip(decades, values, strict=True):
            if row.isnan().any():
                axis.plot(decade, 0.95, "x", color=colour, transform=axis.get_xaxis_transform())
    axis.plot([], [], "x", color=GREY, label="not every photo is noticed")
    axis.axhline(0, color=GREY, linewidth=1)
    axis.set(xscale="log", xlabel="weight, times that of Eq. 1", yscale="symlog")
    axis.set(ylabel="PSNR at x(K),\nwith − without, dB")
    low, _ = axis.get_ylim()
    axis.set_ylim(min(1.5 * low, -1.5), 3)
    axis.set_yticks([-20, -10, -1, 0, 1], ["−20", "−10", "−1", "0", "1"])
    ticks = sorted({decade for by_decade in gains.values() for decade in by_decade})
    axis.set_xticks(ticks, [f"{decade:g}" for decade in ticks])
    axis.minorticks_off()
    figure.legend(loc="outside lower center", ncols=len(gains) + 1)
    return figure


@styled
def relative_outcomes(ours: Outcome, others: Mapping[str, Mapping[str, Outcome]]) -> Figure:
    """K and JND(M) of other choices as multiples of ours: a dot per image, a diamond: the median.

    Args:
        ours: ``K`` and ``jnd``, (B,) each, NaN where nothing flips.
        others: title of a reading -> choice -> the same.
    """
    rows: list[tuple[str, Outcome | None]] = []  # None: the title of a reading
    for title, choices in others.items():
        rows += [(title, None), *choices.items()]
    figure, axes = panels(1, 2, 0.21 * len(rows) + 0.6, sharey=True)
    titles = {"K": "K / ours", "jnd": "JND(M) / ours"}
    for axis, (key, title) in zip(axes[0], titles.items(), strict=True):
        axis.axvline(1, color=GREY, linewidth=1)
        axis.set_title(title)
        for y, (_, result) in enumerate(rows):
            if result is not None:
                _draw_ratios(axis, y, (result[key] / ours[key]).cpu().numpy())
        log_scale(axis, "x")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    _label_rows(axes[0, 0], rows)
    _count_the_unnoticed(axes[0, 1], rows)
    return figure


def _draw_ratios(axis: Axes, y: int, ratios: np.ndarray) -> None:
    flipped = ratios[np.isfinite(ratios)]
    axis.axhline(y, color="#eeeeee", linewidth=0.8, zorder=0)
    dots: dict[str, Any] = {"color": BLUE, "alpha": 0.6, "markersize": 4.5, "markeredgewidth": 0}
    axis.plot(flipped, np.full(len(flipped), y), "o", **dots)
    if len(flipped):
        axis.plot(np.median(flipped), y, "D", color=ORANGE, markersize=4)


def _label_rows(axis: Axes, rows: Sequence[tuple[str, Outcome | None]]) -> None:
    axis.set_yticks(range(len(rows)), [ARM_NAMES.get(name, name) for name, _ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    for label, (_, result) in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if result is None else "normal")


def _count_the_unnoticed(axis: Axes, rows: Sequence[tuple[str, Outcome | None]]) -> None:
    for y, (_, result) in enumerate(rows):
        if result is not None and result["K"].isnan().any():
            text = f"{result['K'].isnan().sum()} of {len(result['K'])} never flip"
            place: dict[str, Any] = {
                "transform": axis.get_yaxis_transform(),
                "va": "center",
                "color": GREY,
            }
            axis.text(0, y, text, **place)
