"""The book, built as strictly as the real one, from small synthetic results.

With JND_TEST_RESULTS=results/PROFILE the same tests read a book of those results instead.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from nbformat import v4
from PIL import Image
from safetensors.torch import save_file

from build import chromium
from companion.checkout import ROOT, read_data
from companion.photos import load_photos, read_rgb
from companion.provenance import provenance_line
from companion.registry import fetch
from companion.zoo import load_machine
from export import NETWORK, SIDE, defaults
from jnd.descent import find_jnd
from pages import NOTEBOOKS
from redirects import MOVED

BROWSER = Path(__file__).parent / "browser"
RESULTS = os.environ.get("JND_TEST_RESULTS")
CHROMIUM = chromium()
LACKING = [
    name for name, path in {"chromium": CHROMIUM, "npm": shutil.which("npm")}.items() if not path
]
in_a_browser = pytest.mark.skipif(
    bool(LACKING), reason=f"not on the PATH: apt-get install {' '.join(LACKING)}"
)
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
REPOSITORY = "https://github.com/owner/name"
SEARCH = "search.html?q=just+noticeable"
ROW = {"PSNR": 38.84, "UQI": 0.98, "SCC": 0.87, "VIF": None}  # None: not a finite number
ROW["VIF (early sewar)"] = 0.99
ROWS = {"full": ROW, "l2": ROW, "none": ROW}
PSNRS = {"full": {"PSNR": [0.9]}, "l2": {"PSNR": [0.9]}, "none": {"PSNR": [0.9]}}
METRICS = {
    "provenance": {
        "profile": "tiny",
        "machine": "toy",
        "machine_sha256": "0123456789abcdef",
        "data": "2 photos",
        "data_sha256": {"cat": "ab", "cup": "cd"},
        "commit": "fedcba9876543210",
        "date": "2020-02-01T00:00:00+00:00",
        "device": "abacus",
        "packages": {"python": "3.99", "torch": "9.9"},
        "seconds": 61.4,
        "parameters": {"matched_alpha": 0.5, "matched_iter": 40},
    },
    "values": {
        "photos": ["cat"],
        "table1": {"jnd": ROWS, "end": ROWS, "matched": {"none": ROW}},
        "quality": {"jnd": PSNRS, "end": PSNRS},
        "gap": {"away from the label": {"x(K)": 1.3}},
        "best_score_before": 0.07,
        "attacks": {
            name: {"‖Δ‖ / ‖x‖": {"mean": 0.01}} for name in ("x(K)", "FGV", "FGSM", "DeepFool")
        },
        "confidence": {
            loss: {arm: {"end": 0.9} for arm in ("full", "none")} for loss in ("box", "class")
        },
        "arms": {loss: {arm: {"K": [3]} for arm in ("full", "none")} for loss in ("box", "class")}
        | {arm: {"K": [3], "jnd": [0.01]} for arm in ("full", "none")},
    },
}
DESCENT = {
    **{"k": [0, 3, 9], "K": 3, "updates": 5, "change": [0, 0.002, 0.005, 0.1], "answer": "tiger"},
    "confidence": [[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.1, 0.9]],
}
ARMS = {"full": DESCENT, "none": DESCENT}
PHOTOS = ("king_penguin", "cat")
VIEWER = {
    "photos": [{"photo": photo, "names": ["cat", "cup"], "arms": ARMS} for photo in PHOTOS],
    "provenance": "Profile tiny",
}
FRAMES = {f"{photo}.{arm}": torch.rand(4, 3, 8, 8) for photo in PHOTOS for arm in ARMS}
VERDICTS = [
    {
        **{"id": claim["id"], "verdict": "not tested here", "held": 0, "checked": 0},
        **{"setups": [], "why": "it is a test"},
    }
    for claim in read_data("paper")["claims"]
]
LINE = provenance_line(METRICS["provenance"])


class Page(HTMLParser):
    """A built page: its text, its ids, and its start tags as (name, attributes)."""

    def __init__(self, path: Path):
        super().__init__()
        self.text = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(self.text)
        self.ids = {attributes.get("id") for _, attributes in self.tags}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def displayed(data: dict, **mark: Any) -> nbformat.NotebookNode:
    """Return an output as companion.run marks it."""
    return v4.new_output("display_data", data=data, metadata={"jnd": mark})


def write_results(folder: Path) -> None:
    """Write what papermill and companion.run leave behind, as small as it gets."""
    folder.mkdir(parents=True)
    figure = v4.new_code_cell(
        "figure",
        outputs=[
            displayed({"image/png": PIXEL}, name="pixel", kind="figure"),
            displayed({"text/markdown": f"*{LINE}*"}, kind="provenance"),
        ],
        metadata={"mystnb": {"image": {"alt": "A single pixel."}}},
    )
    table = pd.DataFrame({"K": [19], "JND(M)": [0.0012]}, index=["cat"])
    tables = v4.new_code_cell(
        "tables",
        metadata={"tags": ["show-input"]},
        outputs=[
            displayed({"text/html": table.to_html(classes="dataframe")}),
            displayed({"text/html": table.style.to_html()}),
        ],
    )
    text = v4.new_markdown_cell(
        "# The experiment\n\n## The moment\n\n$K$ is where\n\n$$x(K) > 0.$$"
    )
    parameters = v4.new_code_cell("alpha = 1.0", metadata={"tags": ["parameters"]})
    injected = v4.new_code_cell("alpha = 0.5", metadata={"tags": ["injected-parameters"]})
    claimed = {
        c["shown"][1]
        for c in read_data("paper")["claims"]
        if c.get("shown", [""])[0] == folder.name
    }
    outputs = [
        v4.new_code_cell(
            f'run.show_table(table, "{name}")',
            outputs=[
                displayed({"text/plain": name}, name=name, kind="table"),
                displayed({"text/markdown": f"*{LINE}*"}, kind="provenance"),
            ],
        )
        for name in sorted(claimed)
    ]
    notebook = v4.new_notebook(
        cells=[text, parameters, injected, figure, tables, *outputs],
        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
    )
    nbformat.write(notebook, folder / "executed.ipynb")
    for name in ("fig1", "flow-time"):
        (folder / f"{name}.png").write_bytes(base64.b64decode(PIXEL))
    for name in claimed:
        (folder / f"{name}.csv").write_text("K\n19\n")
    made = METRICS["provenance"] | {"notebook": folder.name}
    (folder / "metrics.json").write_text(json.dumps(METRICS | {"provenance": made}))
    (folder / "viewer.json").write_text(json.dumps(VIEWER))
    save_file(FRAMES, folder / "viewer.safetensors")
    (folder.parent / "claims.json").write_text(json.dumps(VERDICTS))


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A copy of the book's sources, so that the real one is left alone."""
    root = tmp_path_factory.mktemp("companion")
    built = shutil.ignore_patterns("_build", "notebooks", "figures", "__pycache__")
    for name in ("book", "data", "notebooks"):
        shutil.copytree(ROOT / name, root / name, ignore=built)
    for name in ("README.md", "CITATION.cff", "Makefile"):
        shutil.copy(ROOT / name, root)
    subprocess.run(["make", "repository", f"URL={REPOSITORY}"], cwd=root, check=True)
    exported = run(root / "book" / "live" / "export.py", root / "results" / "live")
    assert exported.returncode == 0, exported.stderr
    for name in NOTEBOOKS:
        if RESULTS:
            shutil.copytree(ROOT / RESULTS / name, root / "results" / "tiny" / name)
            shutil.copy(ROOT / RESULTS / "claims.json", root / "results" / "tiny")
        else:
            write_results(root / "results" / "tiny" / name)
    return root


