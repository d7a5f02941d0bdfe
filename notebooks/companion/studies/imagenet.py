"""The study of ImageNet: PSNR against flow time, and the images that the book's slider shows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors.torch import save
from torch import Tensor
from torch.linalg import vector_norm

from companion.checkout import read_data
from companion.files import write_atomically
from companion.observer import SEEN, STRICTEST, Onlooker, noise_that_people_see, visibility
from companion.provenance import plain
from companion.style import (
    ARM_NAMES,
    ARMS,
    GREY,
    WIDTH,
    bare,
    draw_picture,
    log_scale,
    note,
    panels,
    styled,
)
from jnd.cost import WHITE
from jnd.metrics import INT64_DB
from jnd.trajectory import Recording, Trajectory, relative_distance

POINTS = 60  # of a line
LADDER = 12  # images of a path that the observer model is asked about
MOST_LOST = 3  # JOD, the end of the scale of the maps


def path_values(trajectories: Mapping[str, Trajectory], alpha: float) -> dict[str, dict[str, Any]]:
    """What metrics.json keeps of a descent's path, by arm: PSNR to the photo at some of the k.

    Args:
        trajectories: arm -> its descent.
        alpha: the learning rate of all of them.

    Returns:
        arm -> ``alpha``; ``k``, (n,); and ``PSNR``, (n, B), dB, NaN once an image has stopped.
    """
    values = {}
    for arm, trajectory in trajectories.items():
        ks = spread_iterations(len(trajectory.distance) - 1, POINTS)
        rms = trajectory.distance[ks].double() / trajectory.x0[0].numel() ** 0.5
        values[arm] = {"alpha": alpha, "k": ks, "PSNR": 20 * (WHITE / rms).log10()}
    return values


def spread_iterations(max_iter: int, count: int) -> list[int]:
    """At most ``count`` iterations from 1 to ``max_iter``, at equal distances on a log axis."""
    return np.unique(np.geomspace(1, max_iter, count).round().astype(int)).tolist()


def onlooker(max_iter: int) -> Onlooker:
    """A watcher that asks the observer model about a whole descent."""
    return Onlooker(spread_iterations(max_iter, LADDER))


def people_values(
    onlookers: Mapping[str, Onlooker],
    trajectories: Mapping[str, Trajectory],
    alpha: float,
    machine: Mapping[str, Tensor],
) -> dict[str, dict[str, Any]]:
    """Return, by arm, what the observer model answered on a path, for metrics.json.

    Args:
        onlookers: arm -> what has watched its descent.
        trajectories: arm -> that descent.
        alpha: the learning rate of all of them.
        machine: arm -> JND(M), (B,).

    Returns:
        arm -> ``alpha``; ``k``, (n,); ``JOD``, (n, B); ``K``, (B,), that people would have, -1 for
        none; ``jnd``, (B,), the relative change there; ``ratio``, (B,), that change over the
        machine's, where K is -1 the change at the end of the run: people's is larger still.
    """
    values = {}
    for arm, looked in onlookers.items():
        x0 = trajectories[arm].x0
        jnd = relative_distance(looked.x, x0)
        largest = relative_distance(trajectories[arm].x_end, x0)
        values[arm] = {
            "alpha": alpha,
            "k": looked.ks,
            "JOD": looked.jods,
            "K": looked.K,
            "jnd": jnd,
            "ratio": torch.where(looked.K < 0, largest, jnd) / machine[arm],
        }
    return values


def noise_values(x0: Tensor, machine: Tensor) -> dict[str, Tensor]:
    """Return the white noise that people would see, relative to the photo and to JND(M), (B,)."""
    jnd = relative_distance(noise_that_people_see(x0), x0)
    return {"jnd": jnd, "ratio": jnd / machine}


@styled
def jod_against_flow_time(setups: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Plot JOD against flow time with the thresholds of machine and people, a panel a set-up.

    Lines are medians over the photos, those to the end in a band from the lowest photo to the
    highest. For each photo a dot is at the machine's K, and on the line of the threshold a square
    at people's.

    Args:
        setups: title -> ``values`` of the ImageNet notebook's metrics.json, of which ``people``,
            with results of :func:`people_values`, ``jod``, ``paths`` and ``arms`` are drawn.
    """
    figure, axes = panels(1, len(setups), 3.4, sharey=True)
    for axis, (title, content) in zip(axes[0], setups.items(), strict=True):
        values = plain(content)
        to_end, in_large_steps = values["people"]["paths"].values()
        for arm, path in to_end.items():
            colour, _ = ARMS[arm]
            _draw_band(axis, path, arm, "JOD")
            _draw_median(axis, path, arm, "JOD", label=ARM_NAMES[arm])
            at_K = values["paths"]["to K"][arm]["alpha"] * np.array(values["arms"][arm]["K"])
            jod = np.array(values["jod"]["jnd"][arm][STRICTEST], dtype=float)
            axis.plot(at_K, jod, "o", color=colour, markersize=4, alpha=0.8)
            _mark_people(axis, path, colour)
        for arm, path in in_large_steps.items():
            colour, _ = ARMS[arm]
            _draw_median(axis, path, arm, "JOD", linewidth=1)
            _mark_people(axis, path, colour)
        axis.axhline(SEEN, color=GREY, linewidth=0.8, linestyle=(0, (6, 3)))
        axis.set(title=title, xlabel="flow time αk")
        log_scale(axis, "x")
    place = {"xycoords": axes[0, 0].get_yaxis_transform(), "color": GREY}
    note(axes[0, 0], "threshold of people", (0.02, SEEN), (0, -11), **place)
    axes[0, 0].set_ylabel(f"JOD, {STRICTEST}")
    arms = axes[0, 0].get_legend_handles_labels()
    figure.legend(*arms, loc="outside lower center", ncols=len(ARMS))
    return figure


