"""What the pages "Status", "Speed", "Many photos" and "Machines and data" show, as Markdown."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from statistics import linear_regression, median
from types import SimpleNamespace
from typing import Any

from jnd.support.files import sha256
from jnd.support.registry import fetch

ARMS = {"full": "with", "none": "without"}  # ours -> the paper's
MARKS = {
    "holds": "✓\N{NO-BREAK SPACE}holds",
    "partly": "◐\N{NO-BREAK SPACE}partly",
    "does not hold": "✗\N{NO-BREAK SPACE}does not hold",
    "unclear": "?\N{NO-BREAK SPACE}unclear",
    "not tested here": "–\N{NO-BREAK SPACE}not tested here",
}
"""Verdict -> how it is shown; in this order."""


def status(metrics: Mapping[str, Mapping], claims: list[dict], verdicts: Mapping[str, str]) -> str:
    """Where each notebook ran, how long, and what became of its claims: a table for each.

    Args:
        metrics: notebook -> its metrics.json.
        claims: those of data/paper.yaml.
        verdicts: id of a claim -> its verdict.
    """
    tables = []
    for notebook, content in metrics.items():
        found = [verdicts[claim["id"]] for claim in claims if notebook in checked_in(claim)]
        facts = {"verdicts": counts(found) or "none: no claim is checked here"}
        facts |= run_facts(content["provenance"])
        rows = [f"| {name} | {fact} |" for name, fact in facts.items()]
        head = [f"| [{notebook}](notebooks/{notebook}.ipynb) | |", "|---|---|"]
        tables.append("\n".join(head + rows))
    return "\n\n".join(tables)


def checked_in(claim: Mapping[str, Any]) -> set[str]:
    """The notebooks whose results decide a claim: a check begins with one."""
    return {check.split(".")[0] for check in claim.get("checks", ())}


def counts(verdicts: list[str]) -> str:
    """``"2 hold, 1 not tested here"``."""
    plural = {"holds": "hold", "does not hold": "do not hold"}
    found = {name: verdicts.count(name) for name in MARKS if name in verdicts}
    return ", ".join(f"{count} {plural.get(name, name)}" for name, count in found.items())


def run_facts(provenance: Mapping[str, Any]) -> dict[str, str]:
    p = provenance
    made = datetime.fromisoformat(p["date"])
    return {
        "profile": p["profile"],
        "machine": f"{p['machine']}, weights `{p['machine_sha256']}`",
        "data": f"{p['data']} (files: {len(p['data_sha256'])})",
        "device": p["device"],
        "packages": ", ".join(f"{name} {version}" for name, version in p["packages"].items()),
        "commit": f"`{p['commit']}`",
        "made": made.strftime("%Y-%m-%d %H:%M %Z"),
        "runtime": f"{p['seconds']:.0f} s",
    }


def files_table(registry: Mapping[str, Mapping], weights: Iterable[Path]) -> str:
    """Every registered file and every weights file, a row each: what, licence, size, hash."""
    rows = ["| file | what it is | licence | size | SHA-256 |", "|---|---|---|--:|---|"]
    for name, entry in registry.items():
        size = entry.get("bytes") or fetch(name).stat().st_size
        what = entry["source"] + (f" {{cite:p}}`{entry['cite']}`" if "cite" in entry else "")
        link = entry.get("page") or entry.get("url")
        row = [f"[{name}]({link})" if link else name, f"{what}; {origin(entry)}", entry["licence"]]
        rows.append(f"| {' | '.join(row)} | {in_bytes(size)} | `{entry['sha256']}` |")
    for path in weights:
        row = [path.name, "weights of a bundled machine; in this repository", "see its card above"]
        rows.append(f"| {' | '.join(row)} | {in_bytes(path.stat().st_size)} | `{sha256(path)}` |")
    return "\n".join(rows)


def origin(entry: Mapping[str, Any]) -> str:
    if "package" in entry:
        return f"comes with the package {entry['package']}"
    return "in this repository" if "path" in entry else "downloaded when asked for"


def in_bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def cards(weights: Path) -> str:
    """Directives that show the model cards of a folder as they are, below a heading of the page."""
    return "\n\n".join(
        f"```{{include}} ../data/weights/{card.name}\n:heading-offset: 2\n```"
        for card in sorted(weights.glob("*.md"))
    )


def speed(measured: Mapping[str, Any]) -> SimpleNamespace:
    """What benchmarks/bench.py has measured: tables, and ``line``, its provenance."""
    p, values = measured["provenance"], measured["values"]
    leaving, pair, memory = values["leaving"], values["metrics"], values["memory"]
    others = [
        "| what | here | beside |",
        "|---|--:|--:|",
        f"| {leaving['photos']} photos until each is noticed; to the end of "
        f"{leaving['updates']} updates "
        f"| {leaving['seconds, leaving']:.1f} s | {leaving['seconds, to the end']:.1f} s |",
        "| forwards of one image in these, counted "
        f"| {leaving['image steps, leaving']} | {leaving['image steps, to the end']} |",
        "| PSNR, UQI, SCC and VIF of a pair of 299×299, one thread; sewar "
        f"| {pair['jnd']['ms']:.0f} ms | {pair['sewar']['ms']:.0f} ms |",
        "| memory of the process at most: descent of ten images of 299×299 on Inception v3; "
        f"before the descent | {memory['peak']:.0f} MB | {memory['before']:.0f} MB |",
    ]
    packages = ", ".join(f"{name} {version}" for name, version in p["packages"].items())
    line = (
        f"{p['processor']}, threads: {p['threads']} · {packages} · commit {p['commit'][:16]} · "
        f"{p['date'][:10]}"
    )
    gpu = values["gpu"]
    return SimpleNamespace(
        steps=steps_table(values["steps"]),
        others="\n".join(others),
        line=line,
        rounds=p["rounds"],
        precision=precision_table(values["precision"]),
        arms=arms_table(values["arms"]),
        gpu=steps_table(gpu) if gpu else "**Not measured**: no GPU was at hand.",
        browser=in_browser(values.get("browser")),
    )


def in_browser(found: Mapping[str, Any] | None) -> str:
    """An update of the book's page beside one of find_jnd, and where that was measured."""
    if found is None:
        return "**Not measured**: no node was at hand."
    p = found["provenance"]
    line = f"{p['processor']}, one thread · torch {p['torch']}, node {p['node']}"
    return (
        "| | ms | times find_jnd |\n|---|--:|--:|\n"
        f"| find_jnd | {found['pytorch']:.0f} | 1 |\n"
        f"| the page's scripts | {found['page']:.0f} "
        f"| {found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f}) |\n\n"
        f":::{{div}} provenance\n{line} · commit {p['commit'][:16]} · {p['date'][:10]}. "
        f"Median of {p['rounds']} rounds, in which the two take turns, and the quartiles of the "
        "ratio.\n:::"
    )


