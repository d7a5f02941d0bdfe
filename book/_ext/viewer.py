"""The directive `{viewer} NOTEBOOK`: a slider over the images that a notebook has kept.

With `:first:` it shows the first photo alone, with regularisation. The notebook leaves the numbers
in viewer.json and the images in viewer.safetensors; here they become strips of small pictures,
which lie beside the book's others. Without JavaScript, and on paper, it shows x(K).
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from safetensors.torch import load_file
from sphinx.util.docutils import SphinxDirective
from torch import Tensor

from companion.style import CHANGES, reach_of
from jnd.pictures import eight_bit
from page_text import ARMS

PATH = 0.9  # where on the axis the path ends, of 1
END = 0.98  # where the end of the run stands
QUALITY = 45  # of the strips as WebP

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
<script type="application/json">$descents</script>
<figcaption><p><span class="caption-text">Left, the photo at iteration <em>k</em>; right, what was \
added so far, amplified: red is more, blue is less, mean of the three channels. Below, the \
machine&rsquo;s confidence; behind the gap, that at the end of the run, to which larger steps \
lead.</span></p>
<div class="legend"><p>$provenance</p></div></figcaption>
</figure>
""")


def strip(frames: Tensor, shown: int | None = None) -> tuple[Image.Image, float]:
    """Draw frames side by side, and below each what was added to the first.

    Args:
        frames: (F, 3, H, W), x(0) first.
        shown: the last frame whose change is not beyond the full colours; None: all of them.

    Returns:
        A picture of F·W by 2·H pixels, and the change in grey levels, mean of the channels, that
        has the full red (more) or the full blue (less).
    """
    change = (frames - frames[0]).mean(1)
    reach = reach_of(change[: None if shown is None else shown + 1])
    colours = mpl.colormaps[CHANGES]((change / reach / 2 + 0.5).numpy(), bytes=True)[..., :3]
    pictures = eight_bit(frames).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Image.fromarray(np.vstack([np.hstack([*pictures]), np.hstack([*colours])])), reach


@dataclass(frozen=True)
class KeptDescent:
    """One photo in one arm, frame by frame: x(k) along the path and then the end of the run.

    Attributes:
        file: name of its picture in the book.
        photo, arm: their names.
        names: of the label and of the target.
        k: iterations of the frames, without the end.
        K: the first k with another answer; -1: none.
        updates: number of those that lead to the end.
        confidence: of each frame, in label and target.
        change: of each frame, as a part of the photo's norm.
        frames: (F, 3, H, W).
    """

    file: str
    photo: str
    arm: str
    names: list[str]
    k: list[int]
    K: int
    updates: int
    confidence: list[tuple[float, float]]
    change: list[float]
    frames: Tensor

    @property
    def frame_of_K(self) -> int | None:
        return self.k.index(self.K) if self.K in self.k else None

    @cached_property
    def path_strip(self) -> tuple[Image.Image, float]:
        """The strip along the path, amplified so that what was added until K is visible."""
        return strip(self.frames[:-1], self.frame_of_K)

    @cached_property
    def end_strip(self) -> tuple[Image.Image, float]:
        """x(0) and the end of the run."""
        return strip(self.frames[[0, -1]])

    def write(self, folder: Path) -> None:
        """Write all frames as one lossy picture."""
        path = self.path_strip[0]
        end = self.end_strip[0]
        width = end.width // 2
        whole = Image.new("RGB", (path.width + width, path.height))
        whole.paste(path)
        whole.paste(end.crop((width, 0, 2 * width, end.height)), (path.width, 0))
        whole.save(folder / self.file, "webp", quality=QUALITY)

    def text(self, frame: int) -> str:
        """Describe one frame."""
        if frame == len(self.k):
            where = f"End of the run, {self.updates} updates in larger steps"
            reach = self.end_strip[1]
        else:
            where = f"k = {self.k[frame]}{' = K' if frame == self.frame_of_K else ''}"
            reach = self.path_strip[1]
        label, target = self.names
        in_label, in_target = self.confidence[frame]
        return (
            f"{where}: {label} {in_label:.2f}, {target} {in_target:.2f}. Change "
            f"{100 * self.change[frame]:.2g} % of the photo; full colour is {reach:.2g} grey levels"
        )

    def summary(self) -> str:
        """Say what becomes of the photo, and by how large a change."""
        words = f"<em>{escape(self.names[0])}</em>"
        if self.frame_of_K is not None:
            share = 100 * self.change[self.frame_of_K]
            words += f" + {share:.2g}\N{NO-BREAK SPACE}% of change = something else"
        return f'<p class="viewer-short">{words}</p>'

    def description(self, images: str) -> dict[str, Any]:
        """Return all that viewer.js needs; places on the axis are from 0 to 1.

        Args:
            images: address of the folder of the strips.
        """
        places = [*(PATH * k / self.k[-1] for k in self.k), END]
        steps = [{"k": place, "text": self.text(frame)} for frame, place in enumerate(places)]
        known = self.frame_of_K is not None
        return {
            "strip": images + self.file,
            "names": self.names,
            "steps": steps,
            "paths": [svg_path(places, column) for column in zip(*self.confidence, strict=True)],
            "start": self.frame_of_K if known else len(self.k) - 1,
            "K": PATH * self.K / self.k[-1] if known else -1,
            "K_text": f"K = {self.K}" if known else "no K up to here",
            "last": self.k[-1],
        }


