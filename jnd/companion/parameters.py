"""A notebook's parameters: declared in its first cell, changed by a profile or by papermill."""

import ast
import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import yaml
from IPython import get_ipython

from jnd.support.checkout import ROOT


def profile_parameters(notebook: str, profile: str) -> dict[str, Any]:
    """The parameters of a notebook in a profile: its defaults and what the profile changes.

    Raises:
        ValueError: no such profile, or it sets a name that is no parameter.
    """
    declared = _declared_parameters(ROOT / "notebooks" / f"{notebook}.ipynb")
    folder = ROOT / "notebooks" / "params"
    profiles = sorted(path.name for path in folder.iterdir())
    if profile not in profiles:
        raise ValueError(f"unknown profile {profile!r}: use one of {', '.join(profiles)}")
    settings = yaml.safe_load((folder / profile / f"{notebook}.yaml").read_text("utf-8"))
    _refuse_unknown(settings.keys(), declared, notebook)
    return {name: value for name, (_, value) in declared.items()} | settings


def checked_parameters(notebook: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    declared = _declared_parameters(ROOT / "notebooks" / f"{notebook}.ipynb")
    _refuse_unknown(_injected_names(), declared, notebook)
    parameters = {name: namespace[name] for name in declared}
    for name, (kind, _) in declared.items():
        check_type(f"parameter {name}", parameters[name], kind)
    profile = parameters["profile"]
    if profile != "custom":
        of_profile = profile_parameters(notebook, profile) | {"output": parameters["output"]}
        if parameters != of_profile:
            parameters["profile"] = "custom"
    return parameters


def _refuse_unknown(names: Set[str], declared: Mapping[str, Any], notebook: str) -> None:
    if unknown := sorted(names - declared.keys()):
        raise ValueError(f"unknown parameter {unknown[0]}; {notebook} has {', '.join(declared)}")


def _declared_parameters(path: Path) -> dict[str, tuple[str, Any]]:
    """Name -> type and default, of the annotated assignments in the cell tagged ``parameters``."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    source = next(
        "".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", ())
    )
    declared = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
                declared[name] = ast.unparse(annotation), ast.literal_eval(value)
    return declared


def _injected_names() -> set[str]:
    """Names that papermill has set: it begins the cell it adds with the comment "# Parameters"."""
    shell = get_ipython()
    cells = [c for c in shell.user_ns["In"] if c.startswith("# Parameters\n")] if shell else []
    assigned = [s for c in cells for s in ast.parse(c).body if isinstance(s, ast.Assign)]
    return {target.id for s in assigned for target in s.targets if isinstance(target, ast.Name)}


def check_type(name: str, value: object, kind: str) -> None:
    """An int passes for a float.

    Raises:
        TypeError: the value is of another type than ``kind``.
    """
    given = type(value).__name__
    if given != kind and (given, kind) != ("int", "float"):
        raise TypeError(f"{name} = {value!r} must be of type {kind}")
