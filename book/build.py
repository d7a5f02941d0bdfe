"""Build the book from the notebooks that one profile has run: python book/build.py --profile smoke

The pages are in book/_build/html afterwards, with --pdf also book/_build/book.pdf, to which the
front page then leads. Nothing is executed, and only what changed is rebuilt.
"""

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parent / "ledger"))
from pages import NOTEBOOKS, PAGES, join_parts, prepare_notebook, text_part
from rebuild import results_of

BOOK = Path(__file__).resolve().parent


def copy(source: Path, target: Path) -> None:
    """Copy a file if its content differs."""
    if not target.exists() or not filecmp.cmp(source, target, shallow=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def write(text: str, target: Path) -> None:
    """Write a file if its content differs, so that an unchanged page is not rebuilt."""
    if not target.exists() or target.read_text("utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def gather(results: Path) -> None:
    """Bring the pages with notebooks on them into the book, and the files they lead to."""
    for name in NOTEBOOKS:
        for needed in ("executed.ipynb", "metrics.json"):
            if not (results / name / needed).exists():
                sys.exit(
                    f"{results / name / needed} is missing; "
                    f"`make reproduce PROFILE={results.name}` makes it"
                )
        for pattern in ("*.png", "*.csv", "metrics.json"):
            for file in (results / name).glob(pattern):
                copy(file, BOOK / "figures" / name / file.name)
        notebook = nbformat.read(results / name / "executed.ipynb", as_version=4)
        notebook.metadata.pop("papermill", None)  # it has paths of this machine
        write(nbformat.writes(notebook), BOOK / "figures" / name / "executed.ipynb")
    for page, names in PAGES.items():
        parts = [load_part(name, results) for name in names]
        write(nbformat.writes(join_parts(parts, names)), BOOK / "notebooks" / f"{page}.ipynb")


def load_part(part: str, results: Path) -> nbformat.NotebookNode:
    """Read a part of a page: Markdown, or what a profile has made of a notebook."""
    if part.endswith(".md"):
        return text_part((BOOK / "parts" / part).read_text("utf-8"))
    folder = results / part.removesuffix(".ipynb")
    notebook = nbformat.read(folder / "executed.ipynb", as_version=4)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    prepare_notebook(notebook, metrics["provenance"])
    return notebook


def chromium() -> str | None:
    """Return the path of a Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def print_pdf(browser: str, html: Path, pdf: Path) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, "--headless", f"--user-data-dir={profile}"),
                "--no-sandbox",  # which root cannot have; the page is our own
                "--virtual-time-budget=60000",  # until the formulas are set
                *("--no-pdf-header-footer", "--generate-pdf-document-outline"),
                *(f"--print-to-pdf={pdf}", html.as_uri()),
            ],
            check=True,
            stderr=subprocess.DEVNULL,  # it complains about desktop services
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="bundled", help="whose results to show")
    parser.add_argument("--results", type=Path, default=BOOK.parent / "results", metavar="DIR")
    parser.add_argument("--out", type=Path, default=BOOK, metavar="DIR", help="gets _build/html")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="show its results instead")
    parser.add_argument("--pdf", action="store_true", help="print it too; needs Chromium")
    args = parser.parse_args()
    browser = chromium()
    if args.pdf and not browser:
        sys.exit("--pdf needs Chromium on the PATH: apt-get install chromium")

    results = args.results.resolve() / args.profile
    unpacked = tempfile.TemporaryDirectory()
    if args.archive:
        try:
            results = results_of(args.archive, Path(unpacked.name))
        except (OSError, ValueError) as error:
            sys.exit(f"refused: {error}")
    live = args.results.resolve() / "live"
    gather(results)
    if not (live / "settings.js").exists():
        sys.exit(f"{live} is missing; `python book/live/export.py {live}` makes it")
    os.environ["JND_BOOK_RESULTS"] = str(results)  # for _ext/results.py
    os.environ["JND_BOOK_LIVE"] = str(live)  # for live/live.py
    from jupyter_book.cli.main import main as jupyter_book  # slow to import
    from sphinx.util.console import nocolor

    if not sys.stdout.isatty():
        nocolor()
    strict = ["build", str(BOOK), "--path-output", str(args.out), "-W", "-n", "--keep-going"]
    built = args.out.resolve() / "_build"
    pdf = built / "book.pdf"
    pdf.unlink(missing_ok=True)  # it would be of another book
    os.environ["JND_BOOK_PDF"] = str(pdf)  # for _ext/pdf.py
    if args.pdf and browser:
        jupyter_book([*strict, "--builder", "singlehtml"], standalone_mode=False)
        print_pdf(browser, built / "singlehtml" / "index.html", pdf)
    jupyter_book(strict, standalone_mode=False)


if __name__ == "__main__":
    main()
