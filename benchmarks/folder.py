"""Measure the cost of a folder of photos, for more and more photos: python benchmarks/folder.py

Each shard is a process of its own, on one thread, and its time on the processor is counted, so that
other work on the computer hardly matters. Writes data/scale.json.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from companion.checkout import ROOT
from companion.folder import provenance
from companion.listing import list_photos, shard_of, state_of
from companion.photos import load_photos, packaged_photos
from jnd.pictures import save_png
from processor import processor

SHARD = 6  # the packaged photos, so that the sum of K is the same in each
PHOTOS = (6, 12, 24)
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "folder.yaml").read_text("utf-8"))
PARAMETERS = {n: v for n, v in DEFAULTS.items() if n not in {"images", "output", "shard"}}
MANY = 50_000  # photos to plan and merge
PER_JOB = DEFAULTS["shard"]
# run between this process and a command, as the peak of a process includes that of its parent
METER = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1e3}))
"""


def write_photos(folder: Path) -> None:
    photos = load_photos(packaged_photos(), PARAMETERS["size"])[0]
    for i in range(max(PHOTOS)):
        save_png(folder / f"{i:05}.png", photos[i % SHARD])


def forwards(table: Path) -> int:
    """Return the number of images that went through the machine for a table."""
    rows = pq.read_table(table)
    last = PARAMETERS["max_iter"]
    pairs = zip(rows["K"].to_pylist(), rows["K_8bit"].to_pylist(), strict=True)
    iterations = sum((max(pair) if min(pair) >= 0 else last) + 1 for pair in pairs)
    return 2 * iterations  # x(k) and its picture


def cost(*command: object) -> dict[str, float]:
    """Run a module; return its seconds on the processor and on the clock, and its peak in MB."""
    words = [sys.executable, "-c", METER, sys.executable, "-m", *map(str, command)]
    began = time.perf_counter()
    output = subprocess.check_output(words, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return json.loads(output) | {"clock": time.perf_counter() - began}


def shard(images: Path, out: Path, number: int, size: int, **changed: object) -> dict[str, float]:
    parameters = json.dumps({"images": str(images)} | PARAMETERS | changed)
    state = state_of(images, shard_of(list_photos(images)[0], number, size))
    return cost("companion.folder", "shard", out, parameters, number, size, state)


def folder_of(count: int, images: Path, out: Path) -> dict[str, float]:
    """Add up the cost of each shard and of the merge."""
    shards = count // SHARD
    costs = [shard(images, out / f"{i:05}.parquet", i, SHARD) for i in range(shards)]
    costs.append(cost("companion.folder", "merge", out / "jnd.parquet", out, shards))
    return {
        "photos": count,
        "cpu": sum(c["cpu"] for c in costs),
        "clock": sum(c["clock"] for c in costs),
        "peak": max(c["peak"] for c in costs),
        "forwards": forwards(out / "jnd.parquet"),
    }


def planned(folder: Path) -> dict[str, float]:
    """Plan the jobs for as many photos as ImageNet's validation set has; the files are empty."""
    folder.mkdir()
    for i in range(MANY):
        (folder / f"{i:05}.jpg").touch()
    config = [f"images={folder}", f"shard={PER_JOB}", f"output={folder}"]
    dry_run = ["--dry-run", "--quiet", "all", "--nolock", "folder"]
    return cost("snakemake", *dry_run, "--config", *config)


def merged(table: Path, folder: Path) -> dict[str, float]:
    """Merge as many rows, in tables that are all the same one."""
    folder.mkdir()
    count = MANY // max(PHOTOS)
    for i in range(count):
        (folder / f"{i:05}.parquet").symlink_to(table)
    return cost("companion.folder", "merge", folder / "jnd.parquet", folder, count)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = folder / "photos"
        images.mkdir()
        write_photos(images)
        values = {
            "start": shard(images, folder / "start.parquet", 0, 1, max_iter=1),
            "runs": [folder_of(count, images, folder / str(count)) for count in PHOTOS],
            "planned": planned(folder / "empty"),
            "merged": merged(folder / str(max(PHOTOS)) / "jnd.parquet", folder / "tables"),
        }
        made = provenance(folder / str(max(PHOTOS)) / "jnd.parquet")
    del made["categories"], made["parameters"]["images"]
    made |= {"processor": processor(), "shard": SHARD, "many": MANY, "per_job": PER_JOB}
    content = json.dumps({"provenance": made, "values": values}, indent=1)
    (ROOT / "data" / "scale.json").write_text(content + "\n", "utf-8")
    print(content)


if __name__ == "__main__":
    main()
