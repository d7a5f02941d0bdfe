"""The book, built as strictly as the real one, from small synthetic results."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from nbformat import v4

ROOT = Path(__file__).parents[1]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
ROW = {"PSNR": 38.84, "UQI": 0.98, "SCC": 0.87, "VIF": None}  # None: not a finite number
METRICS = {
    "provenance": {
        "profile": "tiny",
        "machine": "toy",
        "machine_sha256": "0123456789abcdef",
        "data_sha256": {"cat": "ab", "cup": "cd"},
        "commit": "fedcba9876543210",
        "date": "2020-02-01T00:00:00+00:00",
    },
    "values": {"table1": {"jnd": {"full": ROW}, "end": {"full": ROW, "none": ROW}}},
}


class Page(HTMLParser):
    """A built page: its text, its ids, and its start tags as (name, attributes)."""

    def __init__(self, path: Path):
        super().__init__()
        self.text = path.read_text("utf-8")
        self.tags = []
        self.feed(self.text)
        self.ids = {attributes.get("id") for _, attributes in self.tags}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def write_results(folder: Path) -> None:
    """What papermill and jnd.results leave behind, as small as it gets."""
    folder.mkdir(parents=True)
    figure = v4.new_code_cell(
        "figure",
        outputs=[v4.new_output("display_data", data={"image/png": PIXEL})],
        metadata={"mystnb": {"image": {"alt": "A single pixel."}}},
    )
    notebook = v4.new_notebook(
        cells=[v4.new_markdown_cell("# The experiment"), figure],
        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
    )
    nbformat.write(notebook, folder / "executed.ipynb")
    (folder / "fig1.png").write_bytes(base64.b64decode(PIXEL))
    (folder / "metrics.json").write_text(json.dumps(METRICS))


def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A copy of what the book is made of, so that the real one is left alone."""
    root = tmp_path_factory.mktemp("companion")
    built = shutil.ignore_patterns("_build", "notebooks", "figures", "__pycache__")
    shutil.copytree(ROOT / "book", root / "book", ignore=built)
    shutil.copytree(ROOT / "data", root / "data", ignore=shutil.ignore_patterns("weights"))
    for name in re.findall(r"file: notebooks/(\w+)", (root / "book" / "_toc.yml").read_text()):
        write_results(root / "results" / "tiny" / name)
    return root


@pytest.fixture(scope="module")
def pages(root) -> dict[Path, Page]:
    done = run(root / "book" / "build.py", "--profile", "tiny", "--out", root / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    html = root / "out" / "_build" / "html"
    paths = (path.relative_to(html) for path in html.rglob("*.html"))
    return {path: Page(html / path) for path in paths if path.parts[0] != "_static"}


def test_equations_are_numbered_as_in_the_paper_and_linked_to_their_code(pages):
    after = pages[Path("method.html")].text.split('class="eqno">')[1:]
    assert [text[:3] for text in after] == ["(1)", "(2)", "(3)", "(4)", "(5)", "(6)"]

    links = [set(re.findall(r'href="api\.html#jnd\.([\w.]+)"', text)) for text in after]
    assert links == [
        {"cost.Cost", "cost.squared_distance", "objectives.Towards", "objectives.AwayFrom"},
        set(),  # Eq. 2 and 3 are one function
        {"descent.find_jnd"},
        {"descent.Trajectory.jnd"},
        {"cost.bounded_range"},
        {"cost.total_variation"},
    ]


def test_numbers_come_from_the_results_with_their_provenance(pages):
    front = pages[Path("index.html")].text
    assert "38.8" in front and "370" in front and "nan" in front
    assert "Profile tiny · machine toy 01234567 · 2 photos · commit fedcba9876543210" in front


def test_nothing_is_loaded_from_elsewhere_and_every_link_leads_somewhere(pages, root):
    html = root / "out" / "_build" / "html"
    for name, page in pages.items():
        for tag, attributes in page.tags:
            url = urlsplit(attributes.get("src") or attributes.get("href") or "")
            if url.netloc:
                assert tag == "a", f"{name}: <{tag}> loads {url.geturl()}"
            elif url.scheme in ("", "file") and (url.path or url.fragment):
                target = (html / name.parent / unquote(url.path)) if url.path else html / name
                assert target.exists(), f"{name}: {url.geturl()} leads nowhere"
                linked = pages.get(target.resolve().relative_to(html.resolve()))
                if linked and url.fragment:
                    assert unquote(url.fragment) in linked.ids, f"{name}: no {url.geturl()}"
        for host in ("unpkg.com", "jsdelivr", "cdnjs", "googleapis"):
            assert host not in page.text, f"{name} names {host}"


def test_every_picture_has_a_text_instead(pages):
    pictures = [(n, a) for n, page in pages.items() for tag, a in page.tags if tag == "img"]
    assert {n.as_posix() for n, _ in pictures} >= {"index.html", "notebooks/imagenet.html"}
    for name, attributes in pictures:
        alt = attributes.get("alt") or ""
        assert alt.strip() and "/" not in alt and ".png" not in alt, f"{name}: {attributes}"


def test_a_notebook_that_has_not_been_run_is_named(root):
    done = run(root / "book" / "build.py", "--profile", "none")
    assert done.returncode != 0
    assert "executed.ipynb is missing" in done.stderr
    assert "make reproduce PROFILE=none" in done.stderr


def build_page(folder: Path, text: str, metrics: dict) -> subprocess.CompletedProcess:
    """A book of one page, with nothing but what puts the numbers in."""
    for name, content in {
        "data/paper.yaml": "{}",
        "results/imagenet/metrics.json": json.dumps(metrics),
        "book/index.md": "# Page\n\n" + text,
        "book/conf.py": "extensions = ['myst_parser', 'companion']\n"
        "myst_enable_extensions = ['substitution']",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return run(
        *("-m", "sphinx", "-W", "-q", "-b", "dummy", folder / "book", folder / "out"),
        PYTHONPATH=str(ROOT / "book" / "_ext"),
        JND_BOOK_RESULTS=str(folder / "results"),
    )


def test_a_page_that_asks_for_an_unknown_number_fails(tmp_path):
    done = build_page(tmp_path, "K is {{ imagenet.table1.jnd.nothing }}.", METRICS)
    assert done.returncode != 0
    assert "index.md" in done.stderr and "'nothing'" in done.stderr


def test_a_number_without_provenance_fails(tmp_path):
    done = build_page(tmp_path, "", {"values": METRICS["values"]})
    assert done.returncode != 0
    assert "metrics.json" in done.stderr and "provenance" in done.stderr
