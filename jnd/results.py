"""What a notebook leaves behind: figures, tables and metrics.json, each with its provenance."""

import ast
import json
import math
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timezone
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from IPython import get_ipython
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from safetensors.torch import save
from skimage.metrics import structural_similarity
from torch import Tensor

from jnd.checkpoint import write_atomically
from jnd.cost import bounded_range, total_variation
from jnd.descent import Trajectory
from jnd.device import device_name
from jnd.machines import Machine
from jnd.metrics import METRICS, quality, uqi
from jnd.registry import DATA
from jnd.statistics import paired

ROOT = DATA.parent
PAPER = yaml.safe_load((DATA / "paper.yaml").read_text(encoding="utf-8"))
INT64_DB = 20 * math.log10((2**63 - 1) / 255)  # what an int64 image adds to sewar's PSNR
MOMENTS = {"jnd": "x(K)", "end": "end"}  # when an image is measured: key -> title
PACKAGES = ("jnd", "numpy", "torch", "torchvision")


class Run:
    """One execution of a notebook with its parameters; writes ``<output>/<profile>/<notebook>/``.

    A run with other parameters than its profile has is called ``custom``.

    Args:
        notebook: its name in notebooks/, without the ending.
        namespace: the notebook's ``globals()``, which hold the parameters.

    Raises:
        ValueError: papermill has set a name that is no parameter, or the profile is unknown.
        TypeError: a parameter has another type than its default.
    """

    def __init__(self, notebook: str, namespace: Mapping[str, Any]):
        self.notebook = notebook
        self.parameters = _checked_parameters(notebook, namespace)
        self.folder = ROOT / self.parameters["output"] / self.parameters["profile"] / notebook
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        self.subject: dict[str, Any] = {}
        self.followed: dict[str, dict[str, Any]] = {}

    def uses(
        self, machines: Machine | Sequence[Machine], data: str, data_sha256: dict[str, str]
    ) -> None:
        """Name the machines and the data that every figure and number from here on depends on.

        ``data`` says in a few words what they are, such as "10 photos".
        """
        if not isinstance(machines, Sequence):
            machines = [machines]
        self.subject = subject(machines, data, data_sha256)

    def follows(self, notebook: str) -> Path:
        """The folder of another notebook of this profile; what comes next is about its subject.

        Raises:
            FileNotFoundError: that notebook has left no results.
        """
        folder = self.folder.parent / notebook
        try:
            text = (folder / "metrics.json").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{notebook} has left no results in {folder.parent.name}: run notebooks/"
                f"{notebook}.ipynb first"
            ) from error
        names = ("machine", "machine_sha256", "data", "data_sha256", "device")
        self.subject = {name: json.loads(text)["provenance"][name] for name in names}
        self.followed[notebook] = self.subject
        return folder

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "profile": self.parameters["profile"],
            "notebook": self.notebook,
            "parameters": self.parameters,
            **self.subject,
            "seconds": round(time.monotonic() - self.started, 1),
            **origin(),
        }

    def line(self) -> str:
        return provenance_line(self.provenance)

    def show_figure(self, figure: Figure, name: str) -> None:
        """Save a figure as ``<name>.png`` and display that picture above its provenance."""
        buffer = BytesIO()
        figure.savefig(buffer, format="png", metadata={"Description": self.line()})
        write_atomically(self.folder / f"{name}.png", buffer.getvalue())
        display(Image(buffer.getvalue()), Markdown(f"*{self.line()}*"))

    def show_table(self, table: pd.DataFrame, name: str) -> None:
        """Save a table as ``<name>.csv`` and display it above its provenance."""
        write_atomically(self.folder / f"{name}.csv", table.to_csv().encode())
        display(table.style.format(_four_digits, na_rep="–"), Markdown(f"*{self.line()}*"))

    def save_images(self, arms: Mapping[str, Trajectory]) -> None:
        """Keep the images as floating point: ``x0``, ``x_jnd.<arm>``, ``x_end.<arm>``."""
        images = {"x0": next(iter(arms.values())).x0}
        images |= {f"x_{m}.{arm}": getattr(t, f"x_{m}") for arm, t in arms.items() for m in MOMENTS}
        content = save({name: x.detach().cpu().contiguous() for name, x in images.items()})
        write_atomically(self.folder / "images.safetensors", content)

    def checkpoint(self, name: str) -> Path:
        """Where a descent of this run may keep its state until the run is finished."""
        return self.folder / f"{name}.checkpoint"

    def finish(self, values: Mapping[str, Any]) -> None:
        """Write metrics.json; tensors become lists, and numbers that are not finite null.

        Of a run that followed others, all their subjects are named.
        """
        if self.followed:
            self.subject = _together(list(self.followed.values()))
        content = {"provenance": self.provenance, "values": plain(values)}
        write_atomically(self.folder / "metrics.json", json.dumps(content, indent=1).encode())
        for leftover in self.folder.glob("*.checkpoint"):
            leftover.unlink()


