"""The JND of every photo in a folder, shard by shard: the jobs of ``snakemake folder``.

A shard is a piece of the sorted list of photos. It becomes a Parquet table, a row for each photo,
and all of them become one, in which each is a row group. Where the numbers come from is said in
JSON under ``jnd`` in the metadata of a table's schema; :func:`provenance` reads it.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL.Image import DecompressionBombError
from torch import Tensor

from jnd.companion.parameters import check_type
from jnd.companion.provenance import origin, plain, subject
from jnd.cost import Cost
from jnd.datasets import central_square, read_rgb, save_png
from jnd.descent import find_jnd
from jnd.machines import Machine, load_machine
from jnd.metrics import METRICS, quality, scores
from jnd.objectives import ranked_class
from jnd.support.device import Parts
from jnd.support.files import replacing, sha256
from jnd.trajectory import DivergedError, Trajectory

JPEG_MODES = {"L", "CMYK"}  # what a JPEG may hold beside RGB, as Pillow calls it: turned into RGB
UNREADABLE = (OSError, ValueError, SyntaxError, DecompressionBombError)  # what Pillow raises
SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("sha256", pa.string()),
        *((name, pa.int32()) for name in ("label", "target", "K")),
        *((name, pa.float64()) for name in ("jnd", *METRICS)),
        ("K_8bit", pa.int32()),
        *((name, pa.float64()) for name in ("jnd_8bit", "seconds")),
        ("error", pa.string()),
    ]
)
"""A row holds the photo's path inside the folder and its file's hash; classes as numbers, whose
names are in the provenance; K, -1 if there is none; JND(M) and the quality of x(K), null without K;
K and JND(M) of the picture; the time of the photo's batch divided by its photos; why
there are no numbers, null if there are."""


@dataclass(frozen=True)
class Parameters:
    """What decides the numbers; ``folder.yaml`` says what each means and has the defaults.

    Raises:
        TypeError: a parameter is of another type than said here.
        ValueError: a batch of no photo; pictures are to be saved among the photos.
    """

    images: str
    machine: str
    weights: str
    size: int
    target_rank: int
    squared_distance: float
    bounded_range: float
    total_variation: float
    alpha: float
    max_iter: int
    batch: int
    save: str

    def __post_init__(self) -> None:
        for field in fields(self):
            check_type(field.name, getattr(self, field.name), getattr(field.type, "__name__", ""))
        if self.batch < 1:
            raise ValueError(f"batch = {self.batch}, but a batch has at least 1 photo")
        images, save = Path(self.images).resolve(), Path(self.save).resolve()
        if self.save and images in [save, *save.parents]:
            raise ValueError(f"save = {self.save!r} is inside images: choose a folder beside it")

    @property
    def descent(self) -> dict[str, Any]:
        """What :func:`~jnd.descent.find_jnd` takes of them, beside target and machine."""
        cost = Cost(self.squared_distance, self.bounded_range, self.total_variation)
        return {"cost": cost, "alpha": self.alpha, "max_iter": self.max_iter}


def measure(parameters: Parameters, names: Sequence[str], out: Path) -> None:
    """Write the table of a shard. A run that was killed goes on at the iteration it had saved.

    A photo that cannot be decoded, or whose descent leaves the finite numbers, has a row that says
    so in ``error``.

    Args:
        parameters: of the descent.
        names: of the photos, inside ``parameters.images``.
        out: the table; the state of its descents is beside it until it is there.

    Raises:
        ValueError: a parameter is out of its range; nothing has been computed yet.
        OSError: a file cannot be read from the disk, the weights' or a photo's.
    """
    machine = load_machine(parameters.machine, parameters.weights)
    _check(parameters, machine)
    batches = [names[i : i + parameters.batch] for i in range(0, len(names), parameters.batch)]
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, batch in enumerate(batches):
        checkpoint = out.with_name(f"{out.name}.{i}.checkpoint")
        rows += _measure_batch(parameters, machine, batch, checkpoint)
    table = pa.Table.from_pylist(rows, SCHEMA)
    made = {"parameters": asdict(parameters), "categories": machine.categories}
    made |= subject([machine], **_data([table])) | origin()
    with replacing(out) as part:
        pq.write_table(table.cast(_with_provenance(made)), part)
    for leftover in out.parent.glob(f"{out.name}.*"):
        leftover.unlink()


def merge(shards: Sequence[Path], out: Path) -> None:
    """Write one table of the shards' tables, in their order, with one at a time in memory.

    What a provenance says of the shards, such as the device, is a list where they differ; the date
    is the latest.

    Raises:
        ValueError: the shards are of different runs.
    """
    made: dict[str, list] = {}
    for shard in shards:
        for name, value in provenance(shard).items():
            values = made.setdefault(name, [])
            if value not in values:
                values.append(value)
    for name in ("parameters", "machine_sha256"):
        if len(made[name]) > 1:
            raise ValueError(
                f"the shards in {out.parent} differ in {name}: delete that folder and start again"
            )
    made["date"] = [max(made["date"])]
    data = _data(pq.read_table(shard, columns=["image", "sha256"]) for shard in shards)
    common = {name: values[0] if len(values) == 1 else values for name, values in made.items()}
    failed = 0
    with replacing(out) as part:
        with pq.ParquetWriter(part, _with_provenance(common | data)) as writer:
            for shard in shards:
                table = pq.read_table(shard)
                failed += len(table) - table["error"].null_count
                writer.write_table(table.cast(writer.schema))
    print(f"{out}: {data['data']}, {failed} of them with an error instead of numbers")


def provenance(table: str | Path) -> dict[str, Any]:
    """Where the numbers of a shard or of the whole come from.

    ``parameters``, ``machine``, its ``categories`` and the hash of its weights, ``commit``,
    ``packages``, ``device``, ``date``; and of the ``data`` a hash, which is that of what
    ``sha256sum`` prints of the photos, sorted by name.
    """
    return json.loads(pq.read_schema(table).metadata[b"jnd"])


def _measure_batch(
    parameters: Parameters, machine: Machine, names: Sequence[str], checkpoint: Path
) -> list[dict[str, Any]]:
    """The rows of photos that descend together."""
    began = time.perf_counter()
    rows: list[dict[str, Any]] = [{"image": name} for name in names]
    photos = []
    for row in rows:
        path = Path(parameters.images, row["image"])
        row["sha256"] = sha256(path)  # fails where the disk does, and not where the picture is bad
        try:
            photos.append(central_square(read_rgb(path, JPEG_MODES), parameters.size))
        except UNREADABLE as error:
            row["error"] = str(error)
    if photos:
        readable = [row for row in rows if "error" not in row]
        x0 = torch.stack(photos).float().to(machine.mean.device)
        numbers, pictures = _descend(parameters, machine, x0, checkpoint)
        for row, of_photo, picture in zip(readable, numbers, pictures, strict=True):
            row |= of_photo
            if parameters.save:
                path = Path(parameters.save, f"{row['image']}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)  # of other parameters
                if picture.isfinite().all():
                    save_png(path, picture)
    seconds = (time.perf_counter() - began) / len(rows)
    return [row | {"seconds": seconds} for row in rows]


def _descend(
    parameters: Parameters, machine: Machine, x0: Tensor, checkpoint: Path
) -> tuple[list[dict[str, Any]], Tensor]:
    """The numbers of each photo of x0, (B, 3, H, W), and its picture, NaN if none."""
    with torch.no_grad():
        (logits,) = Parts()(lambda images: (machine(images),), x0)
    columns = {"label": ranked_class(logits, 1)}
    if parameters.target_rank:
        columns["target"] = ranked_class(logits, parameters.target_rank)
    options = parameters.descent | columns | {"stop_at_K": True}

    def descend(pixels: Literal["float", "8bit"]) -> tuple[Trajectory, Tensor]:
        kept = checkpoint.with_suffix(f".{pixels}.checkpoint")
        try:
            found = find_jnd(machine, x0, **options, pixels=pixels, checkpoint=kept)
            return found, torch.full_like(found.K, -1)
        except DivergedError as error:
            return error.trajectory, error.at

    (found, at), (picture, picture_at) = descend("float"), descend("8bit")
    columns |= {"K": found.K, "jnd": found.jnd, **scores(x0, found.x_jnd)}
    columns |= {"K_8bit": picture.K, "jnd_8bit": picture.jnd}
    values = zip(*plain(list(columns.values())), strict=True)
    rows = [dict(zip(columns, of_photo, strict=True)) for of_photo in values]
    for column, lost_at in {"K_8bit": picture_at, "K": at}.items():
        for row, k in zip(rows, lost_at.tolist(), strict=True):
            if k >= 0:
                row[column] = None
                row["error"] = f"the descent left the finite numbers at iteration {k}"
    return rows, picture.x_jnd


def _check(parameters: Parameters, machine: Machine) -> None:
    """Refuse what would only fail at the first photo, or after its descent: try a blank one."""
    if parameters.save:
        Path(parameters.save).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=parameters.save).close()
    if parameters.target_rank == 1:
        raise ValueError("target_rank = 1 is M's answer itself: take 2 or more, or 0 for no class")
    blank = torch.zeros(1, 3, parameters.size, parameters.size, device=machine.mean.device)
    quality(blank, blank)
    with torch.no_grad():
        ranked_class(machine(blank), parameters.target_rank or 1)
    find_jnd(machine, blank, **parameters.descent | {"max_iter": min(parameters.max_iter, 1)})


def _data(tables: Iterable[pa.Table]) -> dict[str, Any]:
    """How many photos there are, and a hash of their names and hashes."""
    count, digest = 0, hashlib.sha256()
    for table in tables:
        count += len(table)
        for row in table.select(["image", "sha256"]).to_pylist():
            digest.update(f"{row['sha256']}  {row['image']}\n".encode())
    return {"data": f"{count} photos", "data_sha256": digest.hexdigest()}


def _with_provenance(made: Mapping[str, Any]) -> pa.Schema:
    return SCHEMA.with_metadata({"jnd": json.dumps(made)})


def main() -> None:
    says = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser("python -m jnd.companion.folder", description=says)
    commands = parser.add_subparsers(dest="command", required=True)
    shard = commands.add_parser("shard", help="the table of some photos")
    shard.add_argument("out", type=Path)
    shard.add_argument("parameters", type=json.loads, help="those of folder.yaml, in JSON")
    shard.add_argument("photos", nargs="+", help="their paths inside the folder")
    whole = commands.add_parser("merge", help="one table of all shards")
    whole.add_argument("out", type=Path)
    whole.add_argument("folder", type=Path, help="holds 00000.parquet and so on")
    whole.add_argument("count", type=int, help="of shards")
    args = parser.parse_args()
    try:
        if args.command == "shard":
            measure(Parameters(**args.parameters), args.photos, args.out)
        else:
            merge([args.folder / f"{i:05}.parquet" for i in range(args.count)], args.out)
    except (DivergedError, MemoryError, OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
