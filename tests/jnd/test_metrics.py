"""The metrics against sewar, closed forms and the definitions."""

import numpy as np
import pytest
import sewar
import skimage.data
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio

from jnd.metrics import INT64_DB, METRICS, all_metrics, psnr, scc, table_metrics, uqi, vif

SEWAR = {
    "PSNR": lambda x, y: sewar.psnr(x, y, MAX=255),
    "UQI": sewar.uqi,
    "SCC": sewar.scc,
    "VIF": sewar.vifp,
}
PHOTOS = {
    "astronaut": skimage.data.astronaut(),
    "chelsea": skimage.data.chelsea(),
    "coffee": skimage.data.coffee(),
    "rocket": skimage.data.rocket(),
}


def crop(photo, height=72, width=72):
    """Return a piece (H, W, 3) of a photo in float64."""
    return PHOTOS[photo][40 : 40 + height, 100 : 100 + width].astype(np.float64)


def noisy(image, sigma=10.0):
    return image + np.random.default_rng(0).normal(0, sigma, image.shape)


def tensor(image):
    """Convert (H, W, C) in numpy to (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def flat(value, side=64):
    return np.full((side, side, 1), float(value))


DISTORTIONS = {
    "noise": noisy,
    "faint noise": lambda x: noisy(x, 0.05),
    "8-bit noise": lambda x: noisy(x).round().clip(0, 255),
    "out of range": lambda x: noisy(x, 60),
    "brighter": lambda x: x + 7,
    "unrelated": lambda x: x[::-1, ::-1],
    "flat patch": lambda x: np.where(np.indices(x.shape)[0] < 20, 128, noisy(x)),
    "flat": lambda x: np.full_like(x, 77.25),
    "identical": lambda x: x,
}


def vif_of_sewar_0_4_1(x, y, sigma_nsq=2, tiny=1e-10):
    """Compute the VIF of one channel by the formulas of that version, on scipy's Gaussian."""
    kept = 0
    total = 0
    for side in (17, 9, 5, 3):
        n = side // 2
        if min(x.shape) < side:
            break
        squares = (np.arange(side) - n)[:, None] ** 2 + (np.arange(side) - n) ** 2
        excess = np.exp(-squares / (2 * (side / 5) ** 2)).sum()

        def mean(z, side=side, n=n):
            return gaussian_filter(z, side / 5, radius=n)[n:-n, n:-n]

        if side != 17:
            x = mean(x)[::2, ::2]
            y = mean(y)[::2, ::2]
            if min(x.shape) < side:
                break
        mu_x = mean(x) / excess
        mu_y = mean(y) / excess
        var_x = np.maximum(mean(x * x) / excess - mu_x**2, 0)
        var_y = np.maximum(mean(y * y) / excess - mu_y**2, 0)
        cov = mean(x * y) / excess - mu_x * mu_y
        gain = cov / (var_x + tiny)
        noise = np.maximum(var_y - gain * cov, tiny)
        assert (gain > 0).all()
        kept += np.log10(1 + gain**2 * var_x / (noise + sigma_nsq)).sum()
        total += np.log10(1 + var_x / sigma_nsq).sum()
    return kept / total


