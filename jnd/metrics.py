"""PSNR, UQI, SCC and VIF, the similarity metrics of Tables I and II.

All four take a reference and a distorted image, tensors (B, C, H, W) of any real dtype, in grey
levels 0..255, and return one value per image, (B,), in float64 on the device of the input. They
compute in float64 whatever the input's dtype and carry no gradient. Colour images are measured
channel by channel and averaged, as in sewar, whose values they reproduce. They differ from it only
where sewar divides rounding errors by rounding errors, in areas that are exactly flat or black (its
UQI and SCC of some float64 images): these are recognised here.

All raise ValueError for shapes that differ or are not (B, C, H, W), for pixels that are NaN or
infinite, and for images smaller than their windows.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

WINDOW = 8  # side of the square windows of UQI and SCC, pixels; a power of two
VIF_WINDOWS = (17, 9, 5, 3)  # sides of the Gaussian windows of VIF, finest scale first, pixels
FLAT = 1e-10  # grey levels squared: smaller variances count as rounding error in VIF
EYE_NOISE = 2.0  # variance of the noise in the eye that VIF assumes, grey levels squared
INT64_DB = 20 * math.log10((2**63 - 1) / 255)
"""Excess in the PSNR of int64 images by sewar and scikit-image, which take MAX from the dtype."""


def psnr(reference: Tensor, distorted: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,), for a peak of 255: infinite for identical images."""
    reference, distorted = _checked(reference, distorted)
    error = (reference - distorted).square().mean(dim=(1, 2, 3))
    return 20 * math.log10(255.0) - 10 * error.log10()


def uqi(
    reference: Tensor,
    distorted: Tensor,
    *,
    form: Literal["sewar", "wang-bovik"] = "sewar",
) -> Tensor:
    """Universal quality index (Wang & Bovik 2002), (B,), in -1..1: 1 for identical images.

    The average, over all 8x8 windows of N = 64 pixels, of

        4 cov(x, y) mean(x) mean(y) / ((var(x) + var(y)) (mean(x)^2 + mean(y)^2)).

    form="wang-bovik" computes this; a factor 0/0 (both windows flat, or both black) counts as 1.
    form="sewar", needed for Tables I and II, puts the windows' means where the covariance and the
    variances have sums, which pulls the index towards 1, and omits the last row and column.

    The smallest image is 9x9 (sewar) or 8x8 (wang-bovik).

    Z. Wang, A. C. Bovik, "A universal image quality index", IEEE Signal Processing Letters 9(3),
    2002, doi:10.1109/97.995823.
    """
    if form not in ("sewar", "wang-bovik"):
        raise ValueError(f'form must be "sewar" or "wang-bovik", got {form!r}')
    as_sewar = form == "sewar"
    x, y = _checked(reference, distorted, "uqi", WINDOW + as_sewar)
    if as_sewar:
        x, y = x[..., :-1, :-1], y[..., :-1, :-1]
    # N mean(xy) - mean(x) mean(y) = (N^2 sum(xy) - sum(x) sum(y)) / N^2: as if N were N^2
    weight = WINDOW**4 if as_sewar else WINDOW**2
    sum_x, sum_y, var_x, var_y, cov = _moments(x, y, _window_sums, weight)
    structure = _ratio(2 * cov, var_x + var_y)
    index_map = _ratio(2 * sum_x * sum_y * structure, sum_x**2 + sum_y**2)
    return index_map.mean(dim=(1, 2, 3))


