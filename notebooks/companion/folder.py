"""The JND of every photo in a folder, shard by shard: the jobs of ``snakemake folder``.

A shard is a piece of the sorted list of photos. It becomes a Parquet table with a row for each
photo; the shards are merged into one table, as its row groups. The metadata of a table's schema
hold, under ``jnd``, the provenance of its numbers in JSON; :func:`provenance` reads it.
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

from companion.checkpoint import Checkpoint, fingerprint
from companion.files import replacing, sha256
from companion.parameters import check_type
from companion.photos import central_square, read_rgb
from companion.provenance import origin, plain, subject
from companion.zoo import load_machine
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machine import Machine
from jnd.metrics import METRICS, all_metrics, table_metrics
from jnd.objectives import ranked_class
from jnd.pictures import save_png
from jnd.trajectory import DivergedError, Trajectory

JPEG_MODES = {"L", "CMYK"}  # Pillow's names of a JPEG's other modes, which are turned into RGB
UNREADABLE = (OSError, ValueError, SyntaxError, DecompressionBombError)  # raised by Pillow
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
"""The columns: the photo's path inside the folder and its file's hash; classes as numbers, whose
names are in the provenance; K, -1 if there is none; JND(M) and the metrics of x(K), null without K;
K and JND(M) of the picture; the time of the photo's batch divided by its number of photos; the
reason why there are no numbers, null if there are."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of ``folder.yaml`` that determine the numbers; meaning and defaults are there.

    Raises:
        TypeError: a parameter has another type than given here.
        ValueError: the batch is empty, or pictures are to be saved among the photos.
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
            raise ValueError(f"batch = {self.batch}, but a batch needs at least 1 photo")
        images = Path(self.images).resolve()
        save = Path(self.save).resolve()
        if self.save and images in [save, *save.parents]:
            raise ValueError(f"save = {self.save!r} is inside images: choose another folder")

    @property
    def descent(self) -> dict[str, Any]:
        """Arguments of :func:`~jnd.descent.find_jnd` that are the same for all photos."""
        cost = Cost(self.squared_distance, self.bounded_range, self.total_variation)
        return {"cost": cost, "alpha": self.alpha, "max_iter": self.max_iter}


def measure(parameters: Parameters, names: Sequence[str], out: Path) -> None:
    """Write the table of a shard. A killed run continues at the iteration it had saved.

    A photo that cannot be decoded, or whose descent diverges, gets a row with the reason in
    ``error``.

    Args:
        parameters: of the descent.
        names: paths of the photos inside ``parameters.images``.
        out: the table; until it is complete, the state of its descents is kept next to it.

    Raises:
        ValueError: a parameter is out of range; nothing has been computed yet.
        OSError: the weights or a photo cannot be read from the disk.
    """
    machine = load_machine(parameters.machine, parameters.weights)
    _check(parameters, machine)
    batches = [names[i : i + parameters.batch] for i in range(0, len(names), parameters.batch)]
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, batch in enumerate(batches):
        rows += _measure_batch(parameters, machine, batch, out.with_name(f"{out.name}.{i}"))
    table = pa.Table.from_pylist(rows, SCHEMA)
    made = {"parameters": asdict(parameters), "categories": machine.categories}
    made |= subject([machine], **_data([table])) | origin()
    with replacing(out) as part:
        pq.write_table(table.cast(_with_provenance(made)), part)
    for leftover in out.parent.glob(f"{out.name}.*"):
        leftover.unlink()