class TestAgainstSewar:
    @pytest.mark.parametrize("distortion", DISTORTIONS)
    @pytest.mark.parametrize("photo", PHOTOS)
    @pytest.mark.parametrize("name", METRICS)
    def test_photos(self, name, photo, distortion):
        x = crop(photo)
        y = DISTORTIONS[distortion](x)
        assert METRICS[name](tensor(x), tensor(y)).item() == pytest.approx(
            SEWAR[name](x, y), rel=1e-9
        )

    @pytest.mark.parametrize(
        "size", [(25, 25), (32, 32), (33, 33), (40, 40), (41, 41), (41, 70), (131, 64)]
    )
    @pytest.mark.parametrize("name", METRICS)
    def test_sizes(self, name, size):
        x = crop("astronaut", *size)
        y = noisy(x)
        assert METRICS[name](tensor(x), tensor(y)).item() == pytest.approx(
            SEWAR[name](x, y), rel=1e-9
        )

    @pytest.mark.parametrize("values", [(128, 128), (255, 255), (128, 100), (100, 0), (0, 50)])
    @pytest.mark.parametrize("side", [32, 64])
    @pytest.mark.parametrize("name", METRICS)
    def test_flat_images(self, name, side, values):
        x, y = (flat(value, side) for value in values)
        with np.errstate(invalid="ignore"):
            expected = SEWAR[name](x, y)
        if np.isnan(expected):
            assert name == "VIF"
            expected = 1  # no information to lose
        assert METRICS[name](tensor(x), tensor(y)).item() == pytest.approx(expected, rel=1e-9)

    def test_flat_patches_of_float32_in_both(self):
        """Areas where both are flat: SCC counts 0, also with values that aren't whole numbers."""
        x = crop("coffee")
        x[10:50, 20:70] = np.float32(77.3)
        x[60:, 60:] = 0
        y = noisy(x).astype(np.float32).astype(np.float64)
        y[10:50, 20:70] = np.float32(99.9)
        y[60:, 60:] = 0
        for name, metric in METRICS.items():
            value = metric(tensor(x), tensor(y)).item()
            assert value == pytest.approx(SEWAR[name](x, y), rel=1e-9), name

    @pytest.mark.parametrize("size", [(32, 32), (40, 33), (72, 72)])
    @pytest.mark.parametrize("distortion", ["noise", "brighter", "unrelated"])
    def test_vif_of_version_0_4_1(self, distortion, size):
        """That version no longer installs."""
        x = crop("astronaut", *size)
        y = DISTORTIONS[distortion](x)
        expected = np.mean([vif_of_sewar_0_4_1(x[..., c], y[..., c]) for c in range(3)])
        value = vif(tensor(x), tensor(y), form="sewar 0.4.1").item()
        assert value == pytest.approx(expected, rel=1e-9)

    def test_int64_adds_331_db_to_their_psnr(self):
        x = crop("rocket").astype(np.int64)
        y = x + np.random.default_rng(1).integers(-9, 10, x.shape)
        inflated = psnr(tensor(x), tensor(y)).item() + INT64_DB
        assert sewar.psnr(x, y) == pytest.approx(inflated, rel=1e-12)
        assert peak_signal_noise_ratio(x, y) == pytest.approx(inflated, rel=1e-12)
        assert INT64_DB == pytest.approx(331.167, abs=5e-4)


