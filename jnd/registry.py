"""Files from outside (data/registry.yaml), each checked by its hash before it is used."""

import hashlib
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pooch
import requests
import yaml
from filelock import FileLock

DATA = Path(__file__).resolve().parents[1] / "data"
REGISTRY = yaml.safe_load((DATA / "registry.yaml").read_text(encoding="utf-8"))
ATTEMPTS = 5  # at one transfer; each goes on where the last one broke
PAUSE, TIMEOUT = 1.0, 30.0  # seconds: between two attempts, for a word from the server


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where fetched files are kept: ``JND_CACHE``, or else the system's folder for caches."""
    return Path(os.environ.get("JND_CACHE") or pooch.os_cache("jnd"))


def fetch(name: str, entry: Mapping[str, Any] | None = None) -> Path:
    """Path of a registered file, checked by its hash.

    Looked for where :func:`~jnd.registry.find` looks, then downloaded into the cache. A transfer
    that breaks off is resumed, then or at the next call.

    Args:
        name: of the file.
        entry: what data/registry.yaml would say of a file that is not registered: ``url``,
            ``bytes`` and ``sha256``, all its digits or the first ones.

    Raises:
        ValueError: not registered, outside its folder, or another file than the registered one.
        OSError: it could not be fetched or kept.
    """
    entry = entry or _registered(name)
    if found := find(name, entry):
        return found
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):  # another process may be fetching it
            return find(name, entry) or _download(entry, cache / name)
    except requests.RequestException as error:
        raise OSError(
            f"could not fetch {name} from {entry['url']} ({error}); try again later, what has "
            "arrived is kept; or put a copy into a folder and name that folder in JND_MIRROR; or "
            "use the bundled profile, which needs no download"
        ) from error
    except OSError as error:
        raise OSError(
            f"could not keep {name} in the cache {cache} ({error}): make room there "
            f"({entry['bytes'] / 1e6:.1f} MB), let it be written, or name another in JND_CACHE"
        ) from error


def find(name: str, entry: Mapping[str, Any]) -> Path | None:
    """Path of a file that is here already, checked by its hash; None: it has to be fetched.

    Looked for, in this order, in the package that ships it or in this repository, the cache, and
    the folder named by the environment variable ``JND_MIRROR``. A damaged file in the cache does
    not count.

    Raises:
        ValueError: outside its folder, or another file than the registered one.
        FileNotFoundError: ``JND_MIRROR`` names no folder.
    """
    if "path" in entry:
        package = entry.get("package")
        folder = Path(importlib.util.find_spec(package).origin).parent if package else DATA
        return _verified(_inside(folder, entry["path"]), entry)
    cached = _inside(cache_folder(), name)
    if cached.is_file() and not _difference(cached, entry):
        return cached
    if mirror := os.environ.get("JND_MIRROR"):
        if not Path(mirror).is_dir():
            raise FileNotFoundError(f"JND_MIRROR names {mirror}, which is no folder")
        if (copy := Path(mirror, name)).is_file():
            return _verified(copy, entry)
    return None


def _registered(name: str) -> Mapping[str, Any]:
    if name not in REGISTRY["files"]:
        raise ValueError(f"no file {name!r} in data/registry.yaml")
    return REGISTRY["files"][name]


def _inside(folder: Path, name: str) -> Path:
    root, path = Path(os.path.abspath(folder)), Path(os.path.abspath(folder / name))
    if root not in path.parents:
        raise ValueError(f"{name} lies outside {folder}: correct data/registry.yaml")
    return path


def _download(entry: Mapping[str, Any], path: Path) -> Path:
    """A verified file under its final name, or none."""
    path.unlink(missing_ok=True)  # find() would have found a sound one
    part = path.with_name(f"{path.name}.part")
    for left in reversed(range(ATTEMPTS)):
        try:
            _transfer(entry["url"], part)
            break
        except requests.RequestException:
            if not left:
                raise
            time.sleep(PAUSE)
    if difference := _difference(part, entry):
        part.unlink()
        raise ValueError(
            f"{entry['url']} sent another file than the registered {path.name}: {difference}; it "
            "is deleted. Try again, or put a sound copy into a folder and name it in JND_MIRROR"
        )
    os.replace(part, path)
    return path


def _transfer(url: str, part: Path) -> None:
    """Add to ``part`` what it lacks."""
    with open(part, "ab") as file:

        def start_anew(response: requests.Response, **_: Any) -> None:
            if response.status_code in (200, 416):  # all of it comes; it ends before our place
                file.truncate(0)

        download = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            timeout=TIMEOUT,
            headers={"Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"},
            hooks={"response": start_anew},
        )
        download(url, file, None)


def _verified(path: Path, entry: Mapping[str, Any]) -> Path:
    if difference := _difference(path, entry):
        origin = entry.get("url") or entry["source"]
        raise ValueError(
            f"{path} is not the registered file: {difference}; replace it by a copy of {origin}"
        )
    return path


def _difference(path: Path, entry: Mapping[str, Any]) -> str:
    """How a file differs from the registered one; empty: not at all."""
    found = sha256(path)
    if found.startswith(entry["sha256"]):
        return ""
    size = f"{path.stat().st_size} of {entry.get('bytes', '?')} bytes"
    return f"its SHA-256 is {found}, registered is {entry['sha256']} ({size})"