def svg_path(places: list[float], confidence: tuple[float, ...]) -> str:
    """Draw a line along the path, and a dash for the end of the run."""
    *path, (_, end) = ((100 * x, 39 - 38 * y) for x, y in zip(places, confidence, strict=True))
    return "M" + " ".join(f"{x:.2f},{y:.2f}" for x, y in path) + f" M96,{end:.2f} h4"


def viewer_file(notebook: str) -> Path:
    return Path(os.environ["JND_BOOK_RESULTS"], notebook, "viewer.json")


def kept_descents(notebook: str) -> Iterator[KeptDescent]:
    """Read what a notebook has kept, photo by photo and arm by arm."""
    path = viewer_file(notebook)
    frames = load_file(path.with_suffix(".safetensors"))
    for entry in json.loads(path.read_text("utf-8"))["photos"]:
        photo = entry["photo"]
        for arm, numbers in entry["arms"].items():
            file = f"viewer-{notebook}-{photo}-{arm}.webp"
            yield KeptDescent(
                file, photo, arm, entry["names"], frames=frames[f"{photo}.{arm}"], **numbers
            )


def choice(name: str, legend: str, options: list[str]) -> str:
    inputs = "".join(
        f'<label><input type="radio" name="{name}" value="{i}"{" checked" if i == 0 else ""}> '
        f"{escape(option)}</label>"
        for i, option in enumerate(options)
    )
    return f"<fieldset><legend>{legend}</legend>{inputs}</fieldset>"


def choices(shown: list[KeptDescent]) -> str:
    photos = list(dict.fromkeys(descent.photo.replace("_", " ") for descent in shown))
    arms = list(dict.fromkeys(ARMS[descent.arm] for descent in shown))
    inputs = choice("photo", "Photo", photos) + choice("arm", "Regularisation", arms)
    return f'<div class="viewer-choice" hidden>{inputs}</div>'


def viewer_html(notebook: str, images: str, first_alone: bool) -> str:
    """Return all of a notebook's descents to choose from, or the first of them."""
    shown = list(kept_descents(notebook))[: 1 if first_alone else None]
    descents = [descent.description(images) for descent in shown]
    first = descents[0]
    start = first["start"]
    last = len(first["steps"]) - 1
    words = {
        **{name: first[name] for name in ("strip", "K", "K_text", "last")},
        **dict(zip(("label", "target"), first["names"], strict=True)),
        **dict(zip(("label_path", "target_path"), first["paths"], strict=True)),
        **first["steps"][start],
        **{"start": start, "max": last, "at": start / last, "frames": last + 1},
        "provenance": json.loads(viewer_file(notebook).read_text("utf-8"))["provenance"],
    }
    return PAGE.substitute(
        {name: escape(str(word)) for name, word in words.items()},
        head=shown[0].summary() if first_alone else choices(shown),
        descents=json.dumps(descents).replace("<", "\\u003c"),
    )


class Viewer(SphinxDirective):
    required_arguments = 1
    option_spec = {"first": directives.flag}

    def run(self) -> list[nodes.Node]:
        path = viewer_file(self.arguments[0])
        self.env.note_dependency(str(path))
        if not path.exists():
            if (path.parents[1] / "run.json").exists():  # results from an archive
                words = "The slider shows photos that may not be passed on: not in the archive."
                return [nodes.paragraph("", words)]
            raise self.error(f"{path} is missing; run the notebook again")
        images = "../" * self.env.docname.count("/") + "_images/"
        html = viewer_html(self.arguments[0], images, "first" in self.options)
        return [nodes.raw("", html, format="html")]


def write_strips(app, error: Exception | None) -> None:
    """Put the pictures where the pages look for them."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_images")
    folder.mkdir(exist_ok=True)
    for path in Path(os.environ["JND_BOOK_RESULTS"]).glob("*/viewer.json"):
        for descent in kept_descents(path.parent.name):
            descent.write(folder)


def setup(app) -> dict:
    app.add_directive("viewer", Viewer)
    app.connect("build-finished", write_strips)
    return {"parallel_read_safe": True}
