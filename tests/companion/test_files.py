import os
import re

import pytest

from companion.checkpoint import Checkpoint
from companion.files import printable, short_name, writable_folder, write_atomically

LONGEST = 251 * "n" + ".png"


def test_a_file_may_have_the_longest_name(tmp_path):
    write_atomically(tmp_path / LONGEST, b"content")
    assert (tmp_path / LONGEST).read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_is_shortened_where_its_file_could_not_be_written():
    assert short_name("cat.jpg", ".png") == "cat.jpg.png"
    assert short_name(251 * "n", ".png") == LONGEST
    long = short_name(252 * "n", ".png")
    assert re.fullmatch(r"n{234}-[0-9a-f]{16}\.png", long)
    assert short_name(253 * "n", ".png") != long
    name = short_name(126 * "é", ".png")  # of two bytes each
    assert len(os.fsencode(name)) in {254, 255} and name.startswith(100 * "é")


def test_other_bytes_in_a_name_become_printable():
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == r"caf\xe9.jpg"
    assert printable("café.jpg") == "café.jpg"


def test_a_folder_for_results_is_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert writable_folder("~/new/below") == tmp_path / "new" / "below"
    assert not any((tmp_path / "new" / "below").iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/dev/null/below"):
        with pytest.raises(OSError, match=f"nothing can be written into the folder {folder}"):
            writable_folder(folder)
    with pytest.raises(OSError, match="nothing can be written into the folder"):
        Checkpoint(tmp_path / "file" / "state.checkpoint")
