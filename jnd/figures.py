"""Every figure of the notebooks, one function each, in one style."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import wraps

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from torch import Tensor
from torch.nn.functional import avg_pool2d

from jnd.descent import Trajectory, eight_bit
from jnd.machines import Plane
from jnd.psychometrics import Exponent, Psychometric
from jnd.statistics import Mean

STYLE = {
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
_QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
# one for each attack that is compared
MARKERS = [
    (BLUE, "D"),
    ("#56b4e9", "s"),
    ("black", "x"),
    (GREY, "P"),
    ("#cc79a7", "v"),
    ("#e69f00", "^"),
    ("#009e73", "o"),
    (ORANGE, "*"),
]
ARMS = {"full": (BLUE, "-"), "l2": ("#009e73", "--"), "none": (ORANGE, ":")}


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    @wraps(draw)
    def figure(*args, **kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            result = draw(*args, **kwargs)
        plt.close(result)  # the caller shows it
        return result

    return figure


@_styled
def psychometric(moved: Tensor, share: Tensor, expected: Tensor, border: float) -> Figure:
    """How often an observer with noise inside notices a change, and what one without noise says.

    Args:
        moved: (n,), sizes of the change, grey levels.
        share: (n,), of the trials in which it was noticed, 0..1.
        expected: (n,), the same in closed form.
        border: the change from which on it is noticed without noise.
    """
    figure, axis = plt.subplots(figsize=(7.4, 2.6))
    axis.step(
        [0, border, moved.max()], [0, 1, 1], where="post", color=BLUE, label="no noise: a machine"
    )
    axis.plot(moved, expected, "--", color=ORANGE, label="noise inside: Φ((t − d) / s)")
    axis.plot(moved, share, "o", color=ORANGE, markersize=3.5, label="the same, counted")
    axis.set(
        xlabel="size of the change t, grey levels", ylabel="share of trials\nin which it is noticed"
    )
    axis.set(ylim=(-0.03, 1.03), xlim=(0, moved.max().item()))
    axis.annotate(
        f"d = {border:.1f}", (border, 0), xytext=(4, 3), textcoords="offset points", color=BLUE
    )
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@_styled
def jnd_distribution(jnds: Mapping[str, Tensor]) -> Figure:
    """A histogram of JND(M) per machine, on one logarithmic axis, with its median.

    Args:
        jnds: machine -> (B,), NaN where the machine never noticed.
    """
    figure, axes = plt.subplots(
        len(jnds), 1, figsize=(5.6, 1.5 * len(jnds)), sharex=True, squeeze=False
    )
    found = {name: values[values.isfinite()].cpu() for name, values in jnds.items()}
    shown = torch.cat(list(found.values()))
    shown = shown[shown > 0].log10()
    low, high = shown.aminmax() if len(shown) else (-4, -1)
    bins = 10 ** np.linspace(float(low) - 1e-3, float(high) + 1e-3, 31)
    for axis, (name, values) in zip(axes[:, 0], found.items()):
        axis.hist(values.numpy(), bins=bins, color="#9ecae1")
        median = values.nanmedian().item()
        axis.axvline(median, color=ORANGE)
        axis.set(xscale="log", ylabel="images", title=f"{name}: median {median:.2g}")
    axes[-1, 0].set_xlabel("JND(M)")
    return figure


@_styled
def psychometric_functions(
    shares: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]],
    fits: Mapping[str, Mapping[str, Psychometric]],
) -> Figure:
    """The share of images noticed against the distortion: counted, and the line that never falls.

    A panel per machine; a bar over the threshold is its bootstrap interval.

    Args:
        shares: machine -> distortion -> relative distortion and whether it was noticed, (L, B).
        fits: machine -> distortion -> what :func:`~jnd.psychometrics.fit` gives.
    """
    figure, axes = plt.subplots(
        len(shares), 1, figsize=(7.4, 2.6 * len(shares)), sharex=True, squeeze=False
    )
    for axis, (machine, kinds) in zip(axes[:, 0], shares.items()):
        for (kind, (_, seen)), (colour, style) in zip(kinds.items(), SERIES):
            found = fits[machine][kind]
            axis.plot(
                found.distortions, seen.double().mean(1).cpu(), "o", color=colour, markersize=3.5
            )
            axis.plot(found.distortions, found.shares, style, color=colour, label=kind)
            axis.plot([found.low, found.high], [0.5, 0.5], color=colour, linewidth=3, alpha=0.5)
        axis.set(xscale="log", title=machine, ylabel="share of images\nnoticed", ylim=(-0.03, 1.03))
        axis.axhline(0.5, color="#dddddd", linewidth=0.8, zorder=0)
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes[-1, 0].set_xlabel("relative distortion ‖x − x(0)‖₂ / ‖x(0)‖₂")
    return figure


@_styled
def weber(
    scales: Sequence[float],
    thresholds: Mapping[str, Mapping[str, Tensor]],
    exponents: Mapping[str, Mapping[str, Exponent]],
) -> Figure:
    """Thresholds of scaled images over those of the images as they are, and Weber's law.

    Args:
        scales: the last is 1, the images as they are.
        thresholds: scaling -> machine -> (S, B), grey levels; NaN where there is none.
        exponents: scaling -> machine -> the exponent fitted.
    """
    figure, axes = plt.subplots(
        1, len(thresholds), figsize=(3.4 * len(thresholds), 3.7), sharey=True, squeeze=False
    )
    for axis, (scaling, machines) in zip(axes[0], thresholds.items()):
        axis.plot(scales, scales, color=GREY, linewidth=1, label="Weber's law")
        axis.axhline(1, color=GREY, linewidth=1, linestyle=":", label="fixed threshold")
        for (name, sizes), (colour, style) in zip(machines.items(), SERIES):
            ratios = (
                (sizes / sizes[-1])
                .double()
                .log()
                .nanquantile(_QUARTILES.to(sizes.device), dim=1)
                .exp()
                .cpu()
            )
            found = exponents[scaling][name].exponent
            axis.plot(
                scales,
                ratios[1],
                style,
                marker="o",
                markersize=3.5,
                color=colour,
                label=f"{name}: exponent {found:.2f}",
            )
            axis.fill_between(scales, ratios[0], ratios[2], color=colour, alpha=0.15, linewidth=0)
        axis.set(xscale="log", yscale="log", xlabel=f"{scaling}, times that of the photo")
        axis.set_xticks(scales, [f"{s:g}" for s in scales])
        axis.minorticks_off()
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=7.5)
    axes[0, 0].set_ylabel("threshold, times\nthat of the photo")
    axes[0, 0].set_yticks([0.3, 0.5, 1, 2, 3])
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    return figure


@_styled
def dependence(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Mapping[str, Tensor]]]],
) -> Figure:
    """How K and JND(M) depend on a choice: medians and quartiles over the images.

    Args:
        panels: what is varied -> machine -> its values, (V,), and ``K`` and ``JND(M)``, (V, B)
            each, NaN where nothing flips.
    """
    figure, axes = plt.subplots(
        2, len(panels), figsize=(3.4 * len(panels), 4.2), sharex="col", squeeze=False
    )
    for column, (varied, machines) in zip(axes.T, panels.items()):
        for (name, (at, measured)), (colour, style) in zip(machines.items(), SERIES):
            for axis, (title, values) in zip(column, measured.items()):
                at_quartiles = _QUARTILES.to(values.device)
                # of K's that occur, as a table of medians has them
                quartiles = (
                    values.double().nanquantile(at_quartiles, dim=1, interpolation="lower").cpu()
                )
                axis.plot(
                    at, quartiles[1], style, marker="o", markersize=3.5, color=colour, label=name
                )
                axis.fill_between(
                    at, quartiles[0], quartiles[2], color=colour, alpha=0.15, linewidth=0
                )
                axis.set(xscale="log", yscale="log", ylabel=title)
                axis.yaxis.set_major_formatter(LogFormatter())  # 20, not 2 × 10¹
                axis.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
        column[-1].set_xlabel(varied)
        ticks = sorted({v for at, _ in machines.values() for v in at})
        column[-1].set_xticks(ticks, [f"{v:g}" for v in ticks])
        column[-1].set_xticks([], minor=True)
    axes[0, -1].legend(loc="best")
    return figure


@_styled
def paths_in_the_plane(
    machine: Plane, paths: Mapping[str, Tensor], found: Mapping[str, Trajectory]
) -> Figure:
    """An image of two pixels as a point, and its way to the line where the machine's answer changes.

    A panel per arm: x(0) .. x(K), the line, and around x(0) the circle of the shortest way to it.

    Args:
        machine: takes images (B, 1, 1, 2).
        paths: arm -> x(k), (N + 1, 1, 1, 2).
        found: arm -> its descent, of one image.
    """
    figure, axes = plt.subplots(
        1, len(paths), figsize=(2.5 * len(paths), 2.9), sharey=True, squeeze=False
    )
    levels = torch.arange(256)
    grid = torch.stack(torch.meshgrid(levels, levels, indexing="xy"), -1).view(-1, 1, 1, 2)
    margin = machine(grid)[:, 1].view(256, 256)
    for axis, (arm, path) in zip(axes[0], paths.items()):
        colour, K = ARMS[arm][0], int(found[arm].K[0])
        ways = path[: K + 1 if K >= 0 else None].view(-1, 2)
        axis.contourf(levels, levels, margin, [-np.inf, 0, np.inf], colors=["#e8e8ee", "#fff6da"])
        axis.contour(levels, levels, margin, [0], colors="black", linewidths=1)
        axis.plot(*ways.T, "o-", color=colour, markersize=3, linewidth=0.7)
        axis.plot(*ways[0], "o", color="black", markersize=5)
        axis.annotate(
            "x(0)", ways[0], xytext=(-5, -4), textcoords="offset points", ha="right", va="top"
        )
        axis.add_patch(
            plt.Circle(
                ways[0],
                machine.distance(found[arm].x0).item(),
                fill=False,
                color=GREY,
                linewidth=0.8,
                linestyle=":",
            )
        )
        if K >= 0:
            axis.plot(*ways[-1], "D", color=colour, markersize=5)
            axis.annotate("x(K)", ways[-1], xytext=(6, 0), textcoords="offset points", va="center")
        jnd = found[arm].jnd.item()
        axis.set(
            title=f"arm {arm}: K = {K}, JND = {jnd:.4f}",
            xlabel="left pixel",
            aspect="equal",
            xlim=(0, 255),
            ylim=(0, 255),
            xticks=(0, 100, 200),
            yticks=(0, 100, 200),
        )
        for name, place, side in zip(
            machine.categories, (0.04, 0.96), (("left", "bottom"), ("right", "top"))
        ):
            axis.text(
                place, place, name, ha=side[0], va=side[1], transform=axis.transAxes, style="italic"
            )
    axes[0][0].set_ylabel("right pixel")
    return figure


@_styled
def ways(panels: Mapping[str, Mapping[str, Trajectory]], border: float) -> Figure:
    """How far x(k) is from x(0), against k, with x(K) marked and the border as a dashed line.

    Args:
        panels: title -> label -> the descent of one image.
        border: distance of the border from x(0).
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.7 * len(panels), 3), sharey=True, squeeze=False
    )
    for axis, (title, curves) in zip(axes[0], panels.items()):
        axis.axhline(border, color=GREY, linestyle="--", linewidth=1)
        shades = mpl.colormaps["viridis"](np.linspace(0, 0.8, len(curves)))
        for (label, found), colour in zip(curves.items(), shades):
            distance, K = found.distance[:, 0].cpu(), int(found.K[0])
            axis.plot(distance, color=colour, label=label)
            if K >= 0:
                axis.plot(K, distance[K], "D", color=colour, markersize=5)
        axis.set(title=title, xlabel="iteration k")
        axis.legend(loc="best")
    axes[0][0].set_ylabel("‖x(k) − x(0)‖₂, grey levels")
    return figure


