"""The pages "Claim by claim" and "Status": the verdicts, what decided them, and where it ran."""

from collections.abc import Mapping
from datetime import datetime
from statistics import fmean
from types import SimpleNamespace
from typing import Any

from claims import THIS_RUN, notebooks_of
from page_text import interval, number, table

MARKS = {
    "holds": "✓\N{NO-BREAK SPACE}holds",
    "partly": "◐\N{NO-BREAK SPACE}partly",
    "does not hold": "✗\N{NO-BREAK SPACE}does not hold",
    "unclear": "?\N{NO-BREAK SPACE}unclear",
    "by definition": "≡\N{NO-BREAK SPACE}by definition",
    "not tested here": "–\N{NO-BREAK SPACE}not tested here",
}
"""Verdict -> how it is shown; in this order."""
GROUPS = {
    "statements of the paper": lambda claim: (
        claim["kind"] != "number" and not {"ours", "follow_up"} & claim.keys()
    ),
    "printed numbers by table or figure": lambda claim: claim["kind"] == "number",
    "the authors' follow-up": lambda claim: "follow_up" in claim,
    "our own": lambda claim: "ours" in claim,
}


def claims_page(
    claims: list[dict], verdicts: Mapping[str, dict], notebooks: set[str]
) -> SimpleNamespace:
    """Return what the page "Claim by claim" shows.

    Args:
        claims: those of data/paper.yaml.
        verdicts: id of a claim -> its verdict in this run.
        notebooks: those that have pages, to which rows may lead.

    Returns:
        ``table``, a row for each claim; ``score``, a drawing of how many there are of each verdict;
        ``summary``, the same of the paper's statements in words; ``count``, of these; ``beside``,
        every claim in every set-up.
    """
    by_group = {
        title: [verdicts[claim["id"]]["verdict"] for claim in claims if belongs(claim)]
        for title, belongs in GROUPS.items()
    }
    statements = by_group["statements of the paper"]
    rows = [claim_row(claim, verdicts[claim["id"]], notebooks) for claim in claims]
    return SimpleNamespace(
        table=table(rows, text_columns=6),
        score=score(by_group),
        summary=counts(statements),
        count=len(statements),
        beside=table(
            setup_row(claim, setup) for claim in claims for setup in verdicts[claim["id"]]["setups"]
        ),
    )


def claim_row(claim: dict, verdict: dict, notebooks: set[str]) -> dict[str, str]:
    where = claim["where"].replace("-", "\N{NON-BREAKING HYPHEN}")
    this_run = [setup for setup in verdict["setups"] if setup["setup"] == THIS_RUN]
    measured = [measured_in_words(claim, setup) for setup in this_run]
    if verdict["checked"]:
        setups = sum(setup["checked"] > 0 for setup in verdict["setups"])
        measured.append(f"{verdict['held']} of {verdict['checked']} checks in {setups} set-ups")
    if verdict["why"]:
        measured.append(verdict["why"])
    row = {
        "claim": claim["says"],
        "in the paper": f"{where}: {claim['paper']}" if "paper" in claim else where,
        "moment": claim.get("moment", ""),
        "measured": "; ".join(filter(None, measured)),
        "verdict": MARKS[verdict["verdict"]],
        "look": links(claim, notebooks),
    }
    return {column: text.replace("|", r"\|") for column, text in row.items()}


def setup_row(claim: dict, setup: dict) -> dict[str, str]:
    """A claim in one set-up: its mark there, and what was measured."""
    return {
        "claim": claim["id"],
        "set-up": setup["setup"],
        "measured": measured_in_words(claim, setup).replace("|", r"\|"),
        "there": MARKS[setup["verdict"]],
    }


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


def measured_in_words(claim: dict, setup: dict) -> str:
    """Say how often the checks held in a set-up where they are many, and what decided."""
    values = [in_words(value) for value in setup["measured"].values()]
    template = claim.get("measured", "")
    numbers = ""
    if template and template.count("{}") == len(values):  # a set-up may lack an arm
        numbers = template.format(*values)
    elif not setup["checked"]:
        numbers = "; ".join(values)
    held = f"{setup['held']} of {setup['checked']} checks"
    shows_count = setup["checked"] > 1 or (setup["checked"] and not numbers)
    return "; ".join(filter(None, (held if shows_count else "", numbers)))


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
