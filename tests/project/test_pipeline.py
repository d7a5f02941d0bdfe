"""The Snakefile: what an edit reruns, whole folders of photos, Slurm, kills at random moments."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.torch import load_file

from companion.checkout import ROOT
from companion.folder import provenance
from companion.photos import packaged_squares
from pipeline import copy_repository, run, snakemake, started
from unpack import WITH_IMAGES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHARDS = 3
SETTINGS = {"size": 48, "batch": 2, "shard": 4, "max_iter": 60, "alpha": 1e-8, "output": "out"}
DAEMONS = ["munged", "slurmctld", "slurmd"]
IMAGENET = {"imagenet", "comparison", "derivation", "forensics", "pictures"}  # it and its followers


def timed(command: list[str], root: Path) -> float:
    began = time.monotonic()
    run(command, root)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Snakemake's arguments for a folder of twelve photos, none of which flips at once."""
    images = tmp_path_factory.mktemp("photos")
    for i, photo in enumerate(packaged_squares(4 * SHARDS, SETTINGS["size"])[0]):
        Image.fromarray(photo.byte().permute(1, 2, 0).numpy()).save(images / f"{i:02}.png")
    settings = SETTINGS | {"images": images}
    return ["folder", "--config", *(f"{name}={value}" for name, value in settings.items())]


@pytest.fixture(scope="module")
def straight(tmp_path_factory, folder):
    """The repository of a run that was never interrupted, and the seconds it took."""
    root = copy_repository(tmp_path_factory.mktemp("straight"))
    return root, timed(snakemake("--cores", "2", *folder), root)


def table_of(root: Path) -> tuple:
    """Read the table of a folder and its provenance, without what differs from run to run."""
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
    root = straight[0]
    dry_run = snakemake("--dry-run", *folder)
    assert "Nothing to be done" in run(dry_run, root)
    (images,) = (Path(word[7:]) for word in folder if word.startswith("images="))
    photo = images / "05.png"
    before = photo.stat()
    os.utime(photo)
    planned = run(dry_run, root)
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "number=00001" in planned
    assert "number=00000" not in planned and "number=00002" not in planned


