"""The directive `{viewer} NOTEBOOK`: a slider over the iterations that jnd.companion.viewer keeps.

With `:first:` it shows the first photo alone, with regularisation. The pictures lie beside the
book's others. Without JavaScript, and on paper, it shows x(K).
"""

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from reference import ARMS
from sphinx.util.docutils import SphinxDirective

WAY, END = 0.9, 0.98  # where on the axis the way ends, and where the end of the run stands

PAGE = Template("""
<figure class="viewer" style="--frames: $frames; --at: $at; --k: $k; --K: $K">
$head
<div class="viewer-pictures">
<div role="img" style="background-image: url($strip)" \
aria-label="The photo as the machine gets it: up to K and beyond, to the eye the same photo"></div>
<div role="img" style="background-image: url($strip)" \
aria-label="What was added to the photo, amplified: red is more, blue is less"></div>
</div>
<div class="viewer-chart">
<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" \
aria-label="Confidence against iteration: that in the label starts high and falls, the other rises">
<path class="viewer-label" d="$label_path"/>
<path class="viewer-target" d="$target_path"/>
<line class="viewer-K" y2="40"/>
<line class="viewer-now" y2="40"/>
</svg>
<span class="viewer-top">1</span><span class="viewer-bottom">0</span>
<span class="viewer-at-K">$K_text</span>
<span class="viewer-first">k = 0</span><span class="viewer-last">$last</span>\
<span class="viewer-end">end</span>
</div>
<p class="viewer-key">Confidence in <span class="viewer-label">$label</span> \
<span class="viewer-target">$target</span></p>
<div class="viewer-controls" hidden>
<button type="button" value="0">Original</button> <button type="button" value="K">K</button> \
<button type="button" value="end">End</button> \
<button type="button" class="viewer-moves" value="blink" aria-pressed="false">Blink</button> \
<button type="button" class="viewer-moves" value="play" aria-pressed="false">Play</button>
<label>Iteration <input type="range" max="$max" value="$start" aria-valuetext="$text"></label>
</div>
<output aria-live="off">$text</output>
<script type="application/json">$ways</script>
<figcaption><p><span class="caption-text">Left, the photo at iteration <em>k</em>; right, what was \
added so far, amplified: red is more, blue is less, mean of the three channels. Below, the \
machine&rsquo;s confidence; behind the gap, that at the end of the run, to which larger steps \
lead.</span></p>
<div class="legend"><p>$provenance</p></div></figcaption>
</figure>
""")


def says(shown: dict, way: dict, frame: int) -> str:
    """What the reader is told of one frame."""
    (label, target), (in_label, in_target) = shown["names"], way["confidence"][frame]
    at_end = frame == len(way["k"])
    if at_end:
        where = f"End of the run, {way['updates']} updates in larger steps"
    else:
        k = way["k"][frame]
        where = f"k = {k}{' = K' if k == way['K'] else ''}"
    return (
        f"{where}: {label} {in_label:.2f}, {target} {in_target:.2f}. Change "
        f"{100 * way['change'][frame]:.2g} % of the photo; full colour is "
        f"{way['reach'][at_end]:.2g} grey levels"
    )


def described(shown: dict, way: dict, strip: str) -> dict[str, Any]:
    """All that the page needs of one way; places on the axis are from 0 to 1."""
    ks = way["k"]
    places = [*(WAY * k / ks[-1] for k in ks), END]
    known = way["K"] in ks
    return {
        "strip": strip,
        "names": shown["names"],
        "steps": [{"k": x, "text": says(shown, way, frame)} for frame, x in enumerate(places)],
        "paths": [path(places, [pair[column] for pair in way["confidence"]]) for column in (0, 1)],
        "start": ks.index(way["K"]) if known else len(ks) - 1,
        "K": WAY * way["K"] / ks[-1] if known else -1,
        "K_text": f"K = {way['K']}" if known else "no K up to here",
        "last": ks[-1],
    }


def path(places: list[float], confidence: list[float]) -> str:
    """A line along the way, and a dash for the end of the run."""
    *way, (_, end) = ((100 * x, 39 - 38 * y) for x, y in zip(places, confidence, strict=True))
    return "M" + " ".join(f"{x:.2f},{y:.2f}" for x, y in way) + f" M96,{end:.2f} h4"


