"""Weights: safetensors files that describe themselves, torchvision's own, and those in packages."""

import json
import pickle
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from companion.files import sha256
from companion.registry import fetch, registered


@dataclass(frozen=True)
class Weights:
    """A state dict and the header of its file.

    Attributes:
        path: of the file.
        state: name -> tensor.
        header: name -> text, for a list as JSON; empty for a pickle.
    """

    path: Path
    state: dict[str, Tensor]
    header: dict[str, str]

    @cached_property
    def sha256(self) -> str:
        return sha256(self.path)

    def header_list(self, key: str, default: list) -> list:
        """Return a list from the header, or the default if the header has no such key."""
        return json.loads(self.header[key]) if key in self.header else list(default)

    def load_into(self, network: nn.Module, name: str) -> None:
        """Load the state into a network, called ``name`` in errors."""
        try:
            network.load_state_dict(self.state)  # the network's own, as it knows older layouts
        except RuntimeError as error:
            _, _, reason = str(error).partition(":")
            reason = textwrap.shorten(reason, 200)
            raise ValueError(f"{self.path} does not fit {name}: {reason}") from error


def read_weights(source: str | Path, name: str) -> Weights:
    """Read the weights of an architecture.

    Args:
        source: ``"official"``, torchvision's weights, or the path of a safetensors file.
        name: torchvision's name of the architecture.
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
            f"{path} is not a valid safetensors file ({error}); download it again. A pickle "
            "(.pt, .pth) is never loaded: save its state dict with safetensors first"
        ) from error
    architecture = header.get("architecture", name)
    if architecture != name:
        raise ValueError(f"{path} holds a {architecture}, not a {name}")
    return Weights(path, state, header)


def read_pickled(name: str, entry: Mapping[str, Any] | None = None) -> Weights:
    """Read a pickle of tensors by name: torchvision's official weights, or those in a package.

    Its hash is checked before it is opened, and only tensors are unpickled.

    Args:
        name, entry: of the file, for :func:`~companion.registry.fetch`.
    """
    path = fetch(name, entry)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        detail = f": it refers to {forbidden[1]}" if forbidden else ""
        raise ValueError(f"{path} is refused, it holds more than tensors{detail}") from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ValueError(f"{path} is refused, it holds something other than tensors by name")
    return Weights(path, state, {})


def official_file(name: str) -> tuple[str, Mapping[str, Any]]:
    """Return the file name of torchvision's official weights, and its entry in the registry.

    For an unregistered file the entry is made up from torchvision's address, which contains the
    first digits of the SHA-256.
    """
    official = torchvision.models.get_model_weights(name).DEFAULT
    file = official.url.rsplit("/", 1)[1]
    entry = registered("files").get(file)
    if entry:
        return file, entry
    digits = re.search(r"-([0-9a-f]{8,})\.", file)
    if digits is None:
        raise ValueError(f"torchvision gives no hash for its weights of {name}")
    size = round(official.meta["_file_size"] * 2**20)
    return file, {"url": official.url, "bytes": size, "sha256": digits[1]}
