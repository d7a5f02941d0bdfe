"""Numbers for the pages: the paper's from data/paper.yaml, ours from the results."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import yaml
from sphinx.errors import ExtensionError


def namespace(items: dict) -> SimpleNamespace:
    """On a dict Jinja would take a key called `values` or `items` for the dict's method.

    results.py writes numbers that are not finite as null; pages format them as nan.
    """
    return SimpleNamespace(**{k: math.nan if v is None else v for k, v in items.items()})


def provenance_line(made: SimpleNamespace) -> str:
    """What made a notebook's figures and numbers, as jnd.results.Run.line has it below them."""
    return (
        f"Profile {made.profile} · machine {made.machine} {made.machine_sha256:.8} · "
        f"{len(vars(made.data_sha256))} photos · commit {made.commit:.16} · {made.date:.10}"
    )


def load_numbers(app, config) -> None:
    """Make `paper` and each notebook substitutions: `{{ imagenet.table1.jnd.full.PSNR }}`."""
    if "JND_BOOK_RESULTS" not in os.environ:
        raise ExtensionError("build the book with `python book/build.py`")
    paper = yaml.safe_load((Path(app.srcdir).parent / "data" / "paper.yaml").read_text("utf-8"))
    pages = {"paper": json.loads(json.dumps(paper), object_hook=namespace)}
    for path in Path(os.environ["JND_BOOK_RESULTS"]).glob("*/metrics.json"):
        try:
            metrics = json.loads(path.read_text("utf-8"), object_hook=namespace)
            page = pages[path.parent.name] = metrics.values
            page.provenance = metrics.provenance
            page.provenance_line = provenance_line(metrics.provenance)
        except (ValueError, AttributeError) as error:
            raise ExtensionError(f"{path} lacks values or their provenance: {error}") from error
    config.myst_substitutions.update(pages)


def setup(app) -> dict:
    app.connect("config-inited", load_numbers)
    return {"parallel_read_safe": True}