def _mark_people(axis: Axes, path: Mapping[str, Any], colour: str) -> None:
    K = np.array(path["K"])
    at_K = path["alpha"] * K[K >= 0]
    axis.plot(at_K, np.full(len(at_K), SEEN), "s", color=colour, markersize=4, alpha=0.8)


@styled
def visibility_maps(x0: Tensor, changed: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """Where people would see a change: a row an image, a column each entry of ``changed``.

    Args:
        x0: (B, 3, H, W), grey levels.
        changed: title -> (B, 3, H, W).
        names: of the B images.
    """
    height, width = x0.shape[2:]
    columns = 1 + len(changed)
    row_height = WIDTH / (columns + 0.7) * height / width  # the scale is the 0.7
    figure, axes = panels(len(x0), columns, row_height)
    for axis, title in zip(axes[0], ("original", *changed), strict=True):
        axis.set_title(title)
    for i, name in enumerate(names):
        draw_picture(axes[i, 0], x0[i])
        axes[i, 0].set_ylabel(name)
        for axis, images in zip(axes[i, 1:], changed.values(), strict=True):
            lost = axis.imshow(
                visibility(x0[i], images[i]).numpy(), cmap="magma", vmin=0, vmax=MOST_LOST
            )
            bare(axis)
    figure.colorbar(lost, ax=axes, shrink=0.8, extend="max", label=f"JOD lost, {STRICTEST}")
    return figure


@styled
def psnr_against_flow_time(setups: Mapping[str, Mapping[str, Any]]) -> Figure:
    """PSNR to the photo against flow time αk, a panel for each set-up, with the paper's values.

    To K each photo has a thin line of its own, which ends in a dot at x(K). The other lines are
    medians over the photos: of the runs to the end, in a band from the lowest photo to the highest,
    and of those in large steps, with a cross where the unregularised one was stopped.

    Args:
        setups: title -> ``values`` of the ImageNet notebook's metrics.json, of which ``paths``, run
            -> the result of :func:`path_values`, ``arms`` and ``quality`` are drawn.
    """
    figure, axes = panels(1, len(setups), 3.6, sharey=True)
    for axis, (title, content) in zip(axes[0], setups.items(), strict=True):
        values = plain(content)
        to_K, to_end, in_large_steps = values["paths"].values()
        for arm, path in to_K.items():
            K = np.array(values["arms"][arm]["K"])
            at_K = np.array(values["quality"]["jnd"][arm]["PSNR"], dtype=float)
            colour, style = ARMS[arm]
            axis.plot(_flow_time(path), _photos(path, "PSNR"), style, color=colour, linewidth=0.7)
            axis.plot(path["alpha"] * K, at_K, "o", color=colour, markersize=4, alpha=0.8)
        for arm, path in to_end.items():
            _draw_band(axis, path, arm, "PSNR")
            _draw_median(axis, path, arm, "PSNR", label=ARM_NAMES[arm])
        for arm, path in in_large_steps.items():
            _draw_median(axis, path, arm, "PSNR", linewidth=1)
        _mark_the_paper(axis, in_large_steps["none"])
        axis.set(title=title, xlabel="flow time αk")
        log_scale(axis, "x")
    axes[0, 0].set_ylabel("PSNR to the photo, dB")
    labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labels, loc="outside lower center", ncols=len(ARMS) + 1)
    return figure


def _draw_band(axis: Axes, path: Mapping[str, Any], arm: str, quantity: str) -> None:
    photos = _photos(path, quantity)
    colour, _ = ARMS[arm]
    low = photos.min(1)
    high = photos.max(1)
    axis.fill_between(_flow_time(path), low, high, color=colour, alpha=0.1, linewidth=0)


def _draw_median(
    axis: Axes, path: Mapping[str, Any], arm: str, quantity: str, **options: Any
) -> None:
    colour, style = ARMS[arm]
    median = np.median(_photos(path, quantity), 1)
    axis.plot(_flow_time(path), median, style, color=colour, **options)


def _flow_time(path: Mapping[str, Any]) -> np.ndarray:
    return path["alpha"] * np.array(path["k"])


