"""How Tables I and II may have been measured: pipelines from images to the numbers.

The paper does not say what it did between the images and the tables, nor how far it had changed
them. A :class:`Pipeline` is one plausible procedure, :data:`PIPELINES` are all of them, and
:class:`Multiverse` measures how close each comes to the printed numbers, on photos with the amount
of noise that gives the printed PSNR.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.bisection import bisect
from companion.checkout import read_data
from companion.distortions import noise_of
from companion.style import BLUE, ORANGE, SERIES, panels, styled
from jnd.metrics import INT64_DB, psnr, scc, uqi, vif
from jnd.networks import resized

MEAN = (123.675, 116.28, 103.53)  # of ImageNet, grey levels
STD = (58.395, 57.12, 57.375)


def _normalised(x: Tensor) -> Tensor:
    mean = x.new_tensor(MEAN).view(3, 1, 1)
    std = x.new_tensor(STD).view(3, 1, 1)
    return (x - mean) / std


GRAINS = {"white": 0.0, "blurred": 0.8}
"""Name of a noise -> standard deviation of its blur, pixels."""
PAIRINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda x: x,
    "BGR": lambda x: x.flip(1),
    "mirrored": lambda x: x.flip(3),
    "upside down": lambda x: x.flip(2),
    "rows as columns": lambda x: x.transpose(2, 3),
    "planes read as pixels": lambda x: x.reshape(len(x), *x.shape[2:], 3).permute(0, 3, 1, 2),
    "pixels read as planes": lambda x: x.permute(0, 2, 3, 1).reshape(x.shape),
    "enlarged to 299 and back": lambda x: resized(resized(x, (299, 299)), x.shape[2:]),
    "another image": lambda x: x.roll(1, 0),
}
"""Which image is compared with the original, made from the changed ones, (B, 3, H, W), H = W."""
UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "0..255": lambda x: x,
    "−1..1, × 255": lambda x: 2 * x - 255,
    "normalised, × 255": lambda x: 255 * _normalised(x),
    "0..1": lambda x: x / 255,
    "−1..1": lambda x: x / 127.5 - 1,
    "normalised": _normalised,
}
"""Units of the arrays, made from pixels 0..255. The last three cannot be whole numbers."""
WHOLE = list(UNITS)[:3]
KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "floats": lambda x: x,
    "whole numbers": torch.trunc,
    "8 bits, clipped": lambda x: x.round().clamp(0, 255),
    "8 bits, wrapped": lambda x: x.trunc().remainder(256),  # as a cast to uint8 does
}
"""The type in which the numbers are kept."""
METRICS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], ...]] = {
    "UQI": (uqi,),
    "SCC": (scc,),
    "VIF": (vif, lambda x, y: vif(x, y, form="sewar 0.4.1")),
}
"""Metric -> its versions."""


@dataclass(frozen=True)
class Pipeline:
    """One procedure from a photo and noise to the arrays that are compared.

    Attributes:
        noise: key of :data:`~companion.studies.forensics.GRAINS`.
        pairing: key of :data:`~companion.studies.forensics.PAIRINGS`.
        original, changed: keys of :data:`~companion.studies.forensics.UNITS`.
        kept: key of :data:`~companion.studies.forensics.KEPT`.
    """

    noise: str
    pairing: str
    original: str
    changed: str
    kept: str

    def arrays(self, x0: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two arrays that are compared, from images (B, 3, H, W) in 0..255."""
        keep = KEPT[self.kept]
        changed = UNITS[self.changed](PAIRINGS[self.pairing](x.double()))
        return keep(UNITS[self.original](x0.double())), keep(changed)

    def psnr(self, x0: Tensor, x: Tensor) -> Tensor:
        """PSNR in dB with 255 for MAX, (B,).

        sewar of that time raised an error unless the original held whole numbers; with other units
        PSNR must have been measured on the grey levels.
        """
        in_grey = replace(self, original="0..255", changed="0..255")
        pipeline = self if self.original in WHOLE else in_grey
        return psnr(*pipeline.arrays(x0, x))

    def measure(self, x0: Tensor, x: Tensor) -> Tensor:
        """Every version of every metric, (M, V, B) with M and V as in ``METRICS``."""
        arrays = self.arrays(x0, x)
        versions = []
        for functions in METRICS.values():
            values = [function(*arrays) for function in functions]
            versions.append(torch.stack((values[0], values[-1])))
        return torch.stack(versions)

    def strength(self, x0: Tensor, noise: Tensor, decibels: float) -> float | None:
        """The strength of noise at which this pipeline reports a given mean PSNR; None: at none.

        Args:
            x0: (B, 3, H, W), grey levels.
            noise: the same, of 0 dB.
            decibels: the PSNR that the pipeline is to report.

        Returns:
            PSNR of the noise itself, in dB.
        """

        def too_weak(strength: Tensor) -> Tensor:
            return self.psnr(x0, weakened(x0, noise, strength.item())).mean() > decibels

        strongest = torch.zeros(1)
        weakest = torch.full((1,), 80.0)
        if too_weak(strongest) or not too_weak(weakest):
            return None
        return bisect(too_weak, strongest, weakest, 10).item()  # to a tenth of a dB


