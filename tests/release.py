"""Check that this is a release and make the files to deposit: python tests/release.py, make release

dist/ gets the wheels of jnd and of the companion, archives of the repository, the book and the
results in it, and SHA256SUMS of all of them.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

from companion.files import sha256

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book" / "_build" / "html"


def complaints(root: Path) -> Iterator[str]:
    """Say what keeps a checkout from being a release."""
    version = version_of(root)
    companion = version_of(root / "notebooks")
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    heading = re.findall("^## (.*)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    if companion != version:
        yield f"notebooks/pyproject.toml has version {companion}, pyproject.toml {version}"
    if citation["version"] != version:
        yield f"CITATION.cff has version {citation['version']}, pyproject.toml {version}"
    if "repository-code" not in citation:
        yield "CITATION.cff names no repository: make repository URL=…"
    if heading != f"{version} – {citation.get('date-released')}":
        yield f'CHANGELOG.md begins with "{heading}", not with {version} and date-released'
    if subprocess.check_output(["git", "status", "--porcelain"], cwd=root):
        yield "there are changes that are not committed"


def version_of(root: Path) -> str:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def main() -> None:
    problems = [*complaints(ROOT)]
    if problems:
        sys.exit("\n".join(problems))
    if "--check" in sys.argv:
        return
    if not (BOOK / "index.html").exists():
        sys.exit("the book is not built: make reproduce")
    dist = ROOT / "dist"
    name = f"jnd-{version_of(ROOT)}"
    shutil.rmtree(dist, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", dist, ROOT, ROOT / "notebooks"], check=True)
    pack = ROOT / "book" / "ledger" / "archive.py"
    subprocess.run([sys.executable, pack, "bundled"], check=True)
    archive = ["git", "archive", f"--prefix={name}/", f"--output={dist / name}.zip", "HEAD"]
    subprocess.run(archive, cwd=ROOT, check=True)
    shutil.make_archive(str(dist / f"{name}-book"), "zip", BOOK)
    sums = [f"{sha256(path)}  {path.name}" for path in sorted(dist.iterdir())]
    (dist / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    print(f"To deposit: {dist}\n" + "\n".join(sums))


if __name__ == "__main__":
    main()
