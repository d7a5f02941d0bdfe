"""Spaces at which no line breaks: between a number, also one filled in, and what it counts."""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

BEFORE_UNIT = re.compile(r"(?:(?<=\d)|^) (?=(?:%|dB|px|MB|GB|kB|ms|s|h)(?!\w))")


class KeepUnits(SphinxTransform):
    default_priority = 390

    def apply(self, **_) -> None:
        for text in [*self.document.findall(nodes.Text)]:
            kept = BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text.astext())
            if kept != text.astext() and not isinstance(text.parent, nodes.FixedTextElement):
                text.parent.replace(text, nodes.Text(kept))


def setup(app) -> dict:
    app.add_transform(KeepUnits)
    return {"parallel_read_safe": True}
