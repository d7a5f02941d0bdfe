"""The regularisers of Eq. 1 without a machine, to compare with."""

from torch import Tensor

from jnd.cost import Cost
from jnd.descent import update


def regularisers_alone(x0: Tensor, cost: Cost, alpha: float, max_iter: int) -> Tensor:
    """x(N) of a descent on Eq. 1 whose Loss is zero, (B, 3, H, W) in grey levels.

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
