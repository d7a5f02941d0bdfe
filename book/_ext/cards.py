"""Cards that explain a word, a work, an equation or a figure beside the link to it.

The first use of each term on a page becomes a link to the page "Words". Once all pages are written,
what such links lead to is gathered for book.js, which shows it.
"""

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

GLOSSARY = "glossary"
WITHOUT_TERMS = {GLOSSARY, "api", "bibliography"}
NOT_TEXT = (
    nodes.title, nodes.reference, nodes.literal, nodes.math, nodes.FixedTextElement, nodes.raw,
    addnodes.pending_xref, nodes.table, nodes.block_quote,
)  # fmt: skip


def picture(output: Tag) -> str:
    """Return the first picture of a cell, or nothing."""
    cell = output.find_parent(class_="cell_output") or output
    image = cell.img
    return f'<img src="{image["src"]}" alt="">' if image else ""


# what is explained, and the part of it that a card shows
TARGETS = {
    "dl.glossary dt[id]": lambda term: term.find_next_sibling("dd").decode_contents(),
    "div.citation[id]": lambda work: work.p.decode_contents(),
    "div.math[id]": lambda equation: equation.decode_contents(),
    "div.cell_output[id], div.cell_output span[id]": picture,
}


def terms(glossary: str) -> list[str]:
    """Return the terms of the page "Words", in its source the lines that are not indented.

    A symbol, such as K, is in too many formulas to be linked.
    """
    block = glossary.split(":::{glossary}\n")[1].split("\n:::")[0]
    return [line for line in block.splitlines() if len(line) > 1 and not line.startswith(" ")]


class LinkTerms(SphinxTransform):
    """Make the first use of each term on a page a link."""

    default_priority = 400

    def apply(self, **_) -> None:
        if self.env.docname in WITHOUT_TERMS:
            return
        source = Path(self.env.doc2path(GLOSSARY))
        self.env.note_dependency(str(source))
        unused = set(terms(source.read_text("utf-8")))
        for text in [*self.document.findall(nodes.Text)]:
            if unused and not within(text, NOT_TEXT):
                text.parent.replace(text, linked(text.astext(), unused))


def within(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds) or {"cell_output", "provenance"} & {*node.get("classes", [])}:
            return True
    return False


def linked(text: str, unused: set[str]) -> list[nodes.Node]:
    """Split a text at the terms that are used for the first time, and link those."""
    pieces: list[nodes.Node] = []
    longest_first = sorted(unused, key=len, reverse=True)
    pattern = rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?![\w-])"
    end = 0
    for match in re.finditer(pattern, text):
        term = match[0]
        if term not in unused:
            continue
        unused.remove(term)
        link = addnodes.pending_xref(
            "", nodes.inline("", term), refdomain="std", reftype="term", reftarget=term
        )
        pieces += [nodes.Text(text[end : match.start()]), link]
        end = match.end()
    return [*pieces, nodes.Text(text[end:])]


def write_cards(app, error: Exception | None) -> None:
    """Write what links can lead to: address -> HTML, with addresses from the root of the book."""
    if error or app.builder.name != "html":
        return
    cards = {}
    for page in app.env.found_docs:
        soup = BeautifulSoup(Path(app.outdir, f"{page}.html").read_text("utf-8"), "html.parser")
        for selector, content in TARGETS.items():
            for target in soup.select(selector):
                html = content(target).replace('src="../', 'src="')
                if html:
                    cards[f"{page}.html#{target['id']}"] = html
    script = f"window.cards = {json.dumps(cards, ensure_ascii=False)};\n"
    Path(app.outdir, "_static", "cards.js").write_text(script, "utf-8")


def setup(app) -> dict:
    app.add_transform(LinkTerms)
    app.add_js_file("cards.js", loading_method="defer")
    app.connect("build-finished", write_cards)
    return {"parallel_read_safe": True}
