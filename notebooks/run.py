"""Run a notebook with the parameters of a profile: python notebooks/run.py imagenet smoke

Prints one line that says what is made, where, and how long it takes; in a terminal a progress bar
follows. The executed copy is kept when a cell fails.
"""

import argparse
import json
import sys
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError

from companion.checkout import ROOT
from companion.parameters import profile_settings


def usual_time(executed: Path) -> str:
    """The time of the last run here, or else the one that data/expected gives."""
    if executed.exists():
        seconds = nbformat.read(executed, as_version=4).metadata.papermill.duration
        if seconds:  # none if the run was killed
            return f", {in_words(seconds)} the last time"
    expected = ROOT / "data" / "expected" / executed.parents[1].name / "seconds.json"
    times = json.loads(expected.read_text("utf-8")) if expected.exists() else {}
    seconds = times.get(executed.parent.name)  # none if its numbers have not been accepted yet
    return f", about {in_words(seconds)}" if seconds else ""


def in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", help="its name, without the ending")
    parser.add_argument("profile")
    parser.add_argument("--no-bar", action="store_true", help="several notebooks run at a time")
    args = parser.parse_args()
    try:
        settings = profile_settings(args.notebook, args.profile)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")
    notebook = ROOT / "notebooks" / f"{args.notebook}.ipynb"
    executed = Path("results", args.profile, args.notebook, "executed.ipynb")
    in_terminal = sys.stdout.isatty() and not args.no_bar

    title = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
    print(f"{title}: into {executed.parent}/{usual_time(executed)}", flush=True)
    executed.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            settings | {"output": "results"},
            progress_bar=in_terminal and {"file": sys.stdout, "leave": False},
        )
    except papermill.PapermillExecutionError as error:
        end = "\n".join(str(error).splitlines()[-12:])
        sys.exit(f"{end}\n\nThat was In [{error.exec_count}] of {executed}")
    except DeadKernelError:
        sys.exit(f"The kernel of {notebook} died: was there too little memory?")


if __name__ == "__main__":
    main()