@contextmanager
def changed(path: Path) -> Iterator[None]:
    """Change a file for a while."""
    before = path.stat()
    content = path.read_text("utf-8")
    path.write_text(f"{content}\n# changed\n", "utf-8")
    yield
    path.write_text(content, "utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_colour_makes_no_shard_stale_and_the_descent_does(straight, folder):
    root = straight[0]
    for path, stale in {"notebooks/companion/style.py": False, "jnd/descent.py": True}.items():
        with changed(root / path):
            planned = run(snakemake("--dry-run", *folder), root)
        assert ("number=00000" in planned) == stale


def companion_files(statement: str) -> set[str]:
    """Return the files of the companion that an import loads."""
    script = f"""
import sys
sys.path[:0] = ["book/_ext", "book/live"]
{statement}
print(*(n.split(".")[1] for n in sys.modules if n.startswith("companion.")))
"""
    names = run([sys.executable, "-c", script], ROOT).split()
    return {f"notebooks/companion/{name}.py" for name in names}


def test_a_shard_and_the_live_page_depend_on_all_that_they_import():
    planned = run(snakemake("--dry-run", "--forceall", "results/live"), ROOT)
    assert companion_files("import export") <= {*re.findall(r"[\w/]+\.py", planned)}
    options = ["folder", "--config", f"images={ROOT / 'data' / 'photos'}"]
    planned = run(snakemake("--dry-run", "--forceall", *options), ROOT)
    assert companion_files("import companion.folder") <= {*re.findall(r"[\w/]+\.py", planned)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A repository whose results are newer than all that they depend on."""
    root = copy_repository(tmp_path_factory.mktemp("finished"), "README.md", "CITATION.cff", "book")
    results = [f"results/bundled/{path.stem}/metrics.json" for path in NOTEBOOKS]
    for made in (*results, "results/bundled/claims.json", "results/live/settings.js"):
        (root / made).parent.mkdir(parents=True, exist_ok=True)
        (root / made).touch()
    (root / "book" / "_build" / "html").mkdir(parents=True)
    (root / "book" / "_build" / "html" / "index.html").touch()
    run(snakemake("--touch", "--cores", "1"), root)
    return root


@pytest.mark.parametrize(
    "path, notebooks",
    [
        ("notebooks/companion/studies/imagenet.py", IMAGENET),
        ("notebooks/companion/studies/forensics.py", {"forensics"}),
        ("book/_ext/claims.py", set()),
        ("book/_ext/viewer.py", set()),
        ("data/measured/one_run_efficientnet_lite1.json", {"derivation"}),
        ("jnd/cost.py", {path.stem for path in NOTEBOOKS}),
        ("notebooks/companion/statistics.py", {path.stem for path in NOTEBOOKS}),
    ],
)
def test_an_edit_reruns_the_notebooks_that_depend_on_it(finished, path, notebooks):
    with changed(finished / path):
        planned = run(snakemake("--dry-run", "--cores", "1"), finished)
    assert {*re.findall(r"wildcards: profile=bundled, name=(\w+)", planned)} == notebooks


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("imagse=photos", "unknown parameter 'imagse': use profile, images, output, machine"),
        ("shard=0", "shard = 0: a shard has at least 1 photo"),
        ("images=nowhere", "no JPEG or PNG in images='nowhere'"),
        ("images=2020", 'images = 2020 must be of type str, not int; in a YAML file write "2020"'),
        ("batch=4.5", "batch = 4.5 must be of type int, not float"),
        ("save=", 'save = None must be of type str, not NoneType; write "" for none'),
    ],
)
def test_wrong_parameters(wrong, message):
    assert message in run(snakemake("--dry-run", "folder", "--config", wrong), ROOT, fails=True)


def test_text_in_a_file_of_parameters_is_no_number(tmp_path):
    (tmp_path / "mine.yaml").write_text("alpha: 1e-3\n")
    command = snakemake("--dry-run", "folder", "--configfile", str(tmp_path / "mine.yaml"))
    printed = run(command, ROOT, fails=True)
    assert "YAML reads 1e-3 as text: write 1.0e-3 or 0.001" in printed


def test_an_output_belongs_to_its_folder_of_photos(straight, folder, tmp_path):
    root = straight[0]
    Image.new("RGB", (9, 9), "red").save(tmp_path / "1.png")
    (tmp_path / "notes.txt").touch()
    before = (root / "out" / "jnd.parquet").read_bytes()
    command = snakemake("--cores", "1", "folder", "--config", f"images={tmp_path}")
    printed = run([*command, "output=out"], root, fails=True)
    assert "out belongs to the photos in" in printed
    assert (root / "out" / "jnd.parquet").read_bytes() == before
    for output in ("/dev/null/x", "/proc/x"):
        printed = run([*command, f"output={output}"], root, fails=True)
        assert "nothing can be written into" in printed
        assert "folder_shard:" not in printed  # no job has begun


def test_results_go_where_a_shell_would_put_them_and_other_files_are_counted(
    straight, folder, tmp_path
):
    images = tmp_path / "photos"
    images.mkdir()
    (images / os.fsdecode(b"caf\xe9's.jfif")).touch()
    (images / "dangling.jpg").symlink_to("nowhere")
    (images / "album.jpg").mkdir()
    (images / "notes.txt").touch()
    command = snakemake("--dry-run", "folder", "--config", "images=~/photos", "output=~/out")
    planned = run(command, straight[0], HOME=str(tmp_path))
    assert f"{tmp_path}/out/shards/00000.parquet" in planned
    assert f"{images}: 1 left out (1 .txt)" in planned
    assert not (tmp_path / "out").exists()


# takes the place of notebooks/run.py: quickly writes the file that Snakemake waits for
QUICK = """
import sys
from pathlib import Path
print(sys.argv[1], flush=True)
Path("results", sys.argv[2], sys.argv[1], "metrics.json").write_text("{}")
sys.exit(sys.argv[1] == "reading" and "no more tea")
"""


def test_the_papers_figures_come_first_and_an_error_is_shown(tmp_path):
    root = copy_repository(tmp_path, "Makefile", "README.md", "CITATION.cff", "book")
    (root / "notebooks" / "run.py").write_text(QUICK)
    (root / ".venv").symlink_to(sys.prefix)
    command = ["make", "--no-print-directory", "-o", "setup", "reproduce"]
    process = subprocess.run(command, cwd=root, text=True, capture_output=True)
    assert process.returncode, process.stderr
    *steps, end = process.stdout.splitlines()
    assert steps[:5] == ["imagenet", "cifar10", "detection", "forensics", "reading"]
    assert "no more tea" in steps
    assert end == "Stopped; the full log is results/reproduce.log"
    with open(root / "Snakefile", "a") as file:
        file.write('print("a new Snakefile")')
    process = subprocess.run(command, cwd=root, text=True, capture_output=True)
    assert "a new Snakefile" in process.stdout


def test_deleted_results_are_made_again(finished):
    for path in (finished / "results" / "bundled").rglob("metrics.json"):
        path.rename(path.with_suffix(".moved"))
    planned = run(snakemake("--dry-run", "--cores", "1"), finished)
    for path in (finished / "results" / "bundled").rglob("*.moved"):
        path.rename(path.with_suffix(".json"))
    assert all(f"results/bundled/{path.stem}/metrics.json" in planned for path in NOTEBOOKS)


def killed(command: list[str], root: Path, after: float | None) -> tuple[str, bool]:
    """Start a command, kill all its processes after some seconds; return its log, and if done."""
    with started(command, root) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(after)
    log = (root / "log").read_text()
    assert process.returncode in {0, -signal.SIGKILL}, log
    return log, process.returncode == 0


def iterations(root: Path) -> dict[Path, int]:
    """Read the iteration that each checkpoint of a descent holds."""
    states = {path: load_file(path) for path in root.rglob("*.checkpoint")}
    return {path: int(state["k"]) for path, state in states.items() if "k" in state}


def kill_until_done(
    arguments: list[str], root: Path, seconds: float, kills: int, seed: int
) -> Iterator[tuple[Path, str]]:
    """Kill Snakemake a number of times in all, each in the first half of the seconds it needs.

    Yields each copy of the repository in which it was done in the end, with Snakemake's log there.
    """
    draw = random.Random(seed)
    rounds = count()
    while kills > 0:
        copy = copy_repository(root / f"round{next(rounds)}")
        log = ""
        done = False
        kept: dict[Path, int] = {}
        while not done:
            after = draw.uniform(0, seconds / 2) if kills > 0 else None
            words, done = killed(snakemake("--cores", "2", *arguments), copy, after)
            log += words
            kills -= not done
            now = iterations(copy)
            for path, k in kept.items():  # what was kept is not done again
                outputs = [path.with_name(name) for name in (path.name[:13], "metrics.json")]
                assert done or any(map(Path.exists, outputs)) or now.get(path, 0) >= k
            kept = now
        yield copy, log


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_folder_killed_again_and_again_gives_the_same_table(tmp_path, straight, folder, kills):
    expected, made = table_of(straight[0])
    for root, log in kill_until_done(folder, tmp_path, straight[1], kills, seed=kills):
        assert table_of(root)[0].equals(expected) and table_of(root)[1] == made
        assert log.count("(Rule: folder_shard)") <= SHARDS  # logged when a shard finishes


@pytest.mark.slow
def test_a_notebook_killed_again_and_again_gives_the_same_numbers(tmp_path):
    target = ["results/smoke/imagenet/metrics.json", "--config", "profile=smoke"]
    straight = copy_repository(tmp_path / "straight")
    seconds = timed(snakemake("--cores", "2", *target), straight)
    expected = straight / "results" / "smoke" / "imagenet"
    for root, log in kill_until_done(target, tmp_path, seconds, kills=20, seed=20):
        resumed = root / "results" / "smoke" / "imagenet"
        for name in ("images.safetensors", "terms.csv", "table1.csv"):
            assert (resumed / name).read_bytes() == (expected / name).read_bytes()
        metrics = [json.loads((f / "metrics.json").read_text()) for f in (resumed, expected)]
        assert metrics[0]["values"] == metrics[1]["values"]
        assert log.count("(Rule: notebook)") == 1


@pytest.fixture
def slurm(tmp_path):
    """The variables for Slurm's commands: a cluster of this machine alone, without accounting."""
    missing = [name for name in DAEMONS if not shutil.which(name)]
    if missing:
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
    variables = {"SLURM_CONF": str(config), "PATH": f"{srun.parent}:{os.environ['PATH']}"}
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
                subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | variables)
            )
            time.sleep(1)
        for _ in range(60):
            state = subprocess.run(
                ["sinfo", "--noheader", "--format=%t"],
                env=os.environ | variables,
                capture_output=True,
                text=True,
            ).stdout.strip()
            if state == "idle":
                break
            time.sleep(1)
        assert state == "idle", "\n".join(f.read_text() for f in tmp_path.glob("*.out"))
        yield variables
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def on_slurm(rule: str, *arguments: str) -> list[str]:
    """Return Snakemake's command for a cluster whose nodes have no GPU."""
    options = "--executor slurm --jobs 2 --cores 2 --slurm-status-command squeue"
    options += f" --set-resources {rule}:gpu=0 --default-resources mem_mb=1000 runtime=60"
    return snakemake(*arguments, *options.split())


