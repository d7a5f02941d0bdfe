"""Weights and learning rates in grey levels, the unit of the tests' closed forms."""

from jnd.cost import WHITE, Cost

GREY = WHITE**2  # alpha for grey levels is this times alpha for pixels in 0..1


def grey_cost(squared_distance: float, bounded_range: float, total_variation: float) -> Cost:
    """Return the cost whose weights for grey levels are these."""
    return Cost(squared_distance * GREY, bounded_range * WHITE, total_variation * GREY)
