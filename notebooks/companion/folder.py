"""The JND of every photo in a folder, shard by shard: the jobs of ``snakemake folder``.

A shard is a piece of the sorted list of photos. It becomes a Parquet table with a row for each
photo; the shards are merged into one table, as its row groups. The metadata of a table's schema
hold, under ``jnd``, the provenance of its numbers in JSON; :func:`provenance` reads it.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from torch import Tensor

from companion.checkout import ROOT
from companion.checkpoint import Checkpoint, fingerprint
from companion.files import printable, replacing, sha256, short_name, writable_folder
from companion.listing import list_photos, shard_of, state_of
from companion.photos import read_square
from companion.provenance import origin, plain, subject
from companion.zoo import load_machine
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.machine import Machine
from jnd.metrics import METRICS, all_metrics, table_metrics
from jnd.objectives import ranked_class
from jnd.pictures import save_png
from jnd.trajectory import DivergedError, relative_distance

GREY = 128.0  # of the photo that is tried before the first one
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
"""The columns: the photo's path inside the folder and its file's hash, null if it cannot be read;
classes as numbers, whose names are in the provenance; K, -1 if there is none; JND(M) and the
metrics of x(K), null without K; K and JND(M) of the picture; the time of the photo's batch divided
by its number of photos; the reason why there are no numbers, null if there are."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of ``folder.yaml`` that determine the numbers; their meaning is there."""

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


def default_parameters(**changed: Any) -> Parameters:
    """The parameters of ``folder.yaml``, some of them changed."""
    defaults = yaml.safe_load((ROOT / "folder.yaml").read_text("utf-8"))
    names = [field.name for field in fields(Parameters)]
    return Parameters(**{name: defaults[name] for name in names} | changed)


def measure(parameters: Parameters, names: Sequence[str], out: Path) -> None:
    """Write the table of a shard. A killed run continues at the iteration it had saved.

    A photo that cannot be read or decoded or is black, or whose descent diverges, gets a row with
    the reason in ``error``.

    Args:
        parameters: of the descent.
        names: paths of the photos inside ``parameters.images``.
        out: the table; until it is complete, the state of its descents is kept next to it.

    Raises:
        ValueError: a parameter is out of range; nothing has been computed yet.
        OSError: the weights cannot be read, or results not written; likewise.
    """
    writable_folder(out.parent)
    if parameters.save:
        writable_folder(parameters.save)
    machine = load_machine(parameters.machine, parameters.weights)
    check(parameters, machine)
    batches = [names[i : i + parameters.batch] for i in range(0, len(names), parameters.batch)]
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


def descend(
    parameters: Parameters, machine: Machine, x0: Tensor, **options: Any
) -> tuple[list[dict[str, Any]], Tensor]:
    """The numbers of each photo, and its picture that fools, NaN if there is none.

    Args:
        parameters: of the descent.
        machine: to be fooled.
        x0: (B, 3, H, W), whole grey levels.
        options: ``watch`` and ``resume`` of :func:`~jnd.descent.find_jnd`.

    Returns:
        a row of the table for each photo, as far as the descent gives it, and (B, 3, H, W).
    """
    with torch.no_grad():
        logits = machine(x0)
    columns = {"label": ranked_class(logits, 1)}
    if parameters.target_rank:
        columns["target"] = ranked_class(logits, parameters.target_rank)
    options |= parameters.descent | columns | {"pixels": "8bit", "stop_at_K": True}
    try:
        trajectory = find_jnd(machine, x0, **options)
        diverged_at = torch.full_like(trajectory.K, -1)
    except DivergedError as error:
        trajectory = error.trajectory
        diverged_at = error.at
    x = trajectory.x_unrounded
    columns |= {"K": trajectory.K_unrounded, "jnd": relative_distance(x, x0), **all_metrics(x0, x)}
    columns |= {"K_8bit": trajectory.K, "jnd_8bit": trajectory.jnd}
    photos = zip(*plain(list(columns.values())), strict=True)
    rows = [dict(zip(columns, values, strict=True)) for values in photos]
    for row, k in zip(rows, diverged_at.tolist(), strict=True):
        if k >= 0:
            row["error"] = f"diverged to NaN or infinity at iteration {k}"
            row |= {name: None for name in ("K", "K_8bit") if row[name] < 0}
    return rows, trajectory.x_jnd


