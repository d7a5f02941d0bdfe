"""What people would see, as predicted by ColorVideoVDP, a calibrated model of human vision.

It answers in JOD, just-objectionable differences: 10 is the original; at 9, 75 % of observers
choose the original in a pair, the usual threshold where there are two answers to choose from.

R. K. Mantiuk, P. Hanji, M. Ashraf, Y. Asano, A. Chapiro, "ColorVideoVDP: A visual difference
predictor for image, video and display distortions", ACM Trans. Graphics 43(4), 2024,
doi:10.1145/3658144.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import pandas as pd
import torch
from torch import Tensor

from companion.bisection import bisect
from companion.style import is_small
from companion.tables import MOMENTS, arm_title
from jnd.trajectory import Recording

# the library imports torch's compiler of extensions, which would warn where there is no GPU
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
from pycvvdp import cvvdp  # noqa: E402

DISPLAYS = {
    "Full HD monitor": "standard_fhd",
    "4K monitor": "standard_4k",
    "phone": "iphone_12_pro",
}
"""Displays, by the model's names: 24 inches at 60 cm, 30 at 75 cm and 6.1 at 51 cm. A pixel of the
photo fills one of the display. The first has the coarsest pixels, so people see most on it."""
STRICTEST = "Full HD monitor"
SEEN = 9.0  # JOD
ENLARGED = 7  # times: 32 pixels become 224
HALVINGS = 5  # between two images of a path, or of white noise
NOISIEST = 128.0  # root mean square of the strongest noise tried, grey levels


@cache
def _model(display: str, device: torch.device, heatmap: str | None = None) -> cvvdp:
    return cvvdp(display_name=DISPLAYS[display], device=device, quiet=True, heatmap=heatmap)


@torch.no_grad()
def jod(x0: Tensor, images: Tensor, display: str = STRICTEST) -> Tensor:
    """Predict how good people find images next to their originals, JOD: (B,).

    Args:
        x0, images: (B, 3, H, W), grey levels; values outside 0..255 are shown as 0 or 255, and
            small images enlarged, as in the figures.
        display: one of ``DISPLAYS``.

    Returns:
        JOD at most 10; NaN where an image is NaN.
    """
    model = _model(display, x0.device)
    values = x0.new_full((len(x0),), torch.nan)
    for i in images.isfinite().flatten(1).all(1).nonzero().flatten().tolist():
        shown = _as_shown(images[i : i + 1])
        values[i], _ = model.predict(shown, _as_shown(x0[i : i + 1]), dim_order="BCHW")
    return values


def visibility(x0: Tensor, image: Tensor) -> Tensor:
    """Predict where people would see the change of an image, (3, H, W): JOD lost there, (H, W)."""
    model = _model(STRICTEST, x0.device, "raw")
    shown = _as_shown(image[None])
    _, details = model.predict(shown, _as_shown(x0[None]), dim_order="BCHW")
    return 10 * details["heatmap"][0, 0, 0].float()


def _as_shown(images: Tensor) -> Tensor:
    """Pixels of a display, 0..1; each pixel of a small image is a square of several."""
    shown = images.clamp(0, 255) / 255
    if is_small(images):
        shown = shown.repeat_interleave(ENLARGED, 2).repeat_interleave(ENLARGED, 3)
    return shown


def jod_by_moment(
    x0: Tensor, images: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Moment -> arm -> display -> JOD of each image, (B,), given moment -> arm -> images."""
    return {
        moment: {
            arm: {display: jod(x0, x, display) for display in DISPLAYS} for arm, x in arms.items()
        }
        for moment, arms in images.items()
    }


def lowest_jod(jods: Mapping[str, Mapping[str, Mapping[str, Tensor]]]) -> pd.DataFrame:
    """The lowest JOD of all images that have one, given the result of :func:`jod_by_moment`."""
    rows = {}
    for moment, by_arm in jods.items():
        for arm, by_display in by_arm.items():
            rows[f"{MOMENTS[moment]}, {arm_title(arm)}"] = {
                display: pd.Series(values.tolist(), dtype=float).min()  # NaN counts as missing
                for display, values in by_display.items()
            }
    return pd.DataFrame(rows).T


class Onlooker:
    """Ask the model about some images of a path, for ``find_jnd(..., watch=[onlooker])``.

    Between the last image judged invisible and the first judged visible the path is taken as
    straight, and the threshold is bisected there.

    Args:
        ks: the iterations, growing.
        quality: x(0) and images (B, 3, H, W) -> their JOD, (B,).

    Attributes:
        jods: (len(ks), B), once the descent is done.
        K: (B,) int64, where people would first notice, rounded up; -1: at none of ``ks``.
        x: (B, 3, H, W), the image at the threshold; NaN where K is -1.
    """

    jods: Tensor
    K: Tensor
    x: Tensor

    def __init__(self, ks: Sequence[int], quality: Callable[[Tensor, Tensor], Tensor] = jod):
        self.ks = [*ks]
        self.quality = quality

    def __call__(self, recording: Recording) -> None:
        k = recording.k
        if k not in self.ks:
            return
        x0 = recording.x0
        kept = recording.kept  # part of the recording's state, so that it survives a checkpoint
        self.jods = kept.setdefault("jod", x0.new_full((len(self.ks), len(x0)), torch.nan))
        self.K = kept.setdefault("K_of_people", torch.full_like(recording.K_unrounded, -1))
        self.x = kept.setdefault("x_of_people", torch.full_like(x0, torch.nan))
        number = self.ks.index(k)
        self.jods[number] = self.quality(x0, recording.shown)
        first = (self.jods[number] <= SEEN) & (self.K < 0)
        if first.any():
            before = kept.get("x_seen_before", x0)[first]
            k_before = self.ks[number - 1] if number else 0
            now = recording.shown[first]

            def between(share: Tensor) -> Tensor:
                return before + _per_image(share) * (now - before)

            none = x0.new_zeros(len(now))
            share = bisect(
                lambda s: self.quality(x0[first], between(s)) <= SEEN, none, none + 1, HALVINGS
            )
            self.x[first] = between(share)
            self.K[first] = (k_before + share * (k - k_before)).ceil().long()
        kept["x_seen_before"] = recording.shown.clone()


def noise_that_people_see(x0: Tensor) -> Tensor:
    """Photos with the weakest white noise that people would see, (B, 3, H, W), clipped to 0..255.

    The same draw for every photo, weaker or stronger; NaN where people would not see the strongest.
    """
    noise = torch.randn(x0.shape[1:], generator=torch.Generator().manual_seed(0)).to(x0)

    def noisy(size: Tensor) -> Tensor:
        return (x0 + _per_image(size) * noise).clamp(0, 255)

    def beyond(size: Tensor) -> Tensor:
        return jod(x0, noisy(size)) <= SEEN

    strongest = x0.new_full((len(x0),), NOISIEST)
    size = bisect(beyond, torch.zeros_like(strongest), strongest, 2 * HALVINGS)
    size = size.masked_fill(~beyond(strongest), torch.nan)
    return noisy(size)


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
