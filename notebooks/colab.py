"""Make a clone of the repository usable in Colab: python repository/notebooks/colab.py

Install jnd and the companion without their dependencies, then those that Colab lacks. Packages that
Colab has keep their versions, torch and numpy above all: pip refuses whatever would change one.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from tempfile import NamedTemporaryFile

NOTEBOOKS = Path(__file__).resolve().parent
PACKAGES = [NOTEBOOKS.parent, NOTEBOOKS]  # jnd and the companion


def missing(requirements: list[str], installed: dict[str, str]) -> list[str]:
    """Return the requirements whose package is not installed in any version."""
    return [r for r in requirements if canonical(re.split(r"[^\w.-]", r)[0]) not in installed]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], check=True)


def main() -> None:
    install("--no-deps", *(word for package in PACKAGES for word in ("--editable", package)))
    installed = {canonical(d.name): d.version for d in distributions()}
    requirements = []
    for package in PACKAGES:
        project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
        requirements += missing(project["dependencies"], installed)
    if requirements:
        with NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.writelines(f"{name}=={version}\n" for name, version in installed.items())
            constraints.flush()
            install("--constraint", constraints.name, *requirements)


if __name__ == "__main__":
    main()
