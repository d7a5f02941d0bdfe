"""Make a clone of the repository usable in Colab: python companion/notebooks/colab.py

Installs the package without its dependencies, then those that Colab lacks. What is there keeps its
version, torch and numpy above all: pip refuses whatever would change one.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from tempfile import NamedTemporaryFile

REPOSITORY = Path(__file__).resolve().parents[1]


def missing(requirements: list[str], installed: dict[str, str]) -> list[str]:
    """The requirements whose package is not installed, in whatever version."""
    return [r for r in requirements if canonical(re.split(r"[^\w.-]", r)[0]) not in installed]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], check=True)


if __name__ == "__main__":
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    installed = {canonical(d.name): d.version for d in distributions()}
    asked = project["dependencies"] + project["optional-dependencies"]["companion"]
    if needed := missing(asked, installed):
        with NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.writelines(f"{name}=={version}\n" for name, version in installed.items())
            constraints.flush()
            install("--constraint", constraints.name, *needed)
    install("--no-deps", "--editable", REPOSITORY)
