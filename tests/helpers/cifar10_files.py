"""Archives in the layout of CIFAR-10's binary version."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

BATCHES = ["test_batch", *(f"data_batch_{i}" for i in range(1, 6))]


def write_archive(path: Path, batches: Mapping[str, tuple[Sequence[int], Tensor]]) -> None:
    """Write batches: name -> labels and uint8 images (N, 3, 32, 32), all their planes in order."""
    with tarfile.open(path, "w:gz") as archive:
        for name, (labels, images) in batches.items():
            pairs = zip(labels, images, strict=True)
            records = b"".join(bytes([label]) + x.numpy().tobytes() for label, x in pairs)
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            entry.size = len(records)
            archive.addfile(entry, io.BytesIO(records))
