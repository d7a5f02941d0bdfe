"""What a GPU asks for: arithmetic that is the same each time, and batches that fit."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

SHARE = 0.9  # of the free memory of a GPU that a batch is to take at most
Function = Callable[[Tensor], tuple[Tensor, ...]]
"""Tensors of n images -> tensors whose first dimension is n."""


@contextmanager
def reproducible(device: torch.device, tf32: bool = False) -> Iterator[None]:
    """Inside, CUDA gives the same bits each time, in exact float32; after, it is set as before.

    Operations take their deterministic form; of one that has none, PyTorch warns. A CPU needs
    nothing of this.

    Args:
        device: where the work is done.
        tf32: convolutions and matrix products read 10 bits of a mantissa instead of 23.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what PyTorch asks for
    cudnn: Any = torch.backends.cudnn  # newer than the stubs
    mode = torch.get_deterministic_debug_mode()
    chosen = cudnn.benchmark, cudnn.deterministic
    places: list[Any] = [torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn]
    precise = [place.fp32_precision for place in places]
    try:
        torch.set_deterministic_debug_mode(max(mode, 1))  # 1: warn, 2: refuse
        cudnn.benchmark, cudnn.deterministic = False, True
        for place in places:
            place.fp32_precision = "tf32" if tf32 else "ieee"
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.benchmark, cudnn.deterministic = chosen
        for place, before in zip(places, precise, strict=True):
            place.fp32_precision = before


def device_name(device: torch.device) -> str:
    """What computes, such as ``"NVIDIA H100"`` or ``"CPU, 2 threads"``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


class Parts:
    """Calls a function on as many images at once as the device's memory takes.

    How many that is on a GPU, the first image tells, once for each function; should it be too
    many all the same, an out-of-memory error halves it from then on.
    """

    def __init__(self) -> None:
        self.most: int | None = None  # images at once; None: all
        self.function: Function | None = None  # the last called

    def __call__(self, function: Function, images: Tensor) -> tuple[Tensor, ...]:
        """What ``function`` gives for ``images``, whose results do not depend on one another.

        ``images`` are (B, ...), or the numbers of the images, (B,).

        Raises:
            MemoryError: there is no room for a single image.
        """
        if function is not self.function:
            self.function, room = function, _room(function, images)
            self.most = min(room, self.most or room)
        done: list[tuple[Tensor, ...]] = []
        while len(images) or not done:
            part = images[: self.most]
            if result := _attempt(function, part):
                done.append(result)
                images = images[len(part) :]
            else:
                self.most = len(part) // 2
                torch.cuda.empty_cache()
                warnings.warn(
                    f"{len(part)} images at once are too many for the memory of the GPU; it goes "
                    f"on with {self.most} at once",
                    stacklevel=3,
                )
        return done[0] if len(done) == 1 else tuple(map(torch.cat, zip(*done, strict=True)))


def _room(function: Function, images: Tensor) -> int:
    """For how many images the free memory of their GPU is enough, by what the first one takes."""
    if images.device.type != "cuda" or len(images) < 2:
        return len(images)
    device, cuda = images.device, torch.cuda
    before = cuda.memory_allocated(device)
    cuda.reset_peak_memory_stats(device)
    _attempt(function, images[:1])
    one = cuda.max_memory_allocated(device) - before
    free = cuda.mem_get_info(device)[0] + cuda.memory_reserved(device) - before
    return max(1, min(len(images), int(SHARE * free / max(one, 1))))


def _attempt(function: Function, images: Tensor) -> tuple[Tensor, ...] | None:
    """None: out of memory. What the attempt has taken is free then, as its error ends here."""
    try:
        return function(images)
    except torch.OutOfMemoryError as error:
        if len(images) > 1:
            return None
        raise MemoryError(
            "one image alone is too much for the memory of the GPU: take smaller images, a smaller "
            'machine or device="cpu"'
        ) from error
