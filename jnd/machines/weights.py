"""Weights of a machine: a safetensors file that says what it holds, or torchvision's own."""

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from jnd.support.files import sha256
from jnd.support.registry import fetch, registered


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
        source: ``"official"`` (torchvision's, from :func:`~jnd.support.registry.fetch`) or the
            path of a safetensors file.
        name: torchvision's name of the architecture.

    Raises:
        ValueError: the file is damaged, no safetensors, or its header names another architecture.
        FileNotFoundError: no such file.
        OSError: the official weights could not be fetched.
    """
    if source == "official":
        return read_pickled(*official_file(name))
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


def read_pickled(name: str, entry: Mapping[str, Any] | None = None) -> Weights:
    """Tensors by name from a registered pickle: torchvision's own weights, or a package's.

    Its hash is checked before it is opened, and nothing but tensors is made of it.

    Args:
        name: of the file, for :func:`~jnd.support.registry.fetch`.
        entry: what data/registry.yaml would say of a file that is not registered.

    Raises:
        ValueError: not the registered file, or one that holds something else than tensors.
        OSError: it could not be fetched, or its package is not installed.
    """
    path = fetch(name, entry)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"{path} is refused: it holds something else than tensors"
            + (f", it names {named[1]}" if named else "")
        ) from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ValueError(f"{path} is refused: it holds something else than tensors by name")
    return Weights(path, state, {})


def official_file(name: str) -> tuple[str, Mapping[str, Any]]:
    """The file of torchvision's weights of an architecture and its entry in the registry.

    torchvision writes the first digits of the SHA-256 into the names of its files: that is the
    entry of those that are not registered.
    """
    official = torchvision.models.get_model_weights(name).DEFAULT
    file = official.url.rsplit("/", 1)[1]
    if entry := registered("files").get(file):
        return file, entry
    digits = re.search(r"-([0-9a-f]{8,})\.", file)
    if digits is None:
        raise ValueError(f"torchvision names no hash for its weights of {name}")
    size = round(official.meta["_file_size"] * 2**20)
    return file, {"url": official.url, "bytes": size, "sha256": digits[1]}
