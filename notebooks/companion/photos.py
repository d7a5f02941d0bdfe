"""Photos and data sets, registered (data/registry.yaml) or in files, as pixels 0..255."""

import difflib
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, crop, resize

from companion.files import sha256
from companion.listing import list_photos
from companion.registry import fetch, registered

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""CIFAR-10's categories, in the order of its labels."""
CIFAR10_ARCHIVE = "cifar-10-binary.tar.gz"
JPEG_MODES = {"L", "CMYK"}  # a JPEG's other modes, by Pillow's names, which become RGB


def load_photos(names: Sequence[str], size: int) -> tuple[Tensor, dict[str, str]]:
    """Load square photos.

    A photo is cut to its registered crop, or else to its central square, and resized (bilinear,
    antialiased, to whole grey levels, as an 8-bit file stores them).

    Args:
        names: in the registry, or paths of files; at least one.
        size: side of the result, pixels.

    Returns:
        the photos, (B, 3, size, size) float32 in 0..255, and the SHA-256 of each file by name.

    Raises:
        ValueError: unknown name, size below 1, or a photo that :func:`read_square` refuses.
        OSError: a photo could not be fetched or read.
    """
    if size < 1:
        raise ValueError(f"size = {size}, but a photo has at least 1 pixel")
    if not names:
        raise ValueError("no photo is named")
    # all names are checked before anything is fetched
    sources = [photo_source(name) for name in names]
    photos = []
    hashes = {}
    for name, (file, box) in zip(names, sources, strict=True):
        path = _path(file)
        photos.append(read_square(path, size, box))
        hashes[name] = sha256(path)
    return torch.stack(photos).float(), hashes


def load_picture(name: str, long_side: int) -> tuple[Tensor, dict[str, str]]:
    """Load a whole picture and resize it like :func:`load_photos`, keeping its shape.

    Args:
        name: in the registry, or the path of a file.
        long_side: of the result, pixels.

    Returns:
        the picture, (1, 3, H, W) float32 in 0..255, and the SHA-256 of its file by name.
    """
    if long_side < 1:
        raise ValueError(f"size = {long_side}, but a picture has at least 1 pixel")
    file, _ = photo_source(name)
    path = _path(file)
    pixels = read_rgb(path)
    sides = [max(1, round(side * long_side / max(pixels.shape[1:]))) for side in pixels.shape[1:]]
    picture = resize(pixels, sides, antialias=True)
    _refuse_black(picture, path)
    return picture[None].float(), {name: sha256(path)}


def load_cifar10(source: str | Path, train: bool = False) -> tuple[Tensor, Tensor, dict[str, str]]:
    """Load CIFAR-10 or a part of it.

    Args:
        source: ``"official"``, the registered archive of the data set (binary version), or the
            path of a file: a copy of that archive, or an .npz with the arrays ``images``,
            (N, 32, 32, 3) uint8, and ``labels``, (N,).
        train: take the archive's 50,000 training images, not its 10,000 test images.

    Returns:
        images (N, 3, 32, 32) uint8, labels (N,) int64 in the order of :data:`CIFAR10`, and the
        SHA-256 of the file by its name.
    """
    path = fetch(CIFAR10_ARCHIVE) if source == "official" else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f'no data file {path}; "official" fetches CIFAR-10')
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                images = arrays["images"]
                labels = arrays["labels"]
        else:
            images, labels = _read_cifar10_archive(path, train)
    except (KeyError, EOFError, OSError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): it is damaged, or neither an .npz with the arrays "
            "images and labels nor CIFAR-10's archive cifar-10-binary.tar.gz; download it again"
        ) from error
    is_cifar10 = images.dtype == np.uint8 and images.shape == (*labels.shape, 32, 32, 3)
    if not is_cifar10 or not np.isin(labels, range(len(CIFAR10))).all():
        raise ValueError(
            f"{path}: images must be (N, 32, 32, 3) uint8 and labels N whole numbers from 0 to 9, "
            f"not {images.shape} {images.dtype} and {labels.shape} {labels.dtype}"
        )
    pixels = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    return pixels, torch.tensor(labels.astype(np.int64)), {path.name: sha256(path)}


def packaged_squares(count: int, size: int) -> tuple[Tensor, dict[str, str]]:
    """Cut squares at random, but the same each time, from the photos that packages ship.

    Returns:
        resized squares (count, 3, size, size) float32, whole grey levels, and the SHA-256 of each
        of P photos; square i is cut from photo i % P.
    """
    shipped = {registered("photos")[name]["file"] for name in packaged_photos()}
    files = [name for name in registered("files") if name in shipped]
    photos = [read_rgb(fetch(name)) for name in files]
    generator = torch.Generator().manual_seed(0)
    squares = []
    for i in range(count):
        photo = photos[i % len(photos)]
        height, width = photo.shape[1:]
        relative_side, down, across = torch.rand(3, generator=generator).tolist()
        side = round(min(height, width) * (0.25 + 0.75 * relative_side))
        top = round((height - side) * down)
        left = round((width - side) * across)
        squares.append(resize(crop(photo, top, left, side, side), [size, size], antialias=True))
    return torch.stack(squares).float(), {name: sha256(fetch(name)) for name in files}


