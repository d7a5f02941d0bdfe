"""The Snakefile as it is run: a whole folder of photos, on Slurm, and killed at random moments."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors import safe_open

from jnd.companion.folder import provenance
from jnd.datasets import packaged_squares

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHARDS = 3
SETTINGS = {"size": 48, "batch": 2, "shard": 4, "max_iter": 60, "alpha": 1e-8, "output": "out"}
DAEMONS = ["munged", "slurmctld", "slurmd"]


def repository(folder: Path) -> Path:
    """A copy to run in, so that the real one's results are left alone."""
    shutil.copytree(ROOT / "jnd", folder / "jnd", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "folder.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("book", "data", "notebooks"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def snakemake(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--nolock", "--rerun-incomplete", *arguments]


def run(command: list[str], root: Path, **environment: str) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run(
        command,
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(root)} | environment,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def timed(command: list[str], root: Path) -> float:
    began = time.monotonic()
    run(command, root)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What follows snakemake's options, for a folder of twelve photos; none flips at once."""
    images = tmp_path_factory.mktemp("photos")
    for i, photo in enumerate(packaged_squares(4 * SHARDS, SETTINGS["size"])[0]):
        Image.fromarray(photo.byte().permute(1, 2, 0).numpy()).save(images / f"{i:02}.png")
    settings = SETTINGS | {"images": images}
    return ["folder", "--config", *(f"{name}={value}" for name, value in settings.items())]


@pytest.fixture(scope="module")
def straight(tmp_path_factory, folder):
    """Where a run was never interrupted, and the seconds it took."""
    root = repository(tmp_path_factory.mktemp("straight"))
    return root, timed(snakemake("--cores", "2", *folder), root)


def table_of(root: Path) -> tuple:
    """The table of a folder and its provenance, without what differs from run to run."""
    file = root / "out" / "jnd.parquet"
    made = provenance(file)
    del made["date"]
    return pq.read_table(file).drop_columns("seconds").replace_schema_metadata(), made


def test_a_folder_becomes_a_table(straight):
    table, made = table_of(straight[0])
    assert table.num_rows == 4 * SHARDS and table["error"].null_count == 4 * SHARDS
    settings = made["parameters"]
    assert (settings["size"], settings["machine"]) == (SETTINGS["size"], "efficientnet_lite0")


def test_only_what_a_changed_photo_concerns_is_repeated(straight, folder):
    dry, root = snakemake("--dry-run", *folder), straight[0]
    assert "Nothing to be done" in run(dry, root)
    (images,) = (Path(word[7:]) for word in folder if word.startswith("images="))
    photo = images / "05.png"
    before = photo.stat()
    os.utime(photo)
    said = run(dry, root)
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "number=00001" in said and "number=00000" not in said and "number=00002" not in said


def test_a_colour_makes_no_shard_stale_and_the_descent_does(straight, folder):
    dry, root = snakemake("--dry-run", *folder), straight[0]
    for changed, stale in (("companion/figures/style.py", False), ("descent.py", True)):
        path = root / "jnd" / changed
        before, content = path.stat(), path.read_text()
        path.write_text(f"{content}\n# changed\n")
        said = run(dry, root)
        path.write_text(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert ("number=00000" in said) == stale


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("imagse=photos", "unknown parameter 'imagse': choose of profile, images, output, machine"),
        ("shard=2000", "shard = 2000: choose 1 to 1000 photos"),
        ("images=nowhere", "no JPEG or PNG in images='nowhere'"),
    ],
)
def test_wrong_parameters(wrong, message):
    command = snakemake("--dry-run", "folder", "--config", wrong)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and message in done.stdout + done.stderr


# in the place of notebooks/run.py: leaves what Snakemake waits for, and is quick
QUICK = """
import sys
from pathlib import Path
print(sys.argv[1], flush=True)
Path("results", sys.argv[2], sys.argv[1], "metrics.json").write_text("{}")
sys.exit(sys.argv[1] == "reading" and "no more tea")
"""


def test_the_papers_figures_come_first_and_an_error_is_shown(tmp_path):
    root = repository(tmp_path)
    for name in ("Makefile", "README.md", "CITATION.cff"):
        shutil.copy(ROOT / name, root)
    for name in ("book", "notebooks"):
        (root / name).unlink()
        shutil.copytree(
            ROOT / name, root / name, ignore=shutil.ignore_patterns("_build", "__pycache__")
        )
    (root / "notebooks" / "run.py").write_text(QUICK)
    (root / ".venv").symlink_to(sys.prefix)
    command = ["make", "--no-print-directory", "-o", "setup", "reproduce"]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True)
    assert done.returncode, done.stderr
    *steps, end = done.stdout.splitlines()
    assert steps[:5] == ["imagenet", "cifar10", "detection", "forensics", "reading"]
    assert "no more tea" in steps
    assert end == "Stopped; all that was said is in results/reproduce.log"
    with open(root / "Snakefile", "a") as file:
        file.write('print("a new Snakefile")')
    assert (
        "a new Snakefile" in subprocess.run(command, cwd=root, capture_output=True).stdout.decode()
    )


def test_results_that_were_deleted_are_made_again(tmp_path):
    root = repository(tmp_path)
    (root / "book").unlink()
    for made in ("results/live/settings.js", "results/bundled/claims.json", "README.md"):
        (root / made).parent.mkdir(parents=True, exist_ok=True)
        (root / made).touch()
    shutil.copy(ROOT / "CITATION.cff", root)
    (root / "book" / "_build" / "html").mkdir(parents=True)
    (root / "book" / "_build" / "html" / "index.html").touch()
    planned = run(snakemake("--dry-run", "--cores", "1"), root)
    assert all(f"results/bundled/{path.stem}/metrics.json" in planned for path in NOTEBOOKS)


