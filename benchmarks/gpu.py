"""Time an update on a GPU beside the floor of a CUDA graph; bench.py runs it where there is one.

Not run yet: no GPU was at hand when it was written.
"""

from collections.abc import Callable

import torch
from networks import Classifier, machines
from torch import Tensor
from torch.nn.functional import cross_entropy

from jnd import find_jnd
from jnd.datasets import load_photos
from jnd.machines.classifiers import PRECISIONS
from jnd.support.device import reproducible

BATCHES = (1, 10, 64)


def input_gradient(classifier: Classifier, x: Tensor, y: Tensor) -> Tensor:
    return torch.autograd.grad(cross_entropy(classifier(x), y), x)[0]


def eager(classifier: Classifier, x: Tensor, y: Tensor) -> Callable[[int], None]:
    """Plain steps, each started by the host: steps -> None."""

    def floor(steps: int) -> None:
        here = x
        with reproducible(x.device):
            for _ in range(steps):
                here = here.detach().requires_grad_()
                here = here - input_gradient(classifier, here, y)
        torch.cuda.synchronize()

    return floor


def graphed(classifier: Classifier, x: Tensor, y: Tensor) -> Callable[[int], None]:
    """Plain steps, forward and input gradient replayed as one CUDA graph: steps -> None."""
    here = x.clone().requires_grad_()

    side = torch.cuda.Stream()  # a graph is captured after a few runs on a stream of their own
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            input_gradient(classifier, here, y)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = input_gradient(classifier, here, y)

    @torch.no_grad()
    def floor(steps: int) -> None:
        for _ in range(steps):
            graph.replay()
            here.sub_(found)
        torch.cuda.synchronize()

    return floor


def contenders(batch: int) -> dict[str, Callable[[int], None]]:
    """Name -> a function that takes so many steps of Inception v3 at 299 px."""
    classifier, _ = machines("inception_v3", "cuda")
    x0 = load_photos(["coffee"], 299)[0].cuda().repeat(batch, 1, 1, 1)
    label = torch.zeros(batch, dtype=torch.int64, device="cuda")

    def ours(precision: str) -> Callable[[int], None]:
        _, machine = machines("inception_v3", "cuda", precision)

        def descent(steps: int) -> None:
            find_jnd(machine, x0, label=0, max_iter=steps)
            torch.cuda.synchronize()

        return descent

    classifier.requires_grad_(False)
    with reproducible(torch.device("cuda")):
        floor = graphed(classifier, x0 / 255, label)
    plain = {"floor": floor, "eager": eager(classifier, x0 / 255, label)}
    return plain | {f"jnd, full, {name}": ours(name) for name in PRECISIONS}


def peak(batch: int) -> float:
    """GPU memory at most, MB, of three updates."""
    _, machine = machines("inception_v3", "cuda")
    x0 = load_photos(["coffee"], 299)[0].cuda().repeat(batch, 1, 1, 1)
    torch.cuda.reset_peak_memory_stats()
    find_jnd(machine, x0, label=0, max_iter=3)
    return torch.cuda.max_memory_allocated() / 1e6