class TestDefinitions:
    @pytest.mark.parametrize("offset", [1, -5, 100])
    def test_psnr_of_an_offset(self, offset):
        x = tensor(crop("coffee"))
        expected = 20 * np.log10(255 / abs(offset))
        assert psnr(x, x + offset).item() == pytest.approx(expected, rel=1e-12)

    def test_psnr_of_identical_images_is_infinite(self):
        x = tensor(crop("coffee"))
        assert psnr(x, x).item() == np.inf

    @pytest.mark.parametrize("form", ["wang-bovik", "sewar"])
    def test_uqi_window_by_window(self, form):
        """Both forms from their definition; sewar's drops the last row and column of pixels."""
        x = crop("chelsea", 12, 15)[..., :1]
        y = noisy(x)
        pixels = 64
        drop = int(form == "sewar")
        values = []
        for top in range(12 - 7 - drop):
            for left in range(15 - 7 - drop):
                a = x[top : top + 8, left : left + 8].ravel()
                b = y[top : top + 8, left : left + 8].ravel()
                mean_a = a.mean()
                mean_b = b.mean()
                if form == "wang-bovik":
                    (var_a, cov), (_, var_b) = np.cov(a, b)
                else:
                    var_a = (a * a).mean() - mean_a * mean_a / pixels
                    var_b = (b * b).mean() - mean_b * mean_b / pixels
                    cov = (a * b).mean() - mean_a * mean_b / pixels
                structure = 2 * cov / (var_a + var_b)
                values.append(structure * 2 * mean_a * mean_b / (mean_a**2 + mean_b**2))
        value = uqi(tensor(x), tensor(y), form=form).item()
        assert value == pytest.approx(np.mean(values), rel=1e-10)

    def test_uqi_forms_differ_as_the_docstring_says(self):
        image = crop("astronaut")
        x = tensor(image)
        y = tensor(noisy(image))
        assert uqi(x, y).item() > 0.97 > 0.8 > uqi(x, y, form="wang-bovik").item()

    @pytest.mark.parametrize(
        ("values", "expected"),
        [((77.3, 77.3), 1), ((0, 0), 1), ((0, 50), 0), ((100, 50), 2 * 5000 / 12500)],
    )
    def test_wang_bovik_of_flat_images(self, values, expected):
        """Without any structure to compare, only the factor for brightness counts."""
        x, y = (tensor(flat(value)) for value in values)
        assert uqi(x, y, form="wang-bovik").item() == pytest.approx(expected, rel=1e-12)

    def test_uqi_counts_black_areas_as_alike(self):
        """sewar's running sums leave rounding errors there, which it counts as unlike."""
        x = crop("coffee")
        x[30:, :] = 0
        top = uqi(tensor(x[:38]), tensor(1.3 * x[:38])).item()
        whole = uqi(tensor(x), tensor(1.3 * x)).item()
        assert sewar.uqi(x, 1.3 * x) < 0.9 * whole
        windows_top = 38 - 8
        windows = 72 - 8
        assert whole * windows == pytest.approx(top * windows_top + windows - windows_top)

    @pytest.mark.parametrize("value", [77.3, 0.1, 254.9999])
    def test_scc_of_flat_images_is_zero(self, value):
        """sewar correlates rounding errors here: 0.2 to 0.4."""
        x = tensor(flat(value))
        assert scc(x, x).item() == 0

    def test_scc_of_detail_everywhere(self):
        x = tensor(np.random.default_rng(2).uniform(0, 255, (40, 40, 3)))
        assert scc(x, x).item() == pytest.approx(1, rel=1e-9)
        assert scc(x, 255 - x).item() == pytest.approx(-1, rel=1e-9)

    def test_vif_of_a_flat_channel(self):
        """It has no information to lose; sewar gives NaN for the whole image."""
        x = crop("chelsea")
        x[..., 2] = 200
        y = noisy(x)
        channels = vif(tensor(x[..., :2]), tensor(y[..., :2])).item()
        assert vif(tensor(x), tensor(y)).item() == pytest.approx((2 * channels + 1) / 3, rel=1e-12)

    def test_vif_is_far_too_good_for_pixels_in_0_to_1(self):
        image = crop("chelsea")
        x = tensor(image)
        y = tensor(noisy(image))
        assert vif(x / 255, y / 255).item() > 2 * vif(x, y).item()


