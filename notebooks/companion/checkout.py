"""The repository that these notebooks belong to, and the YAML files of its ``data/``."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


def data_folder() -> Path:
    """Return the repository's ``data/``."""
    return ROOT / "data"


@cache
def read_data(name: str) -> dict[str, Any]:
    """Return the content of a YAML file of ``data/``, such as ``"registry"`` or ``"paper"``."""
    return yaml.safe_load((data_folder() / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def read_measured(name: str) -> dict[str, Any]:
    """Return the metrics.json of a run on data that may not be passed on, ``data/measured/``."""
    return json.loads((data_folder() / "measured" / f"{name}.json").read_text(encoding="utf-8"))
