"""The study of CIFAR-10: its images, what the printed numbers can be, and the paired test."""

import math
from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import interpolate

from companion.distortions import noise_of
from companion.style import BLUE, GREY, ORANGE, panels, styled
from companion.yardsticks import regularisers_alone
from jnd.cost import Cost
from jnd.metrics import all_metrics
from jnd.networks import resized


@torch.no_grad()
def first_correct(machine: nn.Module, images: Tensor, labels: Tensor, count: int) -> Tensor:
    """Numbers of the first images that M classifies correctly, (count,) int64.

    Only for those does a change of answer mean something.

    Args:
        machine: maps pixels (B, 3, H, W) to logits.
        images: (N, 3, H, W), of any real dtype, on any device.
        labels: (N,) int64.
        count: how many are wanted.

    Raises:
        ValueError: M is right less often than not, so the labels are not its classes; or there
            are fewer than ``count``.
    """
    device = next(machine.buffers()).device
    correct: list[int] = []
    checked = 0
    for chunk, expected in zip(images.split(100), labels.split(100), strict=True):
        hits = machine(chunk.to(device, torch.float32)).argmax(1).cpu() == expected
        correct += (hits.nonzero().flatten() + checked).tolist()
        checked += len(chunk)
        if len(correct) >= count:
            break
    if 2 * len(correct) < checked:
        raise ValueError(
            f"the machine agrees with only {len(correct)} of the first {checked} labels: are they "
            "in the order of its categories, and do they belong to these images?"
        )
    if len(correct) < count:
        raise ValueError(
            f"the machine classifies {len(correct)} of {checked} images correctly, "
            f"{count} are needed"
        )
    return torch.tensor(correct[:count])


def yardsticks(
    x0: Tensor, decibels: float, cost: Cost, alpha: float, max_iter: int, side: int = 299
) -> dict[str, dict[str, Tensor]]:
    """The metrics of noise and of the regularisers alone, images that no network had a part in.

    Args:
        x0: (B, 3, H, W), grey levels.
        decibels: PSNR of the noise.
        cost, alpha, max_iter: as :func:`~companion.yardsticks.regularisers_alone` takes them.
        side: to which the photos are enlarged for two of the rows, pixels.

    Returns:
        name -> the result of :func:`~jnd.metrics.all_metrics`.
    """
    photos = {
        "noise, the photo as it is": x0,
        f"noise, enlarged to {side} px, bilinear": resized(x0, (side, side)),
        f"noise, enlarged to {side} px, nearest": interpolate(x0, (side, side)),
    }
    rows = {}
    for name, x in photos.items():
        # the windows of one enlarged photo at a time, to save memory
        pairs = zip(x.split(1), noise_of(x, decibels).split(1), strict=True)
        values = [all_metrics(*pair) for pair in pairs]
        rows[name] = {metric: torch.cat([v[metric] for v in values]) for metric in values[0]}
    alone = regularisers_alone(x0, cost, alpha, max_iter)
    return rows | {"regularisers alone, no network": all_metrics(x0, alone)}


def pull_at_rest(decibels: float, pixels: int, squared_distance: float) -> float:
    """The least gradient that holds an image at this PSNR against λ, its norm for pixels in 0..1.

    A steady gradient rests at 2 λ r = g, and the PSNR is −20 lg (‖r‖ / √pixels). One that turns has
    to be longer, see :func:`~companion.studies.derivation.rest`.

    Args:
        decibels: the PSNR.
        pixels: of an image, its channels counted one by one: 3 · H · W.
        squared_distance: λ, for pixels in 0..1.
    """
    return 2 * squared_distance * math.sqrt(pixels) * 10 ** (-decibels / 20)


@styled
def paired_differences(differences: Mapping[str, Tensor], test: pd.DataFrame) -> Figure:
    """With − without, image by image in ascending order, with the mean and its interval.

    A panel for each metric.

    Args:
        differences: metric -> (B,).
        test: the result of :func:`~companion.tables.paired_table`.
    """
    figure, axes = panels(1, len(differences), 2.3)
    for axis, (name, values) in zip(axes[0], differences.items(), strict=True):
        row = test.loc[name]
        axis.axhline(0, color=GREY, linewidth=1)
        axis.axhline(row["difference"], color=ORANGE)
        axis.axhspan(row["low"], row["high"], color=ORANGE, alpha=0.3, linewidth=0)
        axis.plot(values[values.isfinite()].sort().values.cpu(), ".", color=BLUE, markersize=4)
        axis.set(title=f"{name}{', dB' if name == 'PSNR' else ''}", xlabel="images")
    axes[0, 0].set_ylabel("with − without")
    return figure
