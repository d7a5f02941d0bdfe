"""The repository around the package, read when asked: an installed package works without it."""

from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def data_folder() -> Path:
    """The repository's ``data/``.

    Raises:
        FileNotFoundError: the package was installed without its repository.
    """
    folder = ROOT / "data"
    if not (folder / "registry.yaml").is_file():
        raise FileNotFoundError(
            "the bundled weights, the registry of files and the paper's numbers are in the "
            "repository, not in the installed package: clone it and install it there with "
            "`pip install -e .[companion]`"
        )
    return folder


@cache
def read_data(name: str) -> dict[str, Any]:
    """What a YAML file of ``data/`` says, such as ``"registry"``, or ``"paper"``: what is printed.

    Raises:
        FileNotFoundError: the package was installed without its repository.
    """
    text = (data_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    import yaml  # after the folder: what is installed without a repository need not have it

    return yaml.safe_load(text)
