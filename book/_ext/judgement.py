"""The page "Claim by claim", as Markdown: the verdicts, what decided them, and those elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from reference import MARKS, checked_in, counts

from jnd.companion.claims import UNTESTED, judge

# notebook -> of which experiment; and file of data/measured -> what ran there
HERE = {
    "imagenet": "ImageNet",
    "cifar10": "CIFAR-10",
    "detection": "Detection",
    "pictures": "Pictures",
    "comparison": "Beside other attacks",
}
ELSEWHERE = {
    "imagenet": {
        "imagenet_lite0": "ten ImageNet photos, EfficientNet-Lite0",
        "imagenet_resnet18": "the same, ResNet-18",
    },
    "cifar10": {"cifar10": "real CIFAR-10 images"},
    "detection": {"detection": "a real road"},
    "pictures": {"pictures": "ten ImageNet photos, EfficientNet-Lite0"},
    "comparison": {"comparison": "ten ImageNet photos, EfficientNet-Lite0"},
}
GROUPS = {
    "statements": ("order", "proportion", "visual"),
    "printed numbers": ("number",),
}


def page(
    claims: list[dict], verdicts: list[dict], notebooks: set[str], measured: Path
) -> SimpleNamespace:
    """`table`: a row for each claim; `score`: how many of each verdict, drawn; `summary`: in words;
    `count`; `beside`: what the same claims come to elsewhere.

    Args:
        claims: those of data/paper.yaml.
        verdicts: of each, in this run.
        notebooks: those that have pages, to which rows may lead.
        measured: the folder data/measured.
    """
    by_id = {verdict["id"]: verdict for verdict in verdicts}
    lines = ["| claim | in the paper | measured | verdict | look |", "|---|---|---|---|---|"]
    for claim in claims:
        verdict = by_id[claim["id"]]
        where = claim["where"].replace("-", "\N{NON-BREAKING HYPHEN}")
        printed = f"{where}: {claim['paper']}" if "paper" in claim else where
        decided = verdict["verdict"] != UNTESTED
        comparable = verdict["measured"] and (
            decided or "only" not in claim
        )  # else of other photos
        words = measured_in_words(claim, verdict) if comparable else ""
        words = "; ".join(filter(None, (words, verdict["why"])))
        row = [claim["says"], printed, words, MARKS[verdict["verdict"]], links(claim, notebooks)]
        lines.append("| " + " | ".join(text.replace("|", r"\|") for text in row) + " |")
    return SimpleNamespace(
        table="\n".join(lines),
        score=score(
            {
                title: [by_id[claim["id"]]["verdict"] for claim in claims if claim["kind"] in kinds]
                for title, kinds in GROUPS.items()
            }
        ),
        summary=counts([verdict["verdict"] for verdict in verdicts]),
        count=len(claims),
        beside="\n\n".join(beside(claims, by_id, measured)),
    )


def links(claim: dict, notebooks: set[str]) -> str:
    """To the notebook of a claim, and to the figure or table that shows it."""
    notebook, output = claim.get("shown", (None, None))
    if notebook not in notebooks:
        return ""
    return f"[{notebook}](notebooks/{notebook}.ipynb), [{output}](#{notebook}-{output})"


def score(groups: dict[str, list[str]]) -> str:
    """A bar for each group of verdicts, divided as they are, in HTML."""
    bars = []
    for title, found in groups.items():
        pieces = "".join(
            f'<span class="{name.replace(" ", "-")}" style="flex-grow: {found.count(name)}">'
            f"{mark[0]} {found.count(name)}</span>"
            for name, mark in MARKS.items()
            if name in found
        )
        head = f"{len(found)} {title}"
        bar = f'<div role="img" aria-label="{head}: {counts(found)}">{pieces}</div>'
        bars.append(f"<p>{head}</p>\n{bar}")
    key = " ".join(
        f'<span class="{n.replace(" ", "-")}">{mark}</span>' for n, mark in MARKS.items()
    )
    return '<div class="score">\n' + "\n".join(bars) + f'\n<p class="score-key">{key}</p>\n</div>'


def beside(claims: list[dict], verdicts: dict[str, dict], measured: Path) -> Iterator[str]:
    """A table for each experiment that ran elsewhere too: rows of claims, columns of set-ups."""
    for notebook, elsewhere in ELSEWHERE.items():
        pages = {
            title: {notebook: json.loads((measured / f"{name}.json").read_text("utf-8"))}
            for name, title in elsewhere.items()
        }
        lines = [
            f"| {HERE[notebook]} | this run | {' | '.join(pages)} |",
            "|---|--:|" + "--:|" * len(pages),
        ]
        for claim in claims:
            if checked_in(claim) == {notebook}:
                cells = [cell(claim, verdicts[claim["id"]])]
                for page in pages.values():
                    ran = all(arm not in check for check in claim["checks"] for arm in unrun(page))
                    cells.append(
                        cell(claim, asdict(judge(claim, page, "measured"))) if ran else "–"
                    )
                lines.append(f"| {' | '.join([claim['says'], *cells])} |")
        yield "\n".join(lines)


def unrun(page: dict[str, dict]) -> list[str]:
    """The arms that a set-up has taken no further than one update, as they stand in checks."""
    (content,) = page.values()
    updates = content["provenance"]["parameters"].get("end_iters", {})
    return [f".{arm}." for arm, count in updates.items() if count <= 1]


def cell(claim: dict, verdict: dict) -> str:
    """The mark of a verdict with its numbers; numbers alone where it cannot be tested."""
    mark = MARKS[verdict["verdict"]][0]
    if mark == "–" and ("only" in claim or not verdict["measured"]):
        return mark
    words = measured_in_words(claim, verdict)
    return words if mark == "–" else f"{mark}\N{NO-BREAK SPACE}{words}"


def measured_in_words(claim: dict, verdict: dict) -> str:
    """How often the checks held where they are many, and the numbers that decided."""
    counted = ""
    if claim["kind"] == "proportion" or len(verdict["measured"]) > 4:
        counted = f"{verdict['held']} of {verdict['checked']} checks"
        if "measured" not in claim:
            return counted
    found = list(verdict["measured"].values())
    if all(isinstance(value, list) for value in found):  # pairs: neither side without the other
        pairs = [pair for pair in zip(*found, strict=True) if None not in pair]
        found = [list(side) for side in zip(*pairs, strict=True)]
    between = claim.get("measured", " and ".join(["{}"] * len(found)))
    words = between.format(*map(in_words, found)) if found else "–"
    words = "; ".join(filter(None, (counted, words)))
    return f"proxy: {words}" if claim["kind"] == "visual" else words


def in_words(value: float | list | dict | None) -> str:
    """A number, or the mean of a list: three digits, from 100 on one decimal; a dash for none.

    A mean with its interval is the interval.
    """
    if isinstance(value, dict):
        if value["low"] is None:
            return "–"
        return f"{value['low']:.2g} to {value['high']:.2g}".replace("-", "−")
    numbers = [v for v in (value if isinstance(value, list) else [value]) if v is not None]
    if not numbers:
        return "–"
    mean = sum(numbers) / len(numbers)
    if all(isinstance(v, int) for v in numbers):
        return f"{mean:.0f}"
    return f"{mean:{'.1f' if abs(mean) >= 100 else '#.3g'}}".replace("-", "−")
