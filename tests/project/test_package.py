"""The package jnd by itself, with torch, torchvision and numpy alone."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from companion.checkout import ROOT

DEPENDENCIES = {"numpy", "torch", "torchvision"}
HEAVY = "yaml pandas matplotlib IPython skimage scipy pooch safetensors foolbox pyarrow companion"
DESCENT = """
import sys
import jnd, torch
machine = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
assert jnd.find_jnd(machine, torch.full((1, 3, 4, 4), 90.0), max_iter=3).K.shape == (1,)
print(*sys.modules)
"""
EVERY_MODULE = """
import importlib, pkgutil
import jnd
for module in pkgutil.walk_packages(jnd.__path__, "jnd."):
    importlib.import_module(module.name)
    print(module.name)
"""


def test_a_descent_imports_little():
    loaded = subprocess.check_output([sys.executable, "-c", DESCENT], text=True).split()
    assert "torchvision" in loaded and not {*loaded} & {*HEAVY.split()}


def needed(name: str, extras: tuple[str, ...] = ()) -> set[str]:
    """Return the distributions that a distribution needs, itself included."""
    names = {name}
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if not marker or any(marker.evaluate({"extra": e}) for e in extras or ("",)):
            try:
                names |= needed(requirement.name, tuple(requirement.extras))
            except importlib.metadata.PackageNotFoundError:
                continue  # of another platform
    return names


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A Python that has the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"  # a copy, as building leaves files beside what it builds
    shutil.copytree(ROOT / "jnd", source / "jnd", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    for name in needed("jnd") - {"jnd"}:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {".."}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return folder / "venv" / "bin" / "python"


def run(python: Path, script: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([python, "-c", script], cwd=folder, capture_output=True, text=True)


def test_the_readmes_examples_run_without_the_repository(installed, tmp_path):
    """With a network that sees brightness, as the one of the example would be downloaded."""
    readme = (ROOT / "README.md").read_text("utf-8")
    to_a_picture, as_attack = re.findall(r"```python\n(.*?)```", readme, re.S)
    Image.effect_noise((300, 260), 60).convert("RGB").save(tmp_path / "photo.jpg")
    brightness = """
import torch
class Brightness(torch.nn.Module):
    def forward(self, x):
        brightness = 1000 * x.mean((1, 2, 3))
        if not hasattr(self, "threshold"):
            self.threshold = brightness.detach()[:1] - 1
        return torch.stack((brightness - self.threshold, torch.zeros_like(brightness)), 1)
"""
    reread = """
saved = pil_to_tensor(Image.open("fools.png"))[None].float()
assert machine(x0).argmax(1) == 0 and machine(saved).argmax(1) == 1
print(jnd.__file__)
"""
    example = to_a_picture.replace("resnet18(weights=weights)", "Brightness()")
    process = run(installed, brightness + example + reread, tmp_path)
    assert process.returncode == 0, process.stderr
    assert str(ROOT) not in process.stdout

    inputs = (
        "import torch\nmodel = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))\n"
    )
    inputs += "inputs = torch.rand(2, 3, 4, 4)\nlabels = model(inputs).argmax(1)\n"
    process = run(installed, f"{inputs}{as_attack}\nassert adversarial.max() <= 1", tmp_path)
    assert process.returncode == 0, process.stderr


def test_every_module_of_the_wheel_can_be_imported(installed, tmp_path):
    assert {Requirement(r).name for r in importlib.metadata.requires("jnd") or ()} == DEPENDENCIES
    process = run(installed, EVERY_MODULE, tmp_path)
    assert process.returncode == 0, process.stderr
    modules = {f"jnd.{path.stem}" for path in (ROOT / "jnd").glob("*.py")} - {"jnd.__init__"}
    assert {*process.stdout.split()} == modules