@_styled
def gallery(rows: Mapping[str, Tensor], answers: Mapping[str, Sequence[str]]) -> Figure:
    """Fig. 1 and 4: a row of images per title, each under what the machine says of it.

    Args:
        rows: title -> images (B, 3, H, W) in 0..255; an image of NaN is left out.
        answers: title -> B captions.
    """
    columns = len(next(iter(rows.values())))
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(1.9 * columns, 2.15 * len(rows)), squeeze=False
    )
    for (title, images), axes_row in zip(rows.items(), axes):
        for axis, image, answer in zip(axes_row, images, answers[title]):
            _picture(axis, image)
            axis.set_title(answer)
        axes_row[0].set_ylabel(title)
    return figure


@_styled
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
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        squeeze=False,
        figsize=(3.1 * len(columns), 3.1 * height / width * len(rows) + 0.3),
    )
    for (title, pictures), axes_column in zip(columns.items(), axes.T):
        for axis, picture, boxes in zip(axes_column, pictures, found[title]):
            _picture(axis, picture)
            _box(axis, planted, "white", linestyle="--", linewidth=0.8)
            for caption, box in boxes:
                _box(axis, box, ORANGE)
                axis.text(
                    *box[:2].tolist(),
                    caption,
                    color="white",
                    size=8,
                    va="bottom",
                    bbox=dict(facecolor=ORANGE, edgecolor="none", pad=1.5),
                )
        axes_column[0].set_title(title)
    for axis, title in zip(axes[:, 0], rows):
        axis.set_ylabel(title)
    return figure


