"""The pages "Speed", "Many photos" and "How to reproduce": what benchmarks/ has measured."""

from collections.abc import Mapping
from statistics import linear_regression
from types import SimpleNamespace
from typing import Any

import numpy as np

from page_text import interval, number, table

GPU_SPEED = 4e12  # float32 operations a second: half of what an NVIDIA T4 promises
FORWARDS = 2  # an update takes as long as: the gradient of an image costs another
TRAINING_FORWARDS = 3  # as the weights have gradients too


def code_and_date(provenance: Mapping[str, Any]) -> str:
    return f"commit {provenance['commit'][:16]} · {provenance['date'][:10]}"


def speed(measured: Mapping[str, Any]) -> SimpleNamespace:
    """Return what benchmarks/bench.py has measured: tables, and ``line``, its provenance."""
    p = measured["provenance"]
    values = measured["values"]
    leaving = values["leaving"]
    metrics = values["metrics"]
    memory = values["memory"]
    others = {
        f"{leaving['photos']} photos until each is noticed; to the end of {leaving['updates']} "
        "updates": [f"{leaving[f'seconds, {how}']:.1f} s" for how in ("leaving", "to the end")],
        "forwards of one image in these, counted": [
            str(leaving[f"image steps, {how}"]) for how in ("leaving", "to the end")
        ],
        "PSNR, UQI, SCC and VIF of a pair of 299×299, one thread; sewar": [
            f"{metrics[library]['ms']:.0f} ms" for library in ("jnd", "sewar")
        ],
        "memory of the process at most: descent of ten images of 299×299 on Inception v3; before "
        "the descent": [f"{memory[when]:.0f} MB" for when in ("peak", "before")],
    }
    packages = ", ".join(f"{name} {version}" for name, version in p["packages"].items())
    gpu = values["gpu"]
    return SimpleNamespace(
        steps=steps_table(values["steps"]),
        others=table(
            {"what": what, "here": here, "compared with": peer}
            for what, (here, peer) in others.items()
        ),
        line=f"{p['processor']}, threads: {p['threads']} · {packages} · {code_and_date(p)}",
        rounds=p["rounds"],
        gpu=steps_table(gpu) if gpu else "**Not measured**: no GPU was at hand.",
        browser=in_browser(values.get("browser")),
    )


def ratio(row: Mapping[str, float]) -> str:
    return f"{row['ratio']:.2f} ({interval(row['low'], row['high'], '.2f')})"


def steps_table(settings: Mapping[str, Mapping]) -> str:
    """Make a row for each setting, and below it a row for each contender."""
    rows = []
    for setting, measured in settings.items():
        cosine = number(measured["cosine"], ".6f") if "cosine" in measured else ""
        rows.append({"": f"**{setting}**", "ms": "", "times the floor": "", "cosine": cosine})
        for name, row in measured["contenders"].items():
            ms = number(row["ms"], ".1f")
            rows.append({"": name, "ms": ms, "times the floor": ratio(row), "cosine": ""})
    return table(rows)


def in_browser(measured: Mapping[str, Any] | None) -> str:
    """Show an update of the book's page beside one of find_jnd, and where that was measured."""
    if measured is None:
        return "**Not measured**: no node was at hand."
    p = measured["provenance"]
    rows = [
        {"": "find_jnd", "ms": measured["pytorch"], "times find_jnd": "1"},
        {"": "the page's scripts", "ms": measured["page"], "times find_jnd": ratio(measured)},
    ]
    return (
        f"{table(rows, '.0f')}\n\n"
        f":::{{div}} provenance\n{p['processor']}, one thread · torch {p['torch']}, "
        f"node {p['node']} · {code_and_date(p)}. Median of {p['rounds']} rounds, in which the two "
        "take turns, and the quartiles of the ratio.\n:::"
    )


