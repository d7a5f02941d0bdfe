import hashlib
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

from cifar10_files import BATCHES, write_archive
from companion import photos as photos_module
from companion.files import sha256
from companion.photos import (
    load_cifar10,
    load_photos,
    load_picture,
    load_squares,
    packaged_squares,
    read_rgb,
)
from companion.registry import fetch, registered
from odd_photos import jpeg_with_odd_exif, write_16_bit_png


def saved(path, array):
    Image.fromarray(array).save(path)
    return str(path)


def test_a_registered_crop_is_the_files_pixels():
    photos, hashes = load_photos(["shuttle"], 200)  # a crop of 200 pixels is not resized
    expected = skimage.data.astronaut()[40:240, 312:512]
    assert photos.dtype == torch.float32
    assert np.array_equal(photos[0].permute(1, 2, 0).numpy(), expected)
    assert hashes == {"shuttle": registered("files")["astronaut.png"]["sha256"]}


def test_a_file_is_cut_to_its_central_square(tmp_path):
    array = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)
    photos, _ = load_photos([saved(tmp_path / "mine.png", array)], 6)
    assert np.array_equal(photos[0].permute(1, 2, 0).numpy(), array[:, 2:8])


def test_a_photo_from_a_phone_is_upright(tmp_path):
    array = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(array).save(tmp_path / "phone.png", exif=exif)
    pixels = read_rgb(tmp_path / "phone.png")
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.rot90(array, -1))


def test_resizing_is_antialiased_and_gives_whole_grey_levels():
    photos, _ = load_photos(["cat"], 75)  # from 300 pixels: triangle filter of 8 pixels
    assert torch.equal(photos, photos.round())
    left, top, side = registered("photos")["cat"]["crop"]
    array = skimage.data.chelsea()[top : top + side, left : left + side]
    image = Image.fromarray(array).resize((75, 75), Image.BILINEAR)
    assert np.abs(photos[0].permute(1, 2, 0).numpy() - np.asarray(image)).max() <= 1


def test_a_picture_keeps_its_shape(tmp_path):
    array = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)
    name = saved(tmp_path / "mine.png", array)
    as_it_is, hashes = load_picture(name, 10)
    assert np.array_equal(as_it_is[0].permute(1, 2, 0).numpy(), array)
    assert hashes == {name: hashlib.sha256((tmp_path / "mine.png").read_bytes()).hexdigest()}
    assert load_picture(name, 5)[0].shape == (1, 3, 3, 5)
    with pytest.raises(ValueError, match="size = 0, but a picture has at least 1 pixel"):
        load_picture(name, 0)


def test_every_registered_crop_lies_inside_its_photo():
    for name, photo in registered("photos").items():
        if "crop" in photo:
            left, top, side = photo["crop"]
            _, height, width = read_rgb(fetch(photo["file"])).shape
            assert 200 <= side and left + side <= width and top + side <= height, name


@pytest.mark.parametrize(
    "mode, array",
    [
        ("RGBA", np.zeros((4, 4, 4), np.uint8)),
        ("I;16", np.zeros((4, 4), np.uint16)),
    ],
)
def test_pictures_that_are_not_8_bit_rgb(tmp_path, mode, array):
    with pytest.raises(ValueError, match=rf"mode {mode}, not 8-bit RGB; convert it"):
        load_photos([saved(tmp_path / "mine.png", array)], 4)


def test_a_grey_picture_is_taken_as_rgb(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    pixels = read_rgb(saved(tmp_path / "grey.png", grey))
    assert np.array_equal(pixels.numpy(), np.stack([grey] * 3))


def test_16_bits_are_refused_although_pillow_reads_them_as_8(tmp_path, generator):
    pixels = torch.randint(256, (9, 9, 3), generator=generator).byte().numpy()
    path = tmp_path / "deep.png"
    write_16_bit_png(path, pixels)
    assert Image.open(path).mode == "RGB"
    with pytest.raises(ValueError, match="mode 16-bit RGB, not 8-bit RGB; convert it"):
        load_photos([str(path)], 4)


def test_a_sound_jpeg_with_an_odd_exif_block_is_a_value_error(tmp_path):
    path = tmp_path / "odd.jpg"
    path.write_bytes(jpeg_with_odd_exif(np.full((9, 9, 3), 99, np.uint8)))
    with pytest.raises(ValueError, match="odd.jpg cannot be decoded"):
        load_photos([str(path)], 4)


def test_a_photo_that_is_black_where_it_is_used_is_refused(tmp_path):
    array = np.zeros((6, 10, 3), np.uint8)
    array[:, :2] = 255  # beside the central square
    name = saved(tmp_path / "dark.png", array)
    with pytest.raises(ValueError, match="dark.png is black"):
        load_photos([name], 6)
    assert load_picture(name, 10)[0].max() == 255
    with pytest.raises(ValueError, match="black.png is black"):
        load_picture(saved(tmp_path / "black.png", 0 * array), 10)


def test_squares_come_from_the_first_photos_of_a_folder(tmp_path):
    for i in range(3):
        saved(tmp_path / f"{i}.png", np.full((5, 5, 3), 10 + i, np.uint8))
    (tmp_path / "0.txt").touch()
    squares, hashes = load_squares(str(tmp_path), 2, 5)
    assert squares[:, 0, 0, 0].tolist() == [10, 11]
    assert [Path(name).name for name in hashes] == ["0.png", "1.png"]
    with pytest.raises(ValueError, match="has 3 pictures, 4 are needed"):
        load_squares(str(tmp_path), 4, 5)


def test_unknown_names_are_refused_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr(photos_module, "fetch", lambda name: pytest.fail("fetched"))
    with pytest.raises(ValueError, match="no photo 'brown_baer': .* brown_bear"):
        load_photos(["shuttle", "brown_baer"], 224)
    with pytest.raises(ValueError, match="size = 0"):
        load_photos(["shuttle"], 0)
    with pytest.raises(ValueError, match="no photo is named"):
        load_photos([], 224)


def cifar10(count=3):
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(count, 32, 32, 3), dtype=np.uint8)
    return {"images": images, "labels": np.arange(count)}


