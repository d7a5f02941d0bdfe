"""The commit in a provenance."""

import subprocess

import pytest

from companion import provenance
from companion.provenance import commit


def git(folder, *arguments):
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.check_output(command, text=True).strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, whose sources are said to be the running ones."""
    root = (tmp_path / "repository").resolve()
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "file").write_text("content")
    git(root, "add", "file")
    git(root, "commit", "--quiet", "--message=first")
    monkeypatch.setattr(provenance, "ROOT", root)
    return root


def test_the_commit_and_whether_files_differ_from_it(repository):
    head = git(repository, "rev-parse", "HEAD")
    assert commit() == head
    (repository / "file").write_text("changed")
    assert commit() == f"{head}+"


def test_sources_unpacked_inside_another_repository_have_no_commit(repository, monkeypatch):
    below = repository / "unpacked"
    below.mkdir()
    monkeypatch.setattr(provenance, "ROOT", below)
    assert commit() == "unknown"


def test_variables_that_name_another_repository_do_not_count(repository, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    git(other, "commit", "--quiet", "--allow-empty", "--message=other")
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    assert commit() == head
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert commit() == "unknown"
