"""The state of long work on disk, so that what was interrupted goes on where it was."""

import hashlib
import inspect
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.fx import GraphModule

from jnd.support.files import write_atomically

PACKAGE = Path(__file__).resolve().parents[1]
# the rooms that decide a descent's course: the method, and what it stands on
CODE = ("*.py", "machines/*.py", "support/*.py")
# what prints as itself
PLAIN = (type(None), bool, int, float, str, bytes, Path, type, torch.device, torch.dtype)


class Checkpoint:
    """Tensors at iteration k in one file, replaced as a whole.

    Args:
        path: the file, or None: nothing is kept. A file that is damaged, or of other work, is
            ignored and replaced.
        seconds: time between two writes.
        identity: all that decides the course of the work; see :func:`fingerprint`.
    """

    def __init__(self, path: str | Path | None, seconds: float, *identity: object):
        self.path = Path(path) if path else None
        self.seconds = seconds
        self.fingerprint = fingerprint(*identity) if path else ""
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
        state = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        header = {"fingerprint": self.fingerprint, "k": str(k)}
        write_atomically(self.path, save(state, header))
        self.written = time.monotonic()


def fingerprint(*parts: object) -> str:
    """SHA-256 of values and of the code that works on them: when either changes, so does it.

    The code is that of the method, the machines and the support, and the files in which the
    functions and the classes of the parts are written.

    Raises:
        TypeError: a part is of a kind that has no lasting description.
    """
    described = b"".join(map(_described, parts))
    return hashlib.sha256(f"{torch.__version__} {_code()}".encode() + described).hexdigest()


@cache
def _code() -> str:
    """Hash of the code as it was when the process first asked."""
    sources = (path for pattern in CODE for path in sorted(PACKAGE.glob(pattern)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _source(written: Any) -> bytes:
    """The file of a function or class; empty where there is none, as in a notebook or in C."""
    try:
        return _content(inspect.getfile(written))
    except (OSError, TypeError):
        return b""


@cache
def _content(file: str) -> bytes:
    return Path(file).read_bytes()


def _described(value: Any) -> bytes:
    """The same bytes for the same value, in every process."""
    kind, inside = type(value).__qualname__, value
    if isinstance(value, Tensor):
        inside = save({"": value.detach().cpu().contiguous()})
    elif isinstance(value, nn.Module):
        tensors = value.state_dict() | dict(value.named_buffers())  # some are in one only
        inside = [tensors, *((name, *_layer(m)) for name, m in value.named_modules())]
    elif isinstance(value, FunctionType):
        captured = inspect.getclosurevars(value).nonlocals
        given = [value.__defaults__, value.__kwdefaults__]
        inside = [value.__qualname__, _source(value), value.__code__, captured, *given]
    elif isinstance(value, BuiltinFunctionType):
        inside = [value.__module__, value.__qualname__]
    elif isinstance(value, CodeType):
        inside = [value.co_code, value.co_names, value.co_consts]
    elif isinstance(value, partial):
        inside = [value.func, value.args, value.keywords]
    elif isinstance(value, MethodType):
        inside = [value.__self__, value.__func__]
    elif isinstance(value, PLAIN):
        inside = repr(value).encode()
    elif hasattr(value, "__dict__") and not isinstance(value, Mapping | list | tuple):
        inside = [_source(type(value)), vars(value)]
    if isinstance(inside, Mapping):
        inside = list(inside.items())
    if isinstance(inside, list | tuple):
        inside = b"".join(map(_described, inside))
    if not isinstance(inside, bytes):
        raise TypeError(f"a checkpoint cannot tell one {kind} from another")
    return hashlib.sha256(kind.encode() + b" " + inside).digest()


def _layer(module: nn.Module) -> tuple[str, bytes, str, dict[str, object]]:
    """Its kind, in which file, its code if it was traced, and its settings."""
    traced = module.code if isinstance(module, GraphModule) else ""
    return type(module).__qualname__, _source(type(module)), traced, _settings(module)


def _settings(module: nn.Module) -> dict[str, object]:
    """Its public attributes that are numbers, texts or tuples of them, such as a stride."""

    def lasts(value: object) -> bool:
        return all(map(lasts, value)) if isinstance(value, tuple) else isinstance(value, PLAIN)

    return {k: v for k, v in vars(module).items() if lasts(v) and not k.startswith("_")}