def test_a_file_of_arrays_serves_as_cifar10(tmp_path):
    arrays = cifar10()
    np.savez(tmp_path / "part.npz", **arrays)
    images, labels, hashes = load_cifar10(tmp_path / "part.npz")
    assert images.dtype == torch.uint8 and labels.tolist() == [0, 1, 2]
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), arrays["images"])
    assert hashes == {"part.npz": hashlib.sha256((tmp_path / "part.npz").read_bytes()).hexdigest()}


@pytest.fixture
def images(generator):
    return torch.randint(256, (6, 3, 32, 32), generator=generator, dtype=torch.uint8)


@pytest.fixture
def archive(tmp_path, images):
    """CIFAR-10's own layout, with one image labelled 0 to test and the others to train."""
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, {name: ([i], images[i : i + 1]) for i, name in enumerate(BATCHES)})
    return path


def test_cifar10s_archive_is_read_without_unpickling(archive, images):
    pixels, labels, _ = load_cifar10(archive)
    assert labels.tolist() == [0] and torch.equal(pixels, images[:1])
    pixels, labels, _ = load_cifar10(archive, train=True)
    assert labels.tolist() == [1, 2, 3, 4, 5] and torch.equal(pixels, images[1:])


def test_the_official_cifar10_is_the_registered_file(archive, monkeypatch, tmp_path):
    monkeypatch.setenv("JND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JND_MIRROR", str(tmp_path))
    with pytest.raises(ValueError, match="not the registered file"):
        load_cifar10("official")
    monkeypatch.setitem(registered("files")[archive.name], "sha256", sha256(archive))
    assert load_cifar10("official")[1].tolist() == [0]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"images": np.zeros((3, 28, 28, 3), np.uint8)}, r"\(N, 32, 32, 3\) uint8 .* not \(3, 28"),
        ({"images": np.zeros((3, 32, 32, 3))}, "not .* float64"),
        ({"labels": np.arange(2)}, "labels N whole numbers"),
        ({"labels": np.array([0, 1, 10])}, "from 0 to 9"),
        ({"labels": np.array([0.5, 1, 2])}, "labels N whole numbers"),
        ({"labels": np.array([{}, 1, 2])}, "cannot be read .*allow_pickle"),
    ],
)
def test_wrong_cifar10_arrays(tmp_path, wrong, message):
    np.savez(tmp_path / "some.npz", **cifar10() | wrong)
    with pytest.raises(ValueError, match=message):
        load_cifar10(tmp_path / "some.npz")


def test_missing_and_damaged_cifar10_files(tmp_path, archive):
    with pytest.raises(FileNotFoundError, match='no data file .*"official" fetches CIFAR-10'):
        load_cifar10(tmp_path / "none.npz")
    np.savez(tmp_path / "some.npz", **cifar10())
    whole = (tmp_path / "some.npz").read_bytes()
    (tmp_path / "some.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="some.npz cannot be read .*download it again"):
        load_cifar10(tmp_path / "some.npz")
    np.savez(tmp_path / "other.npz", pictures=np.zeros(3))
    with pytest.raises(ValueError, match="other.npz cannot be read .*images"):
        load_cifar10(tmp_path / "other.npz")
    archive.write_bytes(archive.read_bytes()[:-500])
    with pytest.raises(ValueError, match="cifar-10-binary.tar.gz cannot be read"):
        load_cifar10(archive)


def test_packaged_squares_are_the_same_each_time():
    squares, hashes = packaged_squares(9, 32)
    assert squares.shape == (9, 3, 32, 32) and torch.equal(squares, squares.round())
    assert torch.equal(squares, packaged_squares(9, 32)[0])
    assert "astronaut.png" in hashes
    assert all(squares[i].std() > 1 for i in range(9))