@_styled
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
    for column, (name, colour) in enumerate(zip(names, (BLUE, ORANGE))):
        style = ("-", "--")[column]
        top.plot(first.confidence[:, image, column].cpu(), style, color=colour, label=name)
    top.set(ylabel="confidence", ylim=(0, 1.02), title=f"confidence in the arm {first_arm}")
    for arm, trajectory in trajectories.items():
        colour, style = ARMS[arm]
        bottom.plot(trajectory.distance[:, image].cpu(), style, color=colour, label=f"arm {arm}")
    bottom.set(xlabel="iteration k", ylabel="‖x(k) − x(0)‖₂,\ngrey levels")
    if (K := int(first.K[image])) >= 0:
        for axis in (top, bottom):
            axis.axvline(K, color=GREY, linewidth=1)
        top.annotate(f"K = {K}", (K, 0.02), xytext=(4, 0), textcoords="offset points", color=GREY)
    for axis in (top, bottom):
        axis.legend(loc="best")
    return figure


@_styled
def perturbations(x0: Tensor, changed: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """What was added: its sign and size, and where in the image it sits.

    A row for each image and each entry of ``changed``: the changed image, the signed change (mean
    of the channels, one scale per image) and its root mean square over windows of 15 pixels.
    """
    rows, (height, width) = len(x0) * len(changed), x0.shape[2:]
    size = (7.4, rows * (2.2 * height / width + 0.1))
    figure, axes = plt.subplots(rows, 3, figsize=size, squeeze=False)
    for axis, title in zip(axes[0], ("changed image", "change", "where: root mean square")):
        axis.set_title(title)
    axes_rows = iter(axes)
    for i, name in enumerate(names):
        changes = {title: (images[i] - x0[i]).cpu() for title, images in changed.items()}
        reach = max(c.nan_to_num().mean(0).abs().quantile(0.999).item() for c in changes.values())
        for title, change in changes.items():
            picture, sign, place = next(axes_rows)
            _picture(picture, changed[title][i])
            picture.set_ylabel(f"{name}, {title}")
            for axis in (sign, place):
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
            if not change.isfinite().all():
                _say_not_noticed(sign)
                _say_not_noticed(place)
                continue
            shown = sign.imshow(change.mean(0).numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach)
            _bar(figure, shown, sign)
            rms = avg_pool2d(change.square().mean(0)[None, None], 15, 1, 7, count_include_pad=False)
            _bar(figure, place.imshow(rms.sqrt()[0, 0].numpy(), cmap="magma", vmin=0), place)
    return figure


@_styled
def paired_differences(differences: Mapping[str, Tensor], test: pd.DataFrame) -> Figure:
    """A histogram per metric of first − second, image by image, with its mean and the interval.

    Args:
        differences: metric -> (B,).
        test: what :func:`~jnd.results.paired_table` says of them.
    """
    figure, axes = plt.subplots(
        1, len(differences), figsize=(2.1 * len(differences), 2.3), sharey=True
    )
    for axis, (name, values) in zip(axes, differences.items()):
        values, row = values[values.isfinite()].cpu(), test.loc[name]
        # the outer 2 % would squeeze the rest into a few bars
        low, high = values.quantile(torch.tensor([0.01, 0.99], dtype=values.dtype)).tolist()
        axis.hist(values.clamp(low, high).numpy(), bins=25, color="#9ecae1")
        axis.axvline(0, color=GREY, linewidth=1)
        axis.axvline(row["difference"], color=ORANGE)
        axis.axvspan(row["low"], row["high"], color=ORANGE, alpha=0.3, linewidth=0)
        axis.set(title=f"{name}{', dB' if name == 'PSNR' else ''}", xlabel="with − without")
        axis.locator_params(axis="x", nbins=3)
    axes[0].set_ylabel("images")
    return figure


@_styled
def multiverse(printed: Mapping[str, float], means: pd.DataFrame, nearest: Hashable) -> Figure:
    """What each measuring pipeline gives, beside what is printed, for each metric.

    Args:
        printed: column such as ``"PSNR, with"`` -> the paper's number.
        means: ours, a row for each pipeline, the same columns.
        nearest: label of the row to mark.
    """
    metrics = list(dict.fromkeys(column.split(", ")[0] for column in printed))
    figure, axes = plt.subplots(1, len(metrics), figsize=(2 * len(metrics), 3))
    for axis, metric in zip(axes, metrics):
        columns = {arm: f"{metric}, {arm}" for arm in ("with", "without")}
        for place, (column, colour) in enumerate(zip(columns.values(), (BLUE, ORANGE))):
            x = place + np.linspace(-0.25, 0.25, len(means))
            axis.scatter(x, means[column], s=3, color=colour, alpha=0.5, linewidths=0)
            axis.hlines(printed[column], place - 0.4, place + 0.4, color="black", linewidth=1)
            row = means.index.get_loc(nearest)
            axis.scatter(
                x[row], means[column].iloc[row], s=45, facecolors="none", edgecolors="black"
            )
        shown = means[list(columns.values())].replace(np.inf, np.nan).stack()
        reach = [
            shown.quantile(0.02),
            shown.quantile(0.98),
            *(printed[c] for c in columns.values()),
        ]
        margin = 0.05 * (max(reach) - min(reach))
        axis.set(
            title=f"{metric}{', dB' if metric == 'PSNR' else ''}",
            xticks=(0, 1),
            xticklabels=columns,
            ylim=(min(reach) - margin, max(reach) + margin),
        )
    return figure


@_styled
def relative_outcomes(
    ours: Mapping[str, Tensor], others: Mapping[str, Mapping[str, Mapping[str, Tensor]]]
) -> Figure:
    """K and JND(M) of other choices as multiples of ours: a dot per image, a diamond for the median.

    Args:
        ours: ``K`` and ``jnd``, (B,) each, NaN where nothing flips.
        others: title of a reading -> choice -> the same.
    """
    rows = [row for title, choices in others.items() for row in ((title, None), *choices.items())]
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 0.21 * len(rows) + 0.6), sharey=True)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    for axis, name, title in zip(axes, ("K", "jnd"), ("K / ours", "JND(M) / ours")):
        axis.axvline(1, color=GREY, linewidth=1)
        axis.set(xscale="log", title=title)
        across = axis.get_yaxis_transform()  # x as a share of the width, y in rows
        for y, (_, outcome) in enumerate(rows):
            if outcome is None:
                continue
            ratios = (outcome[name] / ours[name]).cpu().numpy()
            flipped = ratios[np.isfinite(ratios)]
            axis.axhline(y, color="#eeeeee", linewidth=0.8, zorder=0)
            axis.plot(
                flipped,
                np.full(len(flipped), y),
                "o",
                color=BLUE,
                alpha=0.35,
                markersize=4,
                markeredgewidth=0,
            )
            if len(flipped):
                axis.plot(np.median(flipped), y, "D", color=ORANGE, markersize=4)
            if (never := len(ratios) - len(flipped)) and name == "K":
                axis.annotate(
                    f"{never} of {len(ratios)} never flip",
                    (1, y),
                    color=GREY,
                    fontsize=7.5,
                    xycoords=across,
                    ha="right",
                    va="center",
                    bbox=white,
                )
        axis.xaxis.set_major_formatter("{x:g}")
    if axes[0].texts:  # they need room beside the dots
        low, high = axes[0].get_xlim()
        axes[0].set_xlim(low, high * (high / low) ** 0.4)
    axes[0].set_yticks(range(len(rows)), [label if outcome else "" for label, outcome in rows])
    for y, (title, outcome) in enumerate(rows):
        if outcome is None:
            axes[0].annotate(
                title,
                (0, y),
                (-135, 0),
                xycoords=axes[0].get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                weight="bold",
                bbox=white,
            )
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    for axis in axes:
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    return figure


