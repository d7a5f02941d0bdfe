"""The page "Machines and data": every file that the experiments take from outside the code."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from companion.files import sha256
from companion.registry import fetch
from page_text import table


def files_table(registry: Mapping[str, Mapping], weights: Iterable[Path]) -> str:
    """Make a row for every registered file and every weights file."""
    files = []
    for name, entry in registry.items():
        link = entry.get("page") or entry.get("url")
        title = f"[{name}]({link})" if link else name
        cite = f" {{cite:p}}`{entry['cite']}`" if "cite" in entry else ""
        what = f"{entry['source']}{cite}; {origin(entry)}"
        size = entry.get("bytes") or fetch(name).stat().st_size
        files.append((title, what, entry["licence"], size, entry["sha256"]))
    for path in weights:
        what = "weights of a bundled machine; in this repository"
        files.append((path.name, what, "see its card above", path.stat().st_size, sha256(path)))
    rows = [
        {
            "file": title,
            "what it is": what,
            "licence": licence,
            "size": f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB",
            "SHA-256": f"`{digest}`",
        }
        for title, what, licence, size, digest in files
    ]
    return table(rows, text_columns=5)


def origin(entry: Mapping[str, Any]) -> str:
    if "package" in entry:
        return f"comes with the package {entry['package']}"
    return "in this repository" if "path" in entry else "downloaded when asked for"


def model_cards(weights: Path) -> str:
    """Include the model cards of a folder below a heading of the page."""
    return "\n\n".join(
        f"```{{include}} ../data/weights/{card.name}\n:heading-offset: 2\n```"
        for card in sorted(weights.glob("*.md"))
    )
