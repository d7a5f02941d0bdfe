"""Weights of a machine: a safetensors file that says what it holds, or torchvision's own."""

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from jnd.datasets import sha256


@dataclass(frozen=True)
class Weights:
    """A state dict and what the header of its file says.

    Attributes:
        path: of the file.
        state: name -> tensor.
        header: texts, lists among them as JSON; empty in torchvision's files.
    """

    path: Path
    state: dict[str, Tensor]
    header: dict[str, str]

    @cached_property
    def sha256(self) -> str:
        return sha256(self.path)

    def listed(self, key: str, default: list) -> list:
        """The list under a key of the header, or else the default."""
        return json.loads(self.header[key]) if key in self.header else list(default)

    def fill(self, network: nn.Module, name: str) -> None:
        """Load the state into a network that is called by ``name``.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape.
        """
        try:
            # the network's own loading knows older layouts
            missing, unknown = network.load_state_dict(self.state, strict=False)
            wrong = [*missing, *unknown]
        except RuntimeError as error:  # its last line tells of a tensor of another shape
            wrong = [str(error).splitlines()[-1].strip()]
        if wrong:
            raise ValueError(
                f"{self.path} does not fit {name}: tensors are missing, unknown or of another "
                f"shape, the first is {wrong[0]}"
            )


def read_weights(source: str | Path, name: str) -> Weights:
    """The weights of an architecture.

    Args:
        source: ``"official"`` (torchvision's, downloaded and checked by hash) or the path of a
            safetensors file.
        name: torchvision's name of the architecture.

    Raises:
        ValueError: the file is damaged, no safetensors, or its header names another architecture.
        FileNotFoundError: no such file.
        OSError: the official weights could not be fetched.
    """
    if source == "official":
        return _official(name)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}
            header = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no sound safetensors file ({error}): fetch it again if it is cut short; "
            "a pickle (.pt, .pth) is never loaded, save its state dict with safetensors first"
        ) from error
    if header.get("architecture", name) != name:
        raise ValueError(f"{path} holds a {header['architecture']}, not a {name}")
    return Weights(path, state, header)


def _official(name: str) -> Weights:
    official = torchvision.models.get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir(), "checkpoints", Path(official.url).name)
    try:
        state = official.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except OSError as error:
        raise OSError(
            f"could not fetch {official.url} ({error}); put a copy at {path}, or use weights of "
            "your own or bundled ones"
        ) from error
    return Weights(path, state, {})