def subject(machines: Sequence[Machine], data: str, data_sha256: Any) -> dict[str, Any]:
    """What numbers depend on, for their provenance."""
    return {
        "machine": ", ".join(machine.name for machine in machines),
        "machine_sha256": ", ".join(machine.sha256 for machine in machines),
        "data": data,
        "data_sha256": data_sha256,
        "device": f"{device_name(machines[0].mean.device)}, {machines[0].precision}",
    }


def _together(subjects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One subject of several."""
    of = {name: [subject[name] for subject in subjects] for name in subjects[0]}
    joined = {name: ", ".join(of[name]) for name in ("machine", "machine_sha256", "data")}
    hashes = {name: sha256 for each in of["data_sha256"] for name, sha256 in each.items()}
    return joined | {"data_sha256": hashes, "device": ", ".join(dict.fromkeys(of["device"]))}


def origin() -> dict[str, Any]:
    """The code that makes numbers now, for their provenance."""
    return {
        "commit": commit(),
        "packages": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def provenance_line(provenance: Mapping[str, Any]) -> str:
    """A provenance in one line, for below a figure or table."""
    p = provenance
    pairs = zip(p["machine"].split(", "), p["machine_sha256"].split(", "))
    return (
        f"Profile {p['profile']} · machine {', '.join(f'{name} {sha256[:8]}' for name, sha256 in pairs)} · "
        f"{p['data']} · {p['device']} · commit {p['commit'][:16]} · {p['date'][:10]}"
    )


def scores(x0: Tensor, images: Tensor) -> dict[str, Tensor]:
    """The rows of Tables I and II and Wang and Bovik's UQI, (B,) each; NaN where an image is NaN."""
    there = images.isfinite().flatten(1).all(1)
    pair = x0[there], images[there]
    measured = quality(*pair) | {"UQI (Wang and Bovik)": uqi(*pair, form="wang-bovik")}
    nothing = torch.full((len(x0),), torch.nan, dtype=torch.float64, device=x0.device)
    return {name: nothing.masked_scatter(there, values) for name, values in measured.items()}


def closeness(x0: Tensor, images: Tensor) -> dict[str, Tensor]:
    """How near images are to their originals, (B,) each; NaN where an image is NaN.

    The size of the change as a share of the original's norm, the largest change of a pixel in grey
    levels, what :func:`scores` gives, and SSIM with its authors' Gaussian windows: Z. Wang et al.,
    IEEE Trans. Image Processing 13(4), 2004, doi:10.1109/TIP.2003.819861.
    """
    change, norm = (images - x0).double().flatten(1), torch.linalg.vector_norm
    ssim = [
        structural_similarity(
            *pair,
            data_range=255,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in zip(x0.double().cpu().numpy(), images.double().cpu().numpy())
    ]
    return {
        "‖Δ‖ / ‖x‖": norm(change, dim=1) / norm(x0.double().flatten(1), dim=1),
        "largest change": change.abs().amax(1),
        **scores(x0, images),
        "SSIM": change.new_tensor(ssim),
    }


def scores_of(arms: Mapping[str, Trajectory]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Moment -> arm -> metric -> one value per image, (B,)."""
    return {
        moment: {arm: scores(t.x0, getattr(t, f"x_{moment}")) for arm, t in arms.items()}
        for moment in MOMENTS
    }


def quality_table(
    paper: str | None, measured: Mapping[str, Any], images: slice = slice(None)
) -> pd.DataFrame:
    """The paper's Table I or II beside ours, which are means over the images that have a value.

    Args:
        paper: ``"table1"`` or ``"table2"`` of data/paper.yaml; None: ours alone, in dB only.
        measured: what :func:`scores_of` gives.
        images: over which of them to average.
    """
    table = pd.DataFrame(
        {
            f"{MOMENTS[moment]}, {arm}": {
                name: v[images].nanmean().item() for name, v in values.items()
            }
            for moment, by_arm in measured.items()
            for arm, values in by_arm.items()
        }
    )
    if paper is None:
        return table
    table.loc["PSNR + 331.17 dB"] = table.loc["PSNR"] + INT64_DB
    printed = PAPER["tables"][paper]
    for column, arm in enumerate(("with", "without")):
        values = {"PSNR": printed[arm]["PSNR"] - INT64_DB, "PSNR + 331.17 dB": printed[arm]["PSNR"]}
        table.insert(column, f"paper, {arm}", table.index.map(printed[arm] | values))
    return table


def paired_table(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> pd.DataFrame:
    """Two arms on the same images, metric by metric (name -> (B,)); images that lack one are left out.

    ``p, Holm`` is corrected for the number of metrics. S. Holm, "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979.
    """
    rows = {}
    for name in METRICS:
        both = (first[name] - second[name]).isfinite()
        row = {"images": int(both.sum())}
        for title, values in {"with": first[name], "without": second[name]}.items():
            row |= {title: values[both].mean().item(), f"{title}, sd": values[both].std().item()}
        rows[name] = row | vars(paired(first[name], second[name]))
    table = pd.DataFrame.from_dict(rows, orient="index").drop(columns="n")
    order = table["p"].sort_values().index
    steps = (len(order) - pd.RangeIndex(len(order))).to_numpy()
    table.loc[order, "p, Holm"] = (table.loc[order, "p"] * steps).cummax().clip(upper=1)
    return table


def means(scored: Any) -> Any:
    """The mean over the images that have a value, of every tensor in nested dicts."""
    if isinstance(scored, Mapping):
        return {key: means(value) for key, value in scored.items()}
    return scored.nanmean()


def k_table(arms: Mapping[str, Trajectory], names: Sequence[str]) -> pd.DataFrame:
    """K, JND(M) and what comes after K: a row for each arm and each image by its name."""

    def of(found: Trajectory) -> pd.DataFrame:
        columns = {
            "K": found.K,
            "K, 8 bits": found.K_8bit,
            "JND(M)": found.jnd,
            "largest change at K": (found.x_jnd - found.x0).abs().flatten(1).amax(1),
            "fools from K on": found.stays_adversarial,
        }
        columns = {title: v.tolist() for title, v in columns.items() if v is not None}
        return pd.DataFrame(columns, index=names)

    return pd.concat({arm: of(found) for arm, found in arms.items()}, names=["arm", "image"])


def arm_values(arms: Mapping[str, Trajectory]) -> dict[str, dict[str, Any]]:
    """What metrics.json keeps of each arm's descent, one value per image."""
    return {
        arm: {
            "K": found.K,
            "K_8bit": found.K_8bit,
            "jnd": found.jnd,
            "largest_change_at_K": (found.x_jnd - found.x0).abs().flatten(1).amax(1),
            "stays_adversarial": found.stays_adversarial,
            "noticed_at_end": found.noticed[-1],
            "target_confidence_at_end": found.confidence[-1, :, 1],
            "distance_at_end": found.distance[-1],
            "bounded_range_at_end": bounded_range(found.x_end),
            "total_variation": total_variation(found.x0),
            "total_variation_at_end": total_variation(found.x_end),
        }
        for arm, found in arms.items()
    }


def profile_parameters(notebook: str, profile: str) -> dict[str, Any]:
    """The parameters of a notebook in a profile: its defaults and what the profile changes.

    Raises:
        ValueError: no such profile, or it sets a name that is no parameter.
    """
    declared = _declared_parameters(ROOT / "notebooks" / f"{notebook}.ipynb")
    folder = ROOT / "notebooks" / "params"
    profiles = sorted(path.name for path in folder.iterdir())
    if profile not in profiles:
        raise ValueError(f"unknown profile {profile!r}: use one of {', '.join(profiles)}")
    settings = yaml.safe_load((folder / profile / f"{notebook}.yaml").read_text("utf-8"))
    _refuse_unknown(settings.keys(), declared, notebook)
    return {name: value for name, (_, value) in declared.items()} | settings


def _checked_parameters(notebook: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    declared = _declared_parameters(ROOT / "notebooks" / f"{notebook}.ipynb")
    _refuse_unknown(_injected_names(), declared, notebook)
    parameters = {name: namespace[name] for name in declared}
    for name, (kind, _) in declared.items():
        given = type(parameters[name]).__name__
        if given != kind and (given, kind) != ("int", "float"):
            raise TypeError(f"parameter {name} = {parameters[name]!r} must be of type {kind}")
    profile = parameters["profile"]
    if profile != "custom":
        of_profile = profile_parameters(notebook, profile) | {"output": parameters["output"]}
        if parameters != of_profile:
            parameters["profile"] = "custom"
    return parameters


def _refuse_unknown(names: Set[str], declared: Mapping[str, Any], notebook: str) -> None:
    if unknown := sorted(names - declared.keys()):
        raise ValueError(f"unknown parameter {unknown[0]}; {notebook} has {', '.join(declared)}")


def _declared_parameters(path: Path) -> dict[str, tuple[str, Any]]:
    """Name -> type and default, of the annotated assignments in the cell tagged ``parameters``."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    source = next(
        "".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", ())
    )
    statements = (s for s in ast.parse(source).body if isinstance(s, ast.AnnAssign))
    return {s.target.id: (ast.unparse(s.annotation), ast.literal_eval(s.value)) for s in statements}


def _injected_names() -> set[str]:
    """Names that papermill has set: it begins the cell it adds with the comment "# Parameters"."""
    shell = get_ipython()
    cells = [c for c in shell.user_ns["In"] if c.startswith("# Parameters\n")] if shell else []
    return {s.targets[0].id for c in cells for s in ast.parse(c).body if isinstance(s, ast.Assign)}


def _four_digits(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def commit() -> str:
    """The commit checked out, with ``+`` if tracked files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], stderr=subprocess.DEVNULL)
        changes = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.decode().strip() + ("+" if changes else "")


def plain(value: Any) -> Any:
    """A value as JSON has it: tensors become lists, numbers that are not finite None."""
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _print_tables(profile: str) -> None:
    """What ``make reproduce`` ends with."""
    for title, file in {"I": "imagenet/table1.csv", "II": "cifar10/table2.csv"}.items():
        table = pd.read_csv(ROOT / "results" / profile / file, index_col=0)
        print(f"Table {title}, the paper's and ours:\n")
        print(table.to_string(float_format="{:.3f}".format), end="\n\n")
    print(f"The book: {ROOT / 'book' / '_build' / 'html' / 'index.html'}")


if __name__ == "__main__":
    import sys

    _print_tables(sys.argv[1])
