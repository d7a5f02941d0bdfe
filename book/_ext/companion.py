"""Numbers for the pages: the paper's from data/paper.yaml, ours from the results."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import judgement
import pairs
import setups
import table2
import yaml
from dots import paired_dots
from full_size import full_size
from reference import ARMS, cards, files_table, scale, speed, status
from sphinx.errors import ExtensionError

from jnd.companion.provenance import provenance_line
from jnd.studies.multiverse import LABEL, label_text
from jnd.studies.statistics import reach_of_few


def namespace(items: dict) -> SimpleNamespace:
    """On a dict Jinja would take a key called `values` or `items` for the dict's method.

    metrics.json has null for numbers that are not finite; pages format them as nan. A K of -1,
    which is none, is a dash.
    """
    found = {k: math.nan if v is None else v for k, v in items.items()}
    if isinstance(K := found.get("K"), list):
        found["K"] = ["–" if k == -1 else k for k in K]
    return SimpleNamespace(**found)


FEW = (
    10,
    4,
)  # pairs that the paper may have: the caption's ten images, or half of the text's eight


def told_by_few(test: SimpleNamespace) -> dict[str, list[float]]:
    """Of each metric the least difference that as few pairs as the paper's can tell from none."""
    return {
        name: [reach_of_few(row.low, row.high, row.images, n) for n in FEW]
        for name, row in vars(test).items()
    }


def test_table(test: SimpleNamespace) -> str:
    """The paired test of a notebook's metrics.json, as a Markdown table."""
    few = [f"± of {n} pairs" for n in FEW]
    lines = [
        f"| | images | with | without | difference | 95 % interval | {' | '.join(few)} | p |",
        "|---|" + "--:|" * (6 + len(few)),
    ]
    for name, row in vars(test).items():
        r = vars(row)
        reach = [f"{least:.2g}" for least in told_by_few(test)[name]]
        lines.append(
            f"| {name} | {r['images']} | {r['with']:.3g} ± {r['with, sd']:.2g} "
            f"| {r['without']:.3g} ± {r['without, sd']:.2g} | {r['difference']:.2g} "
            f"| {r['low']:.2g} to {r['high']:.2g} | {' | '.join(reach)} "
            f"| {r['p_holm']:.1g} |".replace("-", "−")
        )
    return "\n".join(lines)


def pipelines_table(rows: list[SimpleNamespace]) -> str:
    """The first pipelines of a table of forensics, and what they give with and without."""
    lines = ["| | noise, dB | UQI | SCC | VIF | near |", "|---|--:|--:|--:|--:|--:|"]
    for row in map(vars, rows):
        means = [
            " / ".join(f"{row[f'{name}, {arm}']:.{digits}f}" for arm in ARMS.values())
            for name, digits in {"noise": 1, "UQI": 2, "SCC": 2, "VIF": 2}.items()
        ]
        near = "" if math.isnan(row["near"]) else f"{row['near']:.0f} of 6"
        label = label_text([row[name] for name in LABEL])
        lines.append(f"| {' | '.join([label, *means, near])} |".replace("nan / nan", "–"))
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


def measured_elsewhere(folder: Path) -> SimpleNamespace:
    """Results that are kept in the repository, as their photos or machines may not be passed on."""
    pages = {}
    for path in folder.glob("*.json"):
        page = pages[path.stem] = load_page(path)
        if hasattr(page, "many"):
            page.test_table = test_table(page.many.test)
            page.few = namespace(told_by_few(page.many.test))
        if path.stem.endswith("forensics"):
            page.pipelines_table = pipelines_table(page.table2[:5])
            page.chance = page.by_chance.table2[-1]
    pages["pictures"].table = pairs.ways(read_json(folder / "pictures.json"))
    pages["comparison"].table = pairs.gap(read_json(folder / "comparison.json"))
    return SimpleNamespace(**pages)


def side_by_side(data: Path, paper: dict, results: Path) -> SimpleNamespace:
    """The ImageNet notebook of this run and of data/measured: tables, and who made them."""
    measured = {name: read_json(data / "measured" / f"{name}.json") for name in setups.SETUPS}
    ours = read_json(results / "imagenet" / "metrics.json")
    made = ours["provenance"]
    pages = {f"{made['data']}, {made['machine']}: this run, profile {made['profile']}": ours}
    pages |= {f"ten ImageNet photos, {t}": measured[name] for name, t in setups.SETUPS.items()}
    printed = paper["tables"]["table1"]
    predicted = yaml.safe_load((data / "prediction.yaml").read_text("utf-8"))
    lines = [provenance_line(page["provenance"]) for page in pages.values()]
    return SimpleNamespace(
        **{arm: setups.quality(arm, printed[of], pages) for arm, of in ARMS.items()},
        dots=paired_dots(
            printed, {ARMS[arm]: ours["values"]["table1"]["end"][arm] for arm in ARMS}
        ),
        first_flips=setups.first_flips(measured),
        prediction=setups.prediction(predicted, setups.printed_numbers(paper), ours),
        predicted=predicted,
        lines=". ".join(lines),
    )


def read_json(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def load_numbers(app, config) -> None:
    """Make `paper`, each notebook, what is in data/measured, and the tables of pages substitutions:

    `{{ imagenet.table1.jnd.full.PSNR }}`, `{{ setups.full }}`, `{{ claims.table }}`.
    """
    if "JND_BOOK_RESULTS" not in os.environ:
        raise ExtensionError("build the book with `python book/build.py`")
    data = Path(app.srcdir).parent / "data"
    paper = yaml.safe_load((data / "paper.yaml").read_text("utf-8"))
    results = Path(os.environ["JND_BOOK_RESULTS"])
    metrics = sorted(results.glob("*/metrics.json"))
    pages = {"paper": json.loads(json.dumps(paper), object_hook=namespace)}
    pages |= {path.parent.name: load_page(path) for path in metrics}
    pages["speed"] = speed(json.loads((data / "speed.json").read_text("utf-8")))
    pages["scale"] = scale(json.loads((data / "scale.json").read_text("utf-8")))
    pages["full_size"] = full_size(json.loads((data / "paper_cost.json").read_text("utf-8")))
    pages["measured"] = measured_elsewhere(data / "measured")
    pages["setups"] = side_by_side(data, paper, results)
    pages["table2"] = table2.beside(
        paper["tables"]["table2"],
        *(
            read_json(data / "measured" / f"{name}.json")["values"]
            for name in ("cifar10", "cifar10_enlarged")
        ),
    )
    verdicts = json.loads((results / "claims.json").read_text("utf-8"))
    pages["claims"] = judgement.page(
        paper["claims"], verdicts, {path.parent.name for path in metrics}, data / "measured"
    )
    pages["status"] = status(
        {path.parent.name: json.loads(path.read_text("utf-8")) for path in metrics},
        paper["claims"],
        {verdict["id"]: verdict["verdict"] for verdict in verdicts},
    )
    registry = yaml.safe_load((data / "registry.yaml").read_text("utf-8"))["files"]
    pages["files"] = files_table(registry, sorted((data / "weights").glob("*.safetensors")))
    pages["cards"] = cards(data / "weights")
    config.myst_substitutions.update(pages)


def setup(app) -> dict:
    app.connect("config-inited", load_numbers)
    return {"parallel_read_safe": True}
