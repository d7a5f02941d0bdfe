"""What the main reading must give, from M's gradient alone: K, the way after it, and the rest.

Away from the label y, the loss of Eq. 1 is ln p(y). Its gradient is (1 − p(y)) ∂m/∂x, with the
log-odds m = ln p(y) / (1 − p(y)). Lengths and rates are for pixels in 0..1, as the weights are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from jnd.cost import WHITE
from jnd.machines.networks import frozen


@dataclass(frozen=True)
class Slope:
    """What M says of images, and how steeply that changes with them.

    Attributes:
        log_odds: (B,), m.
        runner_up: (B,), q, the strongest other class's share of what is not the label's, 0..1.
        gradient: (B, 3, H, W), ∂m/∂x, for pixels in 0..1.
    """

    log_odds: Tensor
    runner_up: Tensor
    gradient: Tensor

    @property
    def steepness(self) -> Tensor:
        """g = ‖∂m/∂x‖, (B,)."""
        return vector_norm(self.gradient.flatten(1), dim=1)

    def aligned(self, change: Tensor) -> Tensor:
        """c, cosine of the angle between −∂m/∂x and a change (B, 3, H, W): (B,)."""
        return torch.cosine_similarity(-self.gradient.flatten(1), change.flatten(1))


def slope(machine: nn.Module, x: Tensor, label: Tensor) -> Slope:
    """Of images x (B, 3, H, W) in grey levels and their labels (B,)."""
    x = x.detach().requires_grad_()
    with frozen(machine), torch.enable_grad():
        logits = machine(x)
        others = logits.scatter(1, label[:, None], -torch.inf)
        log_odds = logits.gather(1, label[:, None])[:, 0] - others.logsumexp(1)
        (gradient,) = torch.autograd.grad(log_odds.sum(), x)
    return Slope(log_odds.detach(), others.detach().softmax(1).amax(1), WHITE * gradient)


def updates_to_K(at_x0: Slope, steepness: Tensor, alpha: float) -> Tensor:
    """K of a descent on the loss alone, (B,), if M were equally steep all the way.

    An update lowers m by α g² (1 − p(y)), hence (1 + eᵐ) dm = −α g² dk. The answer changes at
    m = ln q, where the label is as likely as the runner-up, if q stays what it is. From m(0) to
    there, K = (eᵐ⁽⁰⁾ − q + m(0) − ln q) / (α g²): a plateau as long as the label is likely.

    Args:
        at_x0: what M says of x(0).
        steepness: g, (B,).
        alpha: learning rate, for pixels in 0..1.
    """
    m, q = at_x0.log_odds, at_x0.runner_up
    return (m.exp() - q + m - q.log()) / (alpha * steepness**2)


def rest(steepness: Tensor, aligned: Tensor, alpha: float, squared_distance: float) -> Tensor:
    """‖x − x(0)‖ that a descent no longer changes, once the label is hopeless: (B,).

    An update makes of the way r a way of ‖(1 − 2αλ) r + α g‖, whose square is r² again where
    4λ r² = α g² + 2 g c r, but for parts in α λ. So r = g (c + √(c² + 4αλ)) / 4λ. Of steady
    gradients, c = 1, and small steps that is g / 2λ, where loss and distance balance; gradients
    that turn at every step, c = 0, throw the image about at g √(α / 4λ).

    Args:
        steepness: g, (B,).
        aligned: c, (B,), cosine between x − x(0) and where the loss pushes.
        alpha: learning rate, for pixels in 0..1.
        squared_distance: λ.
    """
    root = (aligned**2 + 4 * alpha * squared_distance).sqrt()
    return steepness * (aligned + root) / (4 * squared_distance)
