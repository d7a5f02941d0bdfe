"""The images and numbers that the notebook keeps for the book's slider."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from companion.observer import SEEN, STRICTEST, Onlooker, noise_that_people_see
from companion.studies.imagenet import (
    Film,
    jod_against_flow_time,
    noise_values,
    path_values,
    people_values,
    psnr_against_flow_time,
    save_viewer,
    shown_iterations,
    spread_iterations,
    visibility_maps,
)
from jnd.cost import Cost
from jnd.descent import find_jnd
from jnd.metrics import psnr
from jnd.trajectory import distance, relative_distance
from units import GREY


@pytest.mark.parametrize("K", [0, 1, 19, 100, 150])
def test_iterations_hold_both_ends_and_K_and_are_densest_there(K):
    ks = shown_iterations(K, 150)
    assert {0, K, 150} <= set(ks) and ks == sorted(ks) and len(ks) <= 16
    assert {max(K - 1, 0), min(K + 1, 150)} <= set(ks)
    steps = np.diff(ks)
    assert (np.diff(steps[ks.index(K) :]) >= -1).all() and max(steps) > 5


def test_without_K_on_the_path_iterations_are_even():
    assert shown_iterations(-1, 13) == shown_iterations(14, 13) == list(range(14))


class Pixel(torch.nn.Module):
    """Two classes that swap when the first pixel has grown."""

    def forward(self, x):
        grown = x[:, 0, 0, 0] - 13.5
        return torch.stack((-grown, grown), 1)


@pytest.fixture
def x0():
    x0 = torch.full((2, 3, 8, 8), 10.0)
    x0[1] += 1
    return x0


def descend(x0, **settings):
    return find_jnd(Pixel(), x0, target=1, cost=Cost.arm("none"), **settings)


@pytest.fixture
def film():
    return Film(torch.tensor([5, 3]), 9)


@pytest.fixture
def path(x0, film):
    return descend(x0, alpha=1 / GREY, max_iter=9, watch=[film])


def test_a_film_keeps_images_of_the_descent(film, path):
    for image, frames in enumerate(film.frames):
        K = path.K[image].item()
        assert {0, 9, K} <= frames.keys() and [*frames] == sorted(frames)
        assert torch.equal(frames[0], path.x0[image])
        assert torch.equal(frames[K], path.x_jnd[image])
        assert torch.equal(frames[9], path.x_end[image])


def test_the_viewers_files_hold_the_path_and_the_end(x0, film, path, tmp_path):
    """The second photo is filmed second, but is the third of those that go to the end."""
    end = descend(x0[[0, 0, 1]], alpha=0.01, max_iter=4)
    names = [("cat", "cup"), ("dog", "cup")]
    save_viewer(
        tmp_path,
        {0: "cat", 2: "dog"},
        names,
        {"none": film},
        {"none": path},
        {"none": end},
        {"none": ["tiger", "wolf"]},
        "how it was made",
    )
    written = json.loads((tmp_path / "viewer.json").read_text())
    assert written["provenance"] == "how it was made"
    assert [photo["photo"] for photo in written["photos"]] == ["cat", "dog"]
    assert written["photos"][1]["names"] == ["dog", "cup"]
    numbers = written["photos"][1]["arms"]["none"]
    ks = numbers["k"]
    assert numbers["K"] == path.K[1].item() and ks == [*film.frames[1]]
    assert numbers["updates"] == 4 and numbers["answer"] == "wolf"
    assert np.allclose(numbers["curve"], path.confidence[:, 1], atol=1e-4)
    confidence = [*path.confidence[ks, 1].tolist(), end.confidence[4, 2].tolist()]
    assert np.allclose(numbers["confidence"], confidence, atol=1e-4)
    images = load_file(tmp_path / "viewer.safetensors")
    assert images.keys() == {"cat.none", "dog.none"}
    frames = images["dog.none"]
    assert torch.equal(frames[:-1], torch.stack([*film.frames[1].values()]))
    assert torch.equal(frames[-1], end.x_end[2])
    change = relative_distance(frames, x0[1:].expand_as(frames))
    assert numbers["change"] == pytest.approx(change.tolist(), abs=1e-6)


def test_a_path_has_the_psnr_of_its_images(x0):
    options = {"label": 0, "cost": Cost.arm("none"), "alpha": 0.001}
    long = find_jnd(Pixel(), x0, max_iter=200, **options)
    path = path_values({"none": long}, 0.001)["none"]
    assert path["alpha"] == 0.001 and path["k"][0] == 1 and path["k"][-1] == 200
    assert len(path["k"]) == len(path["PSNR"]) <= 60
    for at in (0, 20, -1):
        short = find_jnd(Pixel(), x0, max_iter=path["k"][at], **options)
        assert torch.allclose(path["PSNR"][at], psnr(x0, short.x_end))


def test_the_arms_are_drawn_against_flow_time_with_a_cross_where_the_last_run_stopped(x0):
    arms = {arm: find_jnd(Pixel(), x0, label=0, max_iter=30) for arm in ("full", "l2", "none")}
    runs = {
        "to K": path_values(arms, 0.001),
        "to the end": path_values(arms, 0.01),
        "in large steps": path_values({"none": arms["none"]}, 0.1),
    }
    at_K = {arm: {"PSNR": psnr(x0, trajectory.x_jnd)} for arm, trajectory in arms.items()}
    K = {arm: {"K": trajectory.K} for arm, trajectory in arms.items()}
    values = {"paths": runs, "arms": K, "quality": {"jnd": at_K}}
    axis, other = psnr_against_flow_time({"one": values, "two": values}).axes
    (cross,) = [line for line in axis.lines if line.get_marker() == "x"]
    assert cross.get_xdata()[0] == pytest.approx(3.0)
    assert axis.get_legend_handles_labels()[1] == [
        "all three terms",
        "distance only",
        "unregularised",
        "stopped by choice",
    ]


def test_iterations_are_spread_evenly_on_a_log_axis():
    assert spread_iterations(100, 3) == [1, 10, 100] and spread_iterations(4, 12) == [1, 2, 3, 4]


@pytest.fixture
def watched(x0):
    """A descent that moves one pixel, watched by people who see half a grey level, or never."""

    def watch(jod_per_grey_level):
        onlooker = Onlooker(
            range(10), lambda x0, x: 10 - jod_per_grey_level * distance(x, x0).double()
        )
        path = descend(x0, alpha=1 / GREY, max_iter=9, watch=[onlooker])
        return onlooker, path

    return watch


def test_people_need_as_much_more_as_their_threshold_is_larger(x0, watched):
    onlooker, path = watched(2)
    machine = {"none": relative_distance(path.x_jnd, x0) / 8}
    values = people_values({"none": onlooker}, {"none": path}, 0.1, machine)["none"]
    assert (values["K"] > 0).all() and values["k"] == [*range(10)]
    change = values["jnd"] * x0.flatten(1).norm(dim=1)
    step = path.distance.diff(dim=0).max() / 32  # how finely it is looked for
    assert (change >= 0.5).all() and (change <= 0.5 + step).all()
    assert torch.allclose(values["ratio"], values["jnd"] / machine["none"])


def test_people_who_see_nothing_need_more_than_the_end_of_the_run(x0, watched):
    onlooker, path = watched(0)
    machine = {"none": torch.full((2,), 1e-3)}
    values = people_values({"none": onlooker}, {"none": path}, 0.1, machine)["none"]
    assert values["K"].tolist() == [-1, -1] and values["jnd"].isnan().all()
    assert torch.allclose(values["ratio"], relative_distance(path.x_end, x0) / 1e-3)


def test_without_a_K_of_the_machine_there_is_no_ratio(x0, watched):
    onlooker, path = watched(2)
    machine = {"none": torch.tensor([1e-3, torch.nan])}
    values = people_values({"none": onlooker}, {"none": path}, 0.1, machine)["none"]
    assert values["ratio"].isnan().tolist() == [False, True]


def test_noise_is_measured_in_the_machines_threshold(generator):
    photos = 60 + 120 * torch.rand(2, 3, 64, 64, generator=generator)
    machine = torch.tensor([0.01, 0.02])
    values = noise_values(photos, machine)
    expected = relative_distance(noise_that_people_see(photos), photos)
    assert torch.equal(values["jnd"], expected)
    assert torch.allclose(values["ratio"], expected / machine)


def test_jod_is_drawn_with_the_K_of_the_machine_and_of_people(x0, watched):
    onlooker, path = watched(2)
    machine = {"none": torch.ones(2)}
    people = people_values({"none": onlooker}, {"none": path}, 0.1, machine)
    values = {
        "people": {"paths": {"to the end": people, "in large steps": {}}},
        "arms": {"none": {"K": path.K}},
        "jod": {"jnd": {"none": {STRICTEST: [9.9, None]}}},
        "paths": {"to K": {"none": {"alpha": 0.001}}},
    }
    axis, _ = jod_against_flow_time({"one": values, "two": values}).axes
    (dots,) = [line for line in axis.lines if line.get_marker() == "o"]
    (squares,) = [line for line in axis.lines if line.get_marker() == "s"]
    assert dots.get_xdata() == pytest.approx(0.001 * path.K.double().numpy())
    assert dots.get_ydata()[0] == 9.9 and np.isnan(dots.get_ydata()[1])
    assert squares.get_xdata() == pytest.approx(0.1 * onlooker.K.double().numpy())
    assert set(squares.get_ydata()) == {SEEN}


def test_maps_have_a_row_for_each_photo_and_one_scale(generator):
    photos = 255 * torch.rand(2, 3, 64, 64, generator=generator)
    figure = visibility_maps(photos, {"end": photos + 9, "other end": photos - 9}, ["cat", "cup"])
    *panels, scale = figure.axes
    assert [axis.get_title() for axis in panels[:3]] == ["original", "end", "other end"]
    assert len(panels) == 6 and "JOD" in scale.get_ylabel()
