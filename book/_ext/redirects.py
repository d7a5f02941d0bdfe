"""Pages at the addresses that have moved, which lead to where their content is now."""

from pathlib import Path

MOVED = {
    "method": "notebooks/idea.html#part-method",
    "notebooks/derivation": "notebooks/reading.html#part-derivation",
    "notebooks/pictures": "notebooks/comparison.html#part-pictures",
    "real-cifar10": "notebooks/cifar10.html",
    "real-photos": "notebooks/imagenet.html",
    "real-road": "notebooks/detection.html#part-real-road",
    "step-by-step": "index.html",
}
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>This page has moved</title>
<meta http-equiv="refresh" content="0; url={address}">
<p>This page has moved: <a href="{address}">go on</a>.</p>
"""


def write_redirects(app, error: Exception | None) -> None:
    if error or app.builder.name != "html":
        return
    for old, new in MOVED.items():
        address = "../" * old.count("/") + new
        Path(app.outdir, f"{old}.html").write_text(PAGE.format(address=address), "utf-8")


def setup(app) -> dict:
    app.connect("build-finished", write_redirects)
    return {"parallel_read_safe": True}
