"""Predict the main reading from M's gradient: K, the drift after it, and the distance at rest.

Away from the label y, the loss of Eq. 1 is ln p(y). Its gradient is (1 − p(y)) ∂m/∂x, with the
log-odds m = ln p(y) / (1 − p(y)). Lengths and rates are for pixels in 0..1, as the weights are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.special import lambertw
from torch import Tensor, nn
from torch.linalg import vector_norm

from companion.style import GREY, SERIES, log_scale, note, panels, styled
from jnd.cost import WHITE, Cost
from jnd.descent import find_jnd
from jnd.guards import frozen
from jnd.trajectory import Recording, distance

STEPS = 25  # of a descent around λ* in the predicted αK without λ


@dataclass(frozen=True)
class Slope:
    """M's answer for images, and how steeply it changes with them.

    Attributes:
        log_odds: (B,), m.
        runner_up: (B,), q, the strongest other class's share of 1 − p(y), 0..1.
        gradient: (B, 3, H, W), ∂m/∂x, for pixels in 0..1.
    """

    log_odds: Tensor
    runner_up: Tensor
    gradient: Tensor

    @property
    def steepness(self) -> Tensor:
        """g = ‖∂m/∂x‖, (B,)."""
        return vector_norm(self.gradient.flatten(1), dim=1)

    def aligned(self, change: Tensor) -> Tensor:
        """c, cosine of the angle between −∂m/∂x and a change (B, 3, H, W): (B,)."""
        return torch.cosine_similarity(-self.gradient.flatten(1), change.flatten(1))


def slope(machine: nn.Module, x: Tensor, label: Tensor) -> Slope:
    """Measure the slope at images x (B, 3, H, W) in grey levels, for their labels (B,)."""
    x = x.detach().requires_grad_()
    with frozen(machine), torch.enable_grad():
        logits = machine(x)
        others = logits.scatter(1, label[:, None], -torch.inf)
        log_odds = logits.gather(1, label[:, None])[:, 0] - others.logsumexp(1)
        (gradient,) = torch.autograd.grad(log_odds.sum(), x)
    return Slope(log_odds.detach(), others.detach().softmax(1).amax(1), WHITE * gradient)


def updates_to_K(at_x0: Slope, steepness: Tensor, alpha: float) -> Tensor:
    """Predict K of a descent on the loss alone, (B,), as if M were equally steep all along.

    An update lowers m by α g² (1 − p(y)), hence (1 + eᵐ) dm = −α g² dk. The answer changes at
    m = ln q, where the label is as likely as the runner-up, if q stays constant. From m(0) to
    there, K = (eᵐ⁽⁰⁾ − q + m(0) − ln q) / (α g²): a plateau as long as the label is likely.

    Args:
        at_x0: slope at x(0).
        steepness: g, (B,).
        alpha: learning rate, for pixels in 0..1.
    """
    m = at_x0.log_odds
    q = at_x0.runner_up
    return (m.exp() - q + m - q.log()) / (alpha * steepness**2)


def trapping_weight(at_x0: Slope) -> Tensor:
    """λ*, above which the squared distance keeps M from ever noticing: (B,).

    At a distance r along M's gradient m = m(0) − g r, and the image goes on where g (1 − p(y))
    exceeds 2 λ r: where g² / 2λ exceeds h(u) = u (1 + exp(m(0) − u)), with u = g r. It reaches the
    border, u = m(0) − ln q, if that holds for every u up to there. h has its peak, if any, at
    u = 1 − W(−exp(1 − m(0))), with W Lambert's function. For a sure M that is u ≈ 1, and λ* is
    about g² exp(1 − m(0)) / 2.

    Args:
        at_x0: slope at x(0).
    """
    weights = []
    for m, q, g in zip(*_scalars(at_x0), strict=True):
        border = m - math.log(q)
        peaks = [border]
        if m >= 2:  # below, h rises all along
            peaks.append(min(1 - lambertw(-math.exp(1 - m)).real, border))
        weights.append(g**2 / (2 * max(u * (1 + math.exp(m - u)) for u in peaks)))
    return torch.tensor(weights, dtype=torch.float64)


def flow_time_to_K(at_x0: Slope, squared_distance: Tensor) -> Tensor:
    """Predict αK with a squared distance, (B,), if M is equally steep all along; inf if trapped.

    The integral of dr / (g (1 − p(y)) − 2 λ r) from x(0) to the border, see
    :func:`trapping_weight`. For λ = 0 it is :func:`updates_to_K` times α.

    Args:
        at_x0: slope at x(0).
        squared_distance: λ, (B,).
    """
    times = []
    trapped = squared_distance >= trapping_weight(at_x0)
    rows = zip(*_scalars(at_x0), squared_distance.tolist(), trapped.tolist(), strict=True)
    for m, q, g, weight, is_trapped in rows:
        if is_trapped:
            times.append(math.inf)
            continue
        border = m - math.log(q)
        time, _ = quad(_slowness, 0, border, args=(m, 2 * weight / g**2), limit=200)
        times.append(time / g**2)
    return torch.tensor(times, dtype=torch.float64)


def _slowness(u: float, m: float, pull_back: float) -> float:
    return 1 / (1 / (1 + math.exp(m - u)) - pull_back * u)


def _scalars(at: Slope) -> list[list[float]]:
    return [values.double().tolist() for values in (at.log_odds, at.runner_up, at.steepness)]


def around_the_trap(
    machine: nn.Module,
    x0: Tensor,
    label: Tensor,
    at_x0: Slope,
    multiples: Sequence[float],
    long: Callable[[str], Mapping[str, Any]] = lambda name: {},
) -> dict[str, Tensor]:
    """Descend with λ below and above λ*, photo by photo, as far as three times αK without λ.

    Args:
        machine: maps pixels (B, 3, H, W) in 0..255 to logits.
        x0: (B, 3, H, W), grey levels.
        label: (B,), the machine's answers.
        at_x0: slope at x(0).
        multiples: of λ*, (M,).
        long: further arguments of :func:`~jnd.descent.find_jnd` for a descent of this name.

    Returns:
        ``log_odds`` and ``trapping_weight``, (B,); ``multiples``, (M,); ``flow_time``, αK, and
        ``predicted``, (M, B), NaN and inf where M does not notice.
    """
    limits = trapping_weight(at_x0)
    free = flow_time_to_K(at_x0, torch.zeros_like(limits))
    measured = torch.full((len(multiples), len(x0)), torch.nan, dtype=torch.float64)
    for row, multiple in enumerate(multiples):
        for i in range(len(x0)):
            alpha = free[i].item() / STEPS
            trajectory = find_jnd(
                machine,
                x0[i : i + 1],
                label=label[i : i + 1],
                cost=Cost.arm("l2", squared_distance=multiple * limits[i].item()),
                alpha=alpha,
                max_iter=3 * STEPS,
                stop_at_K=True,
                **long(f"photo {i}, {multiple:g} λ*"),
            )
            K = trajectory.K.item()
            if K >= 0:
                measured[row, i] = alpha * K
    return {
        "log_odds": at_x0.log_odds,
        "trapping_weight": limits,
        "multiples": torch.tensor(multiples),
        "flow_time": measured,
        "predicted": torch.stack([flow_time_to_K(at_x0, m * limits) for m in multiples]),
    }


def search_for_one_run(values: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each reading of the search by data/recipes/one_run.py on one network.

    Args:
        values: what the search found.
    """
    rows = {}
    for reading, runs in values["readings"].items():
        others = [run["without"]["psnr"] for run in runs if not run["with"]]
        rows[reading] = {
            "at 18.83 dB": len(runs) - len(others),
            "nearest other, dB": min(others, default=math.nan),
        }
    return pd.DataFrame(rows).T