def scale(measured: Mapping[str, Any]) -> SimpleNamespace:
    """Return what benchmarks/folder.py has measured: ``table``, ``estimate``, numbers of the text.

    ``per_photo`` and ``start``, seconds on the processor, are the slope of a straight line through
    the runs, less its shards' share of starting, and what a shard of one photo takes; ``off`` is
    the largest distance of a run from that line, as a part of the run.
    """
    p = measured["provenance"]
    values = measured["values"]
    runs = values["runs"]
    start = values["start"]["cpu"]
    photos = [run["photos"] for run in runs]
    seconds = [run["cpu"] for run in runs]
    slope, intercept = linear_regression(photos, seconds)
    per_photo = slope - start / p["shard"]
    forwards = sum(run["forwards"] for run in runs) / sum(photos)
    shards = -(-p["many"] // p["per_job"])
    total = p["many"] * per_photo + shards * start
    costs = {
        f"{p['many']:,} photos × {per_photo:.2f} s": p["many"] * per_photo,
        f"{shards} shards × {start:.1f} s to start": shards * start,
        "**time on one processor core**": total,
        **{f"on {cores} cores": total / cores for cores in (2, 16, 100)},
    }
    estimate = {title: f"{cost / 3600:.1f} h" for title, cost in costs.items()}
    estimate["**time on one processor core**"] = f"**{total / 3600:.1f} h**"
    return SimpleNamespace(
        table=table(
            [
                {
                    "photos": str(run["photos"]),
                    "processor": f"{run['cpu']:.1f} s",
                    "per photo": f"{run['cpu'] / run['photos']:.2f} s",
                    "clock": f"{run['clock']:.1f} s",
                    "memory at most": f"{run['peak']:.0f} MB",
                }
                for run in runs
            ],
            text_columns=0,
        ),
        estimate=table({"step": title, "time": hours} for title, hours in estimate.items()),
        start=start,
        slope=slope,
        off=max(abs(intercept + slope * n - s) / s for n, s in zip(photos, seconds, strict=True)),
        peaks=[run["peak"] for run in runs],
        forwards=forwards,
        per_forward=1e3 * per_photo / forwards,
        planned=values["planned"],
        merged=values["merged"],
        provenance=p,
        parameters=", ".join(f"{name} = {value}" for name, value in p["parameters"].items()),
        line=f"{p['processor']}, one thread · machine {p['machine']} {p['machine_sha256'][:8]} · "
        f"{code_and_date(p)}",
    )


def full_size(measured: Mapping[str, Any]) -> SimpleNamespace:
    """Return what benchmarks/paper.py has measured: ``table``, its assumptions and provenance."""
    p = measured["provenance"]
    values = measured["values"]
    costs: dict[str, tuple[np.ndarray, np.ndarray, str]] = {}
    for name, job in values["jobs"].items():
        networks = [values["networks"][machine] for machine in job["machines"]]
        work = job["work"]
        forwards = TRAINING_FORWARDS if name == "training" else FORWARDS
        updates = np.array([work["sure"], work["sure"] + work["to_K"]])
        cpu = updates * sum(network["seconds"] for network in networks) / 3600
        operations = forwards * sum(network["forward"] for network in networks)
        gpu = updates * operations / GPU_SPEED / 3600
        memory = max(network["start"] + work["batch"] * network["image"] for network in networks)
        title = f"[{name}](#part-{name})" if name != "training" else name
        costs[title] = (cpu, gpu, f"{memory / 1e3:.1f}")
    cpu_total = np.sum([cpu for cpu, *_ in costs.values()], axis=0)
    gpu_total = np.sum([gpu for _, gpu, *_ in costs.values()], axis=0)
    costs["**in all**"] = (cpu_total, gpu_total, "")
    rows = [
        {
            "": title,
            "CPU, core hours": hours(cpu),
            "GPU, hours, estimated": hours(gpu),
            "memory on a CPU, GB": memory,
        }
        for title, (cpu, gpu, memory) in costs.items()
    ]
    return SimpleNamespace(
        table=table(rows),
        downloads=f"{values['bytes'] / 1e9:.2f}",
        reached=GPU_SPEED / 1e12,
        line=f"{p['processor']}, one thread · torch {p['packages']['torch']} · {code_and_date(p)}",
        updates=p["updates"],
    )


def hours(span: np.ndarray) -> str:
    low, high = (f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f}" for value in span)
    return low if low == high else f"{low} to {high}"
