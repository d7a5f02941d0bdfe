"""The notebook on ImageNet on several machines and photos, side by side, as Markdown tables."""

from collections.abc import Mapping
from itertools import compress
from statistics import fmean
from typing import Any

from jnd.companion.prediction import CONFIDENCE, METRICS, PHOTOS, quantities
from jnd.metrics import INT64_DB

SETUPS = {
    "imagenet_lite0": "EfficientNet-Lite0, 224 px",
    "imagenet_lite1": "EfficientNet-Lite1, 240 px",
    "imagenet_lite2": "EfficientNet-Lite2, 260 px",
    "imagenet_resnet18": "ResNet-18, 224 px",
}
"""Files of data/measured, each of ten ImageNet photos -> their machine."""


def quality(arm: str, printed: Mapping[str, float], pages: Mapping[str, Mapping]) -> str:
    """The metrics of Table I at the end of an arm's run: the paper, then a row for each set-up.

    Args:
        arm: ``"full"`` or ``"none"``.
        printed: the paper's column.
        pages: title -> metrics.json. Runs of a single update in that arm are left out, and
            photos that have not flipped by its end.
    """
    known = [printed["PSNR"] - INT64_DB, *(printed[m] for m in ("UQI", "SCC", "VIF", "VIF"))]
    rows = {"**the paper**: ten ImageNet photos, Inception v3": [*known, 0.99]}
    for title, page in pages.items():
        values = page["values"]
        flipped = values["arms"][arm]["noticed_at_end"]
        if page["provenance"]["parameters"]["end_iters"][arm] > 1 and any(flipped):
            columns = [values["quality"]["end"][arm][m] for m in METRICS]
            columns.append(values["arms"][arm]["target_confidence_at_end"])
            means = [fmean(compress(column, flipped)) for column in columns]
            count = "" if all(flipped) else f" ({sum(flipped)} of {len(flipped)} photos)"
            rows[title + count] = means
    lines = [f"| | {' | '.join(METRICS)} | confidence |", "|---|" + "--:|" * 6]
    for title, row in rows.items():
        cells = [f"{v:.{digits}f}" for v, digits in zip(row, "122222", strict=True)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def first_flips(measured: Mapping[str, Mapping]) -> str:
    """K with regularisation, photo by photo, with M's confidence in x(0): a column per machine."""
    pages = {title: measured[name] for name, title in SETUPS.items()}
    lines = [f"| photo | {' | '.join(pages)} |", "|---|" + "--:|" * len(pages)]
    photos = next(iter(pages.values()))["values"]["photos"]
    for i, photo in enumerate(photos):
        cells = []
        for page in pages.values():
            K = page["values"]["arms"]["full"]["K"][i]
            K = f"> {page['provenance']['parameters']['max_iter']}" if K < 0 else K
            cells.append(f"{K} ({page['values']['confidence'][i]:.3g})")
        lines.append(f"| {photo.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def printed_numbers(paper: Mapping[str, Any]) -> dict[str, float]:
    """Of what is predicted, what the paper prints: name -> number."""
    of = paper["tables"]["table1"]["with"]
    found = of | {"PSNR": of["PSNR"] - INT64_DB, "VIF (early sewar)": of["VIF"]}
    found[CONFIDENCE] = paper["figures"]["fig1"]["confidence"]
    return found | {f"K, {name}": K for name, K in paper["figures"]["fig2"]["K"].items()}


def prediction(
    predicted: Mapping[str, Any], printed: Mapping[str, float], page: Mapping[str, Any]
) -> str:
    """The intervals of data/prediction.yaml, what the paper prints, and what came out where the
    profile paper ran."""
    ran = page["provenance"]["profile"] == "paper"
    found = quantities(page["values"]) if ran else {}
    lines = ["| | printed | predicted | measured |", "|---|--:|--:|--:|"]
    for name, (low, high) in predicted["interval"].items():
        measured = "not yet run"
        if ran:
            verdict = "✓ inside" if low <= found[name] <= high else "✗ outside"
            value = f"{found[name]:.3g}" if found[name] >= 0 else "no K"
            measured = f"{value} {verdict}"
        # a descent begins at its label, so that K is 1 at least
        interval = (
            f"{max(low, 1):.0f} to {high:.0f}" if name in PHOTOS else f"{low:.3g} to {high:.3g}"
        )
        lines.append(f"| {name} | {printed[name]:.4g} | {interval} | {measured} |")
    return "\n".join(lines)
