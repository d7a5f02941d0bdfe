"""The pages "Claim by claim" and "Status": the verdicts, what decided them, and where it ran."""

from collections.abc import Mapping
from datetime import datetime
from html import escape
from statistics import fmean
from types import SimpleNamespace
from typing import Any

from claims import notebooks_of, parse_check
from page_text import ARMS, interval, number, table

MARKS = {
    "holds": "✓\N{NO-BREAK SPACE}holds",
    "partly": "◐\N{NO-BREAK SPACE}partly",
    "does not hold": "✗\N{NO-BREAK SPACE}does not hold",
    "unclear": "?\N{NO-BREAK SPACE}unclear",
    "by definition": "≡\N{NO-BREAK SPACE}by definition",
    "not tested here": "–\N{NO-BREAK SPACE}not tested here",
}
"""Verdict -> how it is shown; in this order."""
# keys of the results in words, where they are not words themselves
KEYS = {
    "arms": "", "many": "", "quality": "", "table1": "", "table2": "", "paths": "", "ratio": "",
    "jnd": "at x(K)", "end": "at the end", "matched": "PSNR matched by choice",
    "full": "all three terms", "l2": "distance only", "none": "unregularised",
    "box": "box and class", "class": "class only",
    "box, full": "box and class, all three terms", "class, full": "class only, all three terms",
    "box, none": "box and class, unregularised", "class, none": "class only, unregularised",
    "test": "mean difference, with − without", "gain": "what all three terms add",
    "gap": "size of the change, times the least that six attacks find",
    "loss_ratio": "loss, times that of x(K)",
    "change_ratio": "size of the change, times that of x(K)", "change": "size of the change",
    "jod": "JOD predicted by a model of human vision",
    "people": "the change that people notice, predicted, times the machine's",
    "to the end": "on the path to the end",
    "noticed_at_end": "the answer has changed at the end",
    "stays_adversarial": "the answer stays changed", "confidence_at_K": "confidence at x(K)",
    "target_confidence_at_end": "confidence in the wrong answer at the end",
    "growth": "growth of the distance in the second half of the run",
    "bounded_range_at_end": "grey levels outside 0..255 at the end",
    "total_variation_at_end": "TV at the end",
    "fools_when_saved": "fools when saved", "fools_as_file": "fools as a file", "pictures": "",
}  # fmt: skip
# notebook -> the data behind its numbers
DATA = {
    "imagenet": "ImageNet", "cifar10": "CIFAR-10", "detection": "detection",
    "comparison": "ImageNet",
}  # fmt: skip
# outputs of the notebooks by which claims are judged
OUTPUTS = {
    "fig1": "Fig. 1", "fig2-a": "Fig. 2", "fig3": "Fig. 3", "fig4": "Fig. 4", "table1": "Table I",
    "jod": "JOD", "jod-flow-time": "JOD along the path", "people": "What people would notice",
    "table2": "Table II", "flow-time": "PSNR along the path", "k": "K and JND(M)",
    "terms": "BR and TV", "in-8-bits": "Saved in 8 bits", "gap": "How near the least",
    "verdict": "Photo by photo", "paired-test": "The paired test", "differences": "The differences",
    "found": "Pictures that fool", "confidence": "Scores of the car",
}  # fmt: skip


def claims_page(claims: list[dict], verdicts: Mapping[str, dict]) -> SimpleNamespace:
    """Return what the page "Claim by claim" shows.

    Args:
        claims: those of data/paper.yaml.
        verdicts: id of a claim -> its verdict in this run.

    Returns:
        ``groups``, the paper's statements by their verdict; ``follow_up``, those of the authors'
        follow-up, and ``ours``, our own; ``numbers``, the printed numbers; ``score``, a bar of how
        many statements there are of each verdict;
        ``summary``, the same in words; ``count``, of these.
    """
    numbers = [claim for claim in claims if claim["kind"] == "number"]
    ours = [claim for claim in claims if "ours" in claim]
    follow_up = [claim for claim in claims if "follow_up" in claim]
    statements = [claim for claim in claims if claim not in [*numbers, *ours, *follow_up]]
    words = [verdicts[claim["id"]]["verdict"] for claim in statements]
    groups = []
    for verdict in filter(words.count, MARKS):
        members = [claim for claim in statements if verdicts[claim["id"]]["verdict"] == verdict]
        entries = entry_list(members, verdicts)
        groups.append(
            f'<div class="claims-group" id="{css_class(verdict)}">\n'
            f"<h3>{MARKS[verdict]} ({len(members)})</h3>\n\n{entries}\n\n</div>"
        )
    return SimpleNamespace(
        groups="\n\n".join(groups),
        follow_up=entry_list(follow_up, verdicts),
        ours=entry_list(ours, verdicts),
        numbers="\n\n".join(printed_numbers(claim, verdicts[claim["id"]]) for claim in numbers),
        score=score(words),
        summary=counts(words),
        count=len(statements),
    )


def entry_list(claims: list[dict], verdicts: Mapping[str, dict]) -> str:
    return "\n\n".join(entry(claim, verdicts[claim["id"]]) for claim in claims)


