"""The pages "Claim by claim" and "Status": the verdicts, what decided them, and where it ran."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

from claims import UNTESTED, judge
from page_text import interval, number, table

MARKS = {
    "holds": "✓\N{NO-BREAK SPACE}holds",
    "partly": "◐\N{NO-BREAK SPACE}partly",
    "does not hold": "✗\N{NO-BREAK SPACE}does not hold",
    "unclear": "?\N{NO-BREAK SPACE}unclear",
    "not tested here": "–\N{NO-BREAK SPACE}not tested here",
}
"""Verdict -> how it is shown; in this order."""
# notebook -> its experiment, and where else that ran: file of data/measured -> title
EXPERIMENTS = {
    "imagenet": (
        "ImageNet",
        {
            "imagenet_lite0": "ten ImageNet photos, EfficientNet-Lite0",
            "imagenet_resnet18": "the same, ResNet-18",
        },
    ),
    "cifar10": ("CIFAR-10", {"cifar10": "real CIFAR-10 images"}),
    "detection": ("Detection", {"detection": "a real road"}),
    "pictures": ("Pictures", {"pictures": "ten ImageNet photos, EfficientNet-Lite0"}),
    "comparison": (
        "Beside other attacks",
        {"comparison": "ten ImageNet photos, EfficientNet-Lite0"},
    ),
}
GROUPS = {
    "statements": ("order", "proportion", "visual"),
    "printed numbers": ("number",),
}


def claims_page(
    claims: list[dict], verdicts: Mapping[str, dict], notebooks: set[str], measured: Path
) -> SimpleNamespace:
    """Return what the page "Claim by claim" shows.

    Args:
        claims: those of data/paper.yaml.
        verdicts: id of a claim -> its verdict in this run.
        notebooks: those that have pages, to which rows may lead.
        measured: the folder data/measured.

    Returns:
        ``table``, a row for each claim; ``score``, a drawing of how many there are of each verdict;
        ``summary``, the same in words; ``count``; ``beside``, the same claims elsewhere.
    """
    words = {claim["id"]: verdicts[claim["id"]]["verdict"] for claim in claims}
    by_group = {
        title: [words[claim["id"]] for claim in claims if claim["kind"] in kinds]
        for title, kinds in GROUPS.items()
    }
    rows = [claim_row(claim, verdicts[claim["id"]], notebooks) for claim in claims]
    return SimpleNamespace(
        table=table(rows, text_columns=5),
        score=score(by_group),
        summary=counts(list(words.values())),
        count=len(claims),
        beside="\n\n".join(beside(claims, verdicts, measured)),
    )


def claim_row(claim: dict, verdict: dict, notebooks: set[str]) -> dict[str, str]:
    where = claim["where"].replace("-", "\N{NON-BREAKING HYPHEN}")
    decided = verdict["verdict"] != UNTESTED
    # an undecided claim for certain profiles only has numbers of other photos
    comparable = verdict["measured"] and (decided or "only" not in claim)
    words = measured_in_words(claim, verdict) if comparable else ""
    row = {
        "claim": claim["says"],
        "in the paper": f"{where}: {claim['paper']}" if "paper" in claim else where,
        "measured": "; ".join(filter(None, (words, verdict["why"]))),
        "verdict": MARKS[verdict["verdict"]],
        "look": links(claim, notebooks),
    }
    return {column: text.replace("|", r"\|") for column, text in row.items()}


def links(claim: dict, notebooks: set[str]) -> str:
    """Link to a claim's notebook, and to the figure or table that shows it."""
    notebook, output = claim.get("shown", (None, None))
    if notebook not in notebooks:
        return ""
    return f"[{notebook}](notebooks/{notebook}.ipynb), [{output}](#{notebook}-{output})"


def score(groups: Mapping[str, list[str]]) -> str:
    """Draw a bar for each group of verdicts, divided as they are, in HTML."""
    bars = []
    for title, verdicts in groups.items():
        pieces = [
            f'<span class="{css_class(verdict)}" style="flex-grow: {verdicts.count(verdict)}">'
            f"{mark[0]} {verdicts.count(verdict)}</span>"
            for verdict, mark in MARKS.items()
            if verdict in verdicts
        ]
        head = f"{len(verdicts)} {title}"
        label = f"{head}: {counts(verdicts)}"
        bars.append(f'<p>{head}</p>\n<div role="img" aria-label="{label}">{"".join(pieces)}</div>')
    key = " ".join(f'<span class="{css_class(v)}">{mark}</span>' for v, mark in MARKS.items())
    return '<div class="score">\n' + "\n".join(bars) + f'\n<p class="score-key">{key}</p>\n</div>'


def css_class(verdict: str) -> str:
    return verdict.replace(" ", "-")


