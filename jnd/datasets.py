"""Photos from the registry (data/registry.yaml) or from files, as pixels 0..255."""

import difflib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pooch
import torch
import yaml
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, crop, resize

DATA = Path(__file__).resolve().parents[1] / "data"
REGISTRY = yaml.safe_load((DATA / "registry.yaml").read_text(encoding="utf-8"))


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(name: str) -> Path:
    """Path of a registered file, checked by its hash.

    Looked for, in this order, in the package that ships it or in this repository, the cache, the
    folder named by the environment variable ``JND_MIRROR``, and at its url.

    Raises:
        ValueError: a file found locally is not the registered one.
        OSError: it could not be fetched.
    """
    entry = REGISTRY["files"][name]
    if "path" in entry:
        package = entry.get("package")
        folder = Path(importlib.util.find_spec(package).origin).parent if package else DATA
        return _verified(folder / entry["path"], entry)
    cache = Path(os.environ.get("JND_CACHE") or pooch.os_cache("jnd"))
    if (cache / name).exists():
        return _verified(cache / name, entry)
    mirror = os.environ.get("JND_MIRROR")
    if mirror and (Path(mirror) / name).exists():
        return _verified(Path(mirror) / name, entry)
    known_hash, in_terminal = f"sha256:{entry['sha256']}", sys.stderr.isatty()
    try:
        return Path(pooch.retrieve(entry["url"], known_hash, name, cache, progressbar=in_terminal))
    except OSError as error:
        raise OSError(
            f"could not fetch {name} from {entry['url']} ({error}); put a copy into a folder and "
            "name that folder in JND_MIRROR, or use the bundled profile, which needs no download"
        ) from error


def load_photos(names: Sequence[str], size: int) -> tuple[Tensor, dict[str, str]]:
    """Square photos by their names in the registry, or by the paths of files.

    A registered crop is cut out, any other photo is cut to its central square; then it is resized
    (bilinear, antialiased, to whole grey levels, as an 8-bit file holds them).

    Args:
        names: one or more.
        size: side of the result, pixels.

    Returns:
        the photos, (B, 3, size, size) float32 in 0..255, and the SHA-256 of each file by name.

    Raises:
        ValueError: unknown name, size below 1, or a picture that is not 8-bit RGB.
        OSError: a photo could not be fetched or read.
    """
    if size < 1:
        raise ValueError(f"size = {size}, but a photo has at least 1 pixel")
    if not names:
        raise ValueError("no photo is named")
    sources = [_source(name) for name in names]  # every name is checked before anything is fetched
    photos, hashes = [], {}
    for name, (file, box) in zip(names, sources):
        path = fetch(file) if isinstance(file, str) else file
        pixels = read_rgb(path)
        if box:
            left, top, side = box
            pixels = crop(pixels, top, left, side, side)
        else:
            pixels = center_crop(pixels, [min(pixels.shape[1:])] * 2)
        photos.append(resize(pixels, [size, size], antialias=True))
        hashes[name] = sha256(path)
    return torch.stack(photos).float(), hashes


def read_rgb(path: str | Path) -> Tensor:
    """An 8-bit RGB picture as (3, H, W) uint8.

    Raises:
        ValueError: the picture is grey, has an alpha channel or more than 8 bits.
        OSError: it is missing or damaged.
    """
    with Image.open(path) as image:
        if image.mode != "RGB":
            raise ValueError(
                f"{path} is a picture of mode {image.mode}, not 8-bit RGB; convert it first, with "
                "Pillow for example: Image.open(path).convert('RGB').save('rgb.png')"
            )
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _source(name: str) -> tuple[str | Path, list[int] | None]:
    if entry := REGISTRY["photos"].get(name):
        return entry["file"], entry.get("crop")
    if Path(name).is_file():
        return Path(name), None
    hint = difflib.get_close_matches(name, REGISTRY["photos"]) or REGISTRY["photos"]
    raise ValueError(f"no photo {name!r}: neither a file nor registered, as are {', '.join(hint)}")


def _verified(path: Path, entry: dict) -> Path:
    if (found := sha256(path)) != entry["sha256"]:
        raise ValueError(
            f"{path} is not the registered file: its SHA-256 is {found}, registered is "
            f"{entry['sha256']}; delete it and fetch it again"
        )
    return path
