"""Which files of a folder are photos, and to which folder an output belongs."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from companion.listing import OWNER, check_owner, claim, left_out, list_photos, shard_of, state_of


def test_photos_are_told_by_their_endings_and_the_rest_is_counted(tmp_path):
    for name in ("b.JPG", "a.jpeg", "c.jpe", "d.jfif", "e.png", "f.webp", "g.webp", "Makefile"):
        (tmp_path / name).touch()
    photos, others = list_photos(tmp_path)
    assert photos == ["a.jpeg", "b.JPG", "c.jpe", "d.jfif", "e.png"]
    message = left_out("DIR", others)
    assert message.startswith("DIR: 3 left out (2 .webp, 1 without an ending)")


def test_linked_subfolders_are_followed_and_loops_end(tmp_path):
    images = tmp_path / "images"
    linked = tmp_path / "elsewhere"
    for folder in (images / "album.jpg", linked):
        folder.mkdir(parents=True)
        (folder / "x.png").touch()
    (images / "linked").symlink_to(linked)
    (images / "loop").symlink_to(images)
    (linked / "back").symlink_to(images)
    (images / "itself").symlink_to("itself")
    photos, others = list_photos(images)
    assert photos == ["album.jpg/x.png", "linked/x.png"] and others.total() == 1


def test_a_dangling_link_and_a_name_that_is_no_utf8_are_listed(tmp_path):
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).touch()
    photos, _ = list_photos(tmp_path)
    assert photos == [name, "dangling.jpg"]
    state = state_of(tmp_path, photos)
    os.utime(tmp_path / name, (0, 0))
    assert state_of(tmp_path, photos) != state


def test_shards_are_pieces_of_the_list():
    assert [shard_of("abcde", i, 2) for i in range(3)] == ["ab", "cd", "e"]


def test_an_output_belongs_to_one_folder_of_photos(tmp_path):
    check_owner(tmp_path, "A")  # still to no one
    claim(tmp_path, "A")
    claim(tmp_path, tmp_path.cwd() / "A")  # the same
    for refuse in (check_owner, claim):
        with pytest.raises(ValueError, match="belongs to the photos in .*A, not to those in B"):
            refuse(tmp_path, "B")
    (tmp_path / OWNER).unlink()
    claim(tmp_path, "B")


def test_of_several_that_begin_at_once_one_gets_the_output(tmp_path):
    barrier = Barrier(8)

    def begin(images):
        barrier.wait()
        try:
            claim(tmp_path, images)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, "ABCDEFGH")) == 1


def test_listing_is_light():
    """Snakemake lists the photos again in each of its processes."""
    script = "import sys, companion.listing, companion.parameters; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
