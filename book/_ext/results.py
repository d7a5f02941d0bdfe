"""Numbers for the pages: the paper's from data/paper.yaml, ours from the results."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from sphinx.errors import ExtensionError

import real_cifar10
import real_photos
import roads
from claims_page import claims_page, status_page
from companion.provenance import provenance_line, short
from front_page import paired_dots
from ledger_page import accepted_runs, beside, ledger_page
from machines_and_data import files_table, model_cards
from prediction import prediction_table, printed_quantities
from speed import full_size, scale, speed


def namespace(items: dict) -> SimpleNamespace:
    """Return a dict as Jinja needs it, which would take its keys `values` or `items` for methods.

    metrics.json has null for numbers that are not finite; pages format them as nan. A K of -1,
    which is none, is a dash.
    """
    values = {key: math.nan if value is None else value for key, value in items.items()}
    K = values.get("K")
    if isinstance(K, list):
        values["K"] = ["–" if k == -1 else k for k in K]
    return SimpleNamespace(**values)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def load_page(path: Path) -> SimpleNamespace:
    """Return the values of a metrics.json with their provenance."""
    try:
        text = path.read_text("utf-8")
        metrics = json.loads(text, object_hook=namespace)
        page = metrics.values
        page.provenance = metrics.provenance
        page.provenance_line = provenance_line(json.loads(text)["provenance"])
    except (ValueError, AttributeError, KeyError) as error:
        raise ExtensionError(f"{path} lacks values or their provenance: {error}") from error
    return page


def measured_elsewhere(folder: Path) -> SimpleNamespace:
    """Return results kept in the repository, as their photos or machines may not be passed on."""
    pages = {}
    for path in folder.glob("*.json"):
        page = pages[path.stem] = load_page(path)
        if hasattr(page, "many"):
            page.test_table = real_cifar10.paired_test(page.many.test)
            page.few = namespace(real_cifar10.noticeable_by_few(page.many.test))
        if path.stem.endswith("forensics"):
            page.pipelines_table = real_cifar10.pipelines(page.table2[:5])
            page.chance = page.by_chance.table2[-1]
    pages["pictures"].table = real_photos.pictures(read_json(folder / "pictures.json"))
    pages["comparison"].table = real_photos.gap(read_json(folder / "comparison.json"))
    return SimpleNamespace(**pages)


def imagenet_setups(data: Path, paper: dict, metrics: dict) -> SimpleNamespace:
    """Return the ImageNet notebook of this run beside those of data/measured: tables, provenance.

    Args:
        data: the repository's data folder.
        paper: data/paper.yaml.
        metrics: notebook -> its metrics.json in this run.
    """
    ours = metrics["imagenet"]
    measured = {name: read_json(data / "measured" / f"{name}.json") for name in real_photos.SETUPS}
    run = ours["provenance"]
    setups = {f"{run['data']}, {run['machine']}: this run, profile {run['profile']}": ours}
    for name, title in real_photos.SETUPS.items():
        setups[f"ten ImageNet photos, {title}"] = measured[name]
    printed = paper["tables"]["table1"]
    latest, *earlier = yaml.safe_load((data / "prediction.yaml").read_text("utf-8"))
    expected = printed_quantities(paper)
    return SimpleNamespace(
        **{moment: real_photos.table1(moment, printed, setups) for moment in ("end", "matched")},
        gains=real_photos.gains(setups),
        largest_gain=real_photos.largest_gain(measured),
        dots=paired_dots(printed, real_photos.printed_columns(ours["values"]["table1"])),
        change=real_photos.mean_change(ours["values"]),
        flipped=real_photos.flipped(ours["values"]),
        first_flips=real_photos.first_flips(measured),
        prediction=prediction_table(latest, expected, metrics),
        predicted=latest,
        predicted_commit=short(latest["commit"]),
        earlier="\n\n".join(
            f":::{{dropdown}} The prediction of {entry['made']} (commit {short(entry['commit'])})\n"
            f"{prediction_table(entry, expected, metrics)}\n:::"
            for entry in earlier
        ),
        trend=real_photos.trend(measured),
        lines=". ".join(provenance_line(content["provenance"]) for content in setups.values()),
    )


def load_numbers(app, config) -> None:
    """Give pages the paper's numbers, each notebook's, those of data/measured, and all tables.

    As substitutions: `{{ imagenet.table1.jnd.full.PSNR }}`, `{{ setups.full }}`,
    `{{ claims.table }}`.
    """
    if "JND_BOOK_RESULTS" not in os.environ:
        raise ExtensionError("build the book with `python book/build.py`")
    data = Path(app.srcdir).parent / "data"
    results = Path(os.environ["JND_BOOK_RESULTS"])
    paper = yaml.safe_load((data / "paper.yaml").read_text("utf-8"))
    registry = yaml.safe_load((data / "registry.yaml").read_text("utf-8"))
    files = {path.parent.name: path for path in sorted(results.glob("*/metrics.json"))}
    notebooks = {name: load_page(path) for name, path in files.items()}
    metrics = {name: read_json(path) for name, path in files.items()}
    accepted = accepted_runs(data / "replications")
    claims = {claim["id"]: claim for claim in paper["claims"]}
    verdicts = {
        verdict["id"]: beside(verdict, claims[verdict["id"]], accepted, metrics)
        for verdict in read_json(results / "claims.json")
    }
    measured = data / "measured"
    latest, *_ = yaml.safe_load((data / "prediction.yaml").read_text("utf-8"))
    config.myst_substitutions |= notebooks | {
        "paper": json.loads(json.dumps(paper), object_hook=namespace),
        "measured": measured_elsewhere(measured),
        "setups": imagenet_setups(data, paper, metrics),
        "table2": real_cifar10.table2(
            paper["tables"]["table2"],
            read_json(measured / "cifar10.json")["values"],
            read_json(measured / "cifar10_enlarged.json")["values"],
        ),
        "roads": roads.scores(
            paper["figures"]["fig3"]["confidence"],
            {
                "rendered road": metrics["detection"]["values"],
                "real road": read_json(measured / "detection.json")["values"],
            },
        ),
        "claims": claims_page(paper["claims"], verdicts),
        "status": status_page(metrics, paper["claims"], verdicts),
        "ledger": ledger_page(accepted, paper, latest["interval"]),
        "speed": speed(read_json(data / "speed.json")),
        "scale": scale(read_json(data / "scale.json")),
        "full_size": full_size(read_json(data / "paper_cost.json")),
        "files": files_table(registry["files"], sorted((data / "weights").glob("*.safetensors"))),
        "cards": model_cards(data / "weights"),
    }


def setup(app) -> dict:
    app.connect("config-inited", load_numbers)
    return {"parallel_read_safe": True}
