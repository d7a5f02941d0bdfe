"""Light pictures: WebP instead of PNG, loaded when the reader comes near them.

Their size is in the page, so that nothing jumps when they arrive. A wide one scrolls on a phone
rather than shrink until its words cannot be read (book.css). The results keep their PNG.
"""

from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator


def write_webp(png: Path) -> Path:
    """Write the picture as WebP beside it: lossless, unless that takes over twice as much."""
    exact = png.with_suffix(".exact.webp")
    target = png.with_suffix(".webp")
    with Image.open(png) as picture:
        picture.convert("RGB").save(exact, lossless=True)
        picture.convert("RGB").save(target, quality=85)
    if exact.stat().st_size < 2 * target.stat().st_size:
        exact.replace(target)
    exact.unlink(missing_ok=True)
    return target


class AsWebP(SphinxTransform):
    """Replace PNG by WebP, before Sphinx collects the pictures of a page."""

    default_priority = 500

    def apply(self, **_) -> None:
        for node in self.document.findall(nodes.image):
            path = self.env.relfn2path(node["uri"], self.env.docname)[1]
            if path.endswith(".png"):
                self.env.note_dependency(path)
                write_webp(Path(path))
                node["uri"] = node["uri"].removesuffix(".png") + ".webp"


def visit_image(self: HTML5Translator, node: nodes.image) -> None:
    path = Path(self.builder.srcdir, node["uri"])
    HTML5Translator.visit_image(self, node)
    if path.suffix != ".svg" and path.exists():
        with Image.open(path) as picture:
            width, height = picture.size
        # what prints the book as one document loads nothing late
        lazy = ' loading="lazy"' if self.builder.name == "html" else ""
        size = f'width="{width}" height="{height}" style="--width: {width}px"{lazy}'
        self.body[-1] = self.body[-1].replace("<img ", f"<img {size} ", 1)
    if not isinstance(node.parent, nodes.TextElement):
        self.body[-1] = f'<div class="picture">{self.body[-1]}</div>'


def drop_icon_script(app, error: Exception | None) -> None:
    """Empty the theme's script of 1.5 MB that draws its icons, which its font draws already."""
    script = Path(app.outdir, "_static", "scripts", "fontawesome.js")
    if not error and script.exists():
        script.write_text("")


def setup(app) -> dict:
    app.add_transform(AsWebP)
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
    app.connect("build-finished", drop_icon_script)
    return {"parallel_read_safe": True}
