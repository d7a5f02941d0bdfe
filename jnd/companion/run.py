"""One run of a notebook: its parameters, what it shows, and metrics.json with its provenance."""

import json
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from safetensors.torch import save

from jnd.companion.parameters import checked_parameters
from jnd.companion.provenance import joined, origin, plain, provenance_line, subject
from jnd.companion.tables import MOMENTS
from jnd.machines import Machine
from jnd.support.checkout import ROOT
from jnd.support.files import write_atomically
from jnd.trajectory import Trajectory


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
        self.parameters = checked_parameters(notebook, namespace)
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
        shown = table.style.format(_three_digits, na_rep="–").format_index(_three_digits)
        display(shown, Markdown(f"*{self.line()}*"))

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
            self.subject = joined(list(self.followed.values()))
        content = {"provenance": self.provenance, "values": plain(values)}
        write_atomically(self.folder / "metrics.json", json.dumps(content, indent=1).encode())
        for leftover in self.folder.glob("*.checkpoint"):
            leftover.unlink()


def _three_digits(value: Any) -> str:
    """As a reader needs a number; of what is just below 1 the distance to it counts."""
    if not isinstance(value, float):
        return str(value)
    if 0.99 <= value < 1:
        return f"{value:.4f}".rstrip("0")
    digits = ".0f" if abs(value) >= 100 else ".3g"
    return f"{value:{digits}}".replace("-", "−")  # at a hyphen a line would break
