"""One run of a notebook: its parameters, long descents, figures, tables and metrics.json."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from safetensors.torch import save
from torch import Tensor

from companion.checkout import ROOT
from companion.checkpoint import Checkpoint, fingerprint
from companion.files import writable_folder, write_atomically, write_json
from companion.parameters import checked_parameters
from companion.progress import Bar
from companion.provenance import joined, origin, plain, provenance_line, subject
from jnd.machine import Machine
from jnd.trajectory import Recording, Trajectory


class Run:
    """One execution of a notebook with its parameters; writes ``<output>/<profile>/<notebook>/``.

    ``output`` is relative to the current folder. A run with other parameters than its profile's is
    called ``custom``.

    Args:
        notebook: its name in notebooks/, without the ending.
        namespace: the notebook's ``globals()``, which hold the parameters.

    Raises:
        ValueError: papermill has set a name that is no parameter, or the profile is unknown.
        TypeError: a parameter has another type than its default.
        OSError: nothing can be written into ``output``.
    """

    def __init__(self, notebook: str, namespace: Mapping[str, Any]):
        self.notebook = notebook
        self.parameters = checked_parameters(notebook, namespace)
        output = Path(self.parameters["output"])
        self.folder = writable_folder(output / self.parameters["profile"] / notebook)
        self.started = time.monotonic()
        self.subject: dict[str, Any] = {}
        self.followed: dict[str, dict[str, Any]] = {}
        self.image_updates = 0

    def uses(
        self, machines: Machine | Sequence[Machine], data: str, data_sha256: dict[str, str]
    ) -> None:
        """Name the machines and the data that all figures and numbers from here on depend on.

        ``data`` describes them in a few words, such as "10 photos".
        """
        if not isinstance(machines, Sequence):
            machines = [machines]
        self.subject = subject(machines, data, data_sha256)

    def follows(self, notebook: str) -> Path:
        """The folder of another notebook of this profile, on whose results this one builds."""
        folder = self.folder.parent / notebook
        try:
            provenance = _provenance(folder)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{notebook} has left no results in {folder.parent.name}: run notebooks/"
                f"{notebook}.ipynb first"
            ) from error
        names = ("machine", "machine_sha256", "data", "data_sha256", "device")
        self.subject = {name: provenance[name] for name in names}
        self.followed[notebook] = self.subject
        return folder

    def shared(self, notebook: str, *parameters: str) -> Path | None:
        """The folder of another notebook of this profile that descended as this one would.

        None unless it has results from the same machine, data, device and code, and the
        parameters named have the values they have here.
        """
        folder = self.folder.parent / notebook
        try:
            theirs = _provenance(folder)
        except FileNotFoundError:
            return None
        ours = self.subject | origin()
        same = [theirs[name] == ours[name] for name in ("data_sha256", "device", "commit")]
        same += [ours["machine_sha256"].startswith(theirs["machine_sha256"])]
        same += [theirs["parameters"][name] == self.parameters[name] for name in parameters]
        return folder if all(same) else None

    def long(self, name: str, *watch: Callable[[Recording], None]) -> dict[str, Any]:
        """Arguments for find_jnd that give it a progress bar, a checkpoint and a count.

        Args:
            name: of the descent, unique in the notebook.
            watch: further functions to watch it.
        """
        bar = Bar(name)
        checkpoint = self.checkpoint(name)

        def look(recording: Recording) -> None:
            bar.show(recording.k, recording.max_iter)
            checkpoint.watch(recording)
            if recording.done:
                bar.close()
                answered = recording.confidence[: recording.max_iter, :, 0].isfinite()
                self.count(int(answered.sum()))

        return {"watch": [*watch, look], "resume": checkpoint.load()}

    def count(self, image_updates: int) -> None:
        """Add to the image-updates of this run: forwards with a gradient, one for each image."""
        self.image_updates += image_updates

    def checkpoint(self, name: str) -> Checkpoint:
        """Where long work of this run may keep its state until the run is finished."""
        notebook = (ROOT / "notebooks" / f"{self.notebook}.ipynb").read_text("utf-8")
        digest = fingerprint(self.parameters, self.subject, notebook)
        return Checkpoint(self.folder / f"{name}.{digest}.checkpoint")

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "profile": self.parameters["profile"],
            "notebook": self.notebook,
            "parameters": self.parameters,
            **self.subject,
            "seconds": round(time.monotonic() - self.started, 1),
            "image_updates": self.image_updates,
            **origin(),
        }

    def line(self) -> str:
        return provenance_line(self.provenance)

    def show_figure(self, figure: Figure, name: str) -> None:
        """Save a figure as ``<name>.png`` and display that picture above its provenance."""
        buffer = BytesIO()
        figure.savefig(buffer, format="png", metadata={"Description": self.line()})
        write_atomically(self.folder / f"{name}.png", buffer.getvalue())
        pictures = any(axis.images for axis in figure.axes)
        self._show(Image(buffer.getvalue()), "figure", name, self.line(), pictures=pictures)

    def show_table(
        self, table: pd.DataFrame, name: str, provenance: Mapping[str, Any] | None = None
    ) -> None:
        """Save a table as ``<name>.csv`` and display it above its provenance.

        Args:
            table: any.
            name: of the file.
            provenance: of values that were measured elsewhere; None: those of this run.
        """
        write_atomically(self.folder / f"{name}.csv", table.to_csv().encode())
        shown = table.style.format(_three_digits, na_rep="–").format_index(_three_digits)
        self._show(shown, "table", name, provenance_line(provenance or self.provenance))

    def _show(self, shown: Any, kind: str, name: str, line: str, **more: Any) -> None:
        """Display an output and its provenance, both marked so that the book finds them."""
        display(shown, metadata={"jnd": {"kind": kind, "name": name, **more}})
        display(Markdown(f"*{line}*"), metadata={"jnd": {"kind": "provenance"}})

    def save_images(self, arms: Mapping[str, Trajectory], **more: Tensor) -> None:
        """Keep images as floating point: ``x0``, ``x_jnd.<arm>``, ``x_end.<arm>`` and more."""
        images = {"x0": next(iter(arms.values())).x0}
        for arm, trajectory in arms.items():
            images |= {f"x_jnd.{arm}": trajectory.x_jnd, f"x_end.{arm}": trajectory.x_end}
        images |= more
        content = save({name: x.detach().cpu().contiguous() for name, x in images.items()})
        write_atomically(self.folder / "images.safetensors", content)

    def finish(self, values: Mapping[str, Any]) -> None:
        """Write metrics.json; tensors become lists, and numbers that are not finite null.

        A run that followed others names all their subjects.
        """
        if self.followed:
            self.subject = joined(list(self.followed.values()))
        content = {"provenance": self.provenance, "values": plain(values)}
        write_json(self.folder / "metrics.json", content)
        for leftover in self.folder.glob("*.checkpoint"):
            leftover.unlink()


def _provenance(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text("utf-8"))["provenance"]


def _three_digits(value: Any) -> str:
    """A number as a reader needs it; just below 1, the distance to 1 counts."""
    if not isinstance(value, float):
        return str(value)
    if 0.99 <= value < 1:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    digits = ".0f" if abs(value) >= 100 else ".3g"
    return f"{value:{digits}}".replace("-", "−")  # a line would break at a hyphen
