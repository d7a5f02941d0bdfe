"""The state of a descent on disk, so that an interrupted one goes on where it was."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


class Checkpoint:
    """Tensors at iteration k in one file, replaced as a whole.

    Args:
        path: the file, or None: nothing is kept. A file that is damaged, or of another descent,
            is ignored and replaced.
        seconds: time between two writes.
        identity: all that decides the descent's course; see :func:`fingerprint`.
    """

    def __init__(self, path: str | Path | None, seconds: float, *identity: object):
        self.path = path and Path(path)
        self.seconds = seconds
        self.fingerprint = path and fingerprint(*identity)
        self.written = time.monotonic()

    def restore(self, tensors: Mapping[str, Tensor]) -> int:
        """Fill in the tensors as they were saved and return their k; 0: nothing to go on from."""
        if not self.path:
            return 0
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("fingerprint") != self.fingerprint:
                    return 0
                for name, tensor in tensors.items():
                    tensor.copy_(file.get_tensor(name))
                return int(header["k"])
        except (FileNotFoundError, SafetensorError):
            return 0

    def save(self, k: int, tensors: Mapping[str, Tensor], now: bool = False) -> None:
        """Write if it is time, or ``now``."""
        if not self.path or not (now or time.monotonic() - self.written > self.seconds):
            return
        content = save(
            {name: t.detach().cpu().contiguous() for name, t in tensors.items()},
            {"fingerprint": self.fingerprint, "k": str(k)},
        )
        write_atomically(self.path, content)
        self.written = time.monotonic()


def fingerprint(*parts: object) -> str:
    """SHA-256 of tensors (with those inside modules and objects), of what else is printed, and of
    this package's code: after a change of it, a descent starts anew."""
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for part in parts:
        rest: object = {}
        if isinstance(part, torch.nn.Module):
            tensors = part.state_dict() | dict(part.named_buffers())  # some are in one only
            rest = [(name, type(m).__name__, _settings(m)) for name, m in part.named_modules()]
        elif isinstance(part, Tensor):
            tensors = {"": part}
        else:
            values = getattr(part, "__dict__", {})
            tensors = {k: v for k, v in values.items() if isinstance(v, Tensor)}
            rest = {k: v for k, v in values.items() if k not in tensors} if tensors else part
        digest.update(f"{type(part).__name__} {rest!r}".encode())
        for name, tensor in tensors.items():
            digest.update(save({name: tensor.detach().cpu().contiguous()}))
    return digest.hexdigest()


def _settings(module: torch.nn.Module) -> dict[str, object]:
    """Its public attributes that are numbers, texts or tuples of them, such as a stride."""

    def plain(value: object) -> bool:
        if isinstance(value, tuple):
            return all(map(plain, value))
        return value is None or isinstance(value, (bool, int, float, str))

    return {k: v for k, v in vars(module).items() if plain(v) and not k.startswith("_")}


def write_atomically(path: Path, content: bytes) -> None:
    """All of the file or none of it."""
    with replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write inside, which becomes ``path`` when all of it is there."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    yield part
    os.replace(part, path)
