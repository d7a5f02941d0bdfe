import os

import pytest
import torch

from companion.files import sha256
from companion.registry import registered
from companion.weights import official_file

if "JND_TEST_GPU" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same numbers wherever the tests run


if "PYTEST_XDIST_WORKER" in os.environ:  # threads of two processes would wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_report_header(config):
    if config.getoption("numprocesses", None):
        return "all tests take about 5 minutes on two cores, 10 with those of the book in a browser"


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def as_official(monkeypatch, tmp_path):
    """A function that makes a state dict pass for torchvision's weights of a network.

    A mirror has it under the official file's name, and the registry has its hash.
    """
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
