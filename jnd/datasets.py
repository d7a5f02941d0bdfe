"""Photos and data sets from the registry (data/registry.yaml) or from files, as pixels 0..255."""

import difflib
import tarfile
import zipfile
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, crop, resize

from jnd.support.files import replacing, sha256
from jnd.support.registry import fetch, registered

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""CIFAR-10's categories, in the order of its labels."""
CIFAR10_ARCHIVE = "cifar-10-binary.tar.gz"


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
    # every name is checked before anything is fetched
    sources = [photo_source(name) for name in names]
    photos, hashes = [], {}
    for name, (file, box) in zip(names, sources, strict=True):
        path, pixels = _found(file)
        if box:
            left, top, side = box
            pixels = crop(pixels, top, left, side, side)
        photos.append(central_square(pixels, size))
        hashes[name] = sha256(path)
    return torch.stack(photos).float(), hashes


def load_picture(name: str, long_side: int) -> tuple[Tensor, dict[str, str]]:
    """A whole picture of any shape, by its name in the registry or by the path of its file.

    Resized as :func:`~jnd.datasets.load_photos` does it, the shape kept.

    Returns:
        the picture, (1, 3, H, W) float32 in 0..255, and the SHA-256 of its file by name.

    Raises:
        ValueError: unknown name, ``long_side`` below 1, or a picture that is not 8-bit RGB.
        OSError: it could not be fetched or read.
    """
    if long_side < 1:
        raise ValueError(f"size = {long_side}, but a picture has at least 1 pixel")
    file, _ = photo_source(name)
    path, pixels = _found(file)
    sides = [max(1, round(side * long_side / max(pixels.shape[1:]))) for side in pixels.shape[1:]]
    return resize(pixels, sides, antialias=True)[None].float(), {name: sha256(path)}


def load_cifar10(source: str | Path, train: bool = False) -> tuple[Tensor, Tensor, dict[str, str]]:
    """CIFAR-10, or a part of it.

    Args:
        source: ``"official"``: the data set's own archive (binary version), as registered; or the
            path of a file: an .npz with the arrays ``images``, (N, 32, 32, 3) uint8, and
            ``labels``, (N,), or a copy of that archive.
        train: of an archive, its 50,000 training images instead of its 10,000 test images.

    Returns:
        images (N, 3, 32, 32) uint8, labels (N,) int64 in the order of
        :data:`~jnd.datasets.CIFAR10`, and the SHA-256 of the file by its name.

    Raises:
        ValueError: the file is damaged or does not hold what is said above.
        OSError: it is missing or could not be fetched.
    """
    path = fetch(CIFAR10_ARCHIVE) if source == "official" else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f'no data file {path}; "official" fetches CIFAR-10')
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                images, labels = arrays["images"], arrays["labels"]
        else:
            images, labels = _read_cifar10_archive(path, train)
    except (KeyError, EOFError, OSError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): it is damaged, or neither an .npz with the arrays "
            "images and labels nor CIFAR-10's archive cifar-10-binary.tar.gz; fetch it again"
        ) from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3):
        raise ValueError(
            f"{path}: images must be (N, 32, 32, 3) uint8, not {images.shape} {images.dtype}"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: labels must be one whole number for each of the {len(images)} images, "
            f"not {labels.shape} {labels.dtype}"
        )
    if len(labels) and not (0 <= labels.min() and labels.max() < len(CIFAR10)):
        raise ValueError(
            f"{path}: labels go from {labels.min()} to {labels.max()}, CIFAR-10's from 0 to 9"
        )
    pixels = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    return pixels, torch.tensor(labels.astype(np.int64)), {path.name: sha256(path)}


def packaged_squares(count: int, size: int) -> tuple[Tensor, dict[str, str]]:
    """Squares of random place and side, cut from the photos that packages ship and resized.

    They are the same each time: images (count, 3, size, size) float32, whole grey levels, and the
    SHA-256 of each of P photos. Square i is of photo i % P.
    """
    shown = {registered("photos")[name]["file"] for name in packaged_photos()}
    files = [name for name in registered("files") if name in shown]
    photos = [read_rgb(fetch(name)) for name in files]
    generator = torch.Generator().manual_seed(0)
    squares = []
    for i in range(count):
        photo = photos[i % len(photos)]
        height, width = photo.shape[1:]
        shortest, share = min(height, width), torch.rand(3, generator=generator).tolist()
        side = round(shortest * (0.25 + 0.75 * share[0]))
        top, left = round((height - side) * share[1]), round((width - side) * share[2])
        squares.append(resize(crop(photo, top, left, side, side), [size, size], antialias=True))
    return torch.stack(squares).float(), {name: sha256(fetch(name)) for name in files}


