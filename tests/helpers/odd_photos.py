"""Photos that Pillow reads wrongly, or not at all."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def write_16_bit_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) uint8 as a PNG of 48 bits per pixel, which Pillow cannot write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}.items():
        checked = name + data
        content += struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
    path.write_bytes(content)


def jpeg_with_odd_exif(pixels: np.ndarray) -> bytes:
    """A sound JPEG to be turned by a quarter, whose resolution is the fraction -1 / 0."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    orientation = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    resolution = struct.pack(">HHII", 0x011A, 10, 1, 38)  # where its two numbers are
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + orientation + resolution
    exif += struct.pack(">Iii", 0, -1, 0)
    jpeg = buffer.getvalue()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
