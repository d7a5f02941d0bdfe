"""Just noticeable difference for machines (Akan, Genc and Yarman Vural, ICIP 2020)."""

from jnd.cost import Cost
from jnd.descent import DivergedError, Trajectory, find_arms, find_jnd
from jnd.detectors import Detector, load_detector
from jnd.machines import Machine, load_machine

__all__ = [
    "Cost",
    "Detector",
    "DivergedError",
    "Machine",
    "Trajectory",
    "find_arms",
    "find_jnd",
    "load_detector",
    "load_machine",
]
