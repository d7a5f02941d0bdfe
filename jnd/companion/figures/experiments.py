"""The paper's figures: Fig. 1 to 4, what was added, and paired differences."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import Tensor
from torch.nn.functional import avg_pool2d

from jnd.companion.figures.style import (
    ARMS,
    CHANGES,
    GREY,
    ORANGE,
    SERIES,
    draw_box,
    draw_map,
    draw_picture,
    note,
    panels,
    reach_of,
    styled,
)
from jnd.trajectory import Trajectory


@styled
def gallery(rows: Mapping[str, Tensor], answers: Mapping[str, Sequence[str]]) -> Figure:
    """Fig. 1 and 4: a row of images per title, each under what the machine says of it.

    Args:
        rows: title -> images (B, 3, H, W) in 0..255; an image of NaN is left out.
        answers: title -> B captions.
    """
    figure, axes = panels(len(rows), len(next(iter(rows.values()))), (1.9, 2.15))
    for (title, images), axes_row in zip(rows.items(), axes, strict=True):
        for axis, image, answer in zip(axes_row, images, answers[title], strict=True):
            draw_picture(axis, image)
            axis.set_title(answer)
        axes_row[0].set_ylabel(title)
    return figure


@styled
def detections(
    columns: Mapping[str, Tensor],
    found: Mapping[str, Sequence[Sequence[tuple[str, Tensor]]]],
    rows: Sequence[str],
    planted: Tensor,
) -> Figure:
    """Fig. 3: pictures under their column's title, with the boxes that the detector sees.

    Args:
        columns: title -> a picture for each row, (R, 3, H, W) in 0..255.
        found: title -> for each row the caption and the box, (4,), of each detection.
        rows: R titles.
        planted: (4,), x1, y1, x2, y2 in pixels, drawn dashed.
    """
    height, width = next(iter(columns.values())).shape[2:]
    size = 3.1, 3.1 * height / width + 0.3 / len(rows)
    figure, axes = panels(len(rows), len(columns), size)
    tag = dict(facecolor=ORANGE, edgecolor="none", pad=1.5)
    for (title, pictures), axes_column in zip(columns.items(), axes.T, strict=True):
        for axis, picture, boxes in zip(axes_column, pictures, found[title], strict=True):
            draw_picture(axis, picture)
            draw_box(axis, planted, "white", linestyle="--", linewidth=0.8)
            for caption, box in boxes:
                draw_box(axis, box, ORANGE)
                axis.text(*box[:2].tolist(), caption, color="white", size=8, va="bottom", bbox=tag)
        axes_column[0].set_title(title)
    for axis, title in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(title)
    return figure


@styled
def confidence_curves(
    trajectories: Mapping[str, Trajectory], image: int, names: tuple[str, str]
) -> Figure:
    """Fig. 2: confidence in label and target against k with K marked, and ‖x(k) − x(0)‖ below.

    Args:
        trajectories: arm -> its descent; the confidence shown is that of the first.
        image: number in the batch.
        names: of the label and of the target.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(5, 4.4), sharex=True, height_ratios=(3, 2))
    first_arm, first = next(iter(trajectories.items()))
    for column, (name, (colour, style)) in enumerate(zip(names, SERIES, strict=False)):
        top.plot(first.confidence[:, image, column].cpu(), style, color=colour, label=name)
    top.set(ylabel="confidence", ylim=(0, 1.02), title=f"confidence in the arm {first_arm}")
    for arm, trajectory in trajectories.items():
        colour, style = ARMS[arm]
        bottom.plot(trajectory.distance[:, image].cpu(), style, color=colour, label=f"arm {arm}")
    bottom.set(xlabel="iteration k", ylabel="‖x(k) − x(0)‖₂,\ngrey levels")
    if (K := int(first.K[image])) >= 0:
        for axis in (top, bottom):
            axis.axvline(K, color=GREY, linewidth=1)
        note(top, f"K = {K}", (K, 0.5), (4, 0), color=GREY)
    for axis in (top, bottom):
        axis.legend(loc="best")
    return figure


