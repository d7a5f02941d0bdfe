"""Files from outside (data/registry.yaml), each checked by its hash before it is used."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jnd.support.checkout import data_folder, read_data
from jnd.support.files import sha256


def registered(kind: str) -> dict[str, Any]:
    """The ``"files"`` or ``"photos"`` of data/registry.yaml: name -> entry."""
    return read_data("registry")[kind]


def cache_folder() -> Path:
    """Where fetched files are kept: ``JND_CACHE``, or else the system's folder for caches."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("JND_CACHE") or user_cache_path("jnd"))


def fetch(name: str, entry: Mapping[str, Any] | None = None) -> Path:
    """Path of a registered file, checked by its hash.

    Looked for where :func:`~jnd.support.registry.find` looks, then downloaded into the cache. A
    transfer that breaks off is resumed, then or at the next call.

    Args:
        name: of the file.
        entry: what data/registry.yaml would say of a file that is not registered: ``url``,
            ``bytes`` and ``sha256``, all its digits or the first ones.

    Raises:
        ValueError: not registered, outside its folder, or another file than the registered one.
        OSError: it could not be fetched or kept.
    """
    entry = entry or registered("files").get(name)
    if entry is None:
        raise ValueError(f"no file {name!r} in data/registry.yaml")
    if here := find(name, entry):
        return here
    from jnd.support.transfer import download

    return download(name, entry, cache_folder())


def find(name: str, entry: Mapping[str, Any]) -> Path | None:
    """Path of a file that is here already, checked by its hash; None: it has to be fetched.

    Looked for, in this order, in the package that ships it or in this repository, the cache, and
    the folder named by the environment variable ``JND_MIRROR``. A damaged file in the cache does
    not count.

    Raises:
        ValueError: outside its folder, or another file than the registered one.
        FileNotFoundError: its package is not installed, or ``JND_MIRROR`` names no folder.
    """
    if "path" in entry:
        return _verified(_inside(_folder(name, entry), entry["path"]), entry)
    cached = _inside(cache_folder(), name)
    if cached.is_file() and not difference(cached, entry):
        return cached
    if mirror := os.environ.get("JND_MIRROR"):
        if not Path(mirror).is_dir():
            raise FileNotFoundError(f"JND_MIRROR names {mirror}, which is no folder")
        if (copy := Path(mirror, name)).is_file():
            return _verified(copy, entry)
    return None


def _folder(name: str, entry: Mapping[str, Any]) -> Path:
    """Of the package that ships a file, without importing it, or of this repository's data."""
    if not (package := entry.get("package")):
        return data_folder()
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise FileNotFoundError(
            f"{name} comes with a package that is not installed: python -m pip install "
            f"{entry.get('pip', package)}"
        )
    return Path(found.origin).parent


def _inside(folder: Path, name: str) -> Path:
    root, path = Path(os.path.abspath(folder)), Path(os.path.abspath(folder / name))
    if root not in path.parents:
        raise ValueError(f"{name} lies outside {folder}: correct data/registry.yaml")
    return path


def _verified(path: Path, entry: Mapping[str, Any]) -> Path:
    if differs := difference(path, entry):
        origin = entry.get("url") or entry["source"]
        raise ValueError(
            f"{path} is not the registered file: {differs}; replace it by a copy of {origin}"
        )
    return path


def difference(path: Path, entry: Mapping[str, Any]) -> str:
    """How a file differs from the registered one; empty: not at all."""
    actual = sha256(path)
    if actual.startswith(entry["sha256"]):
        return ""
    size = f"{path.stat().st_size} of {entry.get('bytes', '?')} bytes"
    return f"its SHA-256 is {actual}, registered is {entry['sha256']} ({size})"
