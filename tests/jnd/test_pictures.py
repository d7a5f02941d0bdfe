import numpy as np
import pytest
import torch
from PIL import Image

from jnd.pictures import eight_bit, save_png


def test_eight_bit_rounds_and_clips():
    assert eight_bit(torch.tensor([-3.0, 0.4, 0.6, 254.7, 300.0])).tolist() == [0, 0, 1, 255, 255]


def test_a_saved_picture_has_the_same_pixels(tmp_path, generator):
    x = torch.randint(256, (3, 5, 7), generator=generator).float()
    save_png(tmp_path / "x.png", x)
    with Image.open(tmp_path / "x.png") as file:
        assert file.format == "PNG"
        assert np.array_equal(np.array(file), x.permute(1, 2, 0).numpy())


def test_a_picture_of_a_descent_can_be_saved_as_it_is(tmp_path, generator):
    """A slice of a batch, with a gradient, in channels_last and in float64."""
    x = torch.randint(256, (2, 3, 5, 7), generator=generator).double().requires_grad_()
    save_png(str(tmp_path / "x.PNG"), x.contiguous(memory_format=torch.channels_last)[1])
    pixels = np.array(Image.open(tmp_path / "x.PNG"))
    assert np.array_equal(pixels, x[1].detach().permute(1, 2, 0).numpy())


@pytest.mark.parametrize("level", [0.5, -1.0, 256.0, float("nan"), float("inf")])
def test_an_image_that_rounding_would_change_is_not_written(tmp_path, level):
    x = torch.full((3, 2, 2), 7.0)
    x[1, 1, 0] = level
    with pytest.raises(ValueError, match="holds whole grey levels"):
        save_png(tmp_path / "x.png", x)
    assert not list(tmp_path.iterdir())


def test_wrong_shapes_and_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has the shape \(3, H, W\), not \(1, 3, 2, 2\)"):
        save_png(tmp_path / "x.png", torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="ends in .png"):
        save_png(tmp_path / "x.jpg", torch.zeros(3, 2, 2))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(tmp_path, monkeypatch):
    def full_disk(image, path, format):
        path.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    save_png(tmp_path / "x.png", torch.zeros(3, 2, 2))
    before = (tmp_path / "x.png").read_bytes()
    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_png(tmp_path / "x.png", torch.ones(3, 2, 2))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
