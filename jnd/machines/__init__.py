"""Machines: frozen networks with their preprocessing inside, as a descent takes them."""

from jnd.machines.classifiers import load_machine
from jnd.machines.detectors import Detector, DetectorOutput, load_detector
from jnd.machines.machine import Machine, prepare, rightly_named
from jnd.machines.networks import frozen, resized
from jnd.machines.plane import Plane
from jnd.machines.planted import ClassInRegion, Planted, PlantedBox, plant

__all__ = [
    "ClassInRegion",
    "Detector",
    "DetectorOutput",
    "Machine",
    "Plane",
    "Planted",
    "PlantedBox",
    "frozen",
    "load_detector",
    "load_machine",
    "plant",
    "prepare",
    "resized",
    "rightly_named",
]
