"""Over the network: a file that arrives whole, or goes on where it broke off."""

import os
import time
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock
from tqdm import tqdm

from jnd.support.registry import difference, find

ATTEMPTS = 5  # at one transfer, url and mirror in turn; each goes on where the last one broke
PAUSE, TIMEOUT = 1.0, 30.0  # seconds: between two attempts, for a word from the server
CHUNK = 1024  # bytes; what a broken transfer loses at most


def download(name: str, entry: Mapping[str, Any], cache: Path) -> Path:
    """A verified file under its name in the cache, or none.

    Raises:
        ValueError: the server sent another file than the registered one.
        OSError: it could not be fetched or kept.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):  # another process may be fetching it
            return find(name, entry) or _fetched(entry, cache / name)
    except requests.RequestException as error:
        raise OSError(
            f"could not fetch {name} from {entry['url']} ({error}); try again later, what has "
            "arrived is kept; or put a copy into a folder and name that folder in JND_MIRROR; or "
            "use the bundled profile, which needs no download"
        ) from error
    except OSError as error:
        raise OSError(
            f"could not keep {name} in the cache {cache} ({error}): make room there "
            f"({entry['bytes'] / 1e6:.1f} MB), make it writable, or name another in JND_CACHE"
        ) from error


def _fetched(entry: Mapping[str, Any], path: Path) -> Path:
    path.unlink(missing_ok=True)  # find() would have taken a sound one
    part = path.with_name(f"{path.name}.part")
    addresses = cycle(filter(None, (entry["url"], entry.get("mirror"))))
    for left, address in zip(reversed(range(ATTEMPTS)), addresses, strict=False):
        try:
            _transfer(address, part)
            break
        except requests.RequestException:
            if not left:
                raise
            time.sleep(PAUSE)
    if differs := difference(part, entry):
        part.unlink()
        raise ValueError(
            f"{address} sent another file than the registered {path.name}: {differs}; it "
            "is deleted. Try again, or put a sound copy into a folder and name it in JND_MIRROR"
        )
    os.replace(part, path)
    return path


def _transfer(url: str, part: Path) -> None:
    """Add to ``part`` what it lacks."""
    with open(part, "ab") as file:
        headers = {"Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code in (200, 416):  # all of it comes; it ends before our place
                file.truncate(0)
            response.raise_for_status()
            coming = int(response.headers.get("Content-Length", 0))
            with tqdm(total=coming, unit="B", unit_scale=True, disable=None) as bar:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