@styled
def first_flips(arms: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """K and JND(M) of each image in each arm, on logarithmic axes.

    A dot is hollow where some later image no longer fools; a dash says that there is no K.

    Args:
        arms: arm, or another name, -> ``K``, ``jnd`` and, where that was looked at,
            ``stays_adversarial``, (B,) each.
        names: of the images, a row each.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 0.27 * len(names) + 1), sharey=True)
    for axis, (key, title) in zip(axes, {"K": "K", "jnd": "JND(M)"}.items(), strict=True):
        across = axis.get_yaxis_transform()  # x as a share of the width, y in rows
        for place, (arm, of) in enumerate(arms.items()):
            style, label = (ARMS[arm], f"arm {arm}") if arm in ARMS else (SERIES[place], arm)
            colour = style[0]
            y = torch.arange(len(names)) + 0.22 * (place - (len(arms) - 1) / 2)
            flipped = of["K"].cpu() >= 0
            stays = of.get("stays_adversarial", flipped).cpu()
            values = of[key].double().cpu()
            for held, face in {True: colour, False: "white"}.items():
                shown = flipped & (stays == held)
                axis.plot(values[shown], y[shown], "o", color=colour, mfc=face, markersize=4.5)
            axis.plot(
                torch.zeros_like(y[~flipped]) + 0.98,
                y[~flipped],
                "_",
                color=colour,
                transform=across,
            )
            axis.plot([], [], "o", color=colour, markersize=4.5, label=label)
        axis.set(xscale="log", title=title, ylim=(len(names) - 0.5, -0.5))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.hlines(
            range(len(names)), 0, 1, color="#eeeeee", linewidth=0.8, transform=across, zorder=0
        )
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    axes[0].set_yticks(range(len(names)), names)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(arms))
    return figure


@styled
def perturbations(x0: Tensor, changed: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """What was added: its sign and size, and where in the image it sits.

    A row for each image and each entry of ``changed``: the changed image, the signed change (mean
    of the channels, one scale per image) and its root mean square over windows of 15 pixels.
    """
    height, width = x0.shape[2:]
    figure, axes = panels(len(x0) * len(changed), 3, (7.4 / 3, 2.2 * height / width + 0.1))
    titles = "changed image", "change", "where: root mean square"
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    axes_rows = iter(axes)
    for i, name in enumerate(names):
        changes = {title: (images[i] - x0[i]).cpu() for title, images in changed.items()}
        reach = reach_of(torch.stack([change.mean(0) for change in changes.values()]))
        for title, change in changes.items():
            picture, sign, place = next(axes_rows)
            draw_picture(picture, changed[title][i])
            picture.set_ylabel(f"{name}, {title}")
            draw_map(sign, change.mean(0), cmap=CHANGES, vmin=-reach, vmax=reach)
            rms = avg_pool2d(change.square().mean(0)[None, None], 15, 1, 7, count_include_pad=False)
            draw_map(place, rms.sqrt()[0, 0], cmap="magma", vmin=0)
    return figure


@styled
def paired_differences(differences: Mapping[str, Tensor], test: pd.DataFrame) -> Figure:
    """A histogram per metric of first − second, image by image, with its mean and the interval.

    Args:
        differences: metric -> (B,).
        test: what :func:`~jnd.companion.tables.paired_table` says of them.
    """
    figure, axes = panels(1, len(differences), (2.1, 2.3), sharey=True)
    for axis, (name, values) in zip(axes[0], differences.items(), strict=True):
        values, row = values[values.isfinite()].cpu(), test.loc[name]
        if len(values):  # some image flips in both
            # the outer 2 % would squeeze the rest into a few bars
            low, high = values.quantile(torch.tensor([0.01, 0.99], dtype=values.dtype)).tolist()
            axis.hist(values.clamp(low, high).numpy(), bins=25, color="#9ecae1")
        axis.axvline(0, color=GREY, linewidth=1)
        axis.axvline(row["difference"], color=ORANGE)
        axis.axvspan(row["low"], row["high"], color=ORANGE, alpha=0.3, linewidth=0)
        axis.set(title=f"{name}{', dB' if name == 'PSNR' else ''}", xlabel="with − without")
        axis.locator_params(axis="x", nbins=3)
    axes[0, 0].set_ylabel("images")
    return figure
