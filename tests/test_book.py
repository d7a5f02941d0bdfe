"""The book, built strictly from small synthetic results."""

import base64
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat import v4

ROOT = Path(__file__).parents[1]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
ROW = {"PSNR": 38.84, "UQI": 0.98, "SCC": 0.87, "VIF": None}  # None: no image flipped
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


class Tags(HTMLParser):
    """Every start tag of a page, as (name, attributes)."""

    def __init__(self, page: Path):
        super().__init__()
        self.all = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))


def write_results(folder: Path) -> None:
    """What papermill and jnd.results leave behind, as small as it gets."""
    folder.mkdir(parents=True)
    figure = v4.new_code_cell(
        "figure",
        outputs=[v4.new_output("display_data", data={"image/png": PIXEL})],
        metadata={"mystnb": {"image": {"alt": "A single pixel."}}},
    )
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# The experiment"), figure])
    nbformat.write(notebook, folder / "executed.ipynb")
    (folder / "fig1.png").write_bytes(base64.b64decode(PIXEL))
    (folder / "metrics.json").write_text(json.dumps(METRICS))


def build(root: Path, profile: str = "tiny") -> subprocess.CompletedProcess:
    command = [sys.executable, root / "book" / "build.py", "--profile", profile]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A copy of what the book is made of, with results, so that the real book stays as it is."""
    root = tmp_path_factory.mktemp("companion")
    leave_out = shutil.ignore_patterns("_build", "notebooks", "figures", "__pycache__")
    shutil.copytree(ROOT / "book", root / "book", ignore=leave_out)
    (root / "data").mkdir()
    shutil.copy(ROOT / "data" / "paper.yaml", root / "data")
    write_results(root / "results" / "tiny" / "imagenet")
    return root


@pytest.fixture(scope="module")
def html(root) -> Path:
    done = build(root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "book" / "_build" / "html"


@pytest.fixture(scope="module")
def pages(html) -> dict[str, Tags]:
    return {path.relative_to(html).as_posix(): Tags(path) for path in html.rglob("*.html")}


def test_equations_are_numbered_as_in_the_paper(html):
    numbers = re.findall(r'class="eqno">\((\d+)\)', (html / "method.html").read_text("utf-8"))
    assert numbers == ["1", "2", "3", "4", "5", "6"]


def test_each_equation_links_to_its_code(html, pages):
    """The links between an equation and the next one name what implements it."""
    parts = (html / "method.html").read_text("utf-8").split('class="eqno"')[1:]
    expected = {
        1: {"cost.Cost", "cost.squared_distance", "objectives.Towards", "objectives.AwayFrom"},
        3: {"descent.find_jnd"},  # which is Eq. 2 and 3
        4: {"descent.Trajectory.jnd"},
        5: {"cost.bounded_range"},
        6: {"cost.total_variation"},
    }
    anchors = {attrs.get("id") for _, attrs in pages["api.html"].all}
    for number, part in enumerate(parts, start=1):
        links = set(re.findall(r'href="api\.html#(jnd\.[\w.]+)"', part))
        assert links == {f"jnd.{name}" for name in expected.get(number, ())}, f"Eq. {number}"
        assert links <= anchors


def test_nothing_is_loaded_from_another_host(pages):
    loading = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
    for name, page in pages.items():
        for tag, attrs in page.all:
            address = attrs.get(loading.get(tag)) or ""
            assert not urlsplit(address).netloc, f"{name}: <{tag}> loads {address}"
    assert not [name for name in pages if "unpkg" in (pages_text(name))]


def test_every_picture_has_a_text(pages):
    pictures = [
        (name, attrs) for name, page in pages.items() for tag, attrs in page.all if tag == "img"
    ]
    assert len(pictures) >= 2  # on the front page and in the notebook
    for name, attrs in pictures:
        alt = attrs.get("alt", "")
        assert alt.strip() and "/" not in alt and not alt.endswith(".png"), f"{name}: {attrs}"
