"""The directive `{viewer} NOTEBOOK`: a slider over the images that a notebook has kept.

Two descents of a photo, with regularisation and without, are side by side on one scale. The
notebook leaves the numbers in viewer.json and the images in viewer.safetensors; here they become
strips of small pictures, which lie beside the book's others. A strip of changes has few colours and
loses nothing: a lossy picture would have specks of others. Without JavaScript, and on paper, the
directive shows x(K).
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from docutils import nodes
from PIL import Image
from safetensors.torch import load_file
from sphinx.util.docutils import SphinxDirective
from torch import Tensor

from companion.style import CHANGES, reach_of
from jnd.pictures import eight_bit
from page_text import ARMS

PATH = 0.9  # where on the axis the path ends, of 1
END = 0.98  # where the end of the run is
TICKS = 1000  # of the slider, which is as long as the axis
QUALITY = 45  # of the photos as WebP
COLOURS = 33  # of the changes; in all 256 the strips would be nearly twice as large

PAGE = Template("""
<figure class="viewer" style="--frames: $frames; --at: $at; --k: $k; --K: $K">
$summary
$choices
<div class="viewer-pictures">
$pictures
</div>
<div class="viewer-chart">
<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" \
aria-label="Confidence against iteration: that in the label starts high and falls, the other rises">
$paths
<line class="viewer-K" y2="40"/>
<line class="viewer-now" y2="40"/>
</svg>
<span class="viewer-top">1</span><span class="viewer-bottom">0</span>
<span class="viewer-at-K">$K_text</span>
<span class="viewer-first">k = 0</span><span class="viewer-last">$last</span>\
<span class="viewer-end">end</span>
</div>
<input type="range" max="$ticks" value="$tick" aria-label="Iteration" aria-valuetext="$text" hidden>
<p class="viewer-key">Confidence in <span class="viewer-label">$label</span> \
<span class="viewer-target">$target</span>; thin: without regularisation</p>
<div class="viewer-controls" hidden>
<button type="button" value="0">Original</button> <button type="button" value="K">K</button> \
<button type="button" value="end">End</button> \
<button type="button" class="viewer-moves" value="blink" aria-pressed="false">Blink</button> \
<button type="button" class="viewer-moves" value="play" aria-pressed="false">Play</button>
</div>
<output aria-live="off">$text</output>
<script type="application/json">$photos</script>
<figcaption><p><span class="caption-text">The photo at iteration <em>k</em> with the \
three penalties and without, and what was added so far, amplified: red is more, blue is less, mean \
of the channels. Below, the network&rsquo;s confidence; right of the gap, the end of a longer run \
in larger steps. The slider has its finest steps around <em>K</em>; <em>Blink</em> alternates with \
the original.</span></p>
<div class="legend"><p>$provenance</p></div></figcaption>
</figure>
""")
ALT = {
    "photo": "The photo {} regularisation: up to K, to the eye, the same as the original",
    "change": "What was added to the photo {} regularisation, amplified: red is more, blue is less",
}


@dataclass(frozen=True)
class KeptDescent:
    """One photo in one arm, frame by frame: x(k) along the path and then the end of the run.

    Attributes:
        k: iterations of the frames, without the end.
        K: the first k with another answer; -1: none.
        updates: number of those that lead to the end.
        confidence: of each frame, in label and target.
        change: of each frame, as a part of the photo's norm.
        frames: (F, 3, H, W).
        curve: the confidence at every k up to the last of the path; empty: not kept.
        answer: what M says of x(K); empty: not kept.
    """

    k: list[int]
    K: int
    updates: int
    confidence: list[tuple[float, float]]
    change: list[float]
    frames: Tensor
    curve: Sequence[tuple[float, float]] = ()
    answer: str = ""

    @property
    def frame_of_K(self) -> int | None:
        return self.k.index(self.K) if self.K in self.k else None

    @property
    def added(self) -> Tensor:
        """What was added to the photo, mean of the channels: (F, H, W)."""
        return (self.frames - self.frames[0]).mean(1)

    def svg_paths(self) -> list[str]:
        """Draw the confidence in the label and in the target, and a dash for the end of each."""
        known = [*enumerate(self.curve)] or [*zip(self.k, self.confidence, strict=False)]
        paths = []
        for i in (0, 1):
            points = [f"{100 * PATH * k / self.k[-1]:.2f},{height(pair[i])}" for k, pair in known]
            paths.append(f"M{' '.join(points)} M96,{height(self.confidence[-1][i])} h4")
        return paths


def height(confidence: float) -> str:
    return f"{39 - 38 * confidence:.2f}"


@dataclass(frozen=True)
class KeptPhoto:
    """A photo with its descents, which have frames at the same iterations.

    Attributes:
        notebook, photo: their names.
        names: of the label and of the target.
        arms: arm -> its descent.
    """

    notebook: str
    photo: str
    names: list[str]
    arms: dict[str, KeptDescent]

    @property
    def main(self) -> KeptDescent:
        return next(iter(self.arms.values()))

    @property
    def reaches(self) -> tuple[float, float]:
        """The change at the full colours, for the path and for the end: one for all arms.

        On the path it is that of K, so that what was added until then is visible.
        """
        path = [arm.added[: (arm.frame_of_K or len(arm.k) - 1) + 1] for arm in self.arms.values()]
        end = [arm.added[-1:] for arm in self.arms.values()]
        return reach_of(torch.cat(path)), reach_of(torch.cat(end))

    def file(self, arm: str, kind: str) -> str:
        return f"viewer-{self.notebook}-{self.photo}-{arm}-{kind}.webp"

    def write(self, folder: Path) -> None:
        """Write the strips of all arms."""
        reach, reach_at_end = self.reaches
        colours = mpl.colormaps[CHANGES](np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
        for name, arm in self.arms.items():
            pictures = eight_bit(arm.frames).to(torch.uint8).permute(0, 2, 3, 1).numpy()
            scale = torch.tensor([reach] * len(arm.k) + [reach_at_end]).view(-1, 1, 1)
            shares = (arm.added / scale).clamp(-1, 1).numpy()
            steps = np.rint((1 + shares) / 2 * (COLOURS - 1)).astype(int)
            photo = Image.fromarray(np.hstack([*pictures]))
            photo.save(folder / self.file(name, "photo"), "webp", quality=QUALITY)
            change = Image.fromarray(colours[np.hstack([*steps])])
            change.save(folder / self.file(name, "change"), "webp", lossless=True)

    def text(self, frame: int) -> str:
        """Describe one frame."""
        at_end = frame == len(self.main.k)
        if at_end:
            where = f"End of the run, {self.main.updates} updates in larger steps"
        else:
            where = f"k = {self.main.k[frame]}{' = K' if frame == self.main.frame_of_K else ''}"
        label, target = self.names
        changes = " and ".join(
            f"{100 * arm.change[frame]:.2g} % {ARMS[name]}" for name, arm in self.arms.items()
        )
        in_label, in_target = self.main.confidence[frame]
        return (
            f"{where}: {label} {in_label:.2f}, {target} {in_target:.2f}. The photo has changed by "
            f"{changes} regularisation; colour scale ±{self.reaches[at_end]:.2g} grey levels"
        )

    def summary(self) -> str:
        """Say what becomes of the photo, and by how large a change."""
        frame = self.main.frame_of_K
        words = f"<em>{escape(self.names[0])}</em>"
        if frame is None:
            return words
        answer = self.main.answer
        becomes = f"<em>{escape(answer)}</em>" if answer else "something else"
        return f"{words} + {100 * self.main.change[frame]:.2g}\N{NO-BREAK SPACE}% = {becomes}"

    def description(self, images: str) -> dict[str, Any]:
        """Return all that viewer.js needs; places on the axis are from 0 to 1.

        Args:
            images: address of the folder of the strips.
        """
        main = self.main
        places = [*(PATH * k / main.k[-1] for k in main.k), END]
        known = main.frame_of_K is not None
        target = self.names[1]
        if main.answer:
            target += f" (at K {main.answer})"
        return {
            "photo": self.photo.replace("_", " "),
            "summary": self.summary(),
            "strips": [images + self.file(arm, kind) for kind in ALT for arm in self.arms],
            "names": [self.names[0], target],
            "steps": [{"k": k, "text": self.text(frame)} for frame, k in enumerate(places)],
            "paths": [path for arm in self.arms.values() for path in arm.svg_paths()],
            "start": main.frame_of_K if known else len(main.k) - 1,
            "K": PATH * main.K / main.k[-1] if known else -1,
            "K_text": f"K = {main.K}" if known else "no K up to here",
            "last": main.k[-1],
        }


def viewer_file(notebook: str) -> Path:
    return Path(os.environ["JND_BOOK_RESULTS"], notebook, "viewer.json")


def kept_photos(notebook: str) -> Iterator[KeptPhoto]:
    """Read what a notebook has kept, photo by photo."""
    path = viewer_file(notebook)
    frames = load_file(path.with_suffix(".safetensors"))
    for entry in json.loads(path.read_text("utf-8"))["photos"]:
        photo = entry["photo"]
        arms = {
            arm: KeptDescent(frames=frames[f"{photo}.{arm}"], **numbers)
            for arm, numbers in entry["arms"].items()
        }
        yield KeptPhoto(notebook, photo, entry["names"], arms)


def picture_divs(photo: dict[str, Any], arms: Sequence[str]) -> str:
    """Return a row of pictures and one of changes, with a column for each arm."""
    strips = iter(photo["strips"])
    head = "".join(f"<p>{ARMS[arm]} regularisation</p>" for arm in arms)
    return head + "".join(
        f'<div role="img" class="viewer-{kind}" style="background-image: url({next(strips)})" '
        f'aria-label="{alt.format(ARMS[arm])}"></div>'
        for kind, alt in ALT.items()
        for arm in arms
    )


def choice_of_photo(photos: Sequence[dict[str, Any]]) -> str:
    inputs = "".join(
        f'<label><input type="radio" name="photo" value="{i}"{" checked" if i == 0 else ""}> '
        f"{escape(photo['photo'])}</label>"
        for i, photo in enumerate(photos)
    )
    return f'<fieldset class="viewer-choice" hidden><legend>Photo</legend>{inputs}</fieldset>'


def viewer_html(notebook: str, images: str) -> str:
    """Return a notebook's photos to choose from."""
    kept = [*kept_photos(notebook)]
    photos = [photo.description(images) for photo in kept]
    first = photos[0]
    start = first["start"]
    last = len(first["steps"]) - 1
    provenance = json.loads(viewer_file(notebook).read_text("utf-8"))["provenance"]
    words = {
        **{name: first[name] for name in ("K", "K_text", "last")},
        **dict(zip(("label", "target"), first["names"], strict=True)),
        **first["steps"][start],
        **{"at": start / last, "frames": last + 1, "provenance": provenance},
        **{"ticks": TICKS, "tick": round(TICKS * first["steps"][start]["k"])},
    }
    paths = zip(("label", "target") * 2, first["paths"], strict=True)
    return PAGE.substitute(
        {name: escape(str(word)) for name, word in words.items()},
        summary=f'<p class="viewer-short">{first["summary"]}</p>',
        choices=choice_of_photo(photos) if len(photos) > 1 else "",
        pictures=picture_divs(first, [*kept[0].arms]),
        paths="\n".join(f'<path class="viewer-{name}" d="{path}"/>' for name, path in paths),
        photos=json.dumps(photos).replace("<", "\\u003c"),
    )


class Viewer(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = viewer_file(self.arguments[0])
        self.env.note_dependency(str(path))
        if not path.exists():
            if (path.parents[1] / "run.json").exists():  # results from an archive
                words = "The slider shows photos that may not be passed on: not in the archive."
                return [nodes.paragraph("", words)]
            raise self.error(f"{path} is missing; run the notebook again")
        images = "../" * self.env.docname.count("/") + "_images/"
        return [nodes.raw("", viewer_html(self.arguments[0], images), format="html")]


def write_strips(app, error: Exception | None) -> None:
    """Put the pictures where the pages look for them."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_images")
    folder.mkdir(exist_ok=True)
    for path in Path(os.environ["JND_BOOK_RESULTS"]).glob("*/viewer.json"):
        for photo in kept_photos(path.parent.name):
            photo.write(folder)


def setup(app) -> dict:
    app.add_directive("viewer", Viewer)
    app.connect("build-finished", write_strips)
    return {"parallel_read_safe": True}