def regularised_runs(values: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each run with all three terms in such a search."""
    rows = []
    for reading, runs in values["readings"].items():
        for photo, run in zip(values["photos"], runs, strict=True):
            for share, regularised in run["with"].items():
                noticed = regularised["K"] >= 0
                rows.append(
                    {
                        "photo": photo,
                        "reading": reading,
                        "K without": run["without"]["K"],
                        "N": run["without"]["N"],
                        "λ / λ*": float(share),
                        "K with": regularised["K"] if noticed else math.nan,
                        "PSNR with, dB": regularised["psnr"],
                    }
                )
    return pd.DataFrame(rows).set_index("photo").rename_axis(None)


def rest(steepness: Tensor, aligned: Tensor, alpha: float, squared_distance: float) -> Tensor:
    """‖x − x(0)‖ that a descent no longer changes, once the label is hopeless: (B,).

    An update turns a distance r into ‖(1 − 2αλ) r + α g‖. To first order in αλ, its square is r²
    again where 4λ r² = α g² + 2 g c r. So r = g (c + √(c² + 4αλ)) / 4λ. With steady gradients,
    c = 1, and small steps that is g / 2λ, where loss and distance balance; gradients that turn at
    every step, c = 0, scatter the image at g √(α / 4λ).

    Args:
        steepness: g, (B,).
        aligned: c, (B,), cosine between x − x(0) and the direction in which the loss pushes.
        alpha: learning rate, for pixels in 0..1.
        squared_distance: λ.
    """
    root = (aligned**2 + 4 * alpha * squared_distance).sqrt()
    return steepness * (aligned + root) / (4 * squared_distance)


class LastUpdates:
    """Average g, c and r over the end of a descent, for ``find_jnd(..., watch=[last])``.

    Args:
        machine, label: as :func:`slope` takes them.
        count: number of images x(k), up to x(N), over which to average.

    Attributes:
        measurements: g, c and r = ‖x − x(0)‖ for pixels in 0..1, (B,) each, of each of the images.
    """

    def __init__(self, machine: nn.Module, label: Tensor, count: int):
        self.machine = machine
        self.label = label
        self.count = count
        self.measurements: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, recording: Recording) -> None:
        if recording.k > recording.max_iter - self.count:
            at = slope(self.machine, recording.x, self.label)
            aligned = at.aligned(recording.x - recording.x0)
            r = distance(recording.x, recording.x0) / WHITE
            self.measurements.append((at.steepness, aligned, r))

    def means(self) -> list[Tensor]:
        """g, c and r, (B,) each."""
        return [torch.stack(values).mean(0) for values in zip(*self.measurements, strict=True)]


@styled
def measured_against_predicted(
    outcomes: Mapping[str, tuple[Tensor, Mapping[str, Tensor]]],
) -> Figure:
    """Measured against predicted, photo by photo, on equal logarithmic axes.

    Args:
        outcomes: title -> measured values, (B,), and the name of each prediction -> (B,).
    """
    figure, axes = panels(1, len(outcomes), 3.1)
    for axis, (title, (measured, predictions)) in zip(axes[0], outcomes.items(), strict=True):
        series = zip(predictions.items(), SERIES, "os", strict=False)
        for (name, predicted), (colour, _), mark in series:
            axis.plot(predicted.cpu(), measured.cpu(), mark, color=colour, label=name, markersize=5)
        _draw_equality(axis)
        axis.set(aspect="equal", xlabel="predicted")
        axis.legend(title=title, alignment="left", loc="lower left", bbox_to_anchor=(0, 1))
    axes[0, 0].set_ylabel("measured")
    return figure


def _draw_equality(axis: Axes) -> None:
    """Give both sides one logarithmic scale, and draw where measured and predicted are equal."""
    log_scale(axis, "x", "y")
    low = min(axis.get_xlim()[0], axis.get_ylim()[0])
    high = max(axis.get_xlim()[1], axis.get_ylim()[1])
    axis.plot((low, high), (low, high), color=GREY, linewidth=1, zorder=0)
    axis.set(xlim=(low, high), ylim=(low, high))
    log_scale(axis, "x", "y")


@styled
def trapped_or_not(runs: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Which photos M notices against λ / λ*, and αK measured against predicted.

    Args:
        runs: set-up -> the result of :func:`around_the_trap`, as metrics.json keeps it.
    """
    figure, axes = panels(1, 2, 3.2)
    left, right = axes[0]
    for place, ((title, run), (colour, _)) in enumerate(zip(runs.items(), SERIES, strict=False)):
        log_odds = np.array(run["log_odds"])
        flow_time = np.array(run["flow_time"], dtype=float)
        predicted = np.array(run["predicted"], dtype=float)
        for row, multiple in enumerate(run["multiples"]):
            for noticed, face in {True: colour, False: "white"}.items():
                which = np.isfinite(flow_time[row]) == noticed
                x = np.full(which.sum(), multiple * 1.1 ** (place - (len(runs) - 1) / 2))
                left.plot(x, log_odds[which], "o", color=colour, markerfacecolor=face, markersize=4)
        left.plot([], [], "o", color=colour, markersize=4, label=title)
        right.plot(predicted.ravel(), flow_time.ravel(), "o", color=colour, markersize=4)
    left.axvline(1, color=GREY, linewidth=1)
    left.set(xscale="log", xlabel="λ / λ*", ylabel="log-odds of the label, m(0)")
    multiples = next(iter(runs.values()))["multiples"]
    left.set_xticks(multiples, [f"{multiple:g}" for multiple in multiples])
    left.minorticks_off()
    left.set_title("noticed (full) or not within the run (hollow)")
    _draw_equality(right)
    right.set(xlabel="predicted", ylabel="measured", title="αK where it is noticed")
    figure.legend(loc="outside lower center", ncols=len(runs))
    return figure


@styled
def psnr_against_alpha(
    alphas: Sequence[float], decibels: Mapping[str, Tensor], printed: float
) -> Figure:
    """PSNR at rest against the learning rate.

    Args:
        alphas: n learning rates.
        decibels: photo -> PSNR at rest, (n,).
        printed: the paper's.
    """
    figure, axes = panels(1, 1, 2.8)
    axis = axes[0, 0]
    for (photo, psnr), (colour, style) in zip(decibels.items(), SERIES, strict=False):
        axis.semilogx(
            alphas, psnr.cpu(), style, marker="o", markersize=4, color=colour, label=photo
        )
    axis.axhline(printed, color=GREY, linewidth=1)
    note(axis, "Table I, with", (max(alphas), printed), (0, 3), color=GREY, ha="right")
    axis.set(xlabel="learning rate α, pixels in 0..1", ylabel="PSNR at rest, dB")
    axis.set_xticks(alphas, [f"{a:g}" for a in alphas])
    axis.minorticks_off()
    axis.legend()
    return figure