def save_picture(folder: str | Path, name: str, picture: Tensor) -> Path | None:
    """Save a photo's picture that fools as ``NAME.png`` in a folder, in place of an older one.

    Args:
        folder: of the pictures.
        name: of the photo; its subfolders are made.
        picture: (3, H, W); NaN: there is none, and none is left.
    """
    path = Path(folder, name)
    path = path.with_name(short_name(path.name, ".png"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # one made with other parameters
    if not picture.isfinite().all():
        return None
    save_png(path, picture)
    return path


def check(parameters: Parameters, machine: Machine) -> None:
    """Try a grey photo, to refuse early what would only fail after a descent."""
    if parameters.target_rank == 1:
        raise ValueError(
            "target_rank = 1 is M's answer itself: choose 2 or more, or 0 for no class"
        )
    shape = (1, 3, parameters.size, parameters.size)
    grey = torch.full(shape, GREY, device=machine.mean.device)
    table_metrics(grey, grey)
    with torch.no_grad():
        ranked_class(machine(grey), parameters.target_rank or 1)
    find_jnd(machine, grey, **parameters.descent | {"max_iter": min(parameters.max_iter, 1)})


def _measure_batch(
    parameters: Parameters, machine: Machine, names: Sequence[str], checkpoints: Path
) -> list[dict[str, Any]]:
    """The rows of photos that descend together; ``checkpoints`` begins the names of their files."""
    began = time.perf_counter()
    rows = []
    photos = {}
    for name in names:
        row: dict[str, Any] = {"image": printable(name)}
        try:
            photos[name] = _read(Path(parameters.images, name), parameters.size, row)
        except Exception as error:  # whatever is wrong with one photo, the others go on
            row["error"] = printable(str(error) or repr(error))
        rows.append(row)
    if photos:
        readable = [row for row in rows if "error" not in row]
        x0 = torch.stack(list(photos.values())).float().to(machine.mean.device)
        identity = [asdict(parameters), machine.sha256, [row["sha256"] for row in readable]]
        stem = f"{checkpoints.name}.{fingerprint(*identity)}"
        checkpoint = Checkpoint(checkpoints.with_name(f"{stem}.checkpoint"))
        long: dict[str, Any] = {"watch": [checkpoint.watch], "resume": checkpoint.load()}
        numbers, pictures = descend(parameters, machine, x0, **long)
        for row, name, values, picture in zip(readable, photos, numbers, pictures, strict=True):
            row |= values
            if parameters.save:
                save_picture(parameters.save, name, picture)
    seconds = (time.perf_counter() - began) / len(rows)
    return [row | {"seconds": seconds} for row in rows]


def _read(path: Path, size: int, row: dict[str, Any]) -> Tensor:
    """Read a photo's square, and put the hash of its file into its row."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} leads to no file")
    row["sha256"] = sha256(path)
    return read_square(path, size)


def _data(tables: Iterable[pa.Table]) -> dict[str, Any]:
    """The number of photos, and a hash of their names and hashes."""
    count = 0
    digest = hashlib.sha256()
    for table in tables:
        count += len(table)
        for row in table.select(["image", "sha256"]).to_pylist():
            if row["sha256"] is None:  # sha256sum gives no line either
                continue
            digest.update(f"{row['sha256']}  {row['image']}\n".encode())
    return {"data": f"{count} photos", "data_sha256": digest.hexdigest()}


def _measure_shard(parameters: Parameters, number: int, size: int, state: str, out: Path) -> None:
    """Write the table of a shard by its number, unless its photos change meanwhile."""
    names = shard_of(list_photos(parameters.images)[0], number, size)
    if state_of(parameters.images, names) == state:
        measure(parameters, names, out)
        if state_of(parameters.images, names) == state:
            return
        out.unlink()
    raise ValueError(f"the photos in {parameters.images} have changed meanwhile: run again")


def _with_provenance(made: Mapping[str, Any]) -> pa.Schema:
    return SCHEMA.with_metadata({"jnd": json.dumps(made)})


def main() -> None:
    summary = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser("python -m companion.folder", description=summary)
    commands = parser.add_subparsers(dest="command", required=True)
    shard = commands.add_parser("shard", help="make the table of some photos")
    shard.add_argument("out", type=Path)
    shard.add_argument("parameters", type=json.loads, help="parameters of folder.yaml, as JSON")
    shard.add_argument("number", type=int, help="of the shard, from 0")
    shard.add_argument("size", type=int, help="number of photos in a shard")
    shard.add_argument("state", help="hash of its photos, as listing.state_of gives it")
    whole = commands.add_parser("merge", help="merge the shards into one table")
    whole.add_argument("out", type=Path)
    whole.add_argument("folder", type=Path, help="contains 00000.parquet and so on")
    whole.add_argument("count", type=int, help="number of shards")
    args = parser.parse_args()
    try:
        if args.command == "shard":
            parameters = Parameters(**args.parameters)
            _measure_shard(parameters, args.number, args.size, args.state, args.out)
        else:
            merge([args.folder / f"{i:05}.parquet" for i in range(args.count)], args.out)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
