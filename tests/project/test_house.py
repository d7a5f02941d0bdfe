"""The house stays as it is laid out: rooms that know only those below, files that can be read."""

import ast
from pathlib import Path

import pytest

from jnd.support.checkout import ROOT

# a room -> those below it; the method is the top of jnd/
BELOW = {
    "support": set(),
    "machines": {"support"},
    "method": {"machines", "support"},
    "studies": {"method", "machines", "support"},
    "companion": {"studies", "method", "machines", "support"},
}
FILES = sorted((ROOT / "jnd").rglob("*.py"))
METHOD = [path for path in FILES if path.parent.name == "jnd"]


def room(path: Path) -> str:
    inside = path.relative_to(ROOT / "jnd")
    return inside.parts[0] if len(inside.parts) > 1 else "method"


def imported(tree: ast.AST) -> set[str]:
    """The rooms that a file imports from; relative imports are not used here."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    parts = [name.split(".") for name in names if name.split(".")[0] == "jnd"]
    return {p[1] if len(p) > 1 and p[1] in BELOW else "method" for p in parts}


def length(function: ast.FunctionDef) -> int:
    """Its lines, without its docstring."""
    body = function.body[ast.get_docstring(function) is not None :] or function.body
    signature = function.body[0].lineno - function.lineno
    return signature + (function.end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_knows_only_rooms_below_and_can_be_read_at_one_sitting(path):
    text = path.read_text("utf-8")
    tree, own = ast.parse(text), room(path)
    assert imported(tree) <= BELOW[own] | {own}
    assert text.count("\n") <= 300
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert {f.name: length(f) for f in functions if length(f) > 65} == {}


def test_the_method_is_small():
    assert sum(path.read_text("utf-8").count("\n") for path in METHOD) <= 1250