def load_squares(source: str, count: int, size: int) -> tuple[Tensor, dict[str, str]]:
    """Load many square photos.

    Args:
        source: ``"packaged"`` for :func:`packaged_squares`, or a folder of pictures, whose first
            ones by name are taken.
        count: how many.
        size: side of the result, pixels.

    Returns:
        images (count, 3, size, size) float32, whole grey levels, and the SHA-256 of each file.
    """
    if source == "packaged":
        return packaged_squares(count, size)
    if not Path(source).is_dir():
        raise FileNotFoundError(f'no folder {source}; "packaged" needs none')
    files = [str(Path(source, name)) for name in list_photos(source)[0][:count]]
    if len(files) < count:
        raise ValueError(f"{source} has {len(files)} pictures, {count} are needed")
    return load_photos(files, size)


def photo_source(name: str) -> tuple[str | Path, list[int] | None]:
    """Look a photo up, among the registered ones and among files.

    Returns:
        the name of its registered file or the path of the user's, and its crop if it has one.
    """
    path = Path(name)
    # a name without a folder or an ending may be that of a registered photo
    if path.is_file() and (path.suffix or path.name != name):
        return path, None
    photos = registered("photos")
    if name in photos:
        return photos[name]["file"], photos[name].get("crop")
    if path.is_file():
        return path, None
    hint = difflib.get_close_matches(name, photos) or photos
    raise ValueError(f"no photo {name!r}: neither a file nor registered, as are {', '.join(hint)}")


def packaged_photos() -> list[str]:
    """Return the names of the photos that packages ship."""
    files = registered("files")
    photos = registered("photos").items()
    return [name for name, photo in photos if "package" in files[photo["file"]]]


def central_square(pixels: Tensor, size: int) -> Tensor:
    """Cut out the middle of a picture and resize it: (3, H, W) -> (3, size, size)."""
    square = center_crop(pixels, [min(pixels.shape[1:])] * 2)
    return resize(square, [size, size], antialias=True)


def read_square(path: str | Path, size: int, box: Sequence[int] | None = None) -> Tensor:
    """Read a square of a photo, the central one or a box, resized to (3, size, size) uint8.

    Args:
        path: of its file.
        size: side of the result, pixels.
        box: left, top and side of the square, pixels.
    """
    pixels = read_rgb(path)
    if box:
        left, top, side = box
        pixels = crop(pixels, top, left, side, side)
    square = central_square(pixels, size)
    _refuse_black(square, path)
    return square


def read_rgb(path: str | Path) -> Tensor:
    """Read an 8-bit picture in colour or grey as (3, H, W) uint8, upright by its EXIF orientation.

    Raises:
        ValueError: it has an alpha channel, a palette or 16 bits, or cannot be decoded.
        OSError: it cannot be read.
    """
    try:
        with Image.open(path) as file:
            # Pillow reads 16 bits per channel as 8 without a word
            has_16_bits = any(";16" in str(tile) for tile in getattr(file, "tile", ()))
            is_jpeg_mode = file.mode in JPEG_MODES
            image = ImageOps.exif_transpose(file.convert("RGB") if is_jpeg_mode else file)
            pixels = np.array(image)
    except (OSError, ValueError):
        raise
    except Exception as error:  # a damaged file makes Pillow raise errors of any kind
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} cannot be decoded ({reason})") from error
    mode = "16-bit RGB" if has_16_bits and image.mode == "RGB" else image.mode
    if mode != "RGB":
        raise ValueError(
            f"{path} is a picture of mode {mode}, not 8-bit RGB; convert it first, with "
            "Pillow for example: Image.open(path).convert('RGB').save('rgb.png')"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _refuse_black(photo: Tensor, path: str | Path) -> None:
    if not photo.any():
        raise ValueError(
            f"{path} is black in the part that is used: a JND relative to ‖x(0)‖ = 0 would "
            "be infinite"
        )


def _path(file: str | Path) -> Path:
    """Return the path of a file from :func:`photo_source`, fetching it if need be."""
    return fetch(file) if isinstance(file, str) else file


def _read_cifar10_archive(path: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and labels of CIFAR-10's binary version.

    Records of one byte for the label and 3 × 32 × 32 bytes for the pixels, plane by plane.
    """
    batches = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    with tarfile.open(path) as archive:
        files = [archive.extractfile(f"cifar-10-batches-bin/{batch}") for batch in batches]
        content = b"".join(file.read() for file in files if file)
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, records[:, 0]
