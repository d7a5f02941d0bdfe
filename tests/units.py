"""Weights and learning rates for grey levels, in which the closed forms of the tests are."""

from jnd.cost import WHITE, Cost

GREY = WHITE**2  # alpha for grey levels is this times that for pixels in 0..1


def grey_cost(squared_distance: float, bounded_range: float, total_variation: float) -> Cost:
    return Cost(squared_distance * GREY, bounded_range * WHITE, total_variation * GREY)