def scc(reference: Tensor, distorted: Tensor) -> Tensor:
    """Spatial correlation coefficient (Zhou, Civco & Silander 1998), (B,), in -1..1.

    The correlation of the two images' Laplacians in an 8x8 window around each pixel, averaged.
    As in sewar, pixels are repeated beyond the border for the Laplacian, which itself is 0 out
    there, and a window without detail in one of the images counts as 0: identical images reach 1
    only if no window is flat. The smallest image is 8x8.

    J. Zhou, D. L. Civco, J. A. Silander, "A wavelet transform method to merge Landsat TM and SPOT
    panchromatic data", Int. J. Remote Sensing 19(4), 1998, doi:10.1080/014311698215973.
    """
    x, y = _checked(reference, distorted, "scc", WINDOW)
    before = WINDOW // 2
    after = before - 1
    x, y = (pad(_laplacian(image), (before, after, before, after)) for image in (x, y))
    _, _, var_x, var_y, cov = _moments(x, y, _window_sums, WINDOW**2)
    scale = var_x.clamp(min=0).sqrt() * var_y.clamp(min=0).sqrt()
    return torch.where(scale == 0, 0, cov / scale).mean(dim=(1, 2, 3))


def vif(
    reference: Tensor,
    distorted: Tensor,
    *,
    form: Literal["sewar", "sewar 0.4.1"] = "sewar",
) -> Tensor:
    """Visual information fidelity in the pixel domain (Sheikh & Bovik 2006), (B,), from 0.

    The share of the reference's information that remains: 1 for identical images, above 1 for a
    gain in contrast. The noise of the eye is that of pixels 0..255, as in sewar: images in 0..1
    would come out far too good.

    Images need at least 25x25 pixels. Below 41x41 the coarsest windows exceed the reduced image
    and, as in sewar, zeros pad it. The black frame counts as detail, so don't compare such values
    across sizes.

    form="sewar 0.4.1" is sewar's version up to that release (March 2019): it divides the Gaussian
    means by the Gaussian's sum once more, so that most of the mean brightness counts as detail,
    which pulls the index towards 1; and it omits the scales that are smaller than their windows.

    A channel whose reference has no detail has no information to lose and counts as 1 (sewar:
    NaN).

    H. R. Sheikh, A. C. Bovik, "Image information and visual quality", IEEE Trans. Image
    Processing 15(2), 2006, doi:10.1109/TIP.2005.859378.
    """
    if form not in ("sewar", "sewar 0.4.1"):
        raise ValueError(f'form must be "sewar" or "sewar 0.4.1", got {form!r}')
    pair = torch.stack(_checked(reference, distorted, "vif", 25))
    kept = pair.new_zeros(pair.shape[1:3])
    total = kept.clone()
    for side in VIF_WINDOWS:
        taps = _gaussian(side)
        if side != VIF_WINDOWS[0]:
            pair = _filtered(pair, taps)[..., ::2, ::2]
        height, width = (max(0, side - size) for size in pair.shape[-2:])
        weight = 1.0
        if form == "sewar 0.4.1":
            if height or width:
                break
            weight = taps[side // 2] ** -2  # the Gaussian's sum where its middle is 1
        x, y = pad(pair, (width, width, height, height))
        moments = _moments(x, y, partial(_filtered, taps=taps), weight)
        var_x, var_y, cov = (moment / weight**2 for moment in moments[2:])
        var_x = var_x.masked_fill(var_x < FLAT, 0)
        gain = (cov / (var_x + FLAT)).clamp(min=0)
        noise = (var_y - gain * cov).clamp(min=FLAT)
        kept += torch.log1p(gain**2 * var_x / (noise + EYE_NOISE)).sum(dim=(-2, -1))
        total += torch.log1p(var_x / EYE_NOISE).sum(dim=(-2, -1))
    return _ratio(kept, total).mean(dim=1)


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "PSNR": psnr,
    "UQI": uqi,
    "SCC": scc,
    "VIF": vif,
}
"""The columns of Tables I and II, in their order."""


def table_metrics(reference: Tensor, distorted: Tensor) -> dict[str, Tensor]:
    """The metrics of Tables I and II by name, (B,) each."""
    return {name: metric(reference, distorted) for name, metric in METRICS.items()}


