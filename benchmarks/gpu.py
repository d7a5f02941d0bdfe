"""Time an update on a GPU beside the floor of a CUDA graph; bench.py runs it where there is one.

Not run yet: no GPU was at hand when it was written.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.photos import load_photos
from jnd.descent import find_jnd
from jnd.networks import deterministic
from networks import Classifier, machines

BATCHES = (1, 10, 64)


def input_gradient(classifier: Classifier, x: Tensor, y: Tensor) -> Tensor:
    return torch.autograd.grad(cross_entropy(classifier(x), y), x)[0]


def eager(classifier: Classifier, x: Tensor, y: Tensor) -> Callable[[int], None]:
    """Return a function that takes plain steps, each started by the host."""

    def floor(steps: int) -> None:
        x_k = x
        with deterministic(x.device):
            for _ in range(steps):
                x_k = x_k.detach().requires_grad_()
                x_k = x_k - input_gradient(classifier, x_k, y)
        torch.cuda.synchronize()

    return floor


def graphed(classifier: Classifier, x: Tensor, y: Tensor) -> Callable[[int], None]:
    """Return a function that takes plain steps, each replayed as one CUDA graph."""
    x_k = x.clone().requires_grad_()

    side = torch.cuda.Stream()  # a graph is captured after a few runs on a stream of their own
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            input_gradient(classifier, x_k, y)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradient = input_gradient(classifier, x_k, y)

    @torch.no_grad()
    def floor(steps: int) -> None:
        for _ in range(steps):
            graph.replay()
            x_k.sub_(gradient)
        torch.cuda.synchronize()

    return floor


def contenders(batch: int) -> dict[str, Callable[[int], None]]:
    """Return functions that take a number of steps with Inception v3 at 299 px, by name."""
    classifier, machine = machines("inception_v3", "cuda")
    x0 = load_photos(["coffee"], 299)[0].cuda().repeat(batch, 1, 1, 1)
    label = torch.zeros(batch, dtype=torch.int64, device="cuda")

    def descent(steps: int) -> None:
        find_jnd(machine, x0, label=0, max_iter=steps)
        torch.cuda.synchronize()

    classifier.requires_grad_(False)
    with deterministic(torch.device("cuda")):
        floor = graphed(classifier, x0 / 255, label)
    return {"floor": floor, "eager": eager(classifier, x0 / 255, label), "jnd, full": descent}


def peak(batch: int) -> float:
    """Return the peak of GPU memory in three updates, MB."""
    _, machine = machines("inception_v3", "cuda")
    x0 = load_photos(["coffee"], 299)[0].cuda().repeat(batch, 1, 1, 1)
    torch.cuda.reset_peak_memory_stats()
    find_jnd(machine, x0, label=0, max_iter=3)
    return torch.cuda.max_memory_allocated() / 1e6
