"""The paper profile from one end to the other, on stand-ins for the files that it downloads.

These have the official names and layouts, and their hashes are in the registry of a copy; of the
notebooks' parameters only counts are changed in the copy.
"""

import json
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
import torchvision
import yaml
from PIL import Image
from safetensors.torch import load
from torch import Tensor, nn

from cifar10_files import BATCHES, write_archive
from companion.checkout import read_data
from companion.files import sha256
from companion.photos import CIFAR10_ARCHIVE, load_picture, packaged_squares
from companion.weights import official_file
from notebook_files import FILES
from pipeline import copy_repository, run, snakemake, started

pytestmark = pytest.mark.slow

FEW = ["brown_bear", "cock"]
COUNTS = {
    "cifar10": {"examples": 4, "count": 10, "max_iter": 2} | {"end_iter": 2, "matched_iter": 1},
    "comparison": {"photos": FEW, "max_iter": 2, "ranks": [0], "shrinking_iter": 2}
    | {"shrinking_alphas": [0.004, 0.002]},
    "derivation": {"max_iter": 3, "alphas": [0.9, 0.45]},  # their N is 4.5 divided by each
    "detection": {"max_iter": 1, "end_iter": 1},
    "forensics": {"count": 2, "pairings": ["itself"], "strengths": [20, 40]},
    "idea": {"trials": 20},
    "imagenet": {"max_iter": 3, "end_iter": 2, "matched_iter": 2, "curve_iter": 2},
    "pictures": {"photos": FEW, "ranks": [0, 2], "max_iter": 3},
    "psychometrics": {"count": 6, "swept": 3, "max_iter": 2, "ranks": [3]}
    | {"scales": [0.5], "alpha_factors": [2.0]},
    "reading": {"photos": FEW, "max_iter": 2, "end_iter": 2},
}
LABEL = 6  # of all stand-ins for CIFAR-10's photos, as two steps of training can teach no more
RECIPE = {"BATCH = 128": "BATCH = 5", "stages=[(299, 8)]": "stages=[(299, 2)]"}
WEIGHTS = "results/weights/inception_v3_cifar10.safetensors"


def classifier(name: str, size: int) -> dict[str, Tensor]:
    """Return random weights whose answers differ between photos and flip after a few updates."""
    options = {"init_weights": False} if name == "inception_v3" else {}
    network = torchvision.models.get_model(name, weights=None, **options)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # takes the photos' own statistics
    nn.init.normal_(network.fc.weight, std=0.1)
    with torch.no_grad():
        network((packaged_squares(6, size)[0] - 127) / 60)
    return network.state_dict()


def detector() -> dict[str, Tensor]:
    """Return random weights; the official file's batch norm is frozen and so counts no batches."""
    network = torchvision.models.detection.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None
    )
    state = network.state_dict().items()
    return {name: value for name, value in state if not name.endswith("num_batches_tracked")}


def save_picture(path: Path, picture: Tensor) -> None:
    Image.fromarray(picture.byte().permute(1, 2, 0).numpy()).save(path)


def write_mirror(mirror: Path) -> None:
    """Write a stand-in for every file that data/registry.yaml has an address for."""
    mirror.mkdir()
    torch.manual_seed(0)
    for name, size in {"inception_v3": 299, "resnet50": 224}.items():
        torch.save(classifier(name, size), mirror / official_file(name)[0])
    torch.save(detector(), mirror / official_file("retinanet_resnet50_fpn")[0])
    batch = [LABEL] * 10, packaged_squares(10, 32)[0].byte()
    write_archive(mirror / CIFAR10_ARCHIVE, dict.fromkeys(BATCHES, batch))
    files = read_data("registry")["files"]
    photos = [name for name in files if name.endswith(".JPEG")]
    for name, photo in zip(photos, packaged_squares(len(photos), 400)[0], strict=True):
        save_picture(mirror / name, photo)
    road = load_picture("road", 1280)[0][0]
    save_picture(mirror / "straight_lines1.jpg", road[:, :720])