def merge(shards: Sequence[Path], out: Path) -> None:
    """Merge the tables of shards, in their order, with one at a time in memory.

    Where the provenances of shards differ, in the device for example, the table's provenance has
    a list; its date is the latest.

    Raises:
        ValueError: the shards come from different runs.
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
    """The provenance of a table's numbers.

    ``parameters``, ``machine``, its ``categories`` and the hash of its weights, ``commit``,
    ``packages``, ``device``, ``date``, and a hash of the ``data``: that of the output of
    ``sha256sum`` for the photos, sorted by name.
    """
    return json.loads(pq.read_schema(table).metadata[b"jnd"])


def _measure_batch(
    parameters: Parameters, machine: Machine, names: Sequence[str], checkpoints: Path
) -> list[dict[str, Any]]:
    """The rows of photos that descend together; ``checkpoints`` begins the names of their files."""
    began = time.perf_counter()
    rows: list[dict[str, Any]] = [{"image": name} for name in names]
    photos = []
    for row in rows:
        path = Path(parameters.images, row["image"])
        row["sha256"] = sha256(path)  # fails if the disk does, not if the picture is bad
        try:
            photos.append(central_square(read_rgb(path, JPEG_MODES), parameters.size))
        except UNREADABLE as error:
            row["error"] = str(error)
    if photos:
        readable = [row for row in rows if "error" not in row]
        x0 = torch.stack(photos).float().to(machine.mean.device)
        identity = [asdict(parameters), machine.sha256, [row["sha256"] for row in readable]]
        stem = checkpoints.with_name(f"{checkpoints.name}.{fingerprint(*identity)}")
        numbers, pictures = _descend(parameters, machine, x0, stem)
        for row, values, picture in zip(readable, numbers, pictures, strict=True):
            row |= values
            if parameters.save:
                path = Path(parameters.save, f"{row['image']}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)  # one made with other parameters
                if picture.isfinite().all():
                    save_png(path, picture)
    seconds = (time.perf_counter() - began) / len(rows)
    return [row | {"seconds": seconds} for row in rows]


def _descend(
    parameters: Parameters, machine: Machine, x0: Tensor, checkpoints: Path
) -> tuple[list[dict[str, Any]], Tensor]:
    """The numbers of each photo of x0, (B, 3, H, W), and its picture, NaN if there is none."""
    with torch.no_grad():
        logits = machine(x0)
    columns = {"label": ranked_class(logits, 1)}
    if parameters.target_rank:
        columns["target"] = ranked_class(logits, parameters.target_rank)
    options = parameters.descent | columns | {"stop_at_K": True}

    def descend(pixels: Literal["float", "8bit"]) -> tuple[Trajectory, Tensor]:
        checkpoint = Checkpoint(checkpoints.with_name(f"{checkpoints.name}.{pixels}.checkpoint"))
        long: dict[str, Any] = {"watch": [checkpoint.watch], "resume": checkpoint.load()}
        try:
            trajectory = find_jnd(machine, x0, **options, **long, pixels=pixels)
            return trajectory, torch.full_like(trajectory.K, -1)
        except DivergedError as error:
            return error.trajectory, error.at

    plain_path, plain_diverged = descend("float")
    picture, picture_diverged = descend("8bit")
    columns |= {"K": plain_path.K, "jnd": plain_path.jnd, **all_metrics(x0, plain_path.x_jnd)}
    columns |= {"K_8bit": picture.K, "jnd_8bit": picture.jnd}
    photos = zip(*plain(list(columns.values())), strict=True)
    rows = [dict(zip(columns, values, strict=True)) for values in photos]
    for column, diverged_at in {"K_8bit": picture_diverged, "K": plain_diverged}.items():
        for row, k in zip(rows, diverged_at.tolist(), strict=True):
            if k >= 0:
                row[column] = None
                row["error"] = f"diverged to NaN or infinity at iteration {k}"
    return rows, picture.x_jnd


def _check(parameters: Parameters, machine: Machine) -> None:
    """Try a blank photo, to refuse early what would only fail after a descent."""
    if parameters.save:
        Path(parameters.save).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=parameters.save).close()
    if parameters.target_rank == 1:
        raise ValueError(
            "target_rank = 1 is M's answer itself: choose 2 or more, or 0 for no class"
        )
    blank = torch.zeros(1, 3, parameters.size, parameters.size, device=machine.mean.device)
    table_metrics(blank, blank)
    with torch.no_grad():
        ranked_class(machine(blank), parameters.target_rank or 1)
    find_jnd(machine, blank, **parameters.descent | {"max_iter": min(parameters.max_iter, 1)})


def _data(tables: Iterable[pa.Table]) -> dict[str, Any]:
    """The number of photos, and a hash of their names and hashes."""
    count = 0
    digest = hashlib.sha256()
    for table in tables:
        count += len(table)
        for row in table.select(["image", "sha256"]).to_pylist():
            digest.update(f"{row['sha256']}  {row['image']}\n".encode())
    return {"data": f"{count} photos", "data_sha256": digest.hexdigest()}


def _with_provenance(made: Mapping[str, Any]) -> pa.Schema:
    return SCHEMA.with_metadata({"jnd": json.dumps(made)})


def main() -> None:
    summary = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser("python -m companion.folder", description=summary)
    commands = parser.add_subparsers(dest="command", required=True)
    shard = commands.add_parser("shard", help="make the table of some photos")
    shard.add_argument("out", type=Path)
    shard.add_argument("parameters", type=json.loads, help="parameters of folder.yaml, as JSON")
    shard.add_argument("photos", nargs="+", help="their paths inside the folder")
    whole = commands.add_parser("merge", help="merge the shards into one table")
    whole.add_argument("out", type=Path)
    whole.add_argument("folder", type=Path, help="contains 00000.parquet and so on")
    whole.add_argument("count", type=int, help="number of shards")
    args = parser.parse_args()
    try:
        if args.command == "shard":
            measure(Parameters(**args.parameters), args.photos, args.out)
        else:
            merge([args.folder / f"{i:05}.parquet" for i in range(args.count)], args.out)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
