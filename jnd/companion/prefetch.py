"""Fetch ahead all that a profile takes from outside: python -m jnd.companion.prefetch paper"""

import sys
from collections.abc import Mapping
from typing import Any

from jnd.companion.parameters import profile_parameters
from jnd.datasets import CIFAR10_ARCHIVE, photo_source
from jnd.machines.weights import official_file
from jnd.support.checkout import ROOT
from jnd.support.registry import cache_folder, fetch, find, registered


def needed(profile: str) -> dict[str, Mapping[str, Any]]:
    """The outside files that the notebooks of a profile use: name -> entry of the registry.

    Raises:
        ValueError: an unknown profile, photo or network.
    """
    files: dict[str, Mapping[str, Any]] = {}
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        files |= files_of(profile_parameters(notebook.stem, profile))
    return files


def files_of(given: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The outside files of a notebook with these parameters: name -> entry of the registry.

    Raises:
        ValueError: an unknown photo or network.
    """
    photos = [given["photo"]] if "photo" in given else given.get("photos", [])
    names = [file for file, _ in map(photo_source, photos) if isinstance(file, str)]
    if given.get("data") == "official":
        names.append(CIFAR10_ARCHIVE)
    files: dict[str, Mapping[str, Any]] = {name: registered("files")[name] for name in names}
    for machine, weights in _machines(given):
        # a file that is not there yet is trained first, from the official weights
        if weights == "official" or weights != "bundled" and not (ROOT / weights).is_file():
            files |= [official_file(machine)]
    return {name: entry for name, entry in files.items() if "url" in entry}


def prefetch(profile: str) -> None:
    """Say what a profile needs, how large it is and what is here already; then fetch the rest.

    Raises:
        ValueError: as :func:`~jnd.companion.prefetch.needed`, or a file is not the registered one.
        OSError: one could not be fetched or kept.
    """
    files = needed(profile)
    missing = {name: entry for name, entry in files.items() if not find(name, entry)}
    for name, entry in files.items():
        place = entry["url"] if name in missing else "is here"
        print(f"{entry['bytes'] / 1e6:8.1f} MB  {name}  {place}")
    print(
        f"The {profile} profile needs {_amount(files)} from outside; to fetch: {_amount(missing)}"
        + (f", into {cache_folder()}" if missing else "")
    )
    for name, entry in missing.items():
        print(name, flush=True)
        fetch(name, entry)


def _machines(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The machines of a notebook's parameters, one or several, each with its weights."""
    if "machines" in given:
        return list(zip(given["machines"], given["weights"], strict=True))
    return [(given["machine"], given.get("weights", "bundled"))] if "machine" in given else []


def _amount(files: Mapping[str, Mapping[str, Any]]) -> str:
    total = sum(entry["bytes"] for entry in files.values())
    return f"{len(files)} files ({total / 1e6:.1f} MB)" if files else "nothing"


if __name__ == "__main__":
    try:
        prefetch(*sys.argv[1:2] or ["bundled"])
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
