"""Pack the results of a profile into one file, an RO-Crate: python book/ledger/archive.py PROFILE

dist/results-PROFILE-COMMIT.zip gets numbers, tables, figures, executed notebooks, the images behind
Tables I and II and Fig. 3 in floating point, the verdicts, and hashes. Of photos that may not be
passed on it has hashes and x − x(0) alone, and a grey picture in place of each that shows them.
"""

import base64
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from io import BytesIO
from mimetypes import guess_type
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from PIL import Image, ImageDraw
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.linalg import vector_norm

from companion.checkout import ROOT
from companion.files import replacing, sha256
from companion.provenance import short
from companion.registry import registered

sys.path.insert(0, str(Path(__file__).parents[1] / "_ext"))
from claims import judge_all
from unpack import FORMAT, read_json

VIEWER = ("viewer.json", "viewer.safetensors")  # the images of the slider
# licences of data/registry.yaml under which we pass photos on
LICENCES = {
    "public domain",
    "CC0-1.0",
    "MIT",
    "the authors permit use and publication, and ask for the citation",
}
LOCKS = ("requirements.lock", "torch.lock")


def make_archive(results: Path, folder: Path) -> Path:
    """Write the archive of a profile into a folder and return its path.

    Args:
        results: the profile's folder in results/.
        folder: gets ``results-PROFILE-COMMIT.zip``.
    """
    metrics = {path.parent.name: read_json(path) for path in sorted(results.glob("*/metrics.json"))}
    if not metrics:
        raise FileNotFoundError(f"{results} has no results: make reproduce PROFILE={results.name}")
    facts = facts_of(metrics)
    run: dict[str, Any] = {
        "format": FORMAT,
        "profile": results.name,
        "locks": {name: sha256(ROOT / name) for name in LOCKS},
        "x0_sha256": {},
    }
    with TemporaryDirectory() as staging:
        staged = Path(staging)
        for notebook, content in metrics.items():
            stage(results / notebook, staged / notebook, may_be_passed_on(content["provenance"]))
            images = results / notebook / "images.safetensors"
            if images.exists():
                x0 = load_file(images)["x0"]
                run["x0_sha256"][notebook] = [image_hash(image) for image in x0]
        verdicts = {verdict.id: verdict.verdict for verdict in judge_all(results)}
        for name, content in {"claims": verdicts, "run": run}.items():
            (staged / f"{name}.json").write_text(json.dumps(content, indent=1), "utf-8")
        commit = facts["commits"][0] if len(facts["commits"]) == 1 else "mixed"
        folder.mkdir(exist_ok=True)
        archive = folder / f"results-{results.name}-{short(commit)}.zip"
        with replacing(archive) as part:
            describe(staged, results.name, facts).write_zip(part)
    return archive