@pytest.fixture(scope="module")
def pages(root) -> dict[Path, Page]:
    done = run(root / "book" / "build.py", "--profile", "tiny", "--out", root / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    html = root / "out" / "_build" / "html"
    paths = (path.relative_to(html) for path in html.rglob("*.html"))
    return {path: Page(html / path) for path in paths if path.parts[0] != "_static"}


@pytest.fixture(scope="module")
def npm() -> None:
    """The packages that the scripts in browser/ need."""
    quiet = ("--prefer-offline", "--no-audit", "--no-fund")
    subprocess.run(["npm", "ci", *quiet], cwd=BROWSER, check=True, capture_output=True)


@pytest.fixture(scope="module")
def address(pages, root) -> Iterator[str]:
    """The address of the book on a server."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Silent, directory=root / "out" / "_build" / "html")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def in_chromium(script: str, address: str, *arguments: str) -> Any:
    """Return what one of the scripts in browser/ prints."""
    command: list[str | Path] = ["node", BROWSER / script, CHROMIUM or "", address, *arguments]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def visits(pages, address, npm) -> list[dict]:
    """Visit every page in headless Chromium (browser/visit.mjs), on each screen."""
    addresses = [
        *(path.as_posix() for path in pages if path.with_suffix("").as_posix() not in MOVED)
    ]
    addresses.append(SEARCH)
    visits = in_chromium("visit.mjs", address, *addresses)
    for visit in visits:
        visit["requests"] = [url.replace(address, "/") for url in visit["requests"]]
    assert len(visits) == 4 * len(addresses)  # desktop and phone, light and dark
    return visits


def test_every_page_is_there(pages):
    names = (
        "index your-own-photo notebooks/idea notebooks/imagenet notebooks/cifar10 "
        "notebooks/detection claims notebooks/reading notebooks/forensics notebooks/comparison "
        "notebooks/psychometrics reproduce many-photos machines-and-data status speed api "
        "bibliography glossary genindex search"
    )
    assert {path.as_posix() for path in pages} >= {f"{name}.html" for name in names.split()}


def test_an_address_that_has_moved_leads_to_where_its_content_is(pages):
    for old, new in MOVED.items():
        (address,) = links_of(pages[Path(f"{old}.html")].text)
        page, _, place = address.removeprefix("../").partition("#")
        assert new.startswith(page) and (place in pages[Path(page)].ids or not place)


def test_equations_are_numbered_as_in_the_paper_and_linked_to_their_code(pages):
    after = pages[Path("notebooks/idea.html")].text.split('class="eqno">')
    after = [text for text in after if re.match(r"\(\d\)", text)]
    assert [text[:3] for text in after] == ["(1)", "(2)", "(3)", "(4)", "(5)", "(6)"]

    of_each = [text.split("<section")[0] for text in after]
    links = [set(re.findall(r'href="\.\./api\.html#jnd\.([\w.]+)"', text)) for text in of_each]
    assert links == [
        {"cost.Cost", "cost.squared_distance", "objectives.Towards", "objectives.AwayFrom"},
        set(),  # Eq. 2 and 3 are one function
        {"descent.update", "descent.find_jnd"},
        {"trajectory.relative_distance", "trajectory.Trajectory.jnd"},
        {"cost.bounded_range"},
        {"cost.total_variation"},
    ]


@pytest.mark.skipif(bool(RESULTS), reason="they are the synthetic ones")
def test_numbers_come_from_the_results_with_their_provenance(pages):
    front = pages[Path("index.html")].text
    assert "38.8" in front and "370" in front and "nan" in front
    assert "Profile tiny · machine toy 01234567 · 2 photos · abacus · commit fedcba9876" in front


def links_of(html: str) -> set[str]:
    return set(re.findall(r'href="([^"]+)"', html))


def test_a_claim_folds_out_to_the_papers_words_and_leads_to_the_very_output(pages):
    page = pages[Path("claims.html")].text
    for claim in read_data("paper")["claims"]:
        if claim["kind"] == "number":
            continue
        folded = page.split(f'<details class="claim" id="claim-{claim["id"]}">')[1]
        folded = folded.split("</details>")[0]
        assert claim.get("quote", "")[:20] in folded
        if "shown" in claim:
            label = "-".join(claim["shown"])
            assert any(link.endswith(f"#{label}") for link in links_of(folded)), claim["id"]


def test_a_notebook_is_folded_and_says_once_what_made_it(pages):
    page = pages[Path("notebooks/imagenet.html")]
    unfolded = page.text.count("tag_show-input")
    assert page.text.count('class="cell_input') - page.text.count("Show the code") == unfolded == 1
    assert page.text.count("Made by: Profile") == 1 and "imagenet-provenance" in page.ids
    assert "tag_injected-parameters" not in page.text
    if not RESULTS:
        assert page.text.count(f"Made by: {LINE}") == 1
    downloads = {Path(link).name for link in links_of(page.text)}
    assert {"executed.ipynb", "metrics.json", "table1.csv"} <= downloads


def test_pictures_are_webp_of_a_known_size_and_come_when_they_are_needed(pages):
    tags = pages[Path("notebooks/imagenet.html")].tags
    pictures = [a for tag, a in tags if tag == "img" and "_images" in a["src"]]
    assert pictures
    for attributes in pictures:
        assert attributes["src"].endswith(".webp") and attributes["loading"] == "lazy"
        assert attributes["width"] == attributes["height"] == "1" or RESULTS


def test_the_front_page_is_light(pages, root):
    """What is its own, and the theme's icons once: a script of 1.5 MB draws them again."""
    html = root / "out" / "_build" / "html"
    assert not (html / "_static" / "scripts" / "fontawesome.js").read_bytes()
    own = ("_images", "_static/live", "_static/book", "_static/viewer")
    page = pages[Path("index.html")]
    loaded = {a.get("src") or a.get("href") or "" for tag, a in page.tags if tag != "a"}
    loaded |= set(re.findall(r"url\((_images/[\w-]+\.webp)\)", page.text))
    files = [html / urlsplit(url).path for url in loaded if url.startswith(own)]
    assert any("viewer-imagenet" in path.name for path in files)
    assert sum(path.stat().st_size for path in files) < 500_000


def test_the_front_page_shows_how_little_changed_a_photo(pages):
    front = pages[Path("index.html")].text
    assert front.count('class="viewer"') == 1 and 'name="photo"' in front
    (short,) = re.findall(r'class="viewer-short">(.+)</p>', front)
    if not RESULTS:
        assert short == "<em>cat</em> + 0.2\N{NO-BREAK SPACE}% = <em>tiger</em>"


def test_table_one_is_drawn_beside_its_numbers(pages):
    labels = [
        a["aria-label"] for _, a in pages[Path("index.html")].tags if a.get("class") == "dots-row"
    ]
    assert len(labels) == 8
    if not RESULTS:
        assert labels[0] == "PSNR, dB: paper 38.8, ours 38.8"


def test_an_anchor_is_at_the_output_that_it_names(pages):
    page = pages[Path("notebooks/imagenet.html")].text
    cell = page[page.index('id="imagenet-table1"') :].split('class="cell docutils', 1)[0]
    assert 'class="highlight' not in cell.split('class="output', 1)[0]  # below the code, not above
    parameters = page[page.index('id="imagenet-parameters"') :]
    assert "alpha" in parameters[: parameters.index("</pre>")]


@pytest.mark.skipif(bool(RESULTS), reason="they are the synthetic ones")
def test_the_status_page_says_what_made_each_notebook(pages):
    rows = pages[Path("status.html")].text.split("</tr>")[1:-1]
    assert [re.search(r"<p>(\w+)</p>", row)[1] for row in rows] == sorted(NOTEBOOKS)
    facts = (
        *("tiny", "toy", "0123456789abcdef", "abacus", "python 3.99, torch 9.9"),
        *("fedcba9876543210", "2020-02-01 00:00 UTC", "61\N{NO-BREAK SPACE}s"),
    )
    for row in rows:
        assert [fact for fact in facts if fact not in row] == []
    of_cifar10 = sum(
        "cifar10." in str(claim.get("checks")) for claim in read_data("paper")["claims"]
    )
    assert f"<p>{of_cifar10} not tested here</p>" in rows[0] and "<p>none</p>" in rows[2]


def test_every_file_is_listed_with_its_hash_and_every_machine_with_its_card(pages):
    page = pages[Path("machines-and-data.html")]
    registry = yaml.safe_load((ROOT / "data" / "registry.yaml").read_text("utf-8"))
    for name, entry in registry["files"].items():
        assert name in page.text and entry["sha256"] in page.text and entry["licence"] in page.text
        assert entry.get("url", "") in links_of(page.text) | {""} or entry["page"] in links_of(
            page.text
        )
    for path in (ROOT / "data" / "weights").glob("*.safetensors"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in page.text
    headings = re.findall(r"<h(\d)>(\w+)", page.text)
    for card in (ROOT / "data" / "weights").glob("*.md"):
        assert ("3", card.stem) in headings


def test_the_front_page_says_whether_it_reproduced(pages):
    bar = pages[Path("index.html")].text.split('<div class="score">')[1].split("</div>")[0]
    claims = read_data("paper")["claims"]
    statements = [c for c in claims if c["kind"] != "number" and not {"ours", "follow_up"} & {*c}]
    assert sum(map(int, re.findall(r"\b(\d+) [a-z]", bar))) == len(statements)
    assert links_of(bar) <= {f"claims.html#{id}" for id in pages[Path("claims.html")].ids}


def test_all_works_of_the_paper_are_in_the_bibliography(pages):
    rows = pages[Path("bibliography.html")].text.split("</tr>")[1:-1]
    assert [re.search(r"<p>(\d+)</p>", row)[1] for row in rows] == [str(n) for n in range(1, 13)]
    assert all('href="#' in row for row in rows)


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


def test_one_command_names_the_repository_everywhere(pages, root):
    assert yaml.safe_load((root / "CITATION.cff").read_text())["repository-code"] == REPOSITORY
    for path in (root / "notebooks").glob("*.ipynb"):
        assert f"--depth 1 {REPOSITORY} repository" in path.read_text("utf-8")
    words = re.sub("<[^>]+>", "", pages[Path("bibliography.html")].text)
    assert f"url = {{{REPOSITORY}}}" in words
    for name, source in {
        "claims": "book/claims.md",
        "notebooks/idea": "notebooks/idea.ipynb",
    }.items():
        page = pages[Path(f"{name}.html")]
        links = {attributes.get("href") for _, attributes in page.tags}
        assert {
            REPOSITORY,
            f"{REPOSITORY}/blob/main/{source}?plain=1",
            f"{REPOSITORY}/edit/main/{source}",
        } < links
        assert any(link and link.startswith(f"{REPOSITORY}/issues/new") for link in links)
        tags = {a["property"]: a["content"] for tag, a in page.tags if "property" in a}
        assert tags["og:url"] == f"https://owner.github.io/name/{name}.html"
        assert tags["og:image"] == "https://owner.github.io/name/_static/preview.jpg"
        assert tags["og:title"] and tags["og:description"]
    assert {
        "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/notebooks/idea.ipynb",
        "https://colab.research.google.com/github/owner/name/blob/main/notebooks/idea.ipynb",
    } < links


def test_every_picture_has_a_text_instead(pages):
    pictures = [(n, a) for n, page in pages.items() for tag, a in page.tags if tag == "img"]
    assert {n.as_posix() for n, _ in pictures} >= {"notebooks/imagenet.html"}
    for name, attributes in pictures:
        alt = attributes.get("alt") or ""
        assert alt.strip() and "/" not in alt and ".png" not in alt, f"{name}: {attributes}"


def test_no_page_shows_an_error_a_path_of_this_machine_or_a_progress_bar(pages):
    here = [str(path) for path in (ROOT, Path.home(), Path(sys.prefix))]
    noise = re.compile(
        r"Traceback \(most recent|output (?:error|stderr|traceback)|it/s\]|\d%\|"
        r"|(?<![\w.:/-])/(?:home|root|Users|tmp|mnt|content)/\w|" + "|".join(map(re.escape, here))
    )
    for name, page in pages.items():
        match = noise.search(page.text)
        assert not match, f"{name}: {page.text[max(0, match.start() - 80) : match.end() + 80]}"


@in_a_browser
def test_the_browser_asks_nobody_else_and_does_not_complain(visits):
    for visit in visits:
        assert [url for url in visit["requests"] if url[0] != "/"] == [], visit["page"]
        assert visit["complaints"] == [], visit["page"]


@in_a_browser
def test_every_page_can_be_used_by_everyone(visits):
    assert {visit["shownIn"] for visit in visits if visit["colorScheme"] == "dark"} == {"dark"}
    violations = {
        (visit["page"], visit["screen"], visit["colorScheme"], violation)
        for visit in visits
        for violation in visit["violations"]
    }
    assert violations == set()


@in_a_browser
def test_no_page_is_wider_than_its_screen(visits):
    assert {(visit["page"], visit["screen"]) for visit in visits if visit["tooWide"]} == set()


@in_a_browser
def test_formulas_are_rendered(visits):
    assert {visit["page"] for visit in visits if visit["formulas"] > 1} >= {
        "index.html",
        "notebooks/idea.html",
        "notebooks/imagenet.html",
    }
    for visit in visits:
        assert visit["unrendered"] == [], visit["page"]


@in_a_browser
def test_search_finds_the_subject(visits):
    for visit in visits:
        if visit["page"] == SEARCH:
            assert {"index.html", "notebooks/idea.html"} <= set(visit["found"])


@in_a_browser
def test_the_slider_moves_pictures_line_and_words_together(visits):
    slides = [visit["slides"] for visit in visits if visit["page"] == "index.html"]
    assert len(slides) == 4
    for at_K, after, end, other_photo in slides:
        assert " = K:" in at_K["text"] and at_K["text"] != after["text"]
        assert len(at_K["places"]) == 5
        assert all(old != new for old, new in zip(at_K["places"], after["places"], strict=True))
        assert end["text"].startswith("End of the run")
        moments = [shown["text"].rpartition("; ")[0] for shown in (other_photo, end)]
        assert moments[0] == moments[1] or RESULTS  # the same moment of another photo
        assert other_photo["strip"] != end["strip"]


@in_a_browser
def test_a_link_to_a_word_shows_what_it_means_and_a_figure_opens_large(visits):
    for visit in visits:
        if visit["page"] == "index.html":
            assert "gradient descent" in visit["card"] or "three terms" in visit["card"]
            assert visit["large"]


@in_a_browser
def test_a_table_of_a_page_is_there_as_csv(visits):
    for visit in visits:
        if visit["page"] == "many-photos.html":
            head, *rows = visit["csv"].partition(",")[2].split("\r\n")[:-1]
            assert head == '"column",""' and '"seconds","time of the photo' in "\n".join(rows)


@pytest.fixture(scope="module")
def readers_photos(tmp_path_factory) -> list[str]:
    """Four packaged photos, and files: one of 12 megapixels, and one that lies on its side."""
    folder = tmp_path_factory.mktemp("photos")
    large, turned = folder / "large.jpg", folder / "turned.jpg"
    Image.open(fetch("coffee.png")).resize((4000, 3000)).save(large, quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    pixels = np.rot90(read_rgb(fetch("grace_hopper.jpg")).permute(1, 2, 0).numpy()[:, :-1])
    Image.fromarray(pixels).save(turned, quality=95, exif=exif)
    return ["coffee", "cat", "rocket", "motorcycle", str(large), str(turned)]


@in_a_browser
def test_a_photo_in_the_page_descends_as_in_find_jnd(pages, address, npm, root, readers_photos):
    on_disk = root / "out" / "_build" / "html" / "your-own-photo.html"
    by_http, by_file = (
        in_chromium("photos.mjs", place, *readers_photos)
        for place in (f"{address}your-own-photo.html", on_disk.as_uri())
    )
    assert by_http["answers"] == by_file["answers"]
    assert by_http["complaints"] == by_file["complaints"] == []
    for request in by_http["requests"]:  # nothing is uploaded
        assert request.startswith((f"GET {address}", "GET blob:", "GET data:")), request
    assert by_http["busy"] < 500  # milliseconds at a time, on however busy a machine
    in_page = by_http["answers"]
    rgba = torch.tensor([one["pixels"] for one in in_page]).view(-1, SIDE, SIDE, 4)
    x0 = rgba[..., :3].permute(0, 3, 1, 2).float()
    assert torch.equal(x0, load_photos(readers_photos, SIDE)[0])
    machine = load_machine(NETWORK, device="cpu")
    expected = find_jnd(machine, x0, max_iter=defaults()["updates"], stop_at_K=True)
    assert [one["K"] for one in in_page] == expected.K.tolist()
    assert [one["label"] for one in in_page] == expected.objective.label.tolist()
    # closer is not to be had: float32's own rounding moves it by as much
    assert [one["jnd"] for one in in_page] == pytest.approx(expected.jnd.tolist(), rel=3e-3)
    at_K = expected.confidence[expected.K, range(len(in_page)), 0]
    assert [one["confidence"][0] for one in in_page] == pytest.approx(at_K.tolist(), abs=0.01)
    in_8bit = machine(expected.x_jnd.round().clamp(0, 255)).argmax(1) != expected.objective.label
    assert ["still fools" in one["saved"] for one in in_page] == in_8bit.tolist()


@in_a_browser
def test_what_is_no_photo_is_refused_in_a_sentence(pages, address, npm, tmp_path):
    text, small = tmp_path / "notes.txt", tmp_path / "small.png"
    text.write_text("no picture")
    Image.new("RGB", (20, 20)).save(small)
    visit = in_chromium("photos.mjs", f"{address}your-own-photo.html", str(text), str(small))
    assert [one["note"] for one in visit["answers"]] == [
        "This browser cannot read that file as a picture: it is damaged, cut short or of another "
        "kind. Take a whole JPEG, PNG or WebP.",
        "That picture has 20 × 20 pixels, and 32 each way are needed.",
    ]


@in_a_browser
def test_what_once_went_wrong_with_a_readers_photo_no_longer_does(pages, address, npm, tmp_path):
    photo, black = tmp_path / "mine.png", tmp_path / "black.png"
    Image.open(fetch("rocket.jpg")).resize((2000, 1500)).save(photo)
    Image.new("RGB", (300, 300)).save(black)
    visit = in_chromium("faults.mjs", f"{address}your-own-photo.html", str(photo), str(black))
    assert visit["complaints"] == []
    answers = visit["told"]
    # links
    assert answers["bogus"].startswith("The link asks for penalties that do not exist")
    assert answers["arm"] == "none" and answers["opened"]
    assert answers["somebodys"].startswith("This link was made with a photo of somebody")
    assert "photo=own" in answers["link"] and "mine" not in answers["link"]
    # settings
    assert "has to be a whole number from 1" in answers["noUpdates"]
    assert answers["arrow"] == ["0.02", "0.009"]
    assert answers["changed"][1] == answers["steps"] == 5
    assert answers["target"] == "tabby" and "no “unicorn”" in answers["unicorn"]
    # photos
    x0 = load_photos([str(photo)], SIDE)[0]
    assert answers["race"][:3] == x0[0, :, 0, 0].tolist()
    assert answers["again"] == answers["pasted"]
    assert answers["paste"] == answers["drop"]
    assert answers["drop"].startswith("There is no picture file")
    assert "leaves the finite numbers" in answers["diverged"][0] and answers["diverged"][1] > 0
    assert answers["black"][0].startswith("K = ") and answers["black"][1] == "–"
    assert answers["focus"] == "start"
    # a file
    assert "rounding to 8 bits has undone it" in answers["undone"]
    assert "as in the photo, because this is before K" in answers["before"] and answers["back"] < 11
    assert 'load_photos(["cat"], 224)' in answers["python"]


@in_a_browser
def test_simulated_observers_play_the_test_of_their_eyes_through(pages, address, npm):
    thresholds = ["0.04", "0.01", "Infinity"]
    visit = in_chromium("eyes.mjs", f"{address}your-own-photo.html", *thresholds)
    assert visit["complaints"] == []
    *seeing, guessing = visit["results"]
    for one, threshold in zip(seeing, thresholds, strict=False):
        result = one["record"]["result"]
        assert len(one["record"]["answers"]) == one["pairs"] - 1 == 44  # after one to try
        # an interval of 95 % misses now and then
        assert result["low"] / 1.3 < float(threshold) < 1.3 * result["high"]
        assert "to be right in 82 of 100 pairs" in one["verdict"]
    assert "JND(M)" in seeing[0]["verdict"] and seeing[0]["record"]["machine"]["jnd"] < 0.001
    assert guessing["record"]["result"] is None
    assert guessing["verdict"].startswith("No threshold")


@in_a_browser
def test_the_scripts_are_free_of_what_eslint_finds(npm):
    command = ["npx", "--prefix", BROWSER, "eslint", "--config", BROWSER / "eslint.config.mjs"]
    places = ["book/_static", "book/live", "tests/book/browser"]
    done = subprocess.run([*command, *places], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@in_a_browser
def test_the_whole_book_prints(pages, root):
    done = run(root / "book" / "build.py", "--profile", "tiny", "--out", root / "out", "--pdf")
    assert done.returncode == 0, done.stdout + done.stderr
    pdf = (root / "out" / "_build" / "book.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and len(re.findall(rb"/Type /Page\b", pdf)) > 10
    for title in (b"The method", b"Classification", b"jnd.descent", b"Bibliography"):
        assert re.search(rb"/Title \(" + title, pdf), f"{title} is not in the outline"
    html = root / "out" / "_build" / "html"
    assert (html / "book.pdf").read_bytes() == pdf
    assert "book.pdf" in links_of((html / "index.html").read_text())
    assert "book.pdf" not in links_of(pages[Path("index.html")].text)  # built without


def test_a_notebook_that_has_not_been_run_is_named(root):
    done = run(root / "book" / "build.py", "--profile", "none")
    assert done.returncode != 0
    assert "executed.ipynb is missing" in done.stderr
    assert "make reproduce PROFILE=none" in done.stderr


def build_page(folder: Path, text: str, metrics: dict) -> subprocess.CompletedProcess:
    """Build a book of one page, with nothing but the extension that fills in numbers."""
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "data", folder / "data", ignore=compiled)
    for name, content in {
        "results/claims.json": json.dumps(VERDICTS),
        "results/imagenet/metrics.json": json.dumps(metrics),
        "results/detection/metrics.json": json.dumps(METRICS),
        "book/index.md": "# Page\n\n" + text,
        "book/conf.py": "extensions = ['myst_parser', 'results']\n"
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