def weakened(x0: Tensor, noise: Tensor, decibels: float) -> Tensor:
    """Add noise of a PSNR to photos, given that of 0 dB."""
    return x0 + 10 ** (-decibels / 20) * noise


_PAIRS = [(u, u) for u in UNITS] + [("0..255", u) for u in UNITS if u != "0..255"]
PIPELINES = [
    Pipeline(noise, pairing, *units, kept)
    for noise, pairing, units, kept in product(GRAINS, PAIRINGS, _PAIRS, KEPT)
    if kept == "floats" or {*units} <= {*WHOLE}
]
"""All combinations that are tried; rounding numbers around 1 would leave nothing."""
LABEL = list(Pipeline.__dataclass_fields__)
COLUMNS = ("with", "without")  # of the paper's tables
PLAIN = ("white", "itself", "0..255", "0..255", "floats")


class Multiverse:
    """The results of every pipeline on noisy photos, compared with a printed table.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml.
        x0: photos (B, 3, H, H) in grey levels, at least 2 so that chance can be estimated.
        pipelines: those to try.
        progress: wraps the range of pipelines, as tqdm does.

    Raises:
        ValueError: a single photo.

    Attributes:
        printed: column such as ``"UQI, with"`` -> the paper's number.
        means: a row for each pipeline that can give both printed PSNRs; columns as in ``printed``
            (of VIF the version nearer to it) and ``"noise, with"``, the dB of the noise.
        errors: the columns of ``printed``, the distance from it in units of what chance allows:
            twice the standard error of the difference between our mean and one over as many images
            as the paper has, plus half of the last printed digit.
    """

    def __init__(
        self,
        paper: str,
        x0: Tensor,
        pipelines: Sequence[Pipeline] = PIPELINES,
        progress: Callable[[range], Iterable[int]] = iter,
    ):
        if len(x0) < 2:
            raise ValueError("at least 2 photos are needed")
        table = read_data("paper")["tables"][paper]
        self.printed = {f"{m}, {column}": table[column][m] for column in COLUMNS for m in METRICS}
        noises = {name: noise_of(x0, 0.0, spread) - x0 for name, spread in GRAINS.items()}
        labels = []
        strengths = []
        measured = []
        for i in progress(range(len(pipelines))):
            pipeline = pipelines[i]
            noise = noises[pipeline.noise]
            needed = [pipeline.strength(x0, noise, table[c]["PSNR"] - INT64_DB) for c in COLUMNS]
            reached = [strength for strength in needed if strength is not None]
            if len(reached) == len(COLUMNS):
                labels.append(tuple(vars(pipeline).values()))
                strengths.append(reached)
                columns = [pipeline.measure(x0, weakened(x0, noise, s)) for s in reached]
                measured.append(torch.cat(columns))
        values = torch.stack(measured)  # (P, 6, V, B)
        share = (1 / len(x0) + 1 / table["examples"]) ** 0.5
        self._values = values.mean(-1)
        self._chance = 2 * share * values.std(-1) + 0.005
        errors, nearest = self._errors(torch.tensor([*self.printed.values()])).min(-1)
        means = self._values.gather(-1, nearest[..., None])[..., 0]
        index = pd.MultiIndex.from_tuples(labels, names=LABEL)
        self.errors = pd.DataFrame(errors.numpy(), index, self.printed)
        self.means = pd.DataFrame(means.numpy(), index, self.printed)
        self.means[[f"noise, {column}" for column in COLUMNS]] = strengths

    def _errors(self, numbers: Tensor) -> Tensor:
        """Errors of six numbers, (6,), in each pipeline and version, (P, 6, V)."""
        return (self._values - numbers[:, None]).abs() / self._chance

    def best(self, count: int) -> pd.DataFrame:
        """The pipelines that match the most printed numbers, ties broken by their largest error.

        The first row is the paper's. Labelled and with columns as in ``means``; ``near`` counts the
        numbers that a pipeline matches, ``worst`` is its largest error.
        """
        near = (self.errors <= 1).sum(axis=1)
        worst = self.errors.max(axis=1)
        order = pd.DataFrame({"near": -near, "worst": worst}).sort_values(["near", "worst"]).index
        ranked = self.means.assign(near=near, worst=worst).loc[order[:count]]
        label = pd.MultiIndex.from_tuples([("the paper",) + ("",) * 4], names=LABEL)
        return pd.concat([pd.DataFrame([self.printed], index=label), ranked])

    def by_chance(self, tables: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Compare hits of the printed numbers with hits of arbitrary ones.

        An arbitrary number is one that some pipeline gives in that place, rounded to two digits,
        each of a table's six drawn on its own. A row for each number counts the pipelines that
        match it; the last row counts how many of the six the best single pipeline matches. Beside
        these hits: their mean for arbitrary numbers, and the share with at least as many.
        """
        generator = torch.Generator().manual_seed(seed)
        pool = self._values.transpose(0, 1).flatten(1)  # (6, P V)
        picked = torch.randint(pool.shape[1], (tables, len(pool)), generator=generator)
        targets = (100 * pool.gather(1, picked.T).T).round() / 100
        near = torch.stack([(self._errors(target) <= 1).any(-1) for target in targets])  # (T, P, 6)
        hits = torch.cat((near.sum(1), near.sum(2).amax(1, keepdim=True)), 1).double()
        matches = (self.errors <= 1).to_numpy()
        counts = [*matches.sum(0), matches.sum(1).max()]
        rows = {
            "paper": [*self.printed.values(), math.nan],
            "hits": counts,
            "by chance": hits.mean(0).tolist(),
            "as many by chance": (hits >= torch.tensor(counts)).double().mean(0).tolist(),
        }
        return pd.DataFrame(rows, index=[*self.printed, "all six, of one pipeline"])

    def by_number(self) -> pd.DataFrame:
        """For each printed number: plain measuring, and the nearest pipeline with its error."""
        columns = {
            "paper": pd.Series(self.printed),
            "plain measuring": self.means.loc[PLAIN, [*self.printed]],
            "least error": self.errors.min(),
            "nearest pipeline": self.errors.idxmin().map(label_text),
        }
        return pd.DataFrame(columns)


def label_text(label: Sequence[str]) -> str:
    """A row's label for the reader: ``"white noise; itself; 0..255 beside −1..1; floats"``."""
    noise, pairing, original, changed, kept = label
    units = f"both {original}" if original == changed else f"{original} beside {changed}"
    return "; ".join((f"{noise} noise", pairing, units, kept)) if pairing else noise


def readable(best: pd.DataFrame) -> pd.DataFrame:
    """Lay out the result of :meth:`Multiverse.best` for a page, with and without below each other.

    ``near`` and ``worst`` join the pipeline's name.
    """
    table = best.drop(columns=["near", "worst"])
    names = [
        label_text(label) + (f" ({near:.0f} near, worst {worst:.2g})" if near == near else "")
        for label, near, worst in zip(best.index, best["near"], best["worst"], strict=True)
    ]
    table.index = pd.Index(names, name="pipeline")
    table.columns = table.columns.str.split(", ", expand=True)
    return table.stack(future_stack=True)


@styled
def metrics_against_psnr(
    noise: Mapping[str, pd.DataFrame], ours: pd.DataFrame, printed: pd.DataFrame
) -> Figure:
    """Each metric against PSNR: for noise, our images, and the paper's numbers.

    Args:
        noise: title -> a row for each strength of noise; columns ``PSNR`` and the metrics.
        ours: the same columns, a row for each of our moments and arms.
        printed: the same, a row for each column of the paper.
    """
    metrics = [name for name in printed.columns if name != "PSNR"]
    figure, axes = panels(1, len(metrics), 3)
    stars = {"color": "black", "label": "paper", "markersize": 9}
    dots = {"color": "#009e73", "label": "our images", "markersize": 5}
    for axis, metric in zip(axes[0], metrics, strict=True):
        for (title, table), (colour, style) in zip(noise.items(), SERIES, strict=False):
            axis.plot(table["PSNR"], table[metric], style, color=colour, label=title)
        axis.plot(ours["PSNR"], ours[metric], "o", **dots)
        axis.plot(printed["PSNR"], printed[metric], "*", **stars)
        axis.set(title=metric, xlabel="PSNR, dB", ylim=(0, 1.03))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def pipelines_beside_paper(
    printed: Mapping[str, float], means: pd.DataFrame, nearest: Hashable
) -> Figure:
    """The result of each pipeline, beside the printed number, for each metric.

    Args:
        printed: column such as ``"UQI, with"`` -> the paper's number.
        means: ours, a row for each pipeline, the same columns.
        nearest: label of the row to mark.
    """
    metrics = list(dict.fromkeys(column.split(", ")[0] for column in printed))
    figure, axes = panels(1, len(metrics), 2.8)
    row = means.index.get_loc(nearest)
    for axis, metric in zip(axes[0], metrics, strict=True):
        columns = [f"{metric}, {column}" for column in COLUMNS]
        for place, (column, colour) in enumerate(zip(columns, (BLUE, ORANGE), strict=True)):
            _draw_column(axis, place, means[column].to_numpy(), row, colour)
            axis.hlines(printed[column], place - 0.4, place + 0.4, color="black", linewidth=1)
        shown = [*means[columns].stack().quantile([0.02, 0.98]), *map(printed.get, columns)]
        margin = 0.05 * (max(shown) - min(shown))
        axis.set(title=metric, xticks=(0, 1), xticklabels=COLUMNS)
        axis.set(ylim=(min(shown) - margin, max(shown) + margin))
    return figure


def _draw_column(axis: Axes, place: int, values: np.ndarray, nearest: int, colour: str) -> None:
    x = place + np.linspace(-0.25, 0.25, len(values))
    axis.scatter(x, values, s=8, color=colour, alpha=0.5, linewidths=0)
    axis.scatter(x[nearest], values[nearest], s=45, facecolors="none", edgecolors="black")
