"""Just noticeable difference for machines (Akan, Genc and Yarman Vural, ICIP 2020).

The method in the order of the paper: :mod:`jnd.cost` (Eq. 1, 5 and 6), :mod:`jnd.descent` (Eq. 2
and 3), :mod:`jnd.trajectory` (K, x(K) and Eq. 4), :mod:`jnd.objectives`, :mod:`jnd.metrics`.
"""

from jnd import cost, metrics, objectives
from jnd.attack import attack
from jnd.cost import Cost
from jnd.descent import find_jnd, update
from jnd.detectors import Detector
from jnd.machine import Machine, prepare
from jnd.pictures import save_png
from jnd.trajectory import DivergedError, Trajectory

__all__ = [
    "Cost",
    "Detector",
    "DivergedError",
    "Machine",
    "Trajectory",
    "attack",
    "cost",
    "find_jnd",
    "metrics",
    "objectives",
    "prepare",
    "save_png",
    "update",
]
