"""Noise of a given PSNR."""

import pytest
import torch

from jnd.metrics import psnr
from jnd.studies.distortions import noise_of


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_noise_of_a_psnr_has_it(spread, generator):
    x0 = 255 * torch.rand(2, 3, 40, 50, generator=generator)
    x0[1] /= 10
    assert psnr(x0, noise_of(x0, 18.83, spread)).tolist() == pytest.approx([18.83] * 2, abs=1e-3)


def test_blurred_noise_is_smoother():
    x0 = torch.full((1, 3, 64, 64), 100.0)
    white, grainy = (noise_of(x0, 30.0, spread).diff(dim=3).std() for spread in (0.0, 0.8))
    assert grainy < 0.8 * white
