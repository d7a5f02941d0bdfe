"""Every figure of the notebooks, one function each."""

from jnd.companion.figures.beyond import (
    against_gradients,
    beside_noise,
    dependence,
    jnd_distribution,
    multiverse,
    psychometric_functions,
    side_by_side,
    weber,
)
from jnd.companion.figures.experiments import (
    confidence_curves,
    detections,
    first_flips,
    gallery,
    paired_differences,
    perturbations,
)
from jnd.companion.figures.idea import paths_in_the_plane, psychometric, ways
from jnd.companion.figures.pictures import pictures_found, shrinking_steps, survival
from jnd.companion.figures.readings import against_alpha, predictions, relative_outcomes

__all__ = [
    "against_alpha",
    "against_gradients",
    "beside_noise",
    "confidence_curves",
    "dependence",
    "detections",
    "first_flips",
    "gallery",
    "jnd_distribution",
    "multiverse",
    "paired_differences",
    "paths_in_the_plane",
    "perturbations",
    "pictures_found",
    "predictions",
    "psychometric",
    "psychometric_functions",
    "relative_outcomes",
    "shrinking_steps",
    "side_by_side",
    "survival",
    "ways",
    "weber",
]
