"""The files of data/registry.yaml, each checked by its hash before it is used.

``python -m companion.registry PROFILE`` fetches in advance what a profile needs.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import pooch
from tqdm import tqdm

from companion.checkout import data_folder, read_data
from companion.files import replacing, sha256
from companion.parameters import check_profile

RETRIES = 2  # after a download that failed
pooch.get_logger().setLevel("WARNING")  # the progress bar names the file


def registered(kind: str) -> dict[str, Any]:
    """Return the ``"files"`` or the ``"photos"`` of data/registry.yaml: name -> entry."""
    return read_data("registry")[kind]


def cache_folder() -> Path:
    """Return the folder that keeps downloads: ``JND_CACHE``, or one in the system's cache."""
    return Path(os.environ.get("JND_CACHE") or pooch.os_cache("jnd"))


def fetch(name: str, entry: Mapping[str, Any] | None = None) -> Path:
    """Return the path of a file whose hash is right, downloading it into the cache if need be.

    Args:
        name: of the file.
        entry: for a file that is not in data/registry.yaml, what its entry would be: ``url``,
            ``bytes`` and ``sha256``, either complete or its first digits.

    Raises:
        ValueError: the file is not registered or has another hash.
        OSError: it could not be downloaded or kept, or its package is not installed.
    """
    entry = entry or registered("files").get(name)
    if entry is None:
        raise ValueError(f"no file {name!r} in data/registry.yaml")
    return local_path(name, entry) or _download(name, entry)


def local_path(name: str, entry: Mapping[str, Any]) -> Path | None:
    """Return the path of a file that needs no download, its hash checked; None: it needs one.

    It may be part of a package or of this repository, in the cache, or in the folder of copies
    that the environment variable ``JND_MIRROR`` names. A damaged file in the cache does not count.
    """
    if "path" in entry:
        return _checked(_source_folder(name, entry) / entry["path"], entry)
    cached = cache_folder() / name
    if cached.is_file() and not mismatch_message(cached, entry):
        return cached
    mirror = os.environ.get("JND_MIRROR")
    if not mirror:
        return None
    if not Path(mirror).is_dir():
        raise FileNotFoundError(f"JND_MIRROR is {mirror}, which is not a folder")
    copy = Path(mirror, name)
    return _checked(copy, entry) if copy.is_file() else None


def mismatch_message(path: str | Path, entry: Mapping[str, Any]) -> str:
    """Say how a file differs from its entry in the registry; empty if it does not."""
    actual = sha256(path)
    if actual.startswith(entry["sha256"]):
        return ""
    size = f"{Path(path).stat().st_size} of {entry.get('bytes', '?')} bytes"
    return f"its SHA-256 is {actual} instead of {entry['sha256']} ({size})"


def profile_files(profile: str) -> dict[str, dict[str, Any]]:
    """Return the files that a profile downloads: name -> entry of the registry."""
    check_profile(profile)
    files = registered("files").items()
    return {name: entry for name, entry in files if profile in entry.get("profiles", ())}


def fetch_profile(profile: str) -> None:
    """Print what a profile downloads, how large it is and what is here; then fetch the rest."""
    files = profile_files(profile)
    missing = {name: entry for name, entry in files.items() if not local_path(name, entry)}
    for name, entry in files.items():
        origin = entry["url"] if name in missing else "already here"
        print(f"{entry['bytes'] / 1e6:8.1f} MB  {name}  {origin}")
    destination = f", into {cache_folder()}" if missing else ""
    print(f"The {profile} profile downloads {_amount(files)}.")
    print(f"Still to fetch: {_amount(missing)}{destination}.", flush=True)
    for name in missing:
        print(f"Fetching {name}", flush=True)
        fetch(name)


def _amount(files: Mapping[str, Mapping[str, Any]]) -> str:
    total = sum(entry["bytes"] for entry in files.values())
    return f"{len(files)} files ({total / 1e6:.1f} MB)" if files else "nothing"


def _source_folder(name: str, entry: Mapping[str, Any]) -> Path:
    """Return the folder of the package that ships a file, or of this repository's data."""
    package = entry.get("package")
    if not package:
        return data_folder()
    spec = importlib.util.find_spec(package)  # does not import the package
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"{name} comes with a package that is not installed: python -m pip install "
            f"{entry.get('pip', package)}"
        )
    return Path(spec.origin).parent


def _checked(path: Path, entry: Mapping[str, Any]) -> Path:
    mismatch = mismatch_message(path, entry)
    if mismatch:
        origin = entry.get("url") or entry["source"]
        raise ValueError(
            f"{path} is not the registered file: {mismatch}; replace it by a copy of {origin}"
        )
    return path


def _download(name: str, entry: Mapping[str, Any]) -> Path:
    cache = cache_folder()
    addresses = cycle(filter(None, (entry["url"], entry.get("mirror"))))

    def download(_url: str, file: str, _pooch: object) -> None:
        address = next(addresses)
        options = {"unit": "B", "unit_scale": True, "disable": None}  # None: only in a terminal
        with tqdm(desc=name, total=entry["bytes"], **options) as bar:
            pooch.HTTPDownloader(progressbar=bar)(address, file, None)
        # here and not by pooch, which knows no hash by its first digits
        mismatch = mismatch_message(file, entry)
        if mismatch:
            raise ValueError(
                f"{address} sent another file than the registered {name}: {mismatch}; try again "
                "later, or put a good copy into a folder and name that folder in JND_MIRROR"
            )

    try:
        with replacing(cache / name) as part:
            files = pooch.create(cache, "", registry={part.name: None}, retry_if_failed=RETRIES)
            files.fetch(part.name, downloader=download)
            part.chmod(0o644)  # pooch's temporary files are private, a cache may be shared
    except OSError as error:
        raise OSError(
            f"could not download {name} from {entry['url']} to {cache} ({error}). If the network "
            "failed, try again later, or put a copy into a folder and name that folder in "
            "JND_MIRROR. If the cache cannot be written, make room there "
            f"({entry['bytes'] / 1e6:.1f} MB), or name another folder in JND_CACHE. The bundled "
            "profile needs no download"
        ) from error
    return cache / name


if __name__ == "__main__":
    try:
        fetch_profile(sys.argv[1] if len(sys.argv) > 1 else "bundled")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
