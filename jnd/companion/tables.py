"""Tables: what the paper prints beside what was measured.

``python -m jnd.companion.tables PROFILE`` prints Tables I and II, and what to do next.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd
from skimage.metrics import structural_similarity
from torch import Tensor

from jnd.cost import bounded_range, total_variation
from jnd.metrics import INT64_DB, METRICS, scores
from jnd.studies.statistics import compare_pairs
from jnd.support.checkout import ROOT, read_data
from jnd.trajectory import Trajectory, relative_distance

MOMENTS = {"jnd": "x(K)", "end": "end"}  # when an image is measured: key -> title


def closeness(x0: Tensor, images: Tensor) -> dict[str, Tensor]:
    """How near images are to their originals, (B,) each; NaN where an image is NaN.

    The size of the change as a share of the original's norm, the largest change of a pixel in grey
    levels, what :func:`~jnd.metrics.scores` gives, and SSIM with its authors' Gaussian windows:
    Z. Wang et al., IEEE Trans. Image Processing 13(4), 2004, doi:10.1109/TIP.2003.819861.
    """
    change = (images - x0).double().flatten(1)
    of_authors = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    pairs = zip(x0.double().cpu().numpy(), images.double().cpu().numpy(), strict=True)
    ssim = [structural_similarity(*p, data_range=255, channel_axis=0, **of_authors) for p in pairs]
    return {
        "‖Δ‖ / ‖x‖": relative_distance(images.double(), x0.double()),
        "largest change": change.abs().amax(1),
        **scores(x0, images),
        "SSIM": change.new_tensor(ssim),
    }


def scores_of(arms: Mapping[str, Trajectory]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Moment -> arm -> metric -> one value per image, (B,)."""
    return {
        moment: {arm: scores(t.x0, getattr(t, f"x_{moment}")) for arm, t in arms.items()}
        for moment in MOMENTS
    }


def quality_table(
    paper: str | None, measured: Mapping[str, Any], images: slice = slice(None)
) -> pd.DataFrame:
    """The paper's Table I or II beside ours, which are means over the images that have a value.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml; None: ours alone, in dB only.
        measured: what :func:`scores_of` gives.
        images: over which of them to average.
    """
    columns = {
        f"{MOMENTS[moment]}, {arm}": {n: v[images].nanmean().item() for n, v in values.items()}
        for moment, by_arm in measured.items()
        for arm, values in by_arm.items()
    }
    table = pd.DataFrame(columns)
    if paper is None:
        return table
    table.loc["PSNR + 331.17 dB"] = table.loc["PSNR"] + INT64_DB
    printed = read_data("paper")["tables"][paper]
    for column, arm in enumerate(("with", "without")):
        values = {"PSNR": printed[arm]["PSNR"] - INT64_DB, "PSNR + 331.17 dB": printed[arm]["PSNR"]}
        values["VIF (early sewar)"] = printed[arm]["VIF"]  # nobody knows which of the two it is
        table.insert(column, f"paper, {arm}", table.index.map(printed[arm] | values))
    return table


def paired_table(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> pd.DataFrame:
    """Two arms on the same images, metric by metric (name -> (B,)), without those that lack one.

    ``p, Holm`` is corrected for the number of metrics. S. Holm, "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979.
    """
    rows = {}
    for name in METRICS:
        both = (first[name] - second[name]).isfinite()
        difference, p = compare_pairs(first[name], second[name])
        row: dict[str, float] = {"images": difference.n}
        for title, values in {"with": first[name], "without": second[name]}.items():
            row |= {title: values[both].mean().item(), f"{title}, sd": values[both].std().item()}
        row |= {"difference": difference.mean, "low": difference.low, "high": difference.high}
        rows[name] = row | {"p": p}
    table = pd.DataFrame.from_dict(rows, orient="index")
    order = table["p"].sort_values().index
    steps = (len(order) - pd.RangeIndex(len(order))).to_numpy()
    table.loc[order, "p, Holm"] = (table.loc[order, "p"] * steps).cummax().clip(upper=1)
    return table


def means(scored: Any) -> Any:
    """The mean over the images that have a value, of every tensor in nested dicts."""
    if isinstance(scored, Mapping):
        return {key: means(value) for key, value in scored.items()}
    return scored.nanmean()


def arm_values(arms: Mapping[str, Trajectory]) -> dict[str, dict[str, Any]]:
    """What metrics.json keeps of each arm's descent, one value per image."""
    return {
        arm: {
            "K": found.K,
            "jnd": found.jnd,
            "largest_change_at_K": (found.x_jnd - found.x0).abs().flatten(1).amax(1),
            "stays_adversarial": found.stays_adversarial,
            "noticed_at_end": found.noticed[-1],
            "target_confidence_at_end": found.confidence[-1, :, 1],
            "distance_at_end": found.distance[-1],
            "growth": found.distance[-1] / found.distance[len(found.distance) // 2],
            "bounded_range_at_end": bounded_range(found.x_end),
            "total_variation": total_variation(found.x0),
            "total_variation_at_end": total_variation(found.x_end),
        }
        for arm, found in arms.items()
    }


def print_tables(profile: str) -> None:
    """What ``make reproduce`` ends with."""
    results = ROOT / "results" / profile
    for title, file in {"I": "imagenet/table1.csv", "II": "cifar10/table2.csv"}.items():
        table = pd.read_csv(results / file, index_col=0)
        print(f"Table {title}, the paper's and ours:\n")
        print(table.to_string(float_format="{:.3f}".format), end="\n\n")
    made = [json.loads(path.read_text("utf-8")) for path in results.glob("*/metrics.json")]
    minutes = sum(metrics["provenance"]["seconds"] for metrics in made) / 60
    figures, tables = (len([*results.glob(f"*/*.{kind}")]) for kind in ("png", "csv"))
    book = ROOT / "book" / "_build" / "html"
    print(f"""{len(made)} notebooks took {minutes:.0f} min: {figures} figures, {tables} tables
  They are in: {results}
  The book, which judges claim by claim: {book / "index.html"}
  A photo of yours, in your browser: {book / "your-own-photo.html"}
  One notebook, with your parameters: {ROOT / "README.md"}, "By hand\"""")


if __name__ == "__main__":
    print_tables(sys.argv[1])