def _photos(path: Mapping[str, Any], quantity: str) -> np.ndarray:
    """A quantity at each k for each photo, (n, B)."""
    return np.array(path[quantity], dtype=float)  # null becomes NaN


def _mark_the_paper(axis: Axes, matched: Mapping[str, Any]) -> None:
    """Draw Table I's two values of PSNR, and a cross at the end of the run that met the lower."""
    end = (_flow_time(matched)[-1], np.median(_photos(matched, "PSNR")[-1]))
    cross: dict[str, Any] = {
        "color": "black",
        "markersize": 7,
        "markeredgewidth": 2,
        "linestyle": "",
    }
    axis.plot(*end, "x", label="stopped by choice", **cross)
    for column in ("with", "without"):
        decibels = read_data("paper")["tables"]["table1"][column]["PSNR"] - INT64_DB
        axis.axhline(decibels, color=GREY, linewidth=0.8, linestyle=(0, (6, 3)))
        place = {"xycoords": axis.get_yaxis_transform(), "color": GREY}
        note(axis, f"paper, {column}", (0.02, decibels), (0, 2), **place)


def shown_iterations(K: int, max_iter: int, count: int = 14) -> list[int]:
    """About ``count`` iterations: both ends, K and its neighbours, the closer to K the denser."""
    if not 0 <= K <= max_iter:
        return sorted({round(k) for k in np.linspace(0, max_iter, count)})
    spread = np.linspace(0, 1, count // 2) ** 2
    near = (max(K - 1, 0), min(K + 1, max_iter))
    return sorted({round(k) for k in (*near, *(K - spread * K), *(K + spread * (max_iter - K)))})


class Film:
    """Some of the images of a descent, for ``find_jnd(..., watch=[film])``.

    Args:
        K: where each image is expected to be noticed, (B,); -1: nowhere.
        max_iter: of the descent.

    Attributes:
        frames: for each image, k -> x(k), (3, H, W).
    """

    def __init__(self, K: Tensor, max_iter: int):
        self.iterations = [shown_iterations(k, max_iter) for k in K.tolist()]
        self.frames: list[dict[int, Tensor]] = [{} for _ in self.iterations]

    def __call__(self, recording: Recording) -> None:
        images = zip(self.iterations, self.frames, recording.shown, strict=True)
        for iterations, frames, image in images:
            if recording.k in iterations:
                frames[recording.k] = image.cpu().clone()


def save_viewer(
    folder: Path,
    photos: Mapping[int, str],
    names: Sequence[tuple[str, str]],
    films: Mapping[str, Film],
    paths: Mapping[str, Trajectory],
    ends: Mapping[str, Trajectory],
    answers: Mapping[str, Sequence[str]],
    provenance: str,
) -> None:
    """Write the slider's numbers to ``viewer.json`` and its images to ``viewer.safetensors``.

    The tensor ``PHOTO.ARM``, (F, 3, H, W) float32, holds x(k) for each ``k`` of the JSON file and,
    last, the end of the run.

    Args:
        folder: where to write.
        photos: number in ``ends`` -> name, in the order of films and paths.
        names: of the label and the target of each of them.
        films: arm -> what was kept of its descent.
        paths: arm -> that descent, in small steps to beyond K.
        ends: arm -> a descent in larger steps to the end of the run.
        answers: arm -> M's answers for x(K); empty where there is none.
        provenance: the line below it.
    """
    entries = []
    images = {}
    for i, (number, photo) in enumerate(photos.items()):
        arms = {}
        for arm, film in films.items():
            frames = film.frames[i]
            end = ends[arm]
            numbers = _numbers([*frames], paths[arm], i, end, number)
            arms[arm] = numbers | {"answer": answers[arm][i]}
            images[f"{photo}.{arm}"] = torch.stack([*frames.values(), end.x_end[number].cpu()])
        entries.append({"photo": photo, "names": names[i], "arms": arms})
    content = {"photos": entries, "provenance": provenance}
    write_atomically(folder / "viewer.json", json.dumps(content).encode())
    write_atomically(folder / "viewer.safetensors", save(images))


def _numbers(
    ks: list[int], path: Trajectory, image: int, end: Trajectory, number: int
) -> dict[str, Any]:
    """K, and M's confidence and the relative change at each k and at the end of the run.

    ``curve`` has the confidence at every k of the path.
    """
    norm = vector_norm(path.x0[image]).item()
    curve = [[round(p, 4) for p in pair] for pair in path.confidence[:, image].tolist()]
    at_end = [round(p, 4) for p in end.confidence[-1, number].tolist()]
    distance = [*path.distance[ks, image].tolist(), end.distance[-1, number].item()]
    return {
        "k": ks,
        "K": int(path.K[image]),
        "updates": len(end.distance) - 1,
        "confidence": [*(curve[k] for k in ks), at_end],
        "curve": curve,
        "change": [round(d / norm, 7) for d in distance],
    }
