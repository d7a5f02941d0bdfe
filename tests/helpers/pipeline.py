"""Copies of the repository, and Snakemake's commands in them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from companion.checkout import ROOT

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "_build", "notebooks", "figures")


def copy_repository(folder: Path, *names: str) -> Path:
    """Copy what a notebook or a shard runs on, and further files and folders by name."""
    folder.mkdir(exist_ok=True)
    for name in ("Snakefile", "folder.yaml", "jnd", "notebooks", *names):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, folder)
    for name in {"book", "data"} - {*names}:
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment(root: Path) -> dict[str, str]:
    """Return the variables with which a command imports the packages of a copy."""
    return os.environ | {"PYTHONPATH": f"{root}:{root / 'notebooks'}"}


def snakemake(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--nolock", "--rerun-incomplete", *arguments]


def run(command: list[str], root: Path, fails: bool = False, **variables: str) -> str:
    """Run a command that must succeed, or must fail, and return its output."""
    process = subprocess.run(
        command,
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(root) | variables,
    )
    assert bool(process.returncode) == fails, process.stdout
    return process.stdout


@contextmanager
def started(command: list[str], root: Path) -> Iterator[subprocess.Popen]:
    """Start a command that writes into ``log``; kill all its processes in the end."""
    with open(root / "log", "w") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment(root),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
