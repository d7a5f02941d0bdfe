"""The directive `{viewer} NOTEBOOK`: a slider over the iterations that jnd.companion.viewer keeps.

Everything is in the page; without JavaScript, and on paper, it shows x(K).
"""

import json
import os
from html import escape
from pathlib import Path
from string import Template

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

PAGE = Template("""
<figure class="viewer" style="--strip: url($strip); --frames: $frames; --at: $at; --k: $k">
<div class="viewer-pictures">
<div role="img" aria-label="$photo as the machine gets it: to the eye always the same photo"></div>
<div role="img" aria-label="What was added to $photo, amplified: red is more, blue is less"></div>
</div>
<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" \
aria-label="Confidence against iteration: that in $label starts high, that in $target rises">
<polyline class="viewer-label" points="$label_points"/>
<polyline class="viewer-target" points="$target_points"/>
<line class="viewer-now" y2="40"/>
</svg>
<p class="viewer-key">Confidence, 0 to 1: <span class="viewer-label">$label</span> \
<span class="viewer-target">$target</span></p>
<label>Iteration <input type="range" max="$last" value="$start" aria-valuetext="$text"></label>
<output>$text</output>
<script type="application/json">$steps</script>
<figcaption><p><span class="caption-text">Left, the photo at iteration <em>k</em>; right, what \
was added so far, from blue (&minus;$reach grey levels) to red (+$reach). Drag, or use the arrow \
keys.</span></p>
<div class="legend"><p>$provenance. The amplified change is the mean of the three channels.</p>\
</div></figcaption>
</figure>
""")


def says(shown: dict, frame: int) -> str:
    """What the reader is told of one frame."""
    k, (label, target) = shown["k"][frame], shown["names"]
    in_label, in_target = shown["confidence"][frame]
    change = shown["distance"][frame] / shown["norm"]
    return (
        f"k = {k}{' = K' if k == shown['K'] else ''}: {label} {in_label:.2f}, "
        f"{target} {in_target:.2f}, change {change:.3%} of the photo"
    )


def page(shown: dict) -> str:
    ks, K = shown["k"], shown["K"]
    frames, last = len(ks), len(ks) - 1
    start = ks.index(K) if K in ks else last
    steps = [
        {"at": frame / last, "k": k / ks[-1], "text": says(shown, frame)}
        for frame, k in enumerate(ks)
    ]

    def points(column: int) -> str:
        heights = (39 - 38 * confidence[column] for confidence in shown["confidence"])
        return " ".join(
            f"{100 * step['k']:.2f},{y:.2f}" for step, y in zip(steps, heights, strict=True)
        )

    words = {"photo": shown["photo"].replace("_", " "), "provenance": shown["provenance"]}
    words |= dict(zip(("label", "target"), shown["names"], strict=True)) | steps[start]
    return PAGE.substitute(
        {name: escape(str(word)) for name, word in words.items()},
        strip=shown["strip"],
        frames=frames,
        label_points=points(0),
        target_points=points(1),
        last=last,
        start=start,
        steps=json.dumps(steps).replace("<", "\\u003c"),
        reach=f"{shown['reach']:.2g}",
    )


class Viewer(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = Path(os.environ["JND_BOOK_RESULTS"], self.arguments[0], "viewer.json")
        self.env.note_dependency(str(path))
        try:
            shown = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise self.error(f"{path} is missing; run the notebook again") from error
        return [nodes.raw("", page(shown), format="html")]


def setup(app) -> dict:
    app.add_directive("viewer", Viewer)
    return {"parallel_read_safe": True}