def strips(notebook: str) -> Iterator[tuple[dict, str, str]]:
    """Of every way of a notebook's viewer.json: the photo, the arm and the name of its picture."""
    content = json.loads(kept(notebook).read_text("utf-8"))
    for shown in content["photos"]:
        for arm in shown["ways"]:
            yield shown, arm, f"way-{notebook}-{shown['photo']}-{arm}.webp"


def kept(notebook: str) -> Path:
    return Path(os.environ["JND_BOOK_RESULTS"], notebook, "viewer.json")


def choice(name: str, legend: str, options: list[str]) -> str:
    inputs = "".join(
        f'<label><input type="radio" name="{name}" value="{i}"{" checked" if i == 0 else ""}> '
        f"{escape(option)}</label>"
        for i, option in enumerate(options)
    )
    return f"<fieldset><legend>{legend}</legend>{inputs}</fieldset>"


def choices(found: list[tuple[dict, str, str]]) -> str:
    """What a reader can choose from."""
    photos = list(dict.fromkeys(shown["photo"].replace("_", " ") for shown, _, _ in found))
    arms = list(dict.fromkeys(ARMS[arm] for _, arm, _ in found))
    inputs = choice("photo", "Photo", photos) + choice("arm", "Regularisation", arms)
    return f'<div class="viewer-choice" hidden>{inputs}</div>'


def in_short(shown: dict, way: dict) -> str:
    """What becomes of a photo, and by how large a change."""
    label, known = f"<em>{escape(shown['names'][0])}</em>", way["K"] in way["k"]
    share = 100 * way["change"][way["k"].index(way["K"])] if known else 0
    words = f"{label} + {share:.2g}\N{NO-BREAK SPACE}% of change = something else"
    return f'<p class="viewer-short">{words if known else label}</p>'


def page(notebook: str, images: str, first_alone: bool) -> str:
    """All of a notebook's ways to choose from, or the first of them."""
    found = list(strips(notebook))[: 1 if first_alone else None]
    ways = [described(s, s["ways"][arm], images + name) for s, arm, name in found]
    first = ways[0]
    shown, arm, _ = found[0]
    start, last = first["start"], len(first["steps"]) - 1
    words = {
        **{name: first[name] for name in ("strip", "K", "K_text", "last")},
        **dict(zip(("label", "target"), first["names"], strict=True)),
        **dict(zip(("label_path", "target_path"), first["paths"], strict=True)),
        **first["steps"][start],
        **{"start": start, "max": last, "at": start / last, "frames": last + 1},
        "provenance": json.loads(kept(notebook).read_text("utf-8"))["provenance"],
    }
    return PAGE.substitute(
        {name: escape(str(word)) for name, word in words.items()},
        head=in_short(shown, shown["ways"][arm]) if first_alone else choices(found),
        ways=json.dumps(ways).replace("<", "\\u003c"),
    )


class Viewer(SphinxDirective):
    required_arguments = 1
    option_spec = {"first": directives.flag}

    def run(self) -> list[nodes.Node]:
        path = kept(self.arguments[0])
        self.env.note_dependency(str(path))
        if not path.exists():
            raise self.error(f"{path} is missing; run the notebook again")
        images = "../" * self.env.docname.count("/") + "_images/"
        shown = page(self.arguments[0], images, "first" in self.options)
        return [nodes.raw("", shown, format="html")]


def write_strips(app, error: Exception | None) -> None:
    """Put the pictures where the pages look for them."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_images")
    folder.mkdir(exist_ok=True)
    for viewer in Path(os.environ["JND_BOOK_RESULTS"]).glob("*/viewer.json"):
        for shown, arm, name in strips(viewer.parent.name):
            (folder / name).write_bytes(b64decode(shown["ways"][arm]["strip"].split(",")[1]))


def setup(app) -> dict:
    app.add_directive("viewer", Viewer)
    app.connect("build-finished", write_strips)
    return {"parallel_read_safe": True}
