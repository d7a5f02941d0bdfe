"""What stands beside Table II: images at a printed PSNR that no network had a part in."""

import math

from torch import Tensor
from torch.nn.functional import interpolate

from jnd.cost import AnyCost
from jnd.descent import update
from jnd.machines import resized
from jnd.metrics import scores
from jnd.studies.distortions import noise_of


def regularisers_alone(x0: Tensor, cost: AnyCost, alpha: float, max_iter: int) -> Tensor:
    """x(N) of a descent on Eq. 1 whose Loss is nothing, (B, 3, H, W) in grey levels.

    Args:
        x0: (B, 3, H, W), grey levels.
        cost: with at least one weight above 0.
        alpha, max_iter: as :func:`~jnd.descent.find_jnd` takes them.
    """
    x = x0
    for _ in range(max_iter):
        x = x.detach().requires_grad_()
        x = update(x, cost(x.new_zeros(len(x)), x, x0), alpha)
    return x


def pull_at_rest(decibels: float, pixels: int, squared_distance: float) -> float:
    """The least gradient that holds an image at this PSNR against λ, its norm for pixels in 0..1.

    A steady gradient rests at 2 λ r = g, and the PSNR is −20 lg (‖r‖ / √pixels). One that turns has
    to be longer, see :func:`~jnd.studies.derivation.rest`.

    Args:
        decibels: the PSNR.
        pixels: of an image, its channels counted one by one: 3 · H · W.
        squared_distance: λ, for pixels in 0..1.
    """
    return 2 * squared_distance * math.sqrt(pixels) * 10 ** (-decibels / 20)


def yardsticks(
    x0: Tensor, decibels: float, cost: AnyCost, alpha: float, max_iter: int, side: int = 299
) -> dict[str, dict[str, Tensor]]:
    """What :func:`~jnd.metrics.scores` gives for noise and for the regularisers alone, by name.

    Args:
        x0: (B, 3, H, W), grey levels.
        decibels: PSNR of the noise.
        cost, alpha, max_iter: as :func:`regularisers_alone` takes them.
        side: to which the photos are enlarged for two of the rows, pixels.
    """
    enlarged = {
        "noise, the photo as it is": x0,
        f"noise, enlarged to {side} px, bilinear": resized(x0, (side, side)),
        f"noise, enlarged to {side} px, nearest": interpolate(x0, (side, side)),
    }
    rows = {name: scores(x, noise_of(x, decibels)) for name, x in enlarged.items()}
    alone = regularisers_alone(x0, cost, alpha, max_iter)
    return rows | {"regularisers alone, no network": scores(x0, alone)}
