"""The state of long work on disk, so that interrupted work continues where it was."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from companion.checkout import ROOT
from companion.files import writable_folder, write_atomically
from jnd.trajectory import Recording

SECONDS = 10.0  # between two writes


def fingerprint(*identity: Any) -> str:
    """Hash of what determines the course of some work, and of the code that does it.

    Args:
        identity: parameters, hashes and names, as JSON can hold them.
    """
    sources = [*ROOT.glob("jnd/*.py"), *ROOT.glob("notebooks/companion/**/*.py")]
    digest = hashlib.sha256(f"{torch.__version__} {json.dumps(identity)}".encode())
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Checkpoint:
    """Tensors in one file, which is replaced as a whole.

    Args:
        path: of the file. Its name tells this work from any other, see :func:`fingerprint`.
    """

    def __init__(self, path: Path):
        self.path = writable_folder(path.parent) / path.name
        self.written = time.monotonic()

    def load(self) -> dict[str, Tensor] | None:
        """The tensors saved last; None: there are none, or the file is damaged."""
        try:
            return load_file(self.path)
        except (FileNotFoundError, SafetensorError):
            return None

    def save(self, state: Mapping[str, Tensor], now: bool = False) -> None:
        """Write the tensors if the last write was long ago, or ``now``."""
        if now or time.monotonic() - self.written > SECONDS:
            tensors = {name: t.detach().cpu().contiguous() for name, t in state.items()}
            write_atomically(self.path, save(tensors))
            self.written = time.monotonic()

    def watch(self, recording: Recording) -> None:
        """Save the state of a descent; to be given to find_jnd."""
        self.save(recording.state, now=recording.done)
