"""Time an update on a GPU beside the floor of a CUDA graph; bench.py runs it where there is one.

Not run yet: no GPU was at hand when it was written.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.photos import load_photos
from jnd.descent import find_jnd
from jnd.guards import deterministic
from networks import input_gradient, machines

BATCHES = (1, 10, 64)
NETWORK = "inception_v3"


def photos(batch: int) -> Tensor:
    return load_photos(["coffee"], 299)[0].cuda().repeat(batch, 1, 1, 1)


def contenders(batch: int) -> dict[str, Callable[[int], None]]:
    """Return functions that take a number of steps with Inception v3 at 299 px, by name.

    Each step of the floor is replayed as one CUDA graph.
    """
    classifier, machine = machines(NETWORK, "cuda")
    x0 = photos(batch)
    classifier.requires_grad_(False)
    x_k = x0 / 255
    label = torch.zeros(batch, dtype=torch.int64, device="cuda")
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with deterministic(x0.device):
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(3):  # a graph is captured after a few runs on a stream of their own
                input_gradient(classifier, x_k, label)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            gradient = input_gradient(classifier, x_k, label)

    def floor(steps: int) -> None:
        for _ in range(steps):
            graph.replay()
            x_k.sub_(gradient)
        torch.cuda.synchronize()

    def descent(steps: int) -> None:
        find_jnd(machine, x0, label=0, max_iter=steps)
        torch.cuda.synchronize()

    return {"floor": floor, "jnd, full": descent}


def peak(batch: int) -> float:
    """Return the peak of GPU memory in three updates, MB."""
    _, machine = machines(NETWORK, "cuda")
    torch.cuda.reset_peak_memory_stats()
    find_jnd(machine, photos(batch), label=0, max_iter=3)
    return torch.cuda.max_memory_allocated() / 1e6
