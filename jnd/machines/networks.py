"""What is done to any network: freezing it, folding batch norm, resizing what goes in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from inspect import signature

import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace
from torch.fx.experimental.optimization import fuse
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside: eval mode, no parameter asks for a gradient. After: as before, buffers included."""
    modes = [(m, m.training) for m in module.modules()]
    wanted = [(p, p.requires_grad) for p in module.parameters()]
    buffers = [(b, b.clone()) for b in module.buffers()]
    try:
        module.eval().requires_grad_(False)
        yield
    finally:
        for m, training in modes:
            m.training = training
        for p, requires_grad in wanted:
            p.requires_grad_(requires_grad)
        with torch.no_grad():
            for b, saved in buffers:
                b.copy_(saved)


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode, batch norm in the convolutions before it: the same map, faster.

    A network that torch.fx cannot trace is folded child by child, as far as they can be traced.
    """
    return _folded(deepcopy(network).eval())


def _folded(network: nn.Module) -> nn.Module:
    modules = dict(network.named_modules())
    if not any(isinstance(module, _BatchNorm) for module in modules.values()):
        return network
    if not _can_be_folded(network, modules):
        for name, child in network.named_children():
            setattr(network, name, _folded(child))
        return network
    return fuse(network)


def _can_be_folded(network: nn.Module, modules: dict[str, nn.Module]) -> bool:
    if len(signature(network.forward).parameters) != 1:  # tracing would take options for tensors
        return False
    if any(module._forward_hooks or module._forward_pre_hooks for module in modules.values()):
        return False  # tracing loses them
    try:
        nodes = symbolic_trace(network).graph.nodes
    except Exception:  # whatever happens to a forward that looks at its numbers
        return False
    called = [node.target for node in nodes if node.op == "call_module"]
    called = [name for name in called if [*modules[name].parameters()]]
    read = {node.target.rpartition(".")[0] for node in nodes if node.op == "get_attr"}
    # a layer that is called twice, or whose weight is also read, must stay what it is
    return len(called) == len({*called}) and not read & {*called}


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Images (B, C, H, W) of another ``size``, (height, width): bilinear and antialiased.

    As ``interpolate`` has it, but as two matrix products: on a GPU, the gradient of that function
    is not the same each time (``upsample_bilinear2d_aa_backward`` adds in any order).
    """

    def matrix(old: int, new: int) -> Tensor:
        unit = torch.eye(old, dtype=x.dtype, device=x.device)
        return interpolate(unit[None, None], (new, old), mode="bilinear", antialias=True)[0, 0]

    rows, columns = map(matrix, x.shape[2:], size)
    return rows @ x @ columns.T