@pytest.mark.slow
def test_slurm_gives_the_same_table(slurm, straight, folder, tmp_path):
    root = copy_repository(tmp_path / "root")
    log = run(on_slurm("folder_shard", *folder), root, **slurm)
    assert log.count("submitted with SLURM jobid") >= SHARDS, log
    assert table_of(root)[0].equals(table_of(straight[0])[0])


@pytest.mark.slow
def test_a_run_on_slurm_comes_home_as_one_file(slurm, tmp_path):
    """Run and archived there, copied, verified at home: those notebooks that leave images."""
    cluster = copy_repository(tmp_path / "there", "CITATION.cff", "requirements.lock", "torch.lock")
    targets = [f"results/smoke/{notebook}/metrics.json" for notebook in WITH_IMAGES]
    log = run(on_slurm("notebook", *targets, "--config", "profile=smoke"), cluster, **slurm)
    assert log.count("submitted with SLURM jobid") >= len(targets), log
    run([sys.executable, "book/ledger/archive.py", "smoke"], cluster)
    (archive,) = (cluster / "dist").glob("*.zip")
    home = copy_repository(tmp_path / "home")
    shutil.copy(archive, home)
    checked = run([sys.executable, "book/ledger/verify.py", archive.name], home)
    assert re.search(r"([1-9]\d*) of \1 answers by the machines", checked)
