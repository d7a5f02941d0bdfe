"""Numbers for the pages: the paper's from data/paper.yaml, ours from the results."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import yaml
from sphinx.errors import ExtensionError

from jnd.results import provenance_line


def namespace(items: dict) -> SimpleNamespace:
    """On a dict Jinja would take a key called `values` or `items` for the dict's method.

    results.py writes numbers that are not finite as null; pages format them as nan.
    """
    return SimpleNamespace(**{k: math.nan if v is None else v for k, v in items.items()})


def k_table(page: SimpleNamespace) -> str:
    """K and JND(M) of every photo without and with regularisation, as a Markdown table."""
    none, full = page.arms.none, page.arms.full
    rows = zip(
        page.photos, page.label, page.target, none.K, full.K, full.K_8bit, none.jnd, full.jnd
    )
    lines = [
        "| photo | answer | pulled to | K, none | K, full | K, full, 8 bits | JND, none | JND, full |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for *words, k_none, k_full, k_8bit, jnd_none, jnd_full in rows:
        counts = ["–" if k < 0 else str(k) for k in (k_none, k_full, k_8bit)]
        ratios = ["–" if jnd is None else f"{jnd:.5f}" for jnd in (jnd_none, jnd_full)]
        lines += ["| " + " | ".join([w.replace("_", " ") for w in words] + counts + ratios) + " |"]
    return "\n".join(lines)


MARKS = {"reproduced": "✓ reproduced", "partly": "◐ partly", "not reproduced": "✗ not reproduced",
         "not run": "– not run"}


def claims_page(claims: list[dict], verdicts: list[dict]) -> SimpleNamespace:
    """`table`: a row for each claim; `summary`: how many of each verdict; `count`."""
    by_id = {verdict["id"]: verdict for verdict in verdicts}
    lines = ["| claim | where | the paper | measured | verdict |", "|---|---|---|---|---|"]
    for claim in claims:
        verdict = by_id[claim["id"]]
        says = claim["says"]
        if "shown" in claim and verdict["verdict"] != "not run":
            notebook, output = claim["shown"]
            says += f" [{output}](notebooks/{notebook}.ipynb)"
        measured = verdict["why"] or measured_in_words(verdict)
        row = [says, claim["where"], str(claim.get("paper", "")), measured, MARKS[verdict["verdict"]]]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |")
    found = [verdict["verdict"] for verdict in verdicts]
    counts = [f"{found.count(name)} {name}" for name in MARKS if name in found]
    return SimpleNamespace(table="\n".join(lines), summary=", ".join(counts), count=len(claims))


def measured_in_words(verdict: dict) -> str:
    """The numbers that decided, or how often the checks held where there are many."""
    values = verdict["measured"].values()
    if verdict["checked"] > 2 or any(isinstance(value, list) for value in values):
        return f"holds {verdict['held']} times of {verdict['checked']}"
    return " and ".join("–" if v is None else f"{v:.5g}" for v in values)


def test_table(test: SimpleNamespace) -> str:
    """The paired test of a notebook's metrics.json, as a Markdown table."""
    lines = ["| | images | with | without | difference | 95 % interval | p |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, row in vars(test).items():
        r = vars(row)
        lines.append(
            f"| {name} | {r['images']} | {r['with']:.4g} ± {r['with, sd']:.2g} "
            f"| {r['without']:.4g} ± {r['without, sd']:.2g} | {r['difference']:.2g} "
            f"| {r['low']:.2g} to {r['high']:.2g} | {r['p_holm']:.1g} |"
        )
    return "\n".join(lines)


def load_page(path: Path) -> SimpleNamespace:
    """The values of a metrics.json with their provenance."""
    try:
        text = path.read_text("utf-8")
        metrics = json.loads(text, object_hook=namespace)
        page = metrics.values
        page.provenance = metrics.provenance
        page.provenance_line = provenance_line(json.loads(text)["provenance"])
    except (ValueError, AttributeError, KeyError) as error:
        raise ExtensionError(f"{path} lacks values or their provenance: {error}") from error
    return page


def load_numbers(app, config) -> None:
    """Make `paper`, each notebook and what is in data/measured substitutions:

    `{{ imagenet.table1.jnd.full.PSNR }}`, `{{ measured.resnet18.k_table }}`.
    """
    if "JND_BOOK_RESULTS" not in os.environ:
        raise ExtensionError("build the book with `python book/build.py`")
    data = Path(app.srcdir).parent / "data"
    paper = yaml.safe_load((data / "paper.yaml").read_text("utf-8"))
    pages = {"paper": json.loads(json.dumps(paper), object_hook=namespace)}
    for path in Path(os.environ["JND_BOOK_RESULTS"]).glob("*/metrics.json"):
        pages[path.parent.name] = load_page(path)
    pages["measured"] = SimpleNamespace()
    for path in (data / "measured").glob("*.json"):
        page = load_page(path)
        if hasattr(page, "photos"):
            page.k_table = k_table(page)
        if hasattr(page, "many"):
            page.test_table = test_table(page.many.test)
        setattr(pages["measured"], path.stem, page)
    results = Path(os.environ["JND_BOOK_RESULTS"])
    verdicts = json.loads((results / "claims.json").read_text("utf-8"))
    pages["claims"] = claims_page(paper["claims"], verdicts)
    config.myst_substitutions.update(pages)


def setup(app) -> dict:
    app.connect("config-inited", load_numbers)
    return {"parallel_read_safe": True}
