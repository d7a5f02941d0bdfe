"""The figures that several notebooks share."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import avg_pool2d

from companion.style import (
    ARM_NAMES,
    ARMS,
    CHANGES,
    GREY,
    SERIES,
    WIDTH,
    bare,
    draw_map,
    draw_picture,
    log_scale,
    note,
    panels,
    reach_of,
    styled,
)
from jnd.trajectory import Trajectory


@styled
def gallery(rows: Mapping[str, Tensor], answers: Mapping[str, Sequence[str]]) -> Figure:
    """Fig. 1 and 4: a row of images per title, each below the machine's answer for it.

    Args:
        rows: title -> images (B, 3, H, W) in 0..255; an image of NaN is left out.
        answers: title -> B captions.
    """
    columns = len(next(iter(rows.values())))
    figure, axes = panels(len(rows), columns, WIDTH / columns + 0.3)
    letters = int(13 * WIDTH / columns)  # as many as a picture is wide
    for (title, images), axes_row in zip(rows.items(), axes, strict=True):
        for axis, image, answer in zip(axes_row, images, answers[title], strict=True):
            draw_picture(axis, image)
            axis.set_title(textwrap.fill(answer, letters))
        axes_row[0].set_ylabel(textwrap.fill(title, letters))
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
    figure, axes = panels(2, 1, 1.9, sharex=True, height_ratios=(3, 2))
    top, bottom = axes[:, 0]
    first_arm, first = next(iter(trajectories.items()))
    for column, (name, (colour, style)) in enumerate(zip(names, SERIES, strict=False)):
        top.plot(first.confidence[:, image, column].cpu(), style, color=colour, label=name)
    top.set(ylabel="confidence", ylim=(0, 1.02), title=f"confidence, {ARM_NAMES[first_arm]}")
    for arm, trajectory in trajectories.items():
        colour, style = ARMS[arm]
        bottom.plot(trajectory.distance[:, image].cpu(), style, color=colour, label=ARM_NAMES[arm])
    bottom.set(xlabel="iteration k", ylabel="‖x(k) − x(0)‖₂,\ngrey levels")
    K = int(first.K[image])
    if K >= 0:
        for axis in (top, bottom):
            axis.axvline(K, color=GREY, linewidth=1)
        note(bottom, f"K = {K}", (K, 1), (4, -9), xycoords=bottom.get_xaxis_transform(), color=GREY)
    for axis in (top, bottom):
        axis.legend(loc="best")
    return figure


@styled
def first_flips(arms: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """K and JND(M) of each image in each arm, on logarithmic axes.

    A dot is hollow where some later image no longer fools; a dash says that there is no K.

    Args:
        arms: arm, or another name, -> ``K``, ``jnd`` and, where that is known,
            ``stays_adversarial``, (B,) each.
        names: of the images, a row each.
    """
    figure, axes = panels(1, 2, 0.27 * len(names) + 1, sharey=True)
    for axis, (key, title) in zip(axes[0], {"K": "K", "jnd": "JND(M)"}.items(), strict=True):
        for place, (arm, values) in enumerate(arms.items()):
            if arm in ARMS:
                colour, label = ARMS[arm][0], ARM_NAMES[arm]
            else:
                colour, label = SERIES[place][0], arm
            rows = torch.arange(len(names)) + 0.22 * (place - (len(arms) - 1) / 2)
            _draw_flips(axis, values, key, rows, colour, label)
        axis.set(title=title, ylim=(len(names) - 0.5, -0.5))
        log_scale(axis, "x")
        lines = {"color": "#eeeeee", "linewidth": 0.8, "zorder": 0}
        axis.hlines(range(len(names)), 0, 1, transform=axis.get_yaxis_transform(), **lines)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    axes[0, 0].set_yticks(range(len(names)), names)
    labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labels, loc="outside lower center", ncols=len(arms))
    return figure


def _draw_flips(
    axis: Axes, values: Mapping[str, Any], key: str, rows: Tensor, colour: str, label: str
) -> None:
    flipped = values["K"].cpu() >= 0
    stays = values.get("stays_adversarial", flipped).cpu()
    x = values[key].double().cpu()
    dot: dict[str, Any] = {"color": colour, "markersize": 4.5}
    for is_kept, face in {True: colour, False: "white"}.items():
        shown = flipped & (stays == is_kept)
        axis.plot(x[shown], rows[shown], "o", markerfacecolor=face, **dot)
    right = torch.full_like(rows[~flipped], 0.98)  # a share of the width
    axis.plot(right, rows[~flipped], "_", color=colour, transform=axis.get_yaxis_transform())
    axis.plot([], [], "o", label=label, **dot)


@styled
def perturbations(x0: Tensor, changed: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """The change itself: its sign and size, and where in the image it sits.

    A row for each image and each entry of ``changed``: the changed image, the signed change (mean
    of the channels, one scale per image) and its root mean square over windows of 15 pixels.

    Args:
        x0: (B, 3, H, W), grey levels.
        changed: title -> (B, 3, H, W); an image of NaN is left out.
        names: of the B images.
    """
    height, width = x0.shape[2:]
    figure, axes = panels(len(x0) * len(changed), 3, 1.85 * height / width + 0.1)
    titles = ("changed image", "change", "where: root mean square")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    axes_rows = iter(axes)
    for i, name in enumerate(names):
        changes = {title: (images[i] - x0[i]).cpu() for title, images in changed.items()}
        reach = reach_of(torch.stack([change.mean(0) for change in changes.values()]))
        for title, change in changes.items():
            picture, sign, place = next(axes_rows)
            draw_picture(picture, changed[title][i])
            picture.set_ylabel(f"{name},\n{title}")
            draw_map(sign, change.mean(0), cmap=CHANGES, vmin=-reach, vmax=reach)
            rms = avg_pool2d(change.square().mean(0)[None, None], 15, 1, 7, count_include_pad=False)
            draw_map(place, rms.sqrt()[0, 0], cmap="magma", vmin=0)
    return figure


@styled
def side_by_side(x0: Tensor, changed: Mapping[str, Tensor]) -> Figure:
    """An original and its changed versions, each above its change, amplified until it is visible.

    The change that gets the full red or blue is given below, in grey levels.

    Args:
        x0: (3, H, W), grey levels.
        changed: title -> (3, H, W); an image of NaN is left out.
    """
    columns = 5
    rows = -(-(1 + len(changed)) // columns)  # rounded up
    figure, axes = panels(2 * rows, columns, 1.65, gridspec_kw={"hspace": 0.08})
    pairs = zip(axes[::2].flat, axes[1::2].flat, strict=True)
    for axis in axes.flat:
        bare(axis)
    for title, image in {"original": x0, **changed}.items():
        picture, below = next(pairs)
        draw_picture(picture, image)
        picture.set_title(title)
        change = (image - x0).mean(0).cpu()
        if title in changed and change.isfinite().all():
            reach = reach_of(change[None])
            below.imshow(change.numpy(), cmap=CHANGES, vmin=-reach, vmax=reach)
            below.set_xlabel(f"± {reach:.2g}")
    return figure
