"""How Tables I and II may have been measured: pipelines from images to the four numbers.

The paper does not say what it did between the images and the tables. A
:class:`Pipeline` is one plausible way, :data:`PIPELINES` are all of them, and :class:`Multiverse`
says how near each comes to what is printed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from jnd.machines import resized
from jnd.metrics import INT64_DB, psnr, scc, uqi, vif
from jnd.support.checkout import read_data

MEAN = (123.675, 116.28, 103.53)  # of ImageNet, grey levels
STD = (58.395, 57.12, 57.375)


def _normalised(x: Tensor) -> Tensor:
    mean, std = (x.new_tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


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
    "0..1": lambda x: x / 255,
    "−1..1": lambda x: x / 127.5 - 1,
    "normalised": _normalised,
    "−1..1, × 255": lambda x: 2 * x - 255,
    "normalised, × 255": lambda x: 255 * _normalised(x),
}
"""What the arrays hold, made of pixels 0..255."""
KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "floats": lambda x: x,
    "whole numbers": torch.trunc,
    "8 bits, clipped": lambda x: x.round().clamp(0, 255),
    "8 bits, wrapped": lambda x: x.trunc().remainder(256),  # as a cast to uint8 does
}
"""How the numbers are kept."""
MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "PSNR": psnr,
    "UQI": uqi,
    "SCC": scc,
    "VIF": vif,
    "VIF, sewar 0.4.1": lambda x, y: vif(x, y, form="sewar 0.4.1"),
}


@dataclass(frozen=True)
class Pipeline:
    """One way from an original and a changed image to the arrays that are compared.

    Attributes:
        pairing: key of :data:`~jnd.studies.multiverse.PAIRINGS`.
        original, changed: keys of :data:`~jnd.studies.multiverse.UNITS`.
        kept: key of :data:`~jnd.studies.multiverse.KEPT`.
    """

    pairing: str
    original: str
    changed: str
    kept: str

    def measure(self, x0: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Metric -> (B,), of images (B, 3, H, W) in 0..255; NaN if x is not finite.

        PSNR is in dB, with 255 for MAX.
        """
        if not x.isfinite().all():
            return dict.fromkeys(MEASURES, x0.new_full((len(x),), torch.nan))
        keep = KEPT[self.kept]
        original = keep(UNITS[self.original](x0.double()))
        changed = keep(UNITS[self.changed](PAIRINGS[self.pairing](x.double())))
        return {name: measure(original, changed) for name, measure in MEASURES.items()}


PIPELINES = [
    Pipeline(pairing, original, changed, kept)
    for pairing, (original, changed), kept in product(
        PAIRINGS, [(u, u) for u in UNITS] + [("0..255", u) for u in UNITS if u != "0..255"], KEPT
    )
]
"""All combinations that are tried."""
LABEL = ["images", *Pipeline.__dataclass_fields__]
"""The names in a row's label, which says of which moments and then by which pipeline."""
# of which iteration the columns "with" and "without" may be
PAIRS_OF_MOMENTS = {"x(K)": ("jnd", "jnd"), "end": ("end", "end"), "x(K), end": ("jnd", "end")}
COLUMNS = {"with": "full", "without": "none"}  # of the paper's tables -> our arm


class Multiverse:
    """What each pipeline gives on one experiment's images, beside a printed table.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml.
        images: ``"x0"`` and, for the arms full and none, ``"x_jnd.<arm>"`` and ``"x_end.<arm>"``,
            (B, 3, H, H) each; images where one of them is NaN are left out. Where fewer than 2
            would remain, x(K) is left out instead: what needs it is NaN and comes near nothing.
        pipelines: those to try.
        progress: wraps the range of pipelines, as tqdm does.

    Raises:
        ValueError: there are fewer than 2 images, so that chance cannot be told.

    Attributes:
        printed: column such as ``"PSNR, with"`` -> the paper's number, PSNR in dB of 8 bits.
        means: a row for each pipeline and choice of moments, the columns as in ``printed``; of VIF
            the nearer of sewar's two versions.
        errors: the same, as the distance from ``printed`` in units of what chance allows: twice the
            standard error of our mean, for the paper's images are others, and half of the last
            printed digit.
    """

    def __init__(
        self,
        paper: str,
        images: Mapping[str, Tensor],
        pipelines: Sequence[Pipeline] = PIPELINES,
        progress: Callable[[range], Iterable[int]] = iter,
    ):
        if len(images["x0"]) < 2:
            raise ValueError("at least 2 images are needed")
        whole = torch.stack([x.isfinite().flatten(1).all(1) for x in images.values()]).all(0)
        if whole.sum() >= 2:
            images = {name: x[whole] for name, x in images.items()}
        table = read_data("paper")["tables"][paper]
        self.printed = {
            f"{name}, {column}": table[column][name] - (INT64_DB if name == "PSNR" else 0)
            for column in COLUMNS
            for name in table[column]
        }
        half_digit = {"PSNR": 0.5 if paper == "table1" else 0.005}
        x0, rows = images["x0"], []
        changed = {n: x for n, x in images.items() if n.split(".")[-1] in COLUMNS.values()}
        for i in progress(range(len(pipelines))):
            measured = {name: pipelines[i].measure(x0, x) for name, x in changed.items()}
            for title, pair in PAIRS_OF_MOMENTS.items():
                row = {"images": title} | vars(pipelines[i])
                moments = dict(zip(COLUMNS, pair, strict=True))
                for place, printed in self.printed.items():
                    name, column = place.split(", ")
                    of = measured[f"x_{moments[column]}.{COLUMNS[column]}"]
                    row[place] = _nearest(of, name, printed, half_digit.get(name, 0.005))
                rows.append(row)
        both = pd.DataFrame(rows).set_index(LABEL)
        self.means = both.map(lambda pair: pair[0])
        self.errors = both.map(lambda pair: pair[1])

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

    def by_number(self) -> pd.DataFrame:
        """For each printed number what the plain way gives, and how many pipelines come near it."""
        plain = ("x(K)", "itself", "0..255", "0..255", "floats")
        nearest = self.errors.idxmin()
        columns = {
            "paper": pd.Series(self.printed),
            "the plain way": self.means.loc[plain],
            f"near, of {len(self.errors)}": (self.errors <= 1).sum(),
            "least error": self.errors.min(),
            "of the pipeline": [label_text(nearest[column]) for column in self.errors],
        }
        return pd.DataFrame(columns)


def label_text(label: Sequence[str]) -> str:
    """A row's label for the reader: ``"end; itself; 0..255 beside −1..1; floats"``."""
    images, pairing, original, changed, kept = label
    units = f"both {original}" if original == changed else f"{original} beside {changed}"
    return "; ".join((images, pairing, units, kept)) if pairing else images


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


def _nearest(
    measured: Mapping[str, Tensor], metric: str, printed: float, half_digit: float
) -> tuple[float, float]:
    """Mean and error of a metric, of the version that is nearer where there are two."""
    found = []
    for name, values in measured.items():
        if name.split(",")[0] == metric:
            chance = 2 * values.std().item() / len(values) ** 0.5 + half_digit
            error = abs(values.mean().item() - printed) / chance
            # identical arrays have no PSNR
            found.append((values.mean().item(), error if error == error else float("inf")))
    return min(found, key=lambda pair: pair[1])
