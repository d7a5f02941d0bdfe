"""How Tables I and II may have been measured: pipelines from images to the four numbers.

The paper does not say what it did between the images and the tables. A :class:`Pipeline` is one
plausible way, :data:`PIPELINES` are all of them, and :func:`errors` says how far each lands from
what is printed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from jnd.metrics import psnr, scc, uqi, vif
from jnd.results import INT64_DB, PAPER

MEAN = (123.675, 116.28, 103.53)  # of ImageNet, grey levels
STD = (58.395, 57.12, 57.375)


def _normalised(x: Tensor) -> Tensor:
    mean, std = (x.new_tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


# what lies beside the original: the changed images (B, 3, H, W), H = W, or a slip of them
PAIRINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda x: x,
    "BGR": lambda x: x.flip(1),
    "mirrored": lambda x: x.flip(3),
    "upside down": lambda x: x.flip(2),
    "rows as columns": lambda x: x.transpose(2, 3),
    "planes read as pixels": lambda x: x.reshape(len(x), *x.shape[2:], 3).permute(0, 3, 1, 2),
    "pixels read as planes": lambda x: x.permute(0, 2, 3, 1).reshape(x.shape),
    "another image": lambda x: x.roll(1, 0),
}
# what the arrays hold, of pixels 0..255
UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "0..255": lambda x: x,
    "0..1": lambda x: x / 255,
    "−1..1": lambda x: x / 127.5 - 1,
    "normalised": _normalised,
    "−1..1, × 255": lambda x: 2 * x - 255,
    "normalised, × 255": lambda x: 255 * _normalised(x),
}
# how the numbers are kept
KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "floats": lambda x: x,
    "whole numbers": torch.trunc,
    "8 bits, clipped": lambda x: x.round().clamp(0, 255),
    "8 bits, wrapped": lambda x: x.trunc().remainder(256),  # as a cast to uint8 does
}
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
        pairing: key of :data:`PAIRINGS`.
        original, changed: keys of :data:`UNITS`.
        kept: key of :data:`KEPT`.
    """

    pairing: str
    original: str
    changed: str
    kept: str

    def measure(self, x0: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Metric -> (B,), of images (B, 3, H, W) in 0..255. PSNR is in dB, with 255 for MAX."""
        keep = KEPT[self.kept]
        original = keep(UNITS[self.original](x0.double()))
        changed = keep(UNITS[self.changed](PAIRINGS[self.pairing](x.double())))
        return {name: measure(original, changed) for name, measure in MEASURES.items()}

    def __str__(self) -> str:
        units = f"{self.original}" if self.original == self.changed else f"{self.original} beside {self.changed}"
        return f"{self.pairing}; {units}; {self.kept}"


PIPELINES = [
    Pipeline(pairing, original, changed, kept)
    for pairing, (original, changed), kept in product(
        PAIRINGS, [(u, u) for u in UNITS] + [("0..255", u) for u in UNITS if u != "0..255"], KEPT
    )
]


def multiverse(
    pipelines: Iterable[Pipeline], x0: Tensor, arms: Mapping[str, Tensor]
) -> dict[Pipeline, dict[str, dict[str, Tensor]]]:
    """Pipeline -> arm -> metric -> (B,), for the images (B, 3, H, W) of each arm beside x0."""
    return {p: {arm: p.measure(x0, x) for arm, x in arms.items()} for p in pipelines}


def errors(
    paper: str, measured: Mapping[Pipeline, Mapping[str, Mapping[str, Tensor]]]
) -> pd.DataFrame:
    """How far the mean of each pipeline is from each printed number, in units of what chance allows.

    The unit is twice the standard error of our mean plus half of the last printed digit: the
    paper's images are others, of the same number. Of VIF the nearer of sewar's two versions
    counts. The column ``worst`` is the largest of a row.

    Args:
        paper: ``"table1"`` or ``"table2"``.
        measured: pipeline -> ``"with"`` and ``"without"`` -> metric -> (B,).
    """
    rows = []
    for by_arm in measured.values():
        row = {}
        for arm, values in by_arm.items():
            printed = dict(PAPER["tables"][paper][arm])
            half_digit = {name: 0.005 for name in printed} | {"PSNR": 0.5 if paper == "table1" else 0.005}
            printed["PSNR"] -= INT64_DB
            for name, number in printed.items():
                row[f"{name}, {arm}"] = min(
                    _error(values[form], number, half_digit[name])
                    for form in values if form.split(",")[0] == name
                )
        rows.append(row)
    table = pd.DataFrame(rows, index=list(measured))
    table["worst"] = table.max(axis=1)
    return table


def _error(values: Tensor, printed: float, half_digit: float) -> float:
    standard_error = values.std() / len(values) ** 0.5
    error = ((values.mean() - printed).abs() / (2 * standard_error + half_digit)).item()
    return error if error == error else float("inf")  # identical arrays have no PSNR
