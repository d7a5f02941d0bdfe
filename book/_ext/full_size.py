"""What the profile paper takes at full size, for the page "How to reproduce", as Markdown."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

REACHED = 4e12  # float32 operations a second, of a GPU: half of what an NVIDIA T4 promises
FORWARDS = 2  # that an update is worth: the gradient of an image costs another
OF_TRAINING = 3  # as the weights have gradients too


def full_size(measured: Mapping[str, Any]) -> SimpleNamespace:
    """What benchmarks/paper.py has measured: ``table``, what it is counted by, and provenance."""
    p, values = measured["provenance"], measured["values"]
    rows, of_jobs = [], []
    for name, job in values["jobs"].items():
        networks = [values["networks"][machine] for machine in job["machines"]]
        work, forwards = job["work"], OF_TRAINING if name == "training" else FORWARDS
        least = work["sure"] + work["forwards"] / forwards
        seconds = (
            sum(of["seconds"] for of in networks),
            sum(forwards * of["forward"] for of in networks) / REACHED,
        )
        spans = [[n * s / 3600 for n in (least, least + work["to_K"])] for s in seconds]
        of_jobs.append(spans)
        memory = max(of["start"] + work["batch"] * of["image"] for of in networks) / 1e3
        title = f"[{name}](notebooks/{name}.ipynb)" if name != "training" else name
        cells = [*map(hours, spans), f"{memory:.1f}", f"{job['bytes'] / 1e9:.2f}"]
        rows.append(f"| {' | '.join([title, *cells])} |")
    head = ["CPU, core hours", "GPU, hours, estimated", "memory on a CPU, GB", "downloads, GB"]
    table = [f"| | {' | '.join(head)} |", "|---|--:|--:|--:|--:|", *rows]
    totals = [[sum(ends) for ends in zip(*of, strict=True)] for of in zip(*of_jobs, strict=True)]
    last = [*map(hours, totals), "", f"{values['bytes'] / 1e9:.2f}"]
    table.append(f"| **in all** | {' | '.join(last)} |")
    return SimpleNamespace(
        table="\n".join(table),
        reached=REACHED / 1e12,
        line=f"{p['processor']}, one thread · torch {p['packages']['torch']} · "
        f"commit {p['commit'][:16]} · {p['date'][:10]}",
        updates=p["updates"],
    )


def hours(span: list[float]) -> str:
    low, high = (f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f}" for value in span)
    return low if low == high else f"{low} to {high}"