def entry(claim: dict, verdict: dict) -> str:
    """Return a claim that folds out, in Markdown: its quotation, its checks, every set-up."""
    dots = "".join(mark(setup["verdict"]) for setup in verdict["setups"])
    lines = [
        f'<details class="claim" id="claim-{claim["id"]}">',
        f"<summary>{mark(verdict['verdict'])} {escape(claim['says'])} "
        f'<span class="claim-setups" aria-hidden="true">{dots}</span></summary>',
        "",
    ]
    moment = f" Judged at: {claim['moment']}." if "moment" in claim else ""
    quote = f"“{claim['quote']}”, " if "quote" in claim else ""
    lines += [f"> {quote}{claim['where']}.{moment}", ""]
    checks = [check_in_words(check, claim) for check in claim.get("checks", [])]
    if checks:
        lines += [f"*Check.* {capitalised('; '.join(checks))}.", ""]
    for title, text in {"Why": verdict["why"], "Note": claim.get("note")}.items():
        if text:
            lines += [f"*{title}.* {capitalised(text)}.", ""]
    for setup in verdict["setups"]:
        measured = measured_in_words(claim, setup)
        lines.append(f"- {mark(setup['verdict'])} {setup['setup']}: {measured}")
    return "\n".join([*lines, "", link(claim), "", "</details>"])


def mark(verdict: str) -> str:
    """Return the sign of a verdict, coloured, in HTML."""
    title = MARKS[verdict]
    return f'<span class="mark {css_class(verdict)}" title="{title[2:]}">{title[0]}</span>'


def link(claim: dict) -> str:
    """Link to the figure or table that shows a claim."""
    if "shown" not in claim:
        return ""
    notebook, output = claim["shown"]
    return f"[{OUTPUTS[output]}](#{notebook}-{output})"


def check_in_words(check: str, claim: dict) -> str:
    """Return a check for people; it names the data where the claim looks at several."""
    parts = parse_check(check, claim["id"])
    data = DATA if len(notebooks_of(claim)) > 1 else {}
    words = [
        place_in_words(parts["left"], data), parts["sign"], place_in_words(parts["right"], data)
    ]  # fmt: skip
    if parts["margin"]:
        words.append(f"+ {parts['margin']}".replace("+ -", "− "))
    if parts["tolerance"]:
        words.append(f"± {parts['tolerance']}")
    return " ".join(words).removesuffix(" = 1")


def place_in_words(place: str, data: Mapping[str, str]) -> str:
    """Return ``"PSNR, all three terms, at x(K)"`` for imagenet.quality.jnd.full.PSNR.

    ``data``: notebook -> the data to name as well.
    """
    if not place[0].isalpha():
        return place
    notebook, *keys = place.split(".")
    words = [KEYS.get(key, key) for key in reversed(keys)] + [data.get(notebook, "")]
    return ", ".join(filter(None, words))


def capitalised(text: str) -> str:
    return text if text.startswith("x(") else text[0].upper() + text[1:]


def printed_numbers(claim: dict, verdict: dict) -> str:
    """Return a table of printed numbers: a row for the paper, and one for each set-up."""
    head = f"**{claim['where']}.** {claim['says']} Ours: {link(claim)}."
    if not verdict["setups"]:
        return f"{head} *Not tested:* {verdict['why']}."
    checks = [parse_check(check, claim["id"]) for check in claim["checks"]]
    columns = {check["left"]: column_title(check["left"]) for check in checks}
    rows = [{"": "paper"} | {columns[c["left"]]: float(c["right"]) for c in checks}]
    for setup in verdict["setups"]:
        measured = {columns[place]: value for place, value in setup["measured"].items()}
        rows.append({"": setup["setup"]} | measured)
    return f"{head}\n\n{table(rows, digits='.3g')}"


def column_title(place: str) -> str:
    """Return the metric of a printed number, or what it is of, with the paper's name of the arm."""
    *_, arm, last = [key for key in place.split(".") if key != "end"]
    if last in ARMS:
        return f"{KEYS[arm]}, {ARMS[last]}"
    return f"{last}, {ARMS[arm]}"


def score(verdicts: list[str]) -> str:
    """Draw a bar divided as the verdicts are, in HTML; each part leads to its group of claims."""
    parts = "".join(
        f'<a class="{css_class(verdict)}" style="flex-grow: {verdicts.count(verdict)}" '
        f'href="claims.html#{css_class(verdict)}">{mark[0]} '
        f"{counts([v for v in verdicts if v == verdict])}</a>"
        for verdict, mark in MARKS.items()
        if verdict in verdicts
    )
    return f'<div class="score">{parts}</div>'


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
    """Make a row for each notebook: where it ran, how long, and the verdicts on its claims.

    Args:
        metrics: notebook -> its metrics.json.
        claims: those of data/paper.yaml.
        verdicts: id of a claim -> its verdict.
    """
    rows = []
    for notebook, content in metrics.items():
        decided = [claim["id"] for claim in claims if notebook in notebooks_of(claim)]
        words = counts([verdicts[claim]["verdict"] for claim in decided])
        facts = run_facts(content["provenance"])
        rows.append({"notebook": notebook} | facts | {"claims": words or "none"})
    return table(rows, text_columns=len(rows[0]))


def run_facts(p: Mapping[str, Any]) -> dict[str, str]:
    return {
        "profile": p["profile"],
        "machine": f"{p['machine']} `{p['machine_sha256']}`",
        "data": f"{p['data']} (files: {len(p['data_sha256'])})",
        "device": p["device"],
        "packages": ", ".join(f"{name} {version}" for name, version in p["packages"].items()),
        "commit": f"`{p['commit']}`",
        "made": datetime.fromisoformat(p["date"]).strftime("%Y-%m-%d %H:%M %Z"),
        "runtime": f"{p['seconds']:.0f} s",
    }
