"""The ledger: what the paper prints, what was predicted, and what each run that was sent gave."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from companion.provenance import short
from jnd.metrics import INT64_DB, METRICS
from page_text import interval, number, table
from prediction import printed_quantities, quantities
from real_photos import printed_columns

Metrics = Mapping[str, Mapping[str, Any]]
# beside the column of Table I that is predicted: title, notebook, table, column
COLUMNS = (
    ("Table I, without", "imagenet", "table1", "without"),
    ("Table II, with", "cifar10", "table2", "with"),
    ("Table II, without", "cifar10", "table2", "without"),
)
FIG3 = {"with": "full", "without": "none"}
ARMS = {"full": "three terms", "l2": "distance only", "none": "unregularised"}


def printed_numbers(paper: Mapping[str, Any]) -> dict[str, float]:
    """Return the paper's numbers by name: those predicted, both tables and Fig. 3."""
    numbers = printed_quantities(paper)
    for title, _, key, column in COLUMNS:
        for metric, value in paper["tables"][key][column].items():
            excess = INT64_DB if metric == "PSNR" else 0
            numbers[f"{title}: {metric}"] = value - excess
    for column, value in paper["figures"]["fig3"]["confidence"].items():
        numbers[f"Fig. 3, {column}: confidence"] = value
    return numbers


def measured_numbers(metrics: Metrics) -> dict[str, float]:
    """Return a run's numbers under the names of :func:`printed_numbers`, and those predicted.

    Args:
        metrics: notebook -> its metrics.json.
    """
    comparison = metrics.get("comparison", {}).get("values")
    imagenet = metrics["imagenet"]["values"]
    numbers = quantities(imagenet, comparison) | flow_times(imagenet)
    for title, notebook, key, column in COLUMNS:
        if notebook in metrics:
            row = printed_columns(metrics[notebook]["values"][key])[column]
            numbers |= {f"{title}: {metric}": row[metric] for metric in METRICS}
    if "detection" in metrics:
        confidence = metrics["detection"]["values"]["confidence"]["box"]
        for column, arm in FIG3.items():
            numbers[f"Fig. 3, {column}: confidence"] = confidence[arm]["end"]
    return numbers


def flow_times(imagenet: Mapping[str, Any]) -> dict[str, float]:
    """Return where x(K) lies in the figure of PSNR along the path: medians over the photos."""
    numbers = {}
    for arm, words in ARMS.items():
        K = [k for k in imagenet["arms"][arm]["K"] if k >= 0]
        psnr = [value for value in imagenet["quality"]["jnd"][arm]["PSNR"] if value is not None]
        if K and psnr:
            alpha = imagenet["paths"]["to K"][arm]["alpha"]
            numbers[f"flow time αK, median, {words}"] = alpha * median(K)
            numbers[f"PSNR at x(K), median, {words}"] = median(psnr)
    return numbers


def numbers_table(
    printed: Mapping[str, float],
    predicted: Mapping[str, Sequence[float | None]],
    runs: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return a row for each number: printed, predicted, and a column for each run.

    Args:
        printed: from :func:`printed_numbers`.
        predicted: name -> the ends of its interval, for the profile paper.
        runs: title -> from :func:`measured_numbers`, or words by name.
    """
    names = [*predicted, *printed]
    for numbers in runs.values():
        names += numbers
    rows = []
    for name in dict.fromkeys(names):
        row = {"": name, "printed": number(printed.get(name), ".4g")}
        low, high = predicted.get(name, (None, None))
        row["predicted"] = interval(low, high, ".3g")
        for title, numbers in runs.items():
            value = numbers.get(name)
            row[title] = value if isinstance(value, str) else number(value, ".4g")
        rows.append(row)
    return table(rows)


def largest_difference(run: Mapping[str, float], other: Mapping[str, float]) -> str:
    """Return by how much two runs differ at most, in per cent, and where.

    Differences between arms are left out: next to 0, their share says nothing.
    """
    shares = {
        name: abs(value - other[name]) / max(abs(value), abs(other[name]), 1e-12)
        for name, value in run.items()
        if name in other and " − " not in name and None not in (value, other[name])
    }
    if not any(shares.values()):
        return "none"
    name = max(shares, key=lambda name: shares[name])
    return f"{number(100 * shares[name], '.2g')} % ({name})"


def accepted_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the runs in data/replications, the earliest first."""
    runs = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    return sorted(runs, key=lambda run: run["date"])


def beside(
    verdict: Mapping[str, Any],
    claim: Mapping[str, Any],
    accepted: Sequence[Mapping[str, Any]],
    metrics: Metrics,
) -> dict[str, Any]:
    """Return a verdict with the accepted runs as further set-ups, which it does not count.

    Left out are the run that the book shows, a claim that was judged by other checks, and one that
    a run of that profile does not decide.

    Args:
        verdict: on ``claim``, in the run that the book shows.
        claim: entry of ``claims`` in data/paper.yaml.
        accepted: from :func:`accepted_runs`.
        metrics: of the run that the book shows.
    """
    shown = max(content["provenance"]["date"] for content in metrics.values())
    setups = [*verdict["setups"]]
    for run in accepted:
        theirs = run["claims"].get(verdict["id"])
        decides = run["profile"] in claim.get("only", [run["profile"]])
        same = theirs is not None and theirs["checks"] == claim.get("checks")
        if run["date"] != shown and decides and same:
            devices = "; ".join(run["devices"])
            title = f"{run['name']}, {run['profile']}, {devices} (not counted)"
            setups.append(theirs | {"setup": title})
    return {**verdict, "setups": setups}


def ledger_page(
    accepted: Sequence[Mapping[str, Any]],
    paper: Mapping[str, Any],
    predicted: Mapping[str, Sequence[float]],
) -> SimpleNamespace:
    """Return the tables of the ledger: ``runs``, a row for each, and ``numbers``, a column."""
    if not accepted:
        return SimpleNamespace(runs="No run has been accepted yet.", numbers="")
    first: dict[str, Mapping[str, Any]] = {}
    rows = []
    for run in accepted:
        reference = first.setdefault(run["profile"], run)
        rows.append(
            {
                "run": f"{run['name']}, {run['profile']}",
                "hardware": "; ".join(run["devices"]),
                "date": run["date"][:10],
                "commit": ", ".join(map(short, run["commits"])),
                "clean": "yes" if run["clean"] else "no",
                "verified": run["verified"],
                "from the first": "–"
                if run is reference
                else largest_difference(run["numbers"], reference["numbers"]),
            }
        )
    columns = {f"{run['name']}, {run['profile']}": run["numbers"] for run in accepted}
    return SimpleNamespace(
        runs=table(rows, text_columns=len(rows[0])),
        numbers=numbers_table(printed_numbers(paper), predicted, columns),
    )
