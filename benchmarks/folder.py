"""Measure the cost of a folder of photos, for more and more photos: python benchmarks/folder.py

Each shard is a process of its own, on one thread, and its time on the processor is counted, so that
other work on the computer hardly matters. This process stays small (it imports nothing large),
because a process's peak of memory includes that of its parent. Writes data/scale.json.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import yaml

from companion.listing import list_photos, shard_of, state_of
from processor import processor

ROOT = Path(__file__).resolve().parents[1]
SHARD = 6  # the packaged photos, so that the sum of K is the same in each
PHOTOS = (6, 12, 24)
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "folder.yaml").read_text("utf-8"))
PARAMETERS = {n: v for n, v in DEFAULTS.items() if n not in {"images", "output", "shard"}}
MANY = 50_000  # photos to plan and merge
PER_JOB = DEFAULTS["shard"]

Result = TypeVar("Result")


def write_photos(folder: str) -> None:
    from PIL import Image

    from companion.photos import load_photos, packaged_photos

    photos = load_photos(packaged_photos(), PARAMETERS["size"])[0]
    for i in range(max(PHOTOS)):
        photo = photos[i % SHARD].byte().permute(1, 2, 0).numpy()
        Image.fromarray(photo).save(f"{folder}/{i:05}.png")


def read(table: str) -> tuple[dict, int]:
    """Return the provenance of a table, and the number of images that went through the machine."""
    import pyarrow.parquet as pq

    from companion.folder import provenance

    rows = pq.read_table(table)
    last = PARAMETERS["max_iter"]
    pairs = zip(rows["K"].to_pylist(), rows["K_8bit"].to_pylist(), strict=True)
    iterations = sum((max(pair) if min(pair) >= 0 else last) + 1 for pair in pairs)
    return provenance(table), 2 * iterations  # x(k) and its picture


def apart(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def cost(command: Sequence[object]) -> dict[str, float]:
    """Run a command; return its seconds on the processor and on the clock, and its peak in MB."""
    words = [sys.executable, "-m", *map(str, command)]
    one_thread = {"OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env=os.environ | one_thread,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen can no longer wait for it
    if process.returncode:
        sys.exit(f"failed: {words}")
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "clock": time.perf_counter() - began,
        "peak": used.ru_maxrss / 1e3,
    }


def shard(images: Path, out: Path, number: int, size: int, **changed: object) -> dict[str, float]:
    parameters = json.dumps({"images": str(images)} | PARAMETERS | changed)
    state = state_of(images, shard_of(list_photos(images)[0], number, size))
    return cost(["companion.folder", "shard", out, parameters, number, size, state])


def folder_of(count: int, images: Path, out: Path) -> dict[str, float]:
    """Add up the cost of each shard and of the merge."""
    shards = count // SHARD
    costs = [shard(images, out / f"{i:05}.parquet", i, SHARD) for i in range(shards)]
    costs.append(cost(["companion.folder", "merge", out / "jnd.parquet", out, shards]))
    return {
        "photos": count,
        "cpu": sum(c["cpu"] for c in costs),
        "clock": sum(c["clock"] for c in costs),
        "peak": max(c["peak"] for c in costs),
        "forwards": apart(read, str(out / "jnd.parquet"))[1],
    }


def planned(folder: Path) -> dict[str, float]:
    """Plan the jobs for as many photos as ImageNet's validation set has; the files are empty."""
    folder.mkdir()
    for i in range(MANY):
        (folder / f"{i:05}.jpg").touch()
    config = [f"images={folder}", f"shard={PER_JOB}", f"output={folder}"]
    return cost(
        ["snakemake", "--dry-run", "--quiet", "all", "--nolock", "folder", "--config", *config]
    )


def merged(table: Path, folder: Path) -> dict[str, float]:
    """Merge as many rows, in tables that are all the same one."""
    folder.mkdir()
    count = MANY // max(PHOTOS)
    for i in range(count):
        (folder / f"{i:05}.parquet").symlink_to(table)
    return cost(["companion.folder", "merge", folder / "jnd.parquet", folder, count])


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = folder / "photos"
        images.mkdir()
        apart(write_photos, str(images))
        values = {
            "start": shard(images, folder / "start.parquet", 0, 1, max_iter=1),
            "runs": [folder_of(count, images, folder / str(count)) for count in PHOTOS],
            "planned": planned(folder / "empty"),
            "merged": merged(folder / str(max(PHOTOS)) / "jnd.parquet", folder / "tables"),
        }
        made, _ = apart(read, str(folder / str(max(PHOTOS)) / "jnd.parquet"))
    del made["categories"], made["parameters"]["images"]
    made |= {"processor": processor(), "shard": SHARD, "many": MANY, "per_job": PER_JOB}
    content = json.dumps({"provenance": made, "values": values}, indent=1)
    (ROOT / "data" / "scale.json").write_text(content + "\n", "utf-8")
    print(content)


if __name__ == "__main__":
    main()
