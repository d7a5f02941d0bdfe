"""A notebook's parameters: declared in its first cell, changed by a profile or by papermill."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from companion.checkout import ROOT

PARAMS = ROOT / "notebooks" / "params"
IPYTHONS_OWN = {"In", "Out"}
TYPES = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str}


def declared_parameters(notebook: str) -> dict[str, tuple[str, Any]]:
    """The type and default of each parameter of a notebook, by name."""
    import papermill  # takes a second, and the Snakefile needs check_type alone

    inspected = papermill.inspect_notebook(ROOT / "notebooks" / f"{notebook}.ipynb")
    return {
        name: (parameter["inferred_type_name"], ast.literal_eval(parameter["default"]))
        for name, parameter in inspected.items()
    }


def profile_settings(notebook: str, profile: str) -> dict[str, Any]:
    """What a profile changes of a notebook's parameters."""
    check_profile(profile)
    settings = yaml.safe_load((PARAMS / profile / f"{notebook}.yaml").read_text("utf-8"))
    declared = declared_parameters(notebook)
    refuse_unknown(settings, declared, notebook)
    for name, value in settings.items():
        check_type(f"parameter {name}", value, declared[name][0])
    return settings


def profile_parameters(notebook: str, profile: str) -> dict[str, Any]:
    """All parameters of a notebook in a profile."""
    defaults = {name: default for name, (_, default) in declared_parameters(notebook).items()}
    return defaults | profile_settings(notebook, profile)


def checked_parameters(notebook: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a running notebook; "custom" is its profile if any value differs from it.

    Args:
        notebook: its name.
        namespace: the notebook's ``globals()``, which so far hold parameters and imports only,
            unless the cell runs a second time.
    """
    declared = declared_parameters(notebook)
    if "run" not in namespace:
        values = {name for name, value in namespace.items() if type(value) in TYPES.values()}
        names = {name for name in values - IPYTHONS_OWN if not name.startswith("_")}
        refuse_unknown(names, declared, notebook)
    parameters = {name: namespace[name] for name in declared}
    for name, (kind, _) in declared.items():
        check_type(f"parameter {name}", parameters[name], kind)
    profile = parameters["profile"]
    if profile != "custom":
        expected = profile_parameters(notebook, profile) | {"output": parameters["output"]}
        if parameters != expected:
            parameters["profile"] = "custom"
    return parameters


def check_profile(profile: str) -> None:
    profiles = sorted(path.name for path in PARAMS.iterdir())
    if profile not in profiles:
        raise ValueError(f"unknown profile {profile!r}: use one of {', '.join(profiles)}")


def refuse_unknown(names: Iterable[str], declared: Mapping[str, Any], notebook: str) -> None:
    unknown = sorted(set(names) - declared.keys())
    if unknown:
        raise ValueError(f"unknown parameter {unknown[0]}; {notebook} has {', '.join(declared)}")


def check_type(name: str, value: object, kind: str) -> None:
    """Refuse a value of another type than ``kind``; an int passes for a float."""
    given = type(value).__name__
    if given != kind and (given, kind) != ("int", "float"):
        advice = ""
        if (given, kind) == ("str", "float"):
            advice = "; YAML reads 1e-3 as text: write 1.0e-3 or 0.001"
        elif kind == "str" and value is None:
            advice = '; write "" for none'
        elif kind == "str" and given in {"bool", "int", "float"}:
            advice = f'; in a YAML file write "{value}", on a command line ./{value} for a path'
        raise TypeError(f"{name} = {value!r} must be of type {kind}, not {given}{advice}")