def copy(root: Path, mirror: Path) -> None:
    """Copy the repository, with the mirror's hashes, smaller counts and a shorter training."""
    copy_repository(
        root, "README.md", "CITATION.cff", "requirements.lock", "torch.lock", "book", "data"
    )
    registry = read_data("registry")
    for file in mirror.iterdir():
        entry = registry["files"][file.name]
        entry |= {"sha256": sha256(file), "bytes": file.stat().st_size}
    (root / "data" / "registry.yaml").write_text(yaml.safe_dump(registry, sort_keys=False))
    for name, counts in COUNTS.items():
        path = root / "notebooks" / "params" / "paper" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | counts))
    recipe = root / "data" / "recipes" / "cifar10.py"
    text = recipe.read_text()
    for ours, short in RECIPE.items():
        assert ours in text
        text = text.replace(ours, short)
    recipe.write_text(text)


def kill_when_written(path: Path, command: list[str], root: Path) -> None:
    """Start a command and kill all its processes as soon as it has written a file."""
    with started(command, root) as process:
        while not path.exists():
            assert process.poll() is None, (root / "log").read_text()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """The repository in which the profile ran, and the log from after the training was killed."""
    folder = tmp_path_factory.mktemp("paper")
    root = folder / "root"
    mirror = folder / "mirror"
    write_mirror(mirror)
    copy(root, mirror)
    options = ["--cores", "all", "--config", "profile=paper"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JND_MIRROR", str(mirror))
        patch.setenv("JND_CACHE", str(root / "cache"))
        patch.setenv("IPYTHONDIR", str(root / "ipython"))
        kill_when_written(root / f"{WEIGHTS}.checkpoint", snakemake(WEIGHTS, *options), root)
        return root, run(snakemake(*options), root)


def test_a_killed_training_goes_on(paper):
    assert "resuming after epoch 1\nepoch 2/2" in paper[1]


@pytest.mark.parametrize("name", FILES)
def test_every_notebook_leaves_its_files(paper, name):
    folder = paper[0] / "results" / "paper" / name
    files = {path.name for path in folder.iterdir()} - {"executed.ipynb"}
    assert files == {*FILES[name].split(), *(["fig1-from-5.png"] if name == "imagenet" else [])}
    assert json.loads((folder / "metrics.json").read_text())["provenance"]["profile"] == "paper"


def test_every_claim_is_judged_and_the_prediction_compared(paper):
    verdicts = json.loads((paper[0] / "results" / "paper" / "claims.json").read_text())
    for claim, verdict in zip(read_data("paper")["claims"], verdicts, strict=True):
        assert (verdict["verdict"] == "not tested here") == ("checks" not in claim), verdict
    page = (paper[0] / "book" / "_build" / "html" / "notebooks" / "imagenet.html").read_text()
    compared = page.count("✓ inside") + page.count("✗ outside")
    assert compared == len(read_data("prediction")["interval"]) and "not yet run" not in page


def test_the_run_becomes_a_book_in_a_clone_that_ran_nothing(paper, tmp_path):
    """Archived without a photo that may not be passed on, verified where the photos are at hand."""
    root = paper[0]
    mirror = root.parent / "mirror"
    run([sys.executable, "book/ledger/archive.py", "paper"], root)
    (archive,) = (root / "dist").glob("results-paper-*.zip")
    clone = tmp_path / "clone"
    copy(clone, mirror)
    run([sys.executable, "book/live/export.py", "results/live"], clone)
    verify = [sys.executable, "book/ledger/verify.py", str(archive)]
    photos = {"JND_MIRROR": str(mirror), "JND_CACHE": str(clone / "cache")}
    assert "not at hand to be compared" not in run(verify, clone, **photos)
    book = [sys.executable, "book/build.py", "--archive", str(archive)]
    assert "Finished generating HTML" in run(book, clone)
    with ZipFile(archive) as packed:
        for notebook in ("imagenet", "cifar10"):
            images = load(packed.read(f"{notebook}/images.safetensors"))
            assert "x0" not in images and "x0_norm" in images
