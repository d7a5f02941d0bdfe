"""Other ways to read the paper, one changed at a time, and what each changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jnd.cost import WHITE, Cost
from jnd.metrics import psnr
from jnd.trajectory import relative_distance

Outcome = Mapping[str, Tensor]


def closed_range(x: Tensor, x0: Tensor) -> Tensor:
    """BR with the branches of Eq. 5 as printed: (B, 3, H, W) -> (B,), grey levels.

    The value is that of :func:`~jnd.cost.bounded_range`; but the branches hold at 0 and 255 too,
    so that pixels there are pushed inwards. ``x0`` is not used.
    """
    below, above = torch.where(x <= 0, -x, 0), torch.where(x >= 255, x - 255, 0)
    return (below + above).flatten(1).sum(1)


@dataclass(frozen=True)
class Exchanged:
    """Eq. 1 with another term in the place of one of :class:`~jnd.cost.Cost`.

    Attributes:
        rest: the other terms.
        term: what comes instead, of x and x(0), both (B, 3, H, W) -> (B,), grey levels.
        weight: of the new term, for pixels in 0..1.
    """

    rest: Cost
    term: Callable[[Tensor, Tensor], Tensor]
    weight: float

    def __call__(self, loss: Tensor, x: Tensor, x0: Tensor) -> Tensor:
        return self.rest(loss, x, x0) + self.weight / WHITE * self.term(x, x0)

    def select(self, images: Tensor) -> "Exchanged":
        return replace(self, rest=self.rest.select(images))


def exchange(
    cost: Cost, name: str, term: Callable[[Tensor, Tensor], Tensor], weight: float | None = None
) -> Exchanged:
    """A cost with another term.

    Args:
        cost: all terms and weights.
        name: of the weight whose term goes, such as ``"bounded_range"``.
        term: what comes instead.
        weight: of the new term; None: that of the old.
    """
    weight = getattr(cost, name) if weight is None else weight
    return Exchanged(replace(cost, **{name: 0.0}), term, weight)


def outcome(x0: Tensor, images: Tensor, K: Tensor) -> Outcome:
    """``K``, ``jnd`` and ``psnr`` of changed images, (B,) each; NaN where K is -1.

    Args:
        x0: (B, 3, H, W), grey levels.
        images: the same shape, what is measured, such as x(K).
        K: (B,) int64.
    """
    flipped = K >= 0
    images = images.where(flipped.view(-1, 1, 1, 1), x0)
    values = {"K": K, "jnd": relative_distance(images, x0), "psnr": psnr(x0, images)}
    return {name: v.double().masked_fill(~flipped, torch.nan) for name, v in values.items()}


def comparison(ours: Outcome, others: Mapping[str, Mapping[str, Outcome]]) -> pd.DataFrame:
    """A row for each choice: medians over the images that flip, and of the ratios to ours.

    Args:
        ours: of our own reading.
        others: id of the reading -> choice -> its outcome.
    """
    rows = {("ours", ""): ours}
    rows |= {(id, choice): o for id, choices in others.items() for choice, o in choices.items()}
    medians = [
        {
            "flip": int(o["K"].isfinite().sum()),
            "K": _median(o["K"]),
            "K / ours": _median(o["K"] / ours["K"]),
            "JND(M)": _median(o["jnd"]),
            "JND / ours": _median(o["jnd"] / ours["jnd"]),
            "PSNR, dB": _median(o["psnr"]),
        }
        for o in rows.values()
    ]
    index = pd.MultiIndex.from_tuples(rows, names=["reading", "choice"])
    return pd.DataFrame(medians, index=index)


def describe(readings: Sequence[Mapping], table: pd.DataFrame, images: int) -> str:
    """What is unclear, how we read it, and what the other choices change, as Markdown.

    Args:
        readings: of data/paper.yaml.
        table: what :func:`comparison` gives.
        images: how many there are.

    Raises:
        ValueError: a reading was neither tried nor says why not, or something else was tried.
    """
    tried, known = {*table.index.get_level_values(0)} - {"ours"}, {r["id"] for r in readings}
    if odd := (tried ^ {r["id"] for r in readings if "untried" not in r}) | (tried - known):
        raise ValueError(f"{min(odd)}: data/paper.yaml and what was tried do not agree")
    blocks = []
    for r in readings:
        says = f"**{r['where']}: {r['about']}.** {r['unclear']} "
        says += f"*Our reading:* {r['reading']}, because {r['because']}."
        if "parameter" in r:
            says += f" (Parameter: {r['parameter']}.)"
        if "untried" in r:
            says += f" Not tried here: {r['untried']}."
        blocks.append(says)
        if r["id"] in tried:
            rows = table.loc[r["id"]].iterrows()
            blocks.append("\n".join(f"- {choice}: {_change(row, images)}" for choice, row in rows))
    return "\n\n".join(blocks)


def _change(row: pd.Series, images: int) -> str:
    flips = "" if row["flip"] == images else f"{row['flip']:.0f} of {images} flip"
    if not row["flip"]:
        return "nothing flips"
    changed = f"K × {row['K / ours']:.3g}, JND × {row['JND / ours']:.3g}, "
    changed += f"PSNR {row['PSNR, dB']:.1f} dB"
    return f"{flips}; of these {changed}" if flips else changed


def _median(values: Tensor) -> float:
    finite = values[values.isfinite()].cpu().numpy()
    return float(np.median(finite)) if len(finite) else float("nan")