def beside(claims: list[dict], verdicts: Mapping[str, dict], measured: Path) -> Iterator[str]:
    """Make a table for each experiment that also ran elsewhere, with a column for each set-up."""
    for notebook, (experiment, elsewhere) in EXPERIMENTS.items():
        setups = {
            title: json.loads((measured / f"{name}.json").read_text("utf-8"))
            for name, title in elsewhere.items()
        }
        rows = []
        for claim in claims:
            if notebooks_of(claim) == {notebook}:
                row = {experiment: claim["says"], "this run": cell(claim, verdicts[claim["id"]])}
                for title, metrics in setups.items():
                    row[title] = "–"
                    if ran(claim, metrics):
                        verdict = judge(claim, {notebook: metrics}, "measured")
                        row[title] = cell(claim, asdict(verdict))
                rows.append(row)
        yield table(rows)


def ran(claim: dict, metrics: Mapping[str, Any]) -> bool:
    """Whether a set-up has taken every arm of a claim further than one update."""
    updates = metrics["provenance"]["parameters"].get("end_iters", {})
    skipped = [f".{arm}." for arm, count in updates.items() if count <= 1]
    return not any(arm in check for check in claim["checks"] for arm in skipped)


def cell(claim: dict, verdict: dict) -> str:
    """Return the mark of a verdict with its numbers; numbers alone where it cannot be tested."""
    mark = MARKS[verdict["verdict"]][0]
    untested = verdict["verdict"] == UNTESTED
    if untested and ("only" in claim or not verdict["measured"]):
        return mark
    words = measured_in_words(claim, verdict)
    return words if untested else f"{mark}\N{NO-BREAK SPACE}{words}"


def measured_in_words(claim: dict, verdict: dict) -> str:
    """Say how often the checks held where they are many, and the numbers that decided."""
    counted = ""
    if claim["kind"] == "proportion" or len(verdict["measured"]) > 4:
        counted = f"{verdict['held']} of {verdict['checked']} checks"
        if "measured" not in claim:
            return counted
    values = list(verdict["measured"].values())
    if all(isinstance(value, list) for value in values):  # pairs: neither side without the other
        pairs = [pair for pair in zip(*values, strict=True) if None not in pair]
        values = [list(side) for side in zip(*pairs, strict=True)]
    template = claim.get("measured", " and ".join(["{}"] * len(values)))
    words = template.format(*map(in_words, values)) if values else "–"
    words = "; ".join(filter(None, (counted, words)))
    return f"proxy: {words}" if claim["kind"] == "visual" else words


def in_words(value: float | list | dict | None) -> str:
    """Return a number, the mean of a list, or the interval of a mean, with about three digits."""
    if isinstance(value, dict):
        return interval(value["low"], value["high"])
    numbers = [v for v in (value if isinstance(value, list) else [value]) if v is not None]
    if not numbers:
        return number(None)
    mean = fmean(numbers)
    if all(isinstance(v, int) for v in numbers):
        return number(mean, ".0f")
    return number(mean, ".1f" if abs(mean) >= 100 else "#.3g")


def notebooks_of(claim: Mapping[str, Any]) -> set[str]:
    """Return the notebooks whose results decide a claim: a check begins with one."""
    return {check.split(".")[0] for check in claim.get("checks", ())}


def counts(verdicts: list[str]) -> str:
    """Return ``"2 hold, 1 not tested here"``."""
    plural = {"holds": "hold", "does not hold": "do not hold"}
    numbers = {verdict: verdicts.count(verdict) for verdict in MARKS if verdict in verdicts}
    return ", ".join(f"{n} {plural.get(verdict, verdict)}" for verdict, n in numbers.items())


def status_page(
    metrics: Mapping[str, Mapping], claims: list[dict], verdicts: Mapping[str, dict]
) -> str:
    """Make a table for each notebook: where it ran, how long, and the verdicts on its claims.

    Args:
        metrics: notebook -> its metrics.json.
        claims: those of data/paper.yaml.
        verdicts: id of a claim -> its verdict.
    """
    tables = []
    for notebook, content in metrics.items():
        decided = [claim["id"] for claim in claims if notebook in notebooks_of(claim)]
        words = counts([verdicts[claim]["verdict"] for claim in decided])
        facts = {"verdicts": words or "none: no claim is checked here"}
        facts |= run_facts(content["provenance"])
        title = f"[{notebook}](notebooks/{notebook}.ipynb)"
        tables.append(table([{title: name, "": facts[name]} for name in facts], text_columns=2))
    return "\n\n".join(tables)


def run_facts(p: Mapping[str, Any]) -> dict[str, str]:
    return {
        "profile": p["profile"],
        "machine": f"{p['machine']}, weights `{p['machine_sha256']}`",
        "data": f"{p['data']} (files: {len(p['data_sha256'])})",
        "device": p["device"],
        "packages": ", ".join(f"{name} {version}" for name, version in p["packages"].items()),
        "commit": f"`{p['commit']}`",
        "made": datetime.fromisoformat(p["date"]).strftime("%Y-%m-%d %H:%M %Z"),
        "runtime": f"{p['seconds']:.0f} s",
    }
