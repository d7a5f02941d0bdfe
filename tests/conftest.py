import os

import pytest
import torch

from jnd.machines.weights import official_file
from jnd.support.files import sha256
from jnd.support.registry import registered

if "JND_TEST_GPU" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same numbers wherever the tests run


def pytest_report_collectionfinish(items):
    return f"{len(items)} tests; all of them take about 10 minutes on two cores"


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def as_official(monkeypatch, tmp_path):
    """Lets a state dict pass for torchvision's weights of a network: a mirror has it under the
    official file's name, and the registry its hash."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("JND_MIRROR", str(mirror))
    monkeypatch.setenv("JND_CACHE", str(tmp_path / "cache"))

    def save(network, state):
        name, entry = official_file(network)
        torch.save(state, mirror / name)
        monkeypatch.setitem(registered("files"), name, {**entry, "sha256": sha256(mirror / name)})
        return mirror / name

    return save