def facts_of(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return from which commits, when and on what the numbers of a run were made."""
    runs = [content["provenance"] for content in metrics.values()]
    commits = sorted({run["commit"] for run in runs})
    return {
        "commits": commits,
        "clean": not any(commit == "unknown" or commit.endswith("+") for commit in commits),
        "date": max(run["date"] for run in runs),
        "devices": sorted({run["device"] for run in runs}),
    }


def may_be_passed_on(provenance: Mapping[str, Any]) -> bool:
    """Whether the licence of every photo that a notebook used lets us pass it on."""
    allowed = {
        entry["sha256"] for entry in registered("files").values() if entry["licence"] in LICENCES
    }
    return allowed.issuperset(provenance["data_sha256"].values())


def stage(source: Path, target: Path, passed_on: bool) -> None:
    """Copy what the archive keeps of a notebook's results.

    Left out are checkpoints, pictures that the notebook saved, and the images just before K.
    """
    target.mkdir()
    notebook = nbformat.read(source / "executed.ipynb", as_version=4)
    notebook.metadata.pop("papermill", None)  # it has paths of that machine
    shown = None if passed_on else drawings(notebook)
    if shown is not None:
        grey_out(notebook, shown)
    nbformat.write(notebook, target / "executed.ipynb")
    names = [path.name for path in source.glob("*.csv")]
    if passed_on:
        names += [name for name in VIEWER if (source / name).exists()]
    for name in ["metrics.json", *names]:
        shutil.copy(source / name, target)
    for path in source.glob("*.png"):
        if shown is None or path.stem in shown:
            shutil.copy(path, target)
        else:
            (target / path.name).write_bytes(grey_picture())
    if (source / "images.safetensors").exists():
        images = load_file(source / "images.safetensors")
        kept = {name: x for name, x in images.items() if not name.startswith("x_before")}
        save_file(kept if passed_on else changes(kept), target / "images.safetensors")


def changes(images: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return x − x(0) of every image, and the norm of each x(0), (B,), in its place."""
    x0 = images["x0"]
    differences = {name: x - x0 for name, x in images.items() if name != "x0"}
    return differences | {"x0_norm": vector_norm(x0.flatten(1), dim=1)}


def image_hash(image: Tensor) -> str:
    """Return the SHA-256 of an image's pixels."""
    return hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()


def drawings(notebook: NotebookNode) -> set[str]:
    """Return the names of the figures that companion.run has marked as showing no picture."""
    marks = [output.get("metadata", {}).get("jnd", {}) for output in outputs(notebook)]
    return {mark["name"] for mark in marks if mark.get("pictures") is False}


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def grey_out(notebook: NotebookNode, shown: set[str]) -> None:
    """Replace every picture in the outputs of a notebook but the figures named."""
    for output in outputs(notebook):
        name = output.get("metadata", {}).get("jnd", {}).get("name")
        data = output.get("data", {})
        for mime in [*data]:
            if name in shown or ("image" not in mime and "data:image" not in str(data[mime])):
                continue
            del data[mime]
            data["image/png"] = base64.b64encode(grey_picture()).decode()


def grey_picture() -> bytes:
    """Draw what takes the place of a figure."""
    picture = Image.new("L", (640, 60), 230)
    words = "Not in the archive: this figure shows photos that may not be passed on."
    ImageDraw.Draw(picture).text((20, 20), words, fill=60, font_size=16)
    buffer = BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def describe(staged: Path, profile: str, facts: Mapping[str, Any]) -> ROCrate:
    """Describe all files of a folder as an RO-Crate, with the software and the run."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    crate = ROCrate()
    crate.name = f"Results of the profile {profile}: {citation['title']}"
    crate.description = (
        f"Numbers, tables, figures and images of one run on {', '.join(facts['devices'])}, to be "
        "checked by `make verify` and made into a book by `make book`"
    )
    crate.license = citation["license"]
    crate.datePublished = facts["date"]
    software = {
        "@type": "SoftwareSourceCode",
        "name": citation["title"],
        "version": citation["version"],
        "license": citation["license"],
        "author": [author["name"] for author in citation["authors"]],
        "identifier": facts["commits"],
    }
    if "repository-code" in citation:
        software["codeRepository"] = citation["repository-code"]
    code = crate.add(ContextEntity(crate, "#software", properties=software))
    files = []
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        properties = {
            "encodingFormat": guess_type(path)[0] or "application/octet-stream",
            "contentSize": str(path.stat().st_size),
            "sha256": sha256(path),
        }
        destination = path.relative_to(staged).as_posix()
        files.append(crate.add_file(path, destination, properties=properties))
    action = {"name": f"The profile {profile}", "endTime": facts["date"]}
    crate.add_action(code, "#run", result=files, properties=action)
    return crate


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("name the profile: make archive PROFILE=bundled")
    try:
        archive = make_archive(ROOT / "results" / sys.argv[1], ROOT / "dist")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{archive}, {archive.stat().st_size / 1e6:.0f} MB, SHA-256 {sha256(archive)}")


if __name__ == "__main__":
    main()