@_styled
def side_by_side(x0: Tensor, changed: Mapping[str, Tensor]) -> Figure:
    """One original and what others made of it: each picture above its change, all on one scale.

    Args:
        x0: (3, H, W), grey levels.
        changed: title -> (3, H, W); an image of NaN is left out.
    """
    columns = 5
    bands = -(-(1 + len(changed)) // columns)
    figure, axes = plt.subplots(2 * bands, columns, figsize=(7.4, 3.1 * bands), squeeze=False)
    places = zip(axes[::2].flat, axes[1::2].flat)
    changes = {title: (image - x0).mean(0).cpu() for title, image in changed.items()}
    reach = (
        torch.stack([*changes.values()]).nan_to_num().abs().flatten(1).quantile(0.99, 1).median()
    )
    for axis in axes.flat:
        axis.axis("off")
    for title, image in {"original": x0, **changed}.items():
        picture, below = next(places)
        _picture(picture, image)
        picture.set_title(title)
        if title in changes and changes[title].isfinite().all():
            below.imshow(changes[title].numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(-reach, reach), "RdBu_r")
    _bar(figure, scale, axes[1::2, -1].tolist())
    return figure


@_styled
def against_gradients(found: Mapping[str, Mapping[str, Mean]], spent: str) -> Figure:
    """What attacks reach against what they spend: means with their intervals, a panel per quantity.

    Args:
        found: attack -> quantity -> its mean over the images; the same quantities for all.
        spent: the quantity of the x axis; every other one is a y axis.
    """
    panels = [name for name in next(iter(found.values())) if name != spent]
    figure, axes = plt.subplots(1, len(panels), figsize=(2.35 * len(panels), 2.9), squeeze=False)
    for axis, name in zip(axes[0], panels):
        for (attack, means), (colour, marker) in zip(found.items(), MARKERS):
            x, y = means[spent], means[name]
            axis.plot([x.low, x.high], [y.mean] * 2, color=colour, linewidth=1)
            axis.plot([x.mean] * 2, [y.low, y.high], color=colour, linewidth=1)
            axis.plot(x.mean, y.mean, marker, color=colour, label=attack, linestyle="")
        axis.set(xscale="log", yscale="log", xlabel=spent, title=name)
        axis.xaxis.set_major_formatter("{x:g}")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _picture(axis, image: Tensor) -> None:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if image.isfinite().all():
        pixels = eight_bit(image.detach()).to("cpu", torch.uint8)
        small = max(pixels.shape[1:]) <= 64  # shown pixel by pixel
        shown = pixels.permute(1, 2, 0).numpy()
        axis.imshow(shown, interpolation="nearest" if small else None)
    else:
        _say_not_noticed(axis)


def _box(axis, box: Tensor, colour: str, **style) -> None:
    x1, y1, x2, y2 = box.tolist()
    sides = x2 - x1, y2 - y1
    axis.add_patch(plt.Rectangle((x1, y1), *sides, edgecolor=colour, facecolor="none", **style))


def _say_not_noticed(axis) -> None:
    axis.text(0.5, 0.5, "not noticed", ha="center", va="center", transform=axis.transAxes)


def _bar(figure: Figure, shown, axis) -> None:
    bar = figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("grey levels", fontsize=7)
