"""Where a number comes from: machine, data, device, code and day."""

import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from torch import Tensor

from jnd.machines import Machine
from jnd.support.checkout import ROOT
from jnd.support.device import device_name

PACKAGES = ("jnd", "numpy", "torch", "torchvision")


def subject(machines: Sequence[Machine], data: str, data_sha256: Any) -> dict[str, Any]:
    """What numbers depend on, for their provenance."""
    return {
        "machine": ", ".join(machine.name for machine in machines),
        "machine_sha256": ", ".join(machine.sha256 for machine in machines),
        "data": data,
        "data_sha256": data_sha256,
        "device": f"{device_name(machines[0].mean.device)}, {machines[0].precision}",
    }


def joined(subjects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One subject of several."""
    of = {name: [each[name] for each in subjects] for name in subjects[0]}
    texts = {name: ", ".join(of[name]) for name in ("machine", "machine_sha256", "data")}
    hashes = {name: sha256 for each in of["data_sha256"] for name, sha256 in each.items()}
    return texts | {"data_sha256": hashes, "device": ", ".join(dict.fromkeys(of["device"]))}


def origin() -> dict[str, Any]:
    """The code that makes numbers now, for their provenance."""
    return {
        "commit": commit(),
        "packages": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def provenance_line(provenance: Mapping[str, Any]) -> str:
    """A provenance in one line, for below a figure or table."""
    p = provenance
    pairs = zip(p["machine"].split(", "), p["machine_sha256"].split(", "), strict=True)
    machines = ", ".join(f"{name} {sha256[:8]}" for name, sha256 in pairs)
    code = p["commit"][:16] + "+" * p["commit"].endswith("+")
    return (
        f"Profile {p['profile']} · machine {machines} · "
        f"{p['data']} · {p['device']} · commit {code} · {p['date'][:10]}"
    )


def commit() -> str:
    """The commit checked out, with ``+`` if tracked files differ from it."""
    describe = ["describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+"]
    try:
        said = subprocess.check_output(["git", "-C", ROOT, *describe], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.decode().strip()


def plain(value: Any) -> Any:
    """A value as JSON has it: tensors become lists, numbers that are not finite None."""
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
