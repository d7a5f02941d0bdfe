"""What protects a descent: checks of its arguments, a frozen machine, deterministic arithmetic."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from jnd.pictures import eight_bit

NEGATIVE = 0.1  # a larger share of negative pixels means a normalised image; our choice
NO_GRADIENT = (
    "no gradient reaches the pixels: the machine's forward runs under torch.no_grad(), detaches "
    "or rounds its input, or leaves PyTorch"
)


@torch.inference_mode(False)
def as_images(x0: Tensor, pixels: str) -> Tensor:
    """Copy x0, (B, 3, H, W) in grey levels, as float32, or as float64 if it already is.

    Raises:
        TypeError: x0 is not a tensor.
        ValueError: x0 has another shape or dtype, or pixels that are not grey levels 0..255.
    """
    if not isinstance(x0, Tensor):
        raise TypeError(
            f"x0 must be a torch.Tensor, not {type(x0).__name__}: torch.as_tensor converts arrays"
        )
    if x0.ndim != 4 or not x0.is_floating_point():
        raise ValueError(
            f"x0 must be floating-point pixels (B, 3, H, W) in 0..255, not {x0.dtype} of shape "
            f"{tuple(x0.shape)}: x0.float() converts whole numbers, x0[None] makes a batch of one"
        )
    x0 = x0.detach().to(torch.promote_types(x0.dtype, torch.float32), copy=True)
    flat = x0.flatten(1)
    between_levels = (flat != flat.round()).any(1)
    faults = {
        "has pixels that are NaN or infinite": ~flat.isfinite().all(1),
        "has no pixel above 1, but grey levels 0..255 are expected: multiply pixels in 0..1 by "
        "255": (flat.abs() <= 1).all(1) & between_levels,
        "has many negative pixels, but grey levels 0..255 are expected: normalise inside the "
        "machine, as jnd.prepare does": (flat < 0).double().mean(1) > NEGATIVE,
    }
    if pixels == "8bit":
        outside = (flat != eight_bit(flat)).any(1)
        faults["must hold whole grey levels 0..255 for pixels='8bit': round it first"] = outside
    for fault, images in faults.items():
        if images.any():
            raise ValueError(f"image {images.int().argmax()} of x0 {fault}")
    return x0


def check_machine(machine: nn.Module) -> None:
    """Refuse a machine that is no module, or that was made without gradients.

    Raises:
        TypeError: the machine is not an nn.Module.
        ValueError: it was made in inference mode.
    """
    if not isinstance(machine, nn.Module):
        raise TypeError(
            f"the machine must be a torch.nn.Module, not a {type(machine).__name__}: call a "
            "function in the forward of a small module of your own"
        )
    if any(p.is_inference() for p in machine.parameters()):
        raise ValueError("the machine was made inside torch.inference_mode(): make it outside")


@contextmanager
def fails_by_size(images: Tensor) -> Iterator[None]:
    """Turn a network's error on images (B, 3, H, W), often one of size, into one that helps.

    Raises:
        ValueError: the network failed.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, RuntimeError) as error:
        height, width = images.shape[2:]
        raise ValueError(
            f"the machine fails on images of {height}×{width} pixels ({error}); if it needs "
            "another size, resize them, or give input_size to jnd.prepare"
        ) from error


def watched_input(x: Tensor, reached: list[bool]) -> Tensor:
    """x for the machine; the backward pass appends to ``reached`` whether a gradient arrives here.

    The gradient of the other terms of the cost does not pass through here, so this costs nothing.
    """
    view = x.view_as(x)
    if view.requires_grad:
        view.register_hook(lambda gradient: reached.append(bool(gradient.any())))
    return view


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode without parameter gradients; restore it, buffers included.

    Threads can share a module that is frozen already, as machines and detectors are.
    """
    modes = [(m, m.training) for m in module.modules()]
    gradients = [(p, p.requires_grad) for p in module.parameters()]
    buffers = [(b, b.clone()) for b in module.buffers()]
    module.eval().requires_grad_(False)
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training
        for p, requires_grad in gradients:
            p.requires_grad_(requires_grad)
        with torch.no_grad():
            for b, saved in buffers:
                if not torch.equal(b, saved):
                    b.copy_(saved)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use full float32 precision and deterministic operations; restore all settings afterwards.

    The caller's autocast and reduced precisions do not apply. PyTorch warns of an operation that
    has no deterministic form on a GPU.
    """
    torch_backends: Any = torch.backends  # newer than the stubs
    cudnn = torch_backends.cudnn
    backends = [torch_backends.mkldnn.matmul, torch_backends.mkldnn.conv]
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by PyTorch
        backends = [torch_backends.cuda.matmul, cudnn.conv, cudnn.rnn]
    precisions = [backend.fp32_precision for backend in backends]
    mode = torch.get_deterministic_debug_mode()
    benchmark = cudnn.benchmark
    cudnn_deterministic = cudnn.deterministic
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        if device.type == "cuda":
            torch.set_deterministic_debug_mode(max(mode, 1))  # 1: warn, 2: refuse
            cudnn.benchmark = False
            cudnn.deterministic = True
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = precision
        torch.set_deterministic_debug_mode(mode)
        cudnn.benchmark = benchmark
        cudnn.deterministic = cudnn_deterministic
