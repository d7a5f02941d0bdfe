"""Build the book from the notebooks that one profile has run: python book/build.py --profile smoke

The pages are in book/_build/html afterwards. Nothing is executed, and only what changed is rebuilt.
"""

import argparse
import filecmp
import os
import re
import shutil
import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parent


def copy(source: Path, target: Path) -> None:
    """Copy a file if its content differs, so that an unchanged page is not rebuilt."""
    if not target.exists() or not filecmp.cmp(source, target, shallow=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def gather(results: Path) -> None:
    """Bring the executed notebooks that _toc.yml names, and their figures, into the book."""
    for name in re.findall(r"file: notebooks/(\w+)", (BOOK / "_toc.yml").read_text()):
        executed = results / name / "executed.ipynb"
        for needed in (executed, results / name / "metrics.json"):
            if not needed.exists():
                sys.exit(f"{needed} is missing; `make reproduce PROFILE={results.name}` makes it")
        copy(executed, BOOK / "notebooks" / f"{name}.ipynb")
        for figure in executed.parent.glob("*.png"):
            copy(figure, BOOK / "figures" / name / figure.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="bundled", help="whose results to show")
    parser.add_argument("--results", type=Path, default=BOOK.parent / "results", metavar="DIR")
    parser.add_argument("--out", type=Path, default=BOOK, metavar="DIR", help="gets _build/html")
    args = parser.parse_args()

    results = args.results.resolve() / args.profile
    gather(results)
    os.environ["JND_BOOK_RESULTS"] = str(results)  # for _ext/companion.py
    from jupyter_book.cli.main import main as jupyter_book  # slow to import
    from sphinx.util.console import nocolor

    if not sys.stdout.isatty():
        nocolor()
    strict = ["-W", "-n", "--keep-going"]
    jupyter_book(["build", str(BOOK), "--path-output", str(args.out), *strict])


if __name__ == "__main__":
    main()