def load_squares(source: str, count: int, size: int) -> tuple[Tensor, dict[str, str]]:
    """Many square photos.

    Args:
        source: ``"packaged"``: :func:`~jnd.datasets.packaged_squares`; or a folder of pictures,
            of which the first by name are taken.
        count, size: how many, and the side of the result, pixels.

    Returns:
        images (count, 3, size, size) float32, whole grey levels, and the SHA-256 of each file.

    Raises:
        ValueError: there are fewer pictures, or one that is not 8-bit RGB.
        OSError: no such folder, or a picture that cannot be read.
    """
    if source == "packaged":
        return packaged_squares(count, size)
    if not Path(source).is_dir():
        raise FileNotFoundError(f'no folder {source}; "packaged" needs none')
    files = sorted(str(path) for path in Path(source).iterdir() if path.is_file())[:count]
    if len(files) < count:
        raise ValueError(f"{source} has {len(files)} pictures, {count} are needed")
    return load_photos(files, size)


def photo_source(name: str) -> tuple[str | Path, list[int] | None]:
    """The registered file of a photo and its crop, if it has one; or else the path of a file.

    Raises:
        ValueError: neither registered nor a file.
    """
    path = Path(name)
    if path.is_file() and (path.suffix or path.name != name):  # as no registered photo is called
        return path, None
    photos = registered("photos")
    if entry := photos.get(name):
        return entry["file"], entry.get("crop")
    if path.is_file():
        return path, None
    hint = difflib.get_close_matches(name, photos) or photos
    raise ValueError(f"no photo {name!r}: neither a file nor registered, as are {', '.join(hint)}")


def packaged_photos() -> list[str]:
    """Names of the photos that packages ship."""
    files, photos = registered("files"), registered("photos").items()
    return [name for name, photo in photos if "package" in files[photo["file"]]]


def central_square(pixels: Tensor, size: int) -> Tensor:
    """The middle of a picture, resized, enlarged if need be: (3, H, W) -> (3, size, size)."""
    square = center_crop(pixels, [min(pixels.shape[1:])] * 2)
    return resize(square, [size, size], antialias=True)


def read_rgb(path: str | Path, convert: Set[str] = frozenset()) -> Tensor:
    """An 8-bit RGB picture as (3, H, W) uint8, turned as its EXIF says.

    Args:
        path: of its file.
        convert: Pillow's names of other modes that are turned into RGB, such as ``{"L"}``, grey.

    Raises:
        ValueError: the picture is grey, has an alpha channel or more than 8 bits.
        OSError: it is missing or damaged.
    """
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file.convert("RGB") if file.mode in convert else file)
        if image.mode != "RGB":
            raise ValueError(
                f"{path} is a picture of mode {image.mode}, not 8-bit RGB; convert it first, with "
                "Pillow for example: Image.open(path).convert('RGB').save('rgb.png')"
            )
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def save_png(path: str | Path, x: Tensor) -> None:
    """Write a picture, all of it or nothing; :func:`read_rgb` reads the same pixels.

    Args:
        path: of the file, which ends in .png; one that is there is replaced.
        x: (3, H, W), whole grey levels 0..255, as ``find_jnd(..., pixels="8bit")`` gives them.

    Raises:
        ValueError: the name ends otherwise, or ``x`` is no such picture.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} would hold a PNG: let its name end in .png")
    if x.ndim != 3 or len(x) != 3:
        raise ValueError(f"a picture is (3, H, W), not {tuple(x.shape)}")
    pixels = x.detach().cpu()
    whole = pixels.nan_to_num(0.5).to(torch.uint8)
    if not torch.equal(whole.to(x.dtype), pixels):
        raise ValueError(
            f"{path} would hold whole grey levels 0..255, but this picture has others: use "
            'find_jnd(..., pixels="8bit"), for rounding may undo the change'
        )
    with replacing(path) as part:
        Image.fromarray(whole.permute(1, 2, 0).numpy()).save(part, format="PNG")


def _found(file: str | Path) -> tuple[Path, Tensor]:
    """Where what :func:`photo_source` names is, and its pixels."""
    path = fetch(file) if isinstance(file, str) else file
    return path, read_rgb(path)


def _read_cifar10_archive(path: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Records of one byte for the label and 3 × 32 × 32 bytes for the pixels, plane by plane."""
    batches = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    with tarfile.open(path) as archive:
        files = [archive.extractfile(f"cifar-10-batches-bin/{batch}") for batch in batches]
        content = b"".join(file.read() for file in files if file)
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]
