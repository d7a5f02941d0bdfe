"""Distortions have the sizes and the forms that their names promise."""

import pytest
import torch

from companion.distortions import (
    DISTORTIONS,
    blurred,
    compressed,
    contrast,
    darker,
    noise_of,
    noisy,
)
from jnd.metrics import psnr
from jnd.trajectory import relative_distance


def random_images(count, size=8):
    return 255 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("distort", [noisy, darker])
@pytest.mark.parametrize("level", [0.05, 0.4])
def test_noise_and_darkness_have_the_size_asked_for(distort, level):
    x0 = random_images(4)
    sizes = relative_distance(distort(x0, level), x0)
    assert torch.allclose(sizes, torch.full((4,), level), rtol=1e-4)


def test_blur_spreads_a_point_by_its_standard_deviation():
    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1000.0
    spread = blurred(point, 2.5)
    offset = torch.arange(41) - 20.0
    assert spread[0, 0].sum().item() == pytest.approx(1000, rel=1e-4)
    assert (spread[0, 0].sum(0) * offset.square()).sum().item() / 1000 == pytest.approx(
        2.5**2, rel=0.01
    )


def test_jpeg_keeps_what_is_flat_and_coarse():
    """A grey level that is a multiple of what the first coefficient is rounded to comes back."""
    grey = torch.full((2, 3, 32, 32), 128.0)
    assert torch.equal(compressed(grey, 100), grey)
    fine = grey + 4 * (torch.arange(32) % 2)
    assert relative_distance(compressed(fine, 1), fine).max() < 0.01
    assert torch.equal(
        compressed(fine, 20), compressed(fine, 20).mean((2, 3), keepdim=True).expand_as(fine)
    )


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_higher_levels_distort_more(kind):
    smooth = torch.nn.functional.interpolate(random_images(3, 6), (32, 32), mode="bicubic")
    x0 = smooth.clamp(0, 255)
    distortion = DISTORTIONS[kind]
    distorted = [distortion.apply(x0, level) for level in distortion.levels]
    sizes = torch.stack([relative_distance(images, x0) for images in distorted])
    assert (sizes.diff(dim=0) > 0).all() and (sizes > 0).all()


def test_contrast_keeps_the_mean():
    x0 = random_images(3)
    flat = contrast(x0, 0.3)
    assert torch.allclose(flat.mean((1, 2, 3)), x0.mean((1, 2, 3)), rtol=1e-5)
    assert torch.allclose(flat.std((1, 2, 3)), 0.3 * x0.std((1, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_noise_of_a_psnr_has_it(spread, generator):
    x0 = 255 * torch.rand(2, 3, 40, 50, generator=generator)
    x0[1] /= 10
    assert psnr(x0, noise_of(x0, 18.83, spread)).tolist() == pytest.approx([18.83] * 2, abs=1e-3)


def test_blurred_noise_is_smoother():
    x0 = torch.full((1, 3, 64, 64), 100.0)
    white, grainy = (noise_of(x0, 30.0, spread).diff(dim=3).std() for spread in (0.0, 0.8))
    assert grainy < 0.8 * white
