"""Where a number comes from: machine, data, device, code and day."""

import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from companion.checkout import ROOT
from jnd.machine import Machine

PACKAGES = ("jnd", "numpy", "torch", "torchvision")


def subject(machines: Sequence[Machine], data: str, data_sha256: Any) -> dict[str, Any]:
    """The machines and data that numbers depend on, for their provenance."""
    return {
        "machine": ", ".join(machine.name for machine in machines),
        "machine_sha256": ", ".join(machine.sha256 for machine in machines),
        "data": data,
        "data_sha256": data_sha256,
        "device": device_name(machines[0].mean.device),
    }


def device_name(device: torch.device) -> str:
    """The processor's name, such as ``"NVIDIA H100"``, or ``"CPU, 2 threads"``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def joined(subjects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One subject made of several."""
    names = ("machine", "machine_sha256", "data")
    texts = {name: ", ".join(subject[name] for subject in subjects) for name in names}
    hashes: dict[str, str] = {}
    for subject in subjects:
        hashes |= subject["data_sha256"]
    devices = dict.fromkeys(subject["device"] for subject in subjects)
    return texts | {"data_sha256": hashes, "device": ", ".join(devices)}


def origin() -> dict[str, Any]:
    """The code that is running and the time, for the provenance of its numbers."""
    return {
        "commit": commit(),
        "packages": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def provenance_line(provenance: Mapping[str, Any]) -> str:
    """A provenance in one line, to be shown below a figure or table."""
    names = provenance["machine"].split(", ")
    hashes = provenance["machine_sha256"].split(", ")
    pairs = zip(names, hashes, strict=True)
    machines = ", ".join(f"{name} {sha256[:8]}" for name, sha256 in pairs)
    return (
        f"Profile {provenance['profile']} · machine {machines} · {provenance['data']} · "
        f"{provenance['device']} · commit {short(provenance['commit'])} · {provenance['date'][:10]}"
    )


def short(commit: str) -> str:
    """A commit by its first digits, with the ``+`` that marks changed files."""
    return commit[:10] + "+" * commit.endswith("+")


def commit() -> str:
    """The commit checked out, followed by ``+`` if tracked files differ from it.

    "unknown" where the sources are in no repository of their own.
    """
    # whatever repository the variables GIT_DIR and GIT_WORK_TREE name
    command = ["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}"]
    command += ["describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+"]
    try:
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return output.strip()


def plain(value: Any) -> Any:
    """A value as JSON can hold it: tensors become lists, numbers that are not finite None."""
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
