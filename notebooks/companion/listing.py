"""The photos of a folder and their shards, as Snakemake and each of its jobs see them."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ENDINGS = {".jfif", ".jpe", ".jpeg", ".jpg", ".png"}
OWNER = "images.txt"  # in an output: the folder of photos to which it belongs


def list_photos(images: str | Path) -> tuple[list[str], Counter[str]]:
    """List the photos of a folder and its subfolders, linked ones included.

    Returns:
        sorted paths inside the folder, and how many other files there are with each ending.
    """
    photos = []
    others: Counter[str] = Counter()

    def count_unlisted(_: OSError) -> None:
        others["folders that cannot be listed"] += 1

    for path, subfolders, files in os.walk(images, followlinks=True, onerror=count_unlisted):
        folder = Path(path)
        above = {parent.resolve() for parent in (folder, *folder.parents)}
        # a link to a folder in which it lies would lead round in circles
        subfolders[:] = [name for name in subfolders if (folder / name).resolve() not in above]
        for name in files:
            ending = os.path.splitext(name)[1].lower()
            if ending in ENDINGS:
                photos.append(str(folder.relative_to(images) / name))
            else:
                others[ending or "without an ending"] += 1
    return sorted(photos), others


def left_out(images: str | Path, others: Counter[str]) -> str:
    """Say how many files of a folder are not taken as photos."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common())
    return f"{images}: {others.total()} left out ({kinds}); photos are {', '.join(sorted(ENDINGS))}"


def shard_of(photos: Sequence[str], number: int, size: int) -> Sequence[str]:
    """Return the photos of a shard."""
    return photos[number * size : (number + 1) * size]


def state_of(images: str | Path, photos: Sequence[str]) -> str:
    """Return a hash that changes when a photo does, by name, size and date."""
    states = []
    for name in photos:
        path = Path(images, name)
        try:
            status = path.stat()
        except OSError:
            status = path.lstat()  # a link that leads nowhere
        states.append((str(path), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(states).encode()).hexdigest()


def check_owner(output: str | Path, images: str | Path) -> None:
    """Refuse an output that belongs to another folder of photos, or lies below a file."""
    path = Path(output, OWNER)
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise ValueError(f"nothing can be written into {output}: {parent} is no folder")
    if path.exists() and path.read_bytes() != _resolved(images):
        raise ValueError(
            f"{output} belongs to the photos in {os.fsdecode(path.read_bytes())}, not to those in "
            f"{images}: choose another folder, or delete {path} if they are the same photos"
        )


def claim(output: str | Path, images: str | Path) -> None:
    """Make an output belong to a folder of photos; of two that begin at once, one is refused."""
    try:
        with open(Path(output, OWNER), "xb") as file:
            file.write(_resolved(images))
    except FileExistsError:
        check_owner(output, images)


def _resolved(images: str | Path) -> bytes:
    return os.fsencode(Path(images).resolve())
