"""Is this a release, and what is deposited of it: python tests/release.py, or make release

Into dist/ go the wheel, the repository and the book as archives, and SHA256SUMS of all three.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

from jnd.support.files import sha256

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book" / "_build" / "html"


def complaints(root: Path) -> Iterator[str]:
    """What keeps a checkout from being a release."""
    version = version_of(root)
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    heading = re.findall("^## (.*)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    if citation["version"] != version:
        yield f"CITATION.cff has version {citation['version']}, pyproject.toml {version}"
    if "repository-code" not in citation:
        yield "CITATION.cff names no repository: make repository URL=…"
    if heading != f"{version} – {citation.get('date-released')}":
        yield f'CHANGELOG.md begins with "{heading}", not with {version} and date-released'
    if subprocess.check_output(["git", "status", "--porcelain"], cwd=root):
        yield "not all is committed"


def version_of(root: Path) -> str:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def main() -> None:
    if found := [*complaints(ROOT)]:
        sys.exit("\n".join(found))
    if "--check" in sys.argv:
        return
    if not (BOOK / "index.html").exists():
        sys.exit("the book is not built: make reproduce")
    dist, name = ROOT / "dist", f"jnd-{version_of(ROOT)}"
    shutil.rmtree(dist, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", dist, ROOT], check=True)
    archive = ["git", "archive", f"--prefix={name}/", f"--output={dist / name}.zip", "HEAD"]
    subprocess.run(archive, cwd=ROOT, check=True)
    shutil.make_archive(str(dist / f"{name}-book"), "zip", BOOK)
    sums = [f"{sha256(path)}  {path.name}" for path in sorted(dist.iterdir())]
    (dist / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    print(f"To deposit: {dist}\n" + "\n".join(sums))


if __name__ == "__main__":
    main()
