import hashlib

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

from jnd import datasets
from jnd.datasets import load_photos, read_rgb


def saved(path, array):
    Image.fromarray(array).save(path)
    return str(path)


def test_a_registered_crop_is_the_files_pixels():
    photos, hashes = load_photos(["helmet"], 224)  # a crop of 224 pixels is not resized
    expected = skimage.data.astronaut()[288:512, 272:496]
    assert photos.dtype == torch.float32
    assert np.array_equal(photos[0].permute(1, 2, 0).numpy(), expected)
    assert hashes == {"helmet": datasets.REGISTRY["files"]["astronaut.png"]["sha256"]}


def test_a_file_is_cut_to_its_central_square(tmp_path):
    array = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)
    photos, _ = load_photos([saved(tmp_path / "mine.png", array)], 6)
    assert np.array_equal(photos[0].permute(1, 2, 0).numpy(), array[:, 2:8])


def test_resizing_is_antialiased_and_gives_whole_grey_levels():
    photos, _ = load_photos(["cat"], 75)  # from 300 pixels: triangle filter of 8 pixels
    assert torch.equal(photos, photos.round())
    left, top, side = datasets.REGISTRY["photos"]["cat"]["crop"]
    array = skimage.data.chelsea()[top : top + side, left : left + side]
    image = Image.fromarray(array).resize((75, 75), Image.BILINEAR)
    assert np.abs(photos[0].permute(1, 2, 0).numpy() - np.asarray(image)).max() <= 1


def test_every_registered_crop_lies_inside_its_photo():
    for name, photo in datasets.REGISTRY["photos"].items():
        if "crop" in photo:
            left, top, side = photo["crop"]
            _, height, width = read_rgb(datasets.fetch(photo["file"])).shape
            assert 224 <= side and left + side <= width and top + side <= height, name


@pytest.mark.parametrize(
    "mode, array",
    [
        ("L", np.zeros((4, 4), np.uint8)),
        ("RGBA", np.zeros((4, 4, 4), np.uint8)),
        ("I;16", np.zeros((4, 4), np.uint16)),
    ],
)
def test_pictures_that_are_not_8_bit_rgb(tmp_path, mode, array):
    with pytest.raises(ValueError, match=rf"mode {mode}, not 8-bit RGB; convert it"):
        load_photos([saved(tmp_path / "mine.png", array)], 4)


def test_unknown_names_are_refused_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr(datasets, "fetch", lambda name: pytest.fail("fetched"))
    with pytest.raises(ValueError, match="no photo 'brown_baer': .* brown_bear"):
        load_photos(["astronaut", "brown_baer"], 224)
    with pytest.raises(ValueError, match="size = 0"):
        load_photos(["astronaut"], 0)
    with pytest.raises(ValueError, match="no photo is named"):
        load_photos([], 224)


@pytest.fixture
def registered(monkeypatch, tmp_path):
    """A registered file with an address where nobody listens, and an empty cache."""
    content = b"a photo"
    entry = {"url": "http://127.0.0.1:9/photo.jpg", "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setitem(datasets.REGISTRY["files"], "photo.jpg", entry)
    monkeypatch.setenv("JND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JND_MIRROR", raising=False)
    return content


def test_the_mirror_comes_before_the_network(registered, monkeypatch, tmp_path):
    monkeypatch.setenv("JND_MIRROR", str(tmp_path))
    (tmp_path / "photo.jpg").write_bytes(registered)
    assert datasets.fetch("photo.jpg").read_bytes() == registered


def test_a_file_with_another_hash_is_refused(registered, monkeypatch, tmp_path):
    monkeypatch.setenv("JND_MIRROR", str(tmp_path))
    (tmp_path / "photo.jpg").write_bytes(registered[:-1])
    with pytest.raises(ValueError, match="is not the registered file"):
        datasets.fetch("photo.jpg")


def test_without_network_the_message_says_what_to_do(registered, tmp_path):
    with pytest.raises(OSError, match="could not fetch photo.jpg .* JND_MIRROR"):
        datasets.fetch("photo.jpg")
    assert not list((tmp_path / "cache").glob("*.jpg"))
