"""Run a notebook with the parameters of a profile: python notebooks/run.py imagenet smoke

Says in one line what comes, where to, and how long it takes; on a terminal a bar follows it. The
executed copy is kept when a cell fails.
"""

import argparse
import json
import sys
from pathlib import Path

import nbformat
import papermill
import yaml
from nbclient.exceptions import DeadKernelError


def usual_time(executed: Path) -> str:
    """What it took the last time here, or else what data/expected says."""
    if executed.exists():
        seconds = nbformat.read(executed, as_version=4).metadata.papermill.duration
        if seconds:  # else it was killed
            return f", {in_words(seconds)} the last time"
    expected = Path("data/expected", executed.parents[1].name, "seconds.json")
    times = json.loads(expected.read_text("utf-8")) if expected.exists() else {}
    seconds = times.get(executed.parent.name)  # else nobody has accepted its numbers yet
    return f", about {in_words(seconds)}" if seconds else ""


def in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", help="its name, without the ending")
    parser.add_argument("profile")
    parser.add_argument("--no-bar", action="store_true", help="several notebooks run at a time")
    args = parser.parse_args()
    notebook = Path("notebooks", f"{args.notebook}.ipynb")
    parameters = Path("notebooks/params", args.profile, f"{args.notebook}.yaml")
    executed = Path("results", args.profile, args.notebook, "executed.ipynb")

    title = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
    print(f"{title}: into {executed.parent}/{usual_time(executed)}", flush=True)
    executed.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            yaml.safe_load(parameters.read_text("utf-8")) | {"output": "results"},
            progress_bar=sys.stdout.isatty()
            and not args.no_bar
            and {"file": sys.stdout, "leave": False},
        )
    except papermill.PapermillExecutionError as error:
        end = "\n".join(str(error).splitlines()[-12:])
        sys.exit(f"{end}\n\nThat was In [{error.exec_count}] of {executed}")
    except DeadKernelError:
        sys.exit(f"The kernel of {notebook} died: had it too little memory?")


if __name__ == "__main__":
    main()
