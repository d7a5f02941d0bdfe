"""The directive `{live} PHOTO`: the descent on a photo of the reader's own, in the page.

The scripts come from book/live, the network and the packaged photos from the folder that
`python -m jnd.browser` writes (JND_BOOK_LIVE); both go to _static/live. With `:small:` it takes
packaged photos only and leaves the settings out. Without JavaScript, and on paper, it is a picture.
"""

import os
import shutil
from pathlib import Path
from string import Template

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

SOURCES = Path(__file__).parents[1] / "live"
SCRIPTS = ("weights", "loops", "kernels", "network", "descent", "worker", "photo", "settings", "page")
PHOTOS = ("coffee", "cat", "rocket", "motorcycle")
WIDGET = Template("""
<link rel="stylesheet" href="$folder/live.css">
<div class="live$small" data-photo="$photo">
<figure class="live-still"><img src="$folder/still.png" alt="A photo of a $photo beside what was added to it until the machine changed its answer, amplified: red is more, blue is less"></figure>
<div class="live-sources">
<label class="live-button live-own">Choose a photo<input type="file" accept="image/*"></label>
<label class="live-button live-own live-camera">Take a photo<input type="file" accept="image/*" capture="environment"></label>
<span class="live-own">or drop one here, or take ours:</span>
$thumbnails
</div>
<div class="live-pictures">
<figure><div class="live-stack" style="background-image: url($folder/$photo.webp)"><canvas data-live="original" width="224" height="224"></canvas><canvas data-live="picture" width="224" height="224" role="img" aria-label="The picture as the machine gets it: to the eye always the same photo"></canvas></div>
<figcaption>As the machine gets it, 224 × 224 pixels</figcaption></figure>
<figure><div class="live-stack"><canvas data-live="change" width="224" height="224" role="img" aria-label="What was added to the photo, amplified: red is more, blue is less"></canvas></div>
<figcaption>What was added, from blue to red: <span class="live-value">±<span data-live="reach">0</span> grey levels</span></figcaption></figure>
</div>
<div class="live-buttons">
<button type="button" class="live-button live-first" data-live="start">Start</button>
<button type="button" class="live-button" data-live="step">Step</button>
<button type="button" class="live-button" data-live="end">On to the end</button>
<button type="button" class="live-button" data-live="again">Again</button>
<button type="button" class="live-button" data-live="blink" aria-pressed="false">Blink</button>
<button type="button" class="live-button live-own" data-live="save">Save PNG</button>
<button type="button" class="live-button live-own" data-live="link">Link</button>
</div>
<p class="live-note" role="status" data-live="note"></p>
<div class="live-results">
<div>
<svg data-live="chart" viewBox="0 0 20 40" preserveAspectRatio="none" role="img" aria-label="Confidence against update: that in the first answer, solid, and that in the other one, dashed"><line data-live="mark" y2="40"/><polyline class="live-down" data-live="down"/><polyline class="live-up" data-live="up"/></svg>
<p class="live-key">Confidence, 0 to 1: <span class="live-down" data-live="label">its answer</span> <span class="live-up" data-live="other">another</span></p>
</div>
<ol class="live-answers" data-live="answers" aria-label="The machine's five surest answers"></ol>
<p class="live-numbers">
<span>Update <em>k</em> <b data-live="k">0</b></span>
<span><em>K</em> <b data-live="K">–</b></span>
<span>JND(<em>M</em>) <b data-live="jnd">–</b></span>
<span>PSNR <b data-live="psnr">–</b></span>
<span>Largest change <b data-live="largest">0</b> grey levels</span>
</p>
</div>
<details class="live-own"><summary>Settings</summary>
<form data-live="form">
<label>Target <input name="target" list="live-names" placeholder="none: away from its answer" autocomplete="off"></label>
<datalist id="live-names" data-live="names"></datalist>
<label>Learning rate α <input name="alpha" type="number" min="1e-9" step="any" required></label>
<label>Weight λ of the squared distance <input name="lambda" type="number" min="0" step="any" required></label>
<label>Penalties <select name="arm"><option value="full">all three</option><option value="l2">squared distance only</option><option value="none">none</option></select></label>
<label>Updates at most <input name="updates" type="number" min="1" step="1" required></label>
</form>
<p>α and λ are for pixels from 0 to 1, where BR and TV have the weight 1 as in Eq. 1.</p>
</details>
</div>
$scripts
""")
THUMBNAIL = '<button type="button" data-take="{0}"><img src="{1}/{0}.webp" alt="{0}" width="48" height="48"></button>'


class Live(SphinxDirective):
    required_arguments = 1
    option_spec = {"small": directives.flag}

    def run(self) -> list[nodes.Node]:
        folder = "../" * self.env.docname.count("/") + "_static/live"
        html = WIDGET.substitute(
            folder=folder,
            photo=self.arguments[0],
            small=" live-small" if "small" in self.options else "",
            thumbnails="\n".join(THUMBNAIL.format(name, folder) for name in PHOTOS),
            scripts="\n".join(f'<script defer src="{folder}/{name}.js"></script>' for name in SCRIPTS),
        )
        return [nodes.raw("", html, format="html")]


def copy_files(app, exception) -> None:
    """The scripts and what is made for them, once the pages are there."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_static", "live")
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(os.environ["JND_BOOK_LIVE"])
    for source in (*SOURCES.glob("*.js"), *SOURCES.glob("*.css"), *made.iterdir()):
        shutil.copyfile(source, folder / source.name)


def setup(app) -> dict:
    app.add_directive("live", Live)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True}
