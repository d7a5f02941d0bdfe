"""Open an archive that somebody has sent: check all of it, unpack it, and trust nothing in it.

Nothing is executed and nothing unpickled. A zip file that is not exactly what archive.py writes is
refused with the first reason, in one sentence.
"""

import json
import re
import shutil
import stat
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from companion.files import sha256
from companion.parameters import check_profile

FORMAT = 1  # of an archive
# our choice: the profile paper has about 500 MB in 200 files
MOST_BYTES = 2 * 10**9
MOST_FILES = 1000
METADATA = "ro-crate-metadata.json"
NAMES = re.compile(
    rf"{METADATA}|run\.json|claims\.json|[a-z0-9_]+/[a-z0-9_.-]+\.(csv|ipynb|json|png|safetensors)"
)
MARKUP = re.compile(r"[<>{}\[\]`\\$|]")
WITH_IMAGES = ("imagenet", "cifar10", "detection")
REQUIRED = (
    *("run.json", "claims.json"),
    *(f"{name}/metrics.json" for name in WITH_IMAGES),
    *(f"{name}/images.safetensors" for name in WITH_IMAGES),
)


class Refused(ValueError):
    """An archive may not be used; the message is the reason, in one sentence."""


def unpack(archive: Path, folder: Path) -> Path:
    """Check an archive, unpack it and return its results, a folder with the name of the profile.

    Args:
        archive: written by archive.py, or so its sender says.
        folder: an empty one, into which to unpack.

    Raises:
        Refused: it is anything else.
    """
    part = folder / "unpacked"
    try:
        with ZipFile(archive) as packed:
            members = packed.infolist()
            check_members(members)
            for member in members:
                path = part / member.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                # zipfile reads no more than the size declared, and checks the sum
                with packed.open(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (BadZipFile, EOFError, zlib.error) as error:
        raise Refused(
            f"{archive.name} is not a sound zip file ({error}); ask for another copy"
        ) from error
    check_hashes(part)
    check_format(part)
    for path in part.rglob("*.json"):
        if path.name != METADATA:
            check_texts(read_json(path), path.relative_to(part).as_posix())
    profile = read_json(part / "run.json")["profile"]
    return part.rename(folder / profile)


def check_members(members: Sequence[ZipInfo]) -> None:
    """Refuse what may not be unpacked, from the table of contents alone."""
    if len(members) > MOST_FILES:
        raise Refused(f"{len(members)} files are too many; at most {MOST_FILES} are read")
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise Refused(
            f"unpacked it would have {total / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.0f} are read"
        )
    names = [member.filename for member in members]
    if len({*names}) < len(names):
        raise Refused("it has two files of one name; make the archive again")
    for member in members:
        check_member(member)


def check_member(member: ZipInfo) -> None:
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise Refused(f"the file {name!r} would leave the folder it is unpacked into; don't use it")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Refused(f"{name!r} is a link or another special file; only plain files are read")
    if not NAMES.fullmatch(name):
        raise Refused(f"{name!r} is no file that `make archive` writes; leave it out")
    if member.flag_bits & 1 or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise Refused(f"{name!r} is encrypted or packed by an unusual method; use `make archive`")


def check_hashes(folder: Path) -> None:
    """Compare every file with the hash that the metadata give it."""
    if not (folder / METADATA).is_file():
        raise Refused(f"it has no {METADATA}; make it with `make archive`")
    metadata = read_json(folder / METADATA)
    try:
        hashes = {e["@id"]: e["sha256"] for e in metadata["@graph"] if e.get("@type") == "File"}
    except (AttributeError, KeyError, TypeError) as error:
        raise Refused(f"{METADATA} gives no hash for a file ({error}); make it again") from error
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in REQUIRED:
        if name not in files:
            raise Refused(f"{name} is missing; make the archive of a whole profile")
    for name in sorted(hashes.keys() | files - {METADATA}):
        if name not in files:
            raise Refused(f"{name} is missing, although {METADATA} names it; ask for another copy")
        if name not in hashes:
            raise Refused(f"{name} has no hash in {METADATA}; make the archive again")
        if sha256(folder / name) != hashes[name]:
            raise Refused(f"{name} is not the file whose hash is in {METADATA}; it was altered")


def check_format(folder: Path) -> None:
    run = read_json(folder / "run.json")
    version = run.get("format")
    if version != FORMAT:
        raise Refused(f"its format is {version!r}, and only {FORMAT} is known; use newer code")
    try:
        check_profile(run.get("profile"))
    except ValueError as error:
        raise Refused(str(error)) from error


def read_json(path: Path) -> Any:
    """Read a JSON file that holds an object."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path.name} is not valid JSON ({error}); make the archive again") from error
    if not isinstance(content, dict):
        raise Refused(f"{path.name} holds no JSON object; make the archive again")
    return content


def check_texts(content: Any, name: str) -> None:
    """Refuse texts that a page, a terminal or a path could take for more than words."""
    try:
        words = [*texts(content)]
    except RecursionError as error:
        raise Refused(f"{name} is nested too deeply; make the archive again") from error
    for text in words:
        is_path = name.endswith("viewer.json") and "/" in text
        if is_path or not is_plain(text):
            raise Refused(f"{name} has a text with markup, {text[:40]!r}; only words are read")


def is_plain(text: str) -> bool:
    return text.isprintable() and not MARKUP.search(text)


def texts(content: Any) -> Iterator[str]:
    """Return all texts of a JSON value, also the names in it."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)
