"""The observer model as the companion asks it, and the K of people on made paths."""

import math

import pytest
import torch
from pycvvdp import cvvdp

from companion import observer
from companion.checkpoint import Checkpoint
from companion.observer import (
    DISPLAYS,
    SEEN,
    STRICTEST,
    Onlooker,
    jod,
    jod_by_moment,
    lowest_jod,
    noise_that_people_see,
    visibility,
)
from jnd.descent import find_jnd
from jnd.pictures import eight_bit
from jnd.trajectory import Recording, distance


@pytest.fixture
def photo(generator):
    """Smooth light and shade in colour."""
    coarse = 255 * torch.rand(2, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic", antialias=True)
    return smooth.clamp(0, 255)


@pytest.mark.parametrize("display", DISPLAYS)
def test_an_image_beside_itself_is_the_original(photo, display):
    assert jod(photo, photo, display).tolist() == [10, 10]


def test_pictures_have_the_jod_that_the_library_gives_for_their_bytes(photo, generator):
    noisy = eight_bit(photo + 10 * torch.randn(photo.shape, generator=generator))
    model = cvvdp(display_name=DISPLAYS[STRICTEST], device=torch.device("cpu"), quiet=True)
    pictures = [x.byte().permute(0, 2, 3, 1).numpy() for x in (noisy, eight_bit(photo))]
    expected = [
        float(model.predict(*pair, dim_order="HWC")[0]) for pair in zip(*pictures, strict=True)
    ]
    assert jod(eight_bit(photo), noisy).tolist() == pytest.approx(expected, abs=1e-3)


def test_more_noise_is_worse_and_a_phone_hides_it(photo, generator):
    noise = torch.randn(photo.shape, generator=generator)
    levels = torch.stack([jod(photo, photo + size * noise) for size in (0, 1, 3, 10, 30)])
    assert (levels.diff(dim=0) < 0).all()
    assert (jod(photo, photo + 10 * noise, "phone") > levels[3]).all()


def test_an_image_of_nan_has_no_jod(photo):
    changed = photo + 20
    changed[0] = torch.nan
    values = jod(photo, changed)
    assert values[0].isnan() and values[1] < 10


def test_what_no_display_can_show_is_not_seen(photo):
    white = photo.clone()
    white[:, :, :40] = 255
    assert jod(white, white.where(white < 255, 300)).tolist() == [10, 10]


def test_small_images_are_enlarged_seven_times(generator):
    small = 255 * torch.rand(1, 3, 16, 16, generator=generator)
    changed = small + 5 * torch.randn(small.shape, generator=generator)
    large = [torch.kron(x, torch.ones(1, 1, 7, 7)) for x in (small, changed)]
    assert jod(small, changed).item() == pytest.approx(jod(*large).item(), abs=1e-4)


def test_a_change_is_seen_where_it_is(photo):
    changed = photo[0].clone()
    changed[:, 60:, 60:] += 20
    lost = visibility(photo[0], changed)
    assert lost.shape == (96, 96)
    assert lost[70:90, 70:90].mean() > 10 * lost[:40, :40].mean()


def test_without_any_jod_there_is_no_lowest(photo):
    jods = jod_by_moment(photo, {"jnd": {"none": torch.full_like(photo, torch.nan)}})
    assert lowest_jod(jods).isna().all().all()


def test_the_lowest_of_all_images_with_a_jod(photo):
    changed = torch.stack((photo[0] + 20, torch.full_like(photo[1], torch.nan)))
    jods = jod_by_moment(photo, {"end": {"none": changed}})
    table = lowest_jod(jods)
    assert table.index.tolist() == ["end, unregularised"] and [*table] == [*DISPLAYS]
    assert table.loc["end, unregularised", "phone"] == jods["end"]["none"]["phone"][0]


SLOPE = 0.013  # JOD lost for each grey level of distance on the made paths


def made_quality(x0, images):
    return 10 - SLOPE * distance(images, x0)


def walk(recording, direction, steps, onlooker):
    """Show each iteration of a straight path, ``steps`` grey levels an update, to an onlooker."""
    for k in range(recording.k, recording.max_iter + 1):
        recording.k = k
        recording.x = recording.x0 + k * steps.view(-1, 1, 1, 1) * direction
        onlooker(recording)


@pytest.fixture
def straight():
    """A path of three images whose quality falls in proportion to k."""
    x0 = torch.full((3, 3, 4, 4), 100.0, dtype=torch.float64)
    direction = torch.ones(3, 4, 4, dtype=torch.float64) / math.sqrt(48)
    return Recording(x0, 100, "float", False), direction, torch.tensor([1.0, 5.0, 0.5]).double()


def test_the_K_of_people_on_a_straight_path(straight):
    """Seen where SLOPE · k · steps is 1: after 76.9 and 15.4 updates, and not within a hundred."""
    onlooker = Onlooker([1, 10, 30, 100], made_quality)
    recording, _, steps = straight
    walk(*straight, onlooker)
    assert onlooker.K.tolist() == [79, 16, -1]  # to 70/32 and 20/32 of an update
    expected = 10 - SLOPE * torch.tensor([1, 10, 30, 100])[:, None] * steps
    assert torch.allclose(onlooker.jods, expected)
    seen = distance(onlooker.x[:2], recording.x0[:2])
    assert torch.allclose(seen, torch.full((2,), 1 / SLOPE).double(), atol=70 / 32)
    assert (made_quality(recording.x0, onlooker.x)[:2] <= SEEN).all() and onlooker.x[
        2
    ].isnan().all()


def test_an_onlooker_survives_a_checkpoint(generator, tmp_path):
    """The state at half the descent, through a file, gives what the whole descent gives."""
    machine = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    x0 = 100 + 10 * torch.rand(2, 3, 4, 4, generator=generator)
    checkpoint = Checkpoint(tmp_path / "descent")

    def descend(onlooker, max_iter, **options):
        find_jnd(machine, x0, alpha=0.01, max_iter=max_iter, watch=[onlooker], **options)

    ks = [1, 3, 8, 16]
    whole = Onlooker(ks, made_quality)
    descend(whole, 16)
    half = Onlooker(ks, made_quality)

    def stop(recording):
        if recording.k == 5:
            checkpoint.save(recording.state, now=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_jnd(machine, x0, alpha=0.01, max_iter=16, watch=[half, stop])
    resumed = Onlooker(ks, made_quality)
    descend(resumed, 16, resume=checkpoint.load())
    assert torch.equal(resumed.jods, whole.jods) and torch.equal(resumed.K, whole.K)


def test_the_weakest_noise_that_people_see_is_just_seen(photo):
    seen = noise_that_people_see(photo)
    values = jod(photo, seen)
    assert ((values <= SEEN) & (values > SEEN - 0.05)).all()
    assert seen.min() >= 0 and seen.max() <= 255


def test_where_people_do_not_see_the_strongest_noise_there_is_none(photo, monkeypatch):
    monkeypatch.setattr(observer, "NOISIEST", 0.1)
    assert noise_that_people_see(photo).isnan().all()