def scale(measured: Mapping[str, Any]) -> SimpleNamespace:
    """What benchmarks/folder.py has measured: ``table``, ``estimate``, the numbers in their text.

    ``per_photo`` and ``start``, seconds on the processor, are the slope of a straight line through
    the runs, less its shards' share of starting, and what a shard of one photo takes; ``off`` is
    the largest distance of a run from that line, as a part of the run.
    """
    p, values = measured["provenance"], measured["values"]
    runs, start = values["runs"], values["start"]["cpu"]
    photos, seconds = ([run[name] for run in runs] for name in ("photos", "cpu"))
    slope, intercept = linear_regression(photos, seconds)
    per_photo = slope - start / p["shard"]
    forwards = sum(run["forwards"] for run in runs) / sum(photos)
    shards = -(-p["many"] // p["per_job"])
    total = p["many"] * per_photo + shards * start
    table = ["| photos | processor | per photo | clock | memory at most |", "|--:|--:|--:|--:|--:|"]
    for run in runs:
        table.append(
            f"| {run['photos']} | {run['cpu']:.1f} s | {run['cpu'] / run['photos']:.2f} s "
            f"| {run['clock']:.1f} s | {run['peak']:.0f} MB |"
        )
    estimate = [
        "| | |",
        "|---|--:|",
        f"| {p['many']:,} photos × {per_photo:.2f} s | {p['many'] * per_photo / 3600:.1f} h |",
        f"| {shards} shards × {start:.1f} s to start | {shards * start / 3600:.1f} h |",
        f"| **time on one processor core** | **{total / 3600:.1f} h** |",
        *(f"| on {cores} cores | {total / 3600 / cores:.1f} h |" for cores in (2, 16, 100)),
    ]
    return SimpleNamespace(
        table="\n".join(table),
        estimate="\n".join(estimate),
        start=start,
        slope=slope,
        off=max(abs(intercept + slope * n - s) / s for n, s in zip(photos, seconds, strict=True)),
        peaks=[run["peak"] for run in runs],
        forwards=forwards,
        per_forward=1e3 * per_photo / forwards,
        **{n: values[n] for n in ("planned", "merged")},
        provenance=p,
        parameters=", ".join(f"{n} = {v}" for n, v in p["parameters"].items()),
        line=f"{p['processor']}, one thread · machine {p['machine']} {p['machine_sha256'][:8]} · "
        f"commit {p['commit'][:16]} · {p['date'][:10]}",
    )


def steps_table(settings: Mapping[str, Mapping]) -> str:
    """Of each setting, a row for each contender."""
    rows = ["| | ms | times the floor | cosine |", "|---|--:|--:|--:|"]
    for setting, found in settings.items():
        cosine = f"{found['cosine']:.6f}" if "cosine" in found else ""
        rows.append(f"| **{setting}** | | | {cosine} |")
        for name, row in found["contenders"].items():
            rows.append(
                f"| {name} | {row['ms']:.1f} "
                f"| {row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f}) | |"
            )
    return "\n".join(rows)


def precision_table(found: Mapping[str, Mapping]) -> str:
    """The precisions beside float32, photo by photo in K."""

    def row(title: str, cell: Callable[[Mapping], str]) -> str:
        return f"| {title} | {' | '.join(map(cell, found.values()))} |"

    def ratios(of: Mapping) -> list[float]:
        return [b / a for a, b in zip(found["float32"]["jnd"], of["jnd"], strict=True)]

    return "\n".join(
        [
            f"| | {' | '.join(found)} |",
            "|---|" + "--:|" * len(found),
            row("forward and gradient of all photos", lambda of: f"{of['ms']:.0f} ms"),
            row(
                "cosine between the gradients at x(0), lowest; median",
                lambda of: f"{min(of['cosine']):.3f}; {median(of['cosine']):.3f}",
            ),
            row("K of each photo", lambda of: ", ".join(map(str, of["K"]))),
            row(
                "JND(M), times that in float32: lowest; median; highest",
                lambda of: "; ".join(f"{f(ratios(of)):.2f}" for f in (min, median, max)),
            ),
        ]
    )


def arms_table(found: Mapping[str, Mapping]) -> str:
    """Three arms in one batch beside one after the other."""
    rows = ["| | one after the other | in one batch | ratio |", "|---|--:|--:|--:|"]
    for title, row in found.items():
        together = row["together"]
        rows.append(
            f"| {title} | {row['apart']['ms']:.0f} ms | {together['ms']:.0f} ms "
            f"| {together['ratio']:.2f} ({together['low']:.2f} to {together['high']:.2f}) |"
        )
    return "\n".join(rows)
