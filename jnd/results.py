"""What a notebook leaves behind: figures, tables and metrics.json, each with its provenance."""

import ast
import json
import math
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from IPython import get_ipython
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from torch import Tensor

from jnd.checkpoint import write_atomically
from jnd.datasets import DATA
from jnd.machines import Machine

ROOT = DATA.parent
PAPER = yaml.safe_load((DATA / "paper.yaml").read_text(encoding="utf-8"))
INT64_DB = 20 * math.log10((2**63 - 1) / 255)  # what an int64 image adds to sewar's PSNR
PACKAGES = ("jnd", "numpy", "torch", "torchvision")


class Run:
    """One execution of a notebook with its parameters; writes ``<output>/<profile>/<notebook>/``.

    A run with other parameters than its profile has is called ``custom``.

    Args:
        notebook: its name in notebooks/, without the ending.
        namespace: the notebook's ``globals()``, which hold the parameters.

    Raises:
        ValueError: papermill has set a name that is no parameter, or the profile is unknown.
        TypeError: a parameter has another type than its default.
    """

    def __init__(self, notebook: str, namespace: Mapping[str, Any]):
        self.notebook = notebook
        self.parameters = _checked_parameters(notebook, namespace)
        self.folder = ROOT / self.parameters["output"] / self.parameters["profile"] / notebook
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        self.subject: dict[str, Any] = {}

    def uses(self, machine: Machine, data_sha256: dict[str, str]) -> None:
        """Name the machine and the data that every figure and number from here on depends on."""
        self.subject = {
            "machine": machine.name,
            "machine_sha256": machine.sha256,
            "data_sha256": data_sha256,
            "device": _device_name(machine.mean.device),
        }

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "profile": self.parameters["profile"],
            "notebook": self.notebook,
            "parameters": self.parameters,
            **self.subject,
            "commit": _commit(),
            "packages": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
            "seconds": round(time.monotonic() - self.started, 1),
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }

    def line(self) -> str:
        return provenance_line(self.provenance)

    def show_figure(self, figure: Figure, name: str) -> None:
        """Save a figure as ``<name>.png`` and display that picture above its provenance."""
        buffer = BytesIO()
        figure.savefig(buffer, format="png", metadata={"Description": self.line()})
        write_atomically(self.folder / f"{name}.png", buffer.getvalue())
        display(Image(buffer.getvalue()), Markdown(f"*{self.line()}*"))

    def show_table(self, table: pd.DataFrame, name: str) -> None:
        """Save a table as ``<name>.csv`` and display it above its provenance."""
        write_atomically(self.folder / f"{name}.csv", table.to_csv().encode())
        display(table.style.format(_four_digits, na_rep="–"), Markdown(f"*{self.line()}*"))

    def checkpoint(self, name: str) -> Path:
        """Where a descent of this run may keep its state until the run is finished."""
        return self.folder / f"{name}.checkpoint"

    def finish(self, values: Mapping[str, Any]) -> None:
        """Write metrics.json; tensors become lists, and numbers that are not finite null."""
        content = {"provenance": self.provenance, "values": _plain(values)}
        write_atomically(self.folder / "metrics.json", json.dumps(content, indent=1).encode())
        for leftover in self.folder.glob("*.checkpoint"):
            leftover.unlink()


def provenance_line(provenance: Mapping[str, Any]) -> str:
    """A provenance in one line, for below a figure or table."""
    p = provenance
    return (
        f"Profile {p['profile']} · machine {p['machine']} {p['machine_sha256'][:8]} · "
        f"{len(p['data_sha256'])} photos · commit {p['commit'][:16]} · {p['date'][:10]}"
    )


def quality_table(paper: str, measured: Mapping[str, Mapping[str, Tensor]]) -> pd.DataFrame:
    """The paper's Table I or II beside ours, which are means over the images that have a value.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml.
        measured: column title -> metric name -> one value per image, (B,).
    """
    table = pd.DataFrame({
        title: {metric: values.mean().item() for metric, values in metrics.items()}
        for title, metrics in measured.items()
    })
    table.loc["PSNR + 331.17 dB"] = table.loc["PSNR"] + INT64_DB
    printed = PAPER["tables"][paper]
    for column, arm in enumerate(("with", "without")):
        values = {"PSNR": printed[arm]["PSNR"] - INT64_DB, "PSNR + 331.17 dB": printed[arm]["PSNR"]}
        table.insert(column, f"paper, {arm}", table.index.map(printed[arm] | values))
    return table


def _checked_parameters(notebook: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    declared = _declared_parameters(ROOT / "notebooks" / f"{notebook}.ipynb")
    if unknown := sorted(_injected_names() - declared.keys()):
        raise ValueError(f"unknown parameter {unknown[0]}; {notebook} has {', '.join(declared)}")
    parameters = {name: namespace[name] for name in declared}
    for name, (kind, _) in declared.items():
        given = type(parameters[name]).__name__
        if given != kind and (given, kind) != ("int", "float"):
            raise TypeError(f"parameter {name} = {parameters[name]!r} must be of type {kind}")
    profile, folder = parameters["profile"], ROOT / "notebooks" / "params"
    profiles = {path.name for path in folder.iterdir()}
    if profile not in profiles | {"custom"}:
        known = ", ".join([*sorted(profiles), "custom"])
        raise ValueError(f"unknown profile {profile!r}: use one of {known}")
    if profile in profiles:
        defaults = {name: value for name, (_, value) in declared.items()}
        settings = yaml.safe_load((folder / profile / f"{notebook}.yaml").read_text("utf-8"))
        of_profile = defaults | settings | {"output": parameters["output"]}
        if parameters != of_profile:
            parameters["profile"] = "custom"
    return parameters


def _declared_parameters(path: Path) -> dict[str, tuple[str, Any]]:
    """Name -> type and default, of the annotated assignments in the cell tagged ``parameters``."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    source = next("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", ()))
    statements = (s for s in ast.parse(source).body if isinstance(s, ast.AnnAssign))
    return {
        s.target.id: (ast.unparse(s.annotation), ast.literal_eval(s.value)) for s in statements
    }


def _injected_names() -> set[str]:
    """Names that papermill has set: it begins the cell it adds with the comment "# Parameters"."""
    shell = get_ipython()
    cells = [c for c in shell.user_ns["In"] if c.startswith("# Parameters\n")] if shell else []
    return {s.targets[0].id for c in cells for s in ast.parse(c).body if isinstance(s, ast.Assign)}


def _four_digits(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _commit() -> str:
    """The commit checked out, with ``+`` if tracked files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], stderr=subprocess.DEVNULL)
        changes = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.decode().strip() + ("+" if changes else "")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _print_table1(profile: str) -> None:
    """What ``make reproduce`` ends with."""
    table = pd.read_csv(ROOT / "results" / profile / "imagenet" / "table1.csv", index_col=0)
    print("Table I, the paper's and ours:\n")
    print(table.to_string(float_format="{:.3f}".format))
    print(f"\nThe book: {ROOT / 'book' / '_build' / 'html' / 'index.html'}")


if __name__ == "__main__":
    import sys

    _print_table1(sys.argv[1])
