"""Files: their hashes and names, and writing them completely or not at all."""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST = 255  # bytes in the name of a file


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, indented, completely or not at all."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes ``path`` if the block succeeds."""
    part = path.with_name(f".{secrets.token_hex(4)}.part")  # never longer than a name may be
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def writable_folder(folder: str | Path) -> Path:
    """Make a folder for results, ``~`` expanded, and try to write into it.

    Raises:
        OSError: it cannot be made or written to.
    """
    path = Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise OSError(f"nothing can be written into the folder {path}: {error}") from error
    return path


def short_name(name: str, ending: str) -> str:
    """Return ``name + ending``; if that is too long for a file, its start and a hash."""
    full = os.fsencode(name + ending)
    if len(full) <= LONGEST:
        return name + ending
    mark = f"-{hashlib.sha256(full).hexdigest()[:16]}{ending}"
    start = os.fsencode(name)[: LONGEST - len(mark)]
    return start.decode("utf-8", "ignore") + mark


def printable(text: str) -> str:
    r"""Return a text as UTF-8 can hold it: other bytes of file names become ``\xe9``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
