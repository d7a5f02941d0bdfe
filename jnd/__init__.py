"""Just noticeable difference for machines (Akan, Genc and Yarman Vural, ICIP 2020).

The method in the order of the paper: :mod:`jnd.cost` (Eq. 1, 5 and 6), :mod:`jnd.descent` (Eq. 2
and 3), :mod:`jnd.trajectory` (K, x(K) and Eq. 4), :mod:`jnd.objectives`, :mod:`jnd.metrics`.
"""

from jnd import cost, datasets, descent, machines, metrics, objectives, trajectory
from jnd.cost import Cost
from jnd.datasets import save_png
from jnd.descent import find_arms, find_jnd, update
from jnd.machines import Detector, Machine, load_detector, load_machine, prepare
from jnd.trajectory import DivergedError, Trajectory

__all__ = [
    "Cost",
    "Detector",
    "DivergedError",
    "Machine",
    "Trajectory",
    "cost",
    "datasets",
    "descent",
    "find_arms",
    "find_jnd",
    "load_detector",
    "load_machine",
    "machines",
    "metrics",
    "objectives",
    "prepare",
    "save_png",
    "trajectory",
    "update",
]