class TestInterface:
    @pytest.fixture
    def batch(self):
        x = torch.cat([tensor(crop(photo, 45, 52)) for photo in PHOTOS])
        y = torch.from_numpy(noisy(x.numpy())) * torch.tensor([1, 0.9, 1.1, 1]).view(4, 1, 1, 1)
        return x, y

    def test_images_are_measured_independently(self, batch):
        x, y = batch
        whole = table_metrics(x, y)
        singles = [table_metrics(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        assert list(whole) == ["PSNR", "UQI", "SCC", "VIF"]
        for name, values in whole.items():
            assert values.shape == (4,)
            assert len(values.unique()) == 4
            expected = torch.cat([single[name] for single in singles])
            torch.testing.assert_close(values, expected, rtol=1e-12, atol=0)

    def test_all_metrics_are_those_of_the_tables_and_the_other_forms(self, batch):
        x, y = batch
        expected = table_metrics(x, y) | {
            "UQI (Wang and Bovik)": uqi(x, y, form="wang-bovik"),
            "VIF (early sewar)": vif(x, y, form="sewar 0.4.1"),
        }
        values = all_metrics(x, y)
        assert list(values) == list(expected)
        assert all(torch.equal(values[name], expected[name]) for name in expected)

    def test_all_metrics_of_an_image_of_nan_are_nan(self, batch):
        x, y = batch
        y[2] = torch.nan
        others = torch.tensor([0, 1, 3])
        expected = all_metrics(x[others], y[others])
        for name, values in all_metrics(x, y).items():
            assert values[2].isnan()
            assert torch.equal(values[others], expected[name])

    @pytest.mark.parametrize("channels", [1, 2, 5])
    @pytest.mark.parametrize("name", METRICS)
    def test_any_number_of_channels(self, name, channels, batch):
        x, y = (images.flatten(0, 1)[None, :channels] for images in batch)
        arrays = (images[0].permute(1, 2, 0).numpy() for images in (x, y))
        assert METRICS[name](x, y).item() == pytest.approx(SEWAR[name](*arrays), rel=1e-9)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.float32])
    def test_float64_inside_whatever_comes_in(self, dtype, batch):
        x, y = (images.clamp(0, 255).to(dtype) for images in batch)
        before = x.clone()
        for name, values in table_metrics(x, y).items():
            assert values.dtype == torch.float64
            assert torch.equal(values, METRICS[name](x.double(), y.double()))
        assert torch.equal(x, before)

    def test_no_gradient(self, batch):
        x, y = batch
        for values in table_metrics(x, y.requires_grad_()).values():
            assert not values.requires_grad

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU and JND_TEST_GPU=1")
    def test_gpu(self, batch):
        x, y = batch
        for name, values in table_metrics(x.cuda(), y.cuda()).items():
            assert values.is_cuda
            torch.testing.assert_close(values.cpu(), METRICS[name](x, y), rtol=1e-9, atol=0)


class TestBadInput:
    @pytest.mark.parametrize("name", METRICS)
    @pytest.mark.parametrize(
        ("x", "y"),
        [
            (torch.zeros(1, 3, 48, 48), torch.zeros(1, 3, 48, 49)),
            (torch.zeros(1, 3, 48, 48), torch.zeros(2, 3, 48, 48)),
            (torch.zeros(3, 48, 48), torch.zeros(3, 48, 48)),
        ],
    )
    def test_shapes(self, name, x, y):
        with pytest.raises(ValueError, match=r"shape \(B, C, H, W\), got \(.*48.*\) and \("):
            METRICS[name](x, y)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize("name", METRICS)
    def test_not_finite(self, name, value):
        x = torch.zeros(3, 3, 48, 48)
        y = x.clone()
        y[1, 2, 3, 4] = value
        with pytest.raises(ValueError, match=r"distorted has NaN .*\[1\]"):
            METRICS[name](x, y)
        with pytest.raises(ValueError, match=r"reference has NaN .*\[1\]"):
            METRICS[name](y, x)

    @pytest.mark.parametrize(
        ("metric", "options", "smallest"),
        [(uqi, {}, 9), (uqi, {"form": "wang-bovik"}, 8), (scc, {}, 8), (vif, {}, 25)],
    )
    def test_too_small(self, metric, options, smallest):
        fits = torch.rand(1, 3, smallest, smallest)
        assert metric(fits, fits, **options).item() == pytest.approx(1)
        for small in (fits[..., 1:], fits[..., 1:, :]):
            with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}.*enlarge"):
                metric(small, small, **options)

    def test_unknown_forms(self):
        x = torch.rand(1, 3, 48, 48)
        with pytest.raises(ValueError, match='form must be "sewar" or "wang-bovik"'):
            uqi(x, x, form="wang")
        with pytest.raises(ValueError, match='form must be "sewar" or "sewar 0.4.1"'):
            vif(x, x, form="0.4.1")
