"""Small results of the profile bundled, with numbers that belong to their images."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import torch
from nbformat import v4
from safetensors.torch import save_file

from archive import grey_picture
from companion.checkout import ROOT
from companion.photos import load_photos, load_picture, packaged_photos
from companion.provenance import plain
from companion.registry import registered
from recompute import values_of_changes, values_of_images

PARAMETERS: dict[str, dict[str, Any]] = {
    "imagenet": {"photos": packaged_photos(), "size": 48},
    "cifar10": {"data": "packaged", "count": 10},
    "detection": {"photo": "road", "size": 64},
}
ARMS = ("full", "l2", "none")
PICTURE = base64.b64encode(grey_picture() + b"a photo").decode()


def parameters_of(notebook: str, profile: str) -> dict[str, Any]:
    """Return the parameters of these results, in place of profile_parameters."""
    return {"profile": profile, "target_rank": 0, **PARAMETERS.get(notebook, {})}


def small_images(notebook: str) -> dict[str, torch.Tensor]:
    """Return x(0) and images a little beside it, by the names that a notebook gives them."""
    generator = torch.Generator().manual_seed(0)
    if notebook == "detection":
        x0 = load_picture("road", 64)[0]
    else:
        x0 = load_photos(packaged_photos(), 48 if notebook == "imagenet" else 32)[0]
    losses = ("box, ", "class, ") if notebook == "detection" else ("",)
    names = [f"{x}.{loss}{arm}" for x in ("x_jnd", "x_end") for loss in losses for arm in ARMS]
    images = {name: x0 + torch.randn(x0.shape, generator=generator) for name in names}
    return images | {"x0": x0, "matched": x0 + 9 * torch.randn(x0.shape, generator=generator)}


def merged(one: Any, other: Any) -> Any:
    """Return nested dicts with the values of ``other`` over those of ``one``."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return other
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}


def write_small_results(folder: Path, sha256: str | None = None) -> Path:
    """Write them into ``folder/bundled`` and return that.

    Args:
        folder: of the results.
        sha256: of all photos; None: those of photos that may be passed on.
    """
    results = folder / "bundled"
    for path in (ROOT / "data" / "expected" / "bundled").glob("*.json"):
        if path.stem in ("seconds", "updates"):
            continue
        notebook = path.stem
        target = results / notebook
        target.mkdir(parents=True)
        values = json.loads(path.read_text("utf-8"))
        if notebook in PARAMETERS:
            images = small_images(notebook)
            save_file(images, target / "images.safetensors")
            x0 = images["x0"]
            changes = {name: image - x0 for name, image in images.items()}
            norm = x0.flatten(1).norm(dim=1)
            for recomputed in (
                values_of_changes(changes, norm),
                values_of_images(notebook, images),
            ):
                values = merged(values, plain(recomputed))
        road = registered("files")["road.png"]["sha256"]
        provenance = {
            "profile": "bundled",
            "notebook": notebook,
            "parameters": parameters_of(notebook, "bundled"),
            "machine": "toy",
            "machine_sha256": "0123456789abcdef",
            "data": "a road",
            "data_sha256": {"road": sha256 or road},
            "device": "abacus",
            "seconds": 1.0,
            "commit": "fedcba9876543210",
            "packages": {"python": "3.99"},
            "date": "2026-12-01T00:00:00+00:00",
        }
        content = {"provenance": provenance, "values": values}
        (target / "metrics.json").write_text(json.dumps(content), "utf-8")
        (target / "table1.csv").write_text("a,b\n1,2\n")
        for name in ("fig1", "k"):
            (target / f"{name}.png").write_bytes(base64.b64decode(PICTURE))
        (target / "viewer.json").write_text('{"photos": []}')
        nbformat.write(executed(notebook), target / "executed.ipynb")
    return results


def executed(notebook: str) -> nbformat.NotebookNode:
    """Return a notebook whose last cell shows a photo, a curve and a script."""
    page = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4)
    page.cells[-1] = v4.new_code_cell(page.cells[-1].source)
    page.cells[-1].outputs = [
        v4.new_output(
            "display_data",
            data={"image/png": PICTURE},
            metadata={"jnd": {"kind": "figure", "name": name, "pictures": name == "fig1"}},
        )
        for name in ("fig1", "k")
    ]
    html = "<style>p {}</style><table><tr><td onclick='a()'>7</td></tr></table><script>b()</script>"
    page.cells[-1].outputs.append(v4.new_output("display_data", data={"text/html": html}))
    page.metadata["papermill"] = {"input_path": "/home/somebody/x.ipynb"}
    return page