def all_metrics(reference: Tensor, distorted: Tensor) -> dict[str, Tensor]:
    """The metrics of Tables I and II, and UQI and VIF in their other forms, (B,) each.

    A distorted image of NaN gives NaN.
    """
    finite = distorted.isfinite().flatten(1).all(1)
    x = reference[finite]
    y = distorted[finite]
    measured = table_metrics(x, y) | {
        "UQI (Wang and Bovik)": uqi(x, y, form="wang-bovik"),
        "VIF (early sewar)": vif(x, y, form="sewar 0.4.1"),
    }
    unknown = torch.full((len(reference),), torch.nan, dtype=torch.float64, device=reference.device)
    return {name: unknown.masked_scatter(finite, values) for name, values in measured.items()}


def _checked(
    reference: Tensor, distorted: Tensor, metric: str = "", smallest: int = 1
) -> tuple[Tensor, Tensor]:
    """Both images in float64 without gradient, or a ValueError that says what is wrong."""
    if reference.ndim != 4 or reference.shape != distorted.shape:
        raise ValueError(
            "reference and distorted must have one shape (B, C, H, W), got "
            f"{tuple(reference.shape)} and {tuple(distorted.shape)}"
        )
    height, width = reference.shape[-2:]
    if min(height, width) < smallest:
        raise ValueError(
            f"{metric} needs images of at least {smallest}x{smallest} pixels, got "
            f"{height}x{width}: enlarge both images alike, or omit {metric}"
        )
    for name, images in (("reference", reference), ("distorted", distorted)):
        broken = (~images.isfinite().flatten(1).all(dim=1)).nonzero().flatten().tolist()
        if broken:
            raise ValueError(f"{name} has NaN or infinite pixels (images {broken} of the batch)")
    return reference.detach().double(), distorted.detach().double()


def _moments(
    x: Tensor, y: Tensor, windowed: Callable[[Tensor], Tensor], weight: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Per window: sum(x), sum(y), then var(x), var(y) and cov(x, y) times weight^2.

    `windowed` takes the sums, and `weight` is the sum of its window's weights.
    """
    sum_x = windowed(x)
    sum_y = windowed(y)
    var_x = weight * windowed(x * x) - sum_x * sum_x
    var_y = weight * windowed(y * y) - sum_y * sum_y
    cov = weight * windowed(x * y) - sum_x * sum_y
    return sum_x, sum_y, var_x, var_y, cov


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, 1 where the denominator is 0: nothing there to be different."""
    return torch.where(denominator == 0, 1, numerator / denominator)


def _window_sums(x: Tensor) -> Tensor:
    """Sums over all windows of WINDOW x WINDOW pixels that fit: (..., H - 7, W - 7).

    Doubling takes 3 additions per axis and is exact on flat windows, which 0/0 cases rely on.
    """
    for dim in (-2, -1):
        for half in (1, 2, 4):
            size = x.shape[dim] - half
            x = x.narrow(dim, 0, size) + x.narrow(dim, half, size)
    return x


def _laplacian(x: Tensor) -> Tensor:
    """The sum of a pixel's 8 neighbours minus 8 times itself, border pixels repeated.

    Made of second differences, it is exactly 0 where the image is flat.
    """
    x = pad(x, (1, 1, 1, 1), mode="replicate")
    across = x.diff(n=2, dim=-1)
    down = x.diff(n=2, dim=-2)
    return 3 * (across[..., 1:-1, :] + down[..., 1:-1]) + across.diff(n=2, dim=-2)


def _gaussian(side: int) -> list[float]:
    """The weights of VIF's window along one axis: standard deviation side / 5, sum 1."""
    weights = [math.exp(-0.5 * (5 * (i - side // 2) / side) ** 2) for i in range(side)]
    return [weight / sum(weights) for weight in weights]


def _filtered(x: Tensor, taps: Sequence[float]) -> Tensor:
    """Weighted sums along both image axes over all windows that fit.

    In-place additions are much faster than conv2d, which has no quick float64 path on a CPU.
    """
    for dim in (-2, -1):
        size = x.shape[dim] - len(taps) + 1
        total = taps[0] * x.narrow(dim, 0, size)
        for start, tap in enumerate(taps[1:], 1):
            total.add_(x.narrow(dim, start, size), alpha=tap)
        x = total
    return x
