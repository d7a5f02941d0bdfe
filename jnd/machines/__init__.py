"""Machines: frozen networks with their preprocessing inside, as a descent takes them."""

from jnd.machines.classifiers import load_machine
from jnd.machines.detectors import Detector, DetectorOutput, load_detector
from jnd.machines.machine import Machine, prepare, rightly_named
from jnd.machines.networks import frozen, resized
from jnd.machines.plane import Plane
from jnd.machines.planted import BestBox, Planted, PlantedBox, PlantedClass, TrainingLoss, plant

__all__ = [
    "BestBox",
    "Detector",
    "DetectorOutput",
    "Machine",
    "Plane",
    "Planted",
    "PlantedBox",
    "PlantedClass",
    "TrainingLoss",
    "frozen",
    "load_detector",
    "load_machine",
    "plant",
    "prepare",
    "resized",
    "rightly_named",
]
