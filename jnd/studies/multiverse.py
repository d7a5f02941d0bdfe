"""How Tables I and II may have been measured: pipelines from images to the numbers.

The paper does not say what it did between the images and the tables, nor how far it had changed
them. A :class:`Pipeline` is one plausible way, :data:`PIPELINES` are all of them, and
:class:`Multiverse` says how near each comes to what is printed, on photos with as much noise as
gives the printed PSNR.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from jnd.machines import resized
from jnd.metrics import INT64_DB, psnr, scc, uqi, vif
from jnd.studies.distortions import noise_of
from jnd.support.checkout import read_data

MEAN = (123.675, 116.28, 103.53)  # of ImageNet, grey levels
STD = (58.395, 57.12, 57.375)


def _normalised(x: Tensor) -> Tensor:
    mean, std = (x.new_tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


GRAINS = {"white": 0.0, "blurred": 0.8}
"""What the noise is like -> standard deviation of its blur, pixels."""
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
"""What lies beside the original. Each takes the changed images, (B, 3, H, W) with H = W."""
UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "0..255": lambda x: x,
    "−1..1, × 255": lambda x: 2 * x - 255,
    "normalised, × 255": lambda x: 255 * _normalised(x),
    "0..1": lambda x: x / 255,
    "−1..1": lambda x: x / 127.5 - 1,
    "normalised": _normalised,
}
"""What the arrays hold, made of pixels 0..255. The last three cannot be whole numbers."""
WHOLE = list(UNITS)[:3]
KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "floats": lambda x: x,
    "whole numbers": torch.trunc,
    "8 bits, clipped": lambda x: x.round().clamp(0, 255),
    "8 bits, wrapped": lambda x: x.trunc().remainder(256),  # as a cast to uint8 does
}
"""How the numbers are kept."""
MEASURES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], ...]] = {
    "UQI": (uqi,),
    "SCC": (scc,),
    "VIF": (vif, lambda x, y: vif(x, y, form="sewar 0.4.1")),
}
"""Metric -> its versions."""


@dataclass(frozen=True)
class Pipeline:
    """One way from a photo, and noise of some strength, to the arrays that are compared.

    Attributes:
        noise: key of :data:`~jnd.studies.multiverse.GRAINS`.
        pairing: key of :data:`~jnd.studies.multiverse.PAIRINGS`.
        original, changed: keys of :data:`~jnd.studies.multiverse.UNITS`.
        kept: key of :data:`~jnd.studies.multiverse.KEPT`.
    """

    noise: str
    pairing: str
    original: str
    changed: str
    kept: str

    def arrays(self, x0: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """What lies side by side, of images (B, 3, H, W) in 0..255."""
        keep = KEPT[self.kept]
        changed = UNITS[self.changed](PAIRINGS[self.pairing](x.double()))
        return keep(UNITS[self.original](x0.double())), keep(changed)

    def psnr(self, x0: Tensor, x: Tensor) -> Tensor:
        """In dB, (B,), with 255 for MAX.

        sewar of that time had none for an original that is not of whole numbers; it has to come
        from the grey levels then.
        """
        in_grey = replace(self, original="0..255", changed="0..255")
        return psnr(*(self if self.original in WHOLE else in_grey).arrays(x0, x))

    def measure(self, x0: Tensor, x: Tensor) -> Tensor:
        """Every version of every metric, (M, V, B) with M and V as in ``MEASURES``."""
        arrays = self.arrays(x0, x)
        found = [[measure(*arrays) for measure in versions] for versions in MEASURES.values()]
        return torch.stack([torch.stack((of[0], of[-1])) for of in found])

    def strength(self, x0: Tensor, noise: Tensor, decibels: float) -> float | None:
        """PSNR of the noise with which this pipeline gives another in the mean; None: with none.

        Args:
            x0: (B, 3, H, W), grey levels.
            noise: the same, of 0 dB.
            decibels: what the pipeline shall give.
        """

        def above(strength: float) -> bool:
            return self.psnr(x0, weakened(x0, noise, strength)).mean().item() > decibels

        low, high = 0.0, 80.0
        if above(low) or not above(high):
            return None
        for _ in range(10):  # to a tenth of a dB
            middle = (low + high) / 2
            low, high = (low, middle) if above(middle) else (middle, high)
        return high


def weakened(x0: Tensor, noise: Tensor, strength: float) -> Tensor:
    """Photos with noise of so many dB, given that of 0 dB."""
    return x0 + 10 ** (-strength / 20) * noise


_PAIRS = [(u, u) for u in UNITS] + [("0..255", u) for u in UNITS if u != "0..255"]
PIPELINES = [
    Pipeline(noise, pairing, *units, kept)
    for noise, pairing, units, kept in product(GRAINS, PAIRINGS, _PAIRS, KEPT)
    if kept == "floats" or {*units} <= {*WHOLE}
]
"""All combinations that are tried; of numbers around 1 rounding leaves nothing."""
LABEL = list(Pipeline.__dataclass_fields__)
COLUMNS = ("with", "without")  # of the paper's tables
PLAIN = ("white", "itself", "0..255", "0..255", "floats")


class Multiverse:
    """What each pipeline gives on noisy photos, beside a printed table.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml.
        x0: photos (B, 3, H, H) in grey levels, at least 2 so that chance can be told.
        pipelines: those to try.
        progress: wraps the range of pipelines, as tqdm does.

    Raises:
        ValueError: a single photo.

    Attributes:
        printed: column such as ``"UQI, with"`` -> the paper's number.
        means: a row for each pipeline that can give both printed PSNRs, the columns as in
            ``printed``, of VIF the nearer version; and ``"noise, with"``, the dB of the noise.
        errors: the columns of ``printed``, the distance from it in units of what chance allows:
            twice the standard error of the difference between our mean and one over as many images
            as the paper has, and half of the last printed digit.
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
        self.printed = {f"{m}, {column}": table[column][m] for column in COLUMNS for m in MEASURES}
        noises = {name: noise_of(x0, 0.0, spread) - x0 for name, spread in GRAINS.items()}
        labels, strengths, measured = [], [], []
        for i in progress(range(len(pipelines))):
            pipeline, noise = pipelines[i], noises[pipelines[i].noise]
            needed = [pipeline.strength(x0, noise, table[c]["PSNR"] - INT64_DB) for c in COLUMNS]
            reached = [s for s in needed if s is not None]
            if len(reached) == len(COLUMNS):
                labels.append(tuple(vars(pipeline).values()))
                strengths.append(reached)
                columns = [pipeline.measure(x0, weakened(x0, noise, s)) for s in reached]
                measured.append(torch.cat(columns))
        values = torch.stack(measured)  # (P, 6, V, B)
        share = (1 / len(x0) + 1 / table["examples"]) ** 0.5
        self._values, self._chance = values.mean(-1), 2 * share * values.std(-1) + 0.005
        errors, nearest = self._errors(torch.tensor([*self.printed.values()])).min(-1)
        means = self._values.gather(-1, nearest[..., None])[..., 0]
        index = pd.MultiIndex.from_tuples(labels, names=LABEL)
        self.errors = pd.DataFrame(errors.numpy(), index, self.printed)
        self.means = pd.DataFrame(means.numpy(), index, self.printed)
        self.means[[f"noise, {column}" for column in COLUMNS]] = strengths

    def _errors(self, numbers: Tensor) -> Tensor:
        """Of six numbers, (6,), in each pipeline and version, (P, 6, V)."""
        return (self._values - numbers[:, None]).abs() / self._chance

    def best(self, count: int) -> pd.DataFrame:
        """The pipelines that come near most of the printed numbers, and then nearest to the rest.

        The first row is the paper's. Labelled and with columns as in ``means``; ``near`` counts the
        numbers that a pipeline comes near, ``worst`` is its largest error.
        """
        near, worst = (self.errors <= 1).sum(axis=1), self.errors.max(axis=1)
        order = pd.DataFrame({"near": -near, "worst": worst}).sort_values(["near", "worst"]).index
        ranked = self.means.assign(near=near, worst=worst).loc[order[:count]]
        label = pd.MultiIndex.from_tuples([("the paper",) + ("",) * 4], names=LABEL)
        return pd.concat([pd.DataFrame([self.printed], index=label), ranked])

    def by_chance(self, tables: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Hits of the printed numbers beside those of arbitrary ones, which no pipeline has made.

        Arbitrary is a number that some pipeline gives in that place, rounded to two digits, each of
        a table's six from another one. A row for each number: how many pipelines come near it, and
        for the whole table: to how many of the six the best of them is near; of arbitrary ones the
        mean, and the share that has as many hits at least.
        """
        draw = torch.Generator().manual_seed(seed)
        pool = self._values.transpose(0, 1).flatten(1)  # (6, P V)
        picked = torch.randint(pool.shape[1], (tables, len(pool)), generator=draw)
        targets = (100 * pool.gather(1, picked.T).T).round() / 100
        near = torch.stack([(self._errors(target) <= 1).any(-1) for target in targets])  # (T, P, 6)
        hits = torch.cat((near.sum(1), near.sum(2).amax(1, keepdim=True)), 1).double()
        ours = (self.errors <= 1).to_numpy()
        found = [*ours.sum(0), ours.sum(1).max()]
        rows = {
            "paper": [*self.printed.values(), math.nan],
            "hits": found,
            "by chance": hits.mean(0).tolist(),
            "as many by chance": (hits >= torch.tensor(found)).double().mean(0).tolist(),
        }
        names = [*self.printed, "all six, of one pipeline"]
        return pd.DataFrame(rows, index=names)

    def by_number(self) -> pd.DataFrame:
        """For each printed number what the plain way gives, the nearest pipeline and its error."""
        nearest = self.errors.idxmin()
        columns = {
            "paper": pd.Series(self.printed),
            "the plain way": self.means.loc[PLAIN, [*self.printed]],
            "least error": self.errors.min(),
            "of the pipeline": [label_text(nearest[column]) for column in self.errors],
        }
        return pd.DataFrame(columns)


def label_text(label: Sequence[str]) -> str:
    """A row's label for the reader: ``"white noise; itself; 0..255 beside −1..1; floats"``."""
    noise, pairing, original, changed, kept = label
    units = f"both {original}" if original == changed else f"{original} beside {changed}"
    return "; ".join((f"{noise} noise", pairing, units, kept)) if pairing else noise


def narrow(best: pd.DataFrame) -> pd.DataFrame:
    """What :meth:`Multiverse.best` gives, for a page: a pipeline's two columns are two rows.

    ``near`` and ``worst`` stand with the pipeline's name.
    """
    table = best.drop(columns=["near", "worst"])
    names = [
        label_text(label) + (f" ({near:.0f} near, worst {worst:.2g})" if near == near else "")
        for label, near, worst in zip(best.index, best["near"], best["worst"], strict=True)
    ]
    table.index = pd.Index(names, name="pipeline")
    table.columns = table.columns.str.split(", ", expand=True)
    return table.stack(future_stack=True)
