"""Tables: the paper's numbers beside ours.

``python -m companion.tables PROFILE`` prints Tables I and II, and where everything else is.
"""

import json
import math
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import sewar
import torch
from scipy.stats import binomtest
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from companion.checkout import ROOT, read_data
from companion.statistics import compare_pairs, mean_interval
from companion.style import ARM_NAMES
from jnd.cost import bounded_range, total_variation
from jnd.metrics import INT64_DB, METRICS, all_metrics
from jnd.trajectory import Trajectory, relative_distance

MOMENTS = {"jnd": "x(K)", "end": "end", "matched": "matched by choice"}
"""When an image is measured -> its title; the last is a run stopped where it meets the paper."""
LOSSES = {"SSIM": "1 − SSIM", "VIF": "1 − VIF", "change": "‖Δ‖ / ‖x‖"}
SEWAR = {
    "PSNR": partial(sewar.psnr, MAX=255),
    "UQI": sewar.uqi,
    "SCC": sewar.scc,
    "VIF": sewar.vifp,
}


def similarity(x0: Tensor, images: Tensor) -> dict[str, Tensor]:
    """How similar images are to their originals, (B,) each; NaN where an image is NaN.

    The size of the change as a share of the original's norm, the largest change of a pixel in grey
    levels, everything in :func:`~jnd.metrics.all_metrics`, and SSIM with its authors' Gaussian
    windows: Z. Wang et al., IEEE Trans. Image Processing 13(4), 2004, doi:10.1109/TIP.2003.819861.
    """
    change = (images - x0).double().flatten(1)
    ssim = [
        structural_similarity(
            *pair,
            data_range=255,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in zip(x0.double().cpu().numpy(), images.double().cpu().numpy(), strict=True)
    ]
    return {
        "‖Δ‖ / ‖x‖": relative_distance(images.double(), x0.double()),
        "largest change": change.abs().amax(1),
        **all_metrics(x0, images),
        "SSIM": change.new_tensor(ssim),
    }


def metrics_by_moment(arms: Mapping[str, Trajectory]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Moment -> arm -> metric -> one value per image, (B,)."""
    return {
        moment: {arm: all_metrics(t.x0, getattr(t, f"x_{moment}")) for arm, t in arms.items()}
        for moment in ("jnd", "end")
    }


def gain(quality: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """What all three terms add to each metric, with − without, by moment: one value per image.

    Args:
        quality: the result of :func:`metrics_by_moment`.
    """
    return {
        moment: {
            name: quality[moment]["full"][name] - quality[moment]["none"][name] for name in METRICS
        }
        for moment in ("jnd", "end")
    }


def metrics_by_sewar(
    x0: Tensor, images: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, dict[str, dict[str, Tensor]]]:
    """The paper's four metrics by sewar, as :func:`metrics_by_moment` has them.

    Slow: most of a second for a photo of 224×224 pixels.

    Args:
        x0: (B, 3, H, W), grey levels.
        images: moment -> arm -> images of the same shape.
    """
    return {
        moment: {arm: _by_sewar(x0, x) for arm, x in by_arm.items()}
        for moment, by_arm in images.items()
    }


def _by_sewar(x0: Tensor, images: Tensor) -> dict[str, Tensor]:
    references, distorted = (x.double().cpu().permute(0, 2, 3, 1).numpy() for x in (x0, images))
    return {
        name: torch.tensor([metric(*pair) for pair in zip(references, distorted, strict=True)])
        for name, metric in SEWAR.items()
    }


def metrics_table(
    paper: str | None,
    measured: Mapping[str, Any],
    images: slice = slice(None),
    *,
    by_sewar: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """The paper's Table I or II above ours, which are means over the images that have a value.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml; None: ours alone, in dB only.
        measured: result of :func:`metrics_by_moment`.
        images: over which of them to average.
        by_sewar: the result of :func:`metrics_by_sewar`, for rows of its own.
    """
    rows: dict[str, Mapping[str, float]] = {}
    if paper:
        for arm in ("with", "without"):
            printed = read_data("paper")["tables"][paper][arm]
            rows[f"paper, {arm}"] = {
                **printed,
                "PSNR": printed["PSNR"] - INT64_DB,
                "VIF (early sewar)": printed["VIF"],  # which of the two VIFs is not known
            }
    rows |= _mean_rows(measured, images)
    for title, means_by_sewar in _mean_rows(by_sewar or {}, images).items():
        rows[f"{title}, by sewar"] = means_by_sewar
    table = pd.DataFrame.from_dict(rows, orient="index")
    if paper:
        table["PSNR + 331.17 dB"] = table["PSNR"] + INT64_DB
    return table


def _mean_rows(measured: Mapping[str, Any], images: slice) -> dict[str, dict[str, float]]:
    """A row of means for each arm at each moment."""
    rows = {}
    for moment, arms in measured.items():
        for arm, metrics in arms.items():
            rows[f"{MOMENTS[moment]}, {arm_title(arm)}"] = {
                name: values[images].nanmean().item() for name, values in metrics.items()
            }
    return rows


def arm_title(arm: str) -> str:
    """The name of an arm for a reader, also behind that of a loss, as in "box, full"."""
    *loss, code = arm.split(", ")
    return ", ".join([*loss, ARM_NAMES[code]])


def paired_table(
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    clusters: Tensor | None = None,
) -> pd.DataFrame:
    """Two arms on the same images, metric by metric (name -> (B,)); pairs lacking a value omitted.

    ``clusters`` are as :func:`~companion.statistics.mean_interval` takes them.

    ``p, Holm`` is corrected for the number of metrics. S. Holm, "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979.
    """
    rows = {}
    for name in METRICS:
        both = (first[name] - second[name]).isfinite()
        difference, p = compare_pairs(first[name], second[name], clusters)
        row: dict[str, float] = {"images": difference.n}
        for title, values in {"with": first[name], "without": second[name]}.items():
            row |= {title: values[both].mean().item(), f"{title}, sd": values[both].std().item()}
        row |= {"difference": difference.mean, "low": difference.low, "high": difference.high}
        row["median"] = (first[name] - second[name])[both].median().item()
        rows[name] = row | {"p": p}
    table = pd.DataFrame.from_dict(rows, orient="index")
    order = table["p"].sort_values().index
    steps = (len(order) - pd.RangeIndex(len(order))).to_numpy()
    table.loc[order, "p, Holm"] = (table.loc[order, "p"] * steps).cummax().clip(upper=1)
    return table


def ratio_table(ratios: Mapping[str, Mapping[str, Tensor]]) -> pd.DataFrame:
    """How much more each attack changes or loses than x(K), photo by photo.

    ``p`` is of a two-sided sign test over the photos that have a ratio; the others count as less.

    Args:
        ratios: a key of ``LOSSES`` -> attack -> its loss over that of x(K), (B,); NaN where either
            has not flipped.
    """
    rows = {}
    for quantity, by_attack in ratios.items():
        for attack, values in by_attack.items():
            known = values[values.isfinite()]
            more = int((known > 1).sum())
            factor = mean_interval(known.log())
            rows[LOSSES[quantity], attack] = {
                "more than x(K)": f"{more} of {len(values)}",
                "factor": math.exp(factor.mean),
                "low": math.exp(factor.low),
                "high": math.exp(factor.high),
                "p": binomtest(more, len(known)).pvalue if len(known) else math.nan,
            }
    return pd.DataFrame(rows).T


def means(measured: Any) -> Any:
    """Replace every tensor in nested dicts by the mean over the images that have a value."""
    if isinstance(measured, Mapping):
        return {key: means(value) for key, value in measured.items()}
    return measured.nanmean()


def arm_values(arms: Mapping[str, Trajectory]) -> dict[str, dict[str, Any]]:
    """The values that metrics.json keeps of each arm's descent, one per image."""
    return {
        arm: {
            "K": trajectory.K,
            "jnd": trajectory.jnd,
            "largest_change_at_K": (trajectory.x_jnd - trajectory.x0).abs().flatten(1).amax(1),
            "stays_adversarial": trajectory.stays_adversarial.double().where(
                trajectory.K >= 0, torch.nan
            ),
            "noticed_at_end": trajectory.noticed[-1],
            "target_confidence_at_end": trajectory.confidence[-1, :, 1],
            "distance_at_end": trajectory.distance[-1],
            "growth": trajectory.distance[-1] / trajectory.distance[len(trajectory.distance) // 2],
            "bounded_range_at_end": bounded_range(trajectory.x_end),
            "total_variation": total_variation(trajectory.x0),
            "total_variation_at_end": total_variation(trajectory.x_end),
        }
        for arm, trajectory in arms.items()
    }


def confidence_at_K(trajectory: Trajectory) -> Tensor:
    """M's confidence in its new answer for x(K), (B,); NaN where K is -1."""
    K = trajectory.K.clamp(min=0)
    at_K = trajectory.confidence[K, torch.arange(len(K)), 1]
    return at_K.masked_fill(trajectory.K < 0, torch.nan)


@torch.no_grad()
def flips(machine: nn.Module, label: Tensor, images: Tensor) -> Tensor:
    """Whether the machine's answer differs from the label (B,); False for an image of NaN: (B,)."""
    return images.isfinite().flatten(1).all(1) & (machine(images).argmax(1) != label)


def print_tables(profile: str) -> None:
    """Print Tables I and II of a profile's results and where to look next."""
    results = ROOT / "results" / profile
    for title, file in {"I": "imagenet/table1.csv", "II": "cifar10/table2.csv"}.items():
        table = pd.read_csv(results / file, index_col=0)
        print(f"Table {title}, the paper's and ours:\n")
        print(table.to_string(float_format="{:.3f}".format, na_rep=""), end="\n\n")
    metrics = [json.loads(path.read_text("utf-8")) for path in results.glob("*/metrics.json")]
    minutes = sum(content["provenance"]["seconds"] for content in metrics) / 60
    figures = len([*results.glob("*/*.png")])
    tables = len([*results.glob("*/*.csv")])
    book = ROOT / "book" / "_build" / "html"
    print(f"""{len(metrics)} notebooks took {minutes:.0f} min: {figures} figures, {tables} tables
  They are in: {results}
  The book, which judges claim by claim: {book / "index.html"}
  A photo of yours, in your browser: {book / "your-own-photo.html"}
  One notebook, with your parameters: {ROOT / "README.md"}, "By hand\"""")


if __name__ == "__main__":
    print_tables(sys.argv[1])