def killed(command: list[str], root: Path, after: float | None) -> tuple[str, bool]:
    """Start a command and kill all its processes after so many seconds: its words, was it done."""
    with open(root / "log", "w+") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        try:
            assert process.wait(after) == 0, (root / "log").read_text()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        return (root / "log").read_text(), process.wait() == 0


def saved(root: Path) -> dict[Path, int]:
    """The iteration that each checkpoint holds."""
    found = {}
    for path in root.rglob("*.checkpoint"):
        with safe_open(path, "pt") as file:
            found[path] = int(file.metadata()["k"])
    return found


def kill_until_done(arguments: list[str], root: Path, seconds: float, kills: int, seed: int):
    """Kill Snakemake so many times in all, each in the first half of the seconds that it needs.

    Yields each copy of the repository in which it got done, with all that Snakemake said there.
    """
    draw = random.Random(seed)
    rounds = count()
    while kills > 0:
        here = repository(root / f"round{next(rounds)}")
        said, done = "", False
        held: dict[Path, int] = {}
        while not done:
            after = draw.uniform(0, seconds / 2) if kills > 0 else None
            words, done = killed(snakemake("--cores", "2", *arguments), here, after)
            said += words
            kills -= not done
            now = saved(here)
            for path, k in held.items():  # what was kept is not done again
                outputs = [path.with_name(name) for name in (path.name[:13], "metrics.json")]
                assert done or any(map(Path.exists, outputs)) or now.get(path, 0) >= k
            held = now
        yield here, said


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_folder_killed_again_and_again_gives_the_same_table(tmp_path, straight, folder, kills):
    expected, made = table_of(straight[0])
    for root, said in kill_until_done(folder, tmp_path, straight[1], kills, seed=kills):
        assert table_of(root)[0].equals(expected) and table_of(root)[1] == made
        assert said.count("(Rule: folder_shard)") <= SHARDS  # said of each that finishes


@pytest.mark.slow
def test_a_notebook_killed_again_and_again_gives_the_same_numbers(tmp_path):
    target = ["results/smoke/imagenet/metrics.json", "--config", "profile=smoke"]
    straight = repository(tmp_path / "straight")
    seconds = timed(snakemake("--cores", "2", *target), straight)
    expected = straight / "results" / "smoke" / "imagenet"
    for root, said in kill_until_done(target, tmp_path, seconds, kills=20, seed=20):
        found = root / "results" / "smoke" / "imagenet"
        for name in ("images.safetensors", "k.csv", "table1.csv"):
            assert (found / name).read_bytes() == (expected / name).read_bytes()
        values = [json.loads((f / "metrics.json").read_text())["values"] for f in (found, expected)]
        assert values[0] == values[1]
        assert said.count("(Rule: notebook)") == 1


@pytest.fixture
def slurm(tmp_path):
    """The environment for Slurm's commands: a cluster of this machine alone, without accounting."""
    if missing := [name for name in DAEMONS if not shutil.which(name)]:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("only root can start Slurm's daemons")
    host = socket.gethostname().split(".")[0]
    with ExitStack() as ports:
        bound = [ports.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        controller, node = (server.getsockname()[1] for server in bound)
    config, munge, key = (tmp_path / name for name in ("slurm.conf", "munge.socket", "munge.key"))
    key.write_bytes(random.Random(0).randbytes(128))
    key.chmod(0o400)
    config.write_text(f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthInfo=socket={munge}
StateSaveLocation={tmp_path}/state
SlurmdSpoolDir={tmp_path}/spool
SlurmctldPidFile={tmp_path}/slurmctld.pid
SlurmdPidFile={tmp_path}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
""")
    # Snakemake's plugin hides SLURM_CONF from the srun inside a job
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    environment = {"SLURM_CONF": str(config), "PATH": f"{srun.parent}:{os.environ['PATH']}"}
    files = [f"--{kind}-file={tmp_path}/munge.{kind}" for kind in ("key", "log", "pid", "seed")]
    commands = [
        ["munged", "--foreground", "--force", f"--socket={munge}", *files],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    ]
    started = []
    try:
        for command in commands:
            log = open(tmp_path / f"{command[0]}.out", "w")
            started.append(
                subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment)
            )
            time.sleep(1)
        for _ in range(60):
            state = subprocess.run(
                ["sinfo", "--noheader", "--format=%t"],
                env=os.environ | environment,
                capture_output=True,
                text=True,
            ).stdout.strip()
            if state == "idle":
                break
            time.sleep(1)
        assert state == "idle", "\n".join(f.read_text() for f in tmp_path.glob("*.out"))
        yield environment
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_slurm_gives_the_same_table(slurm, straight, folder, tmp_path):
    root = repository(tmp_path / "root")
    command = snakemake(
        *folder,
        "--executor",
        "slurm",
        "--jobs",
        "2",
        "--cores",
        "2",
        "--slurm-status-command",
        "squeue",
        "--set-resources",
        "folder_shard:gpu=0",
        "--default-resources",
        "mem_mb=1000",
        "runtime=60",
    )
    said = run(command, root, **slurm)
    assert said.count("submitted with SLURM jobid") >= SHARDS, said
    assert table_of(root)[0].equals(table_of(straight[0])[0])
