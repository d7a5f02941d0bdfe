"""Checkpoints: files that are complete, and that only the same work takes up again."""

import shutil
import subprocess
import sys

import pytest
import torch

from companion.checkout import ROOT
from companion.checkpoint import Checkpoint, fingerprint


def test_a_checkpoint_gives_back_the_tensors_saved_last(tmp_path):
    checkpoint = Checkpoint(tmp_path / "x.checkpoint")
    assert checkpoint.load() is None
    checkpoint.save({"x": torch.arange(3), "flag": torch.tensor(True)}, now=True)
    checkpoint.save({"x": torch.zeros(3), "flag": torch.tensor(False)})  # too early to write
    loaded = checkpoint.load()
    assert torch.equal(loaded["x"], torch.arange(3)) and loaded["flag"].item() is True


def test_a_damaged_checkpoint_does_not_count(tmp_path):
    path = tmp_path / "x.checkpoint"
    Checkpoint(path).save({"x": torch.arange(300)}, now=True)
    path.write_bytes(path.read_bytes()[:100])
    assert Checkpoint(path).load() is None


@pytest.mark.parametrize(
    "one, other",
    [
        ({"alpha": 0.1}, {"alpha": 0.2}),
        (["a", "b"], ["ab"]),
        ({"photos": ["cat"]}, {"photos": "cat"}),
    ],
)
def test_different_work_has_another_fingerprint(one, other):
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)


def test_another_descent_has_another_fingerprint(tmp_path):
    """A copy of the sources, in which one character of the method changes."""
    for folder in ("jnd", "notebooks/companion"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)

    def printed() -> str:
        script = "from companion.checkpoint import fingerprint; print(fingerprint(1))"
        environment = {"PYTHONPATH": f"{tmp_path}:{tmp_path / 'notebooks'}"}
        return subprocess.check_output(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, text=True
        )

    before = printed()
    assert printed() == before
    descent = tmp_path / "jnd" / "descent.py"
    descent.write_text(
        descent.read_text("utf-8").replace("x.detach() - alpha", "x.detach() + alpha")
    )
    assert printed() != before
