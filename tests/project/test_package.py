"""The package by itself: what it imports, and what it can do without its repository."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jnd.support.checkout import ROOT

HEAVY = "yaml pandas matplotlib IPython skimage scipy pooch requests filelock foolbox pyarrow"
DESCENT = """
import sys
import jnd, torch
plane = jnd.machines.Plane(torch.ones(3, 4, 4), torch.full((3, 4, 4), 99.0), ("dark", "light"))
assert jnd.find_jnd(plane, torch.full((1, 3, 4, 4), 90.0), target=1, max_iter=3).K.tolist() == [1]
assert jnd.metrics.psnr and jnd.cost.bounded_range and jnd.descent and jnd.datasets
print(*sys.modules)
"""


def test_a_descent_imports_little():
    loaded = subprocess.check_output([sys.executable, "-c", DESCENT], text=True).split()
    assert "torchvision" in loaded and not {*loaded} & {*HEAVY.split()}


def needed(name: str, extras: tuple[str, ...] = ()) -> set[str]:
    """The distributions that a distribution needs, itself included."""
    names = {name}
    for text in importlib.metadata.requires(name) or ():
        asked = Requirement(text)
        if not asked.marker or any(asked.marker.evaluate({"extra": e}) for e in extras or ("",)):
            try:
                names |= needed(asked.name, tuple(asked.extras))
            except importlib.metadata.PackageNotFoundError:
                continue  # of another platform
    return names


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A Python that has the wheel and what the wheel asks for, and nothing else."""
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
        of_name = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in of_name.files or ()} - {".."}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(of_name.locate_file(top))).resolve())
    return folder / "venv" / "bin" / "python"


def run(python: Path, script: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([python, "-c", script], cwd=folder, capture_output=True, text=True)


def test_the_readmes_example_runs_without_the_repository(installed, tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    done = run(installed, f"{example}\nprint(jnd.__file__)", tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout


@pytest.mark.parametrize(
    "call",
    [
        "jnd.load_machine('googlenet_cifar10')",
        "jnd.load_detector()",
        "jnd.datasets.load_photos(['cat'], 99)",
    ],
)
def test_what_needs_the_repository_says_so(installed, tmp_path, call):
    done = run(installed, f"import jnd; {call}", tmp_path)
    assert "are in the repository, not in the installed package: clone it" in done.stderr
