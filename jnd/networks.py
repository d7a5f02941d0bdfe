"""What a machine is made of: normalisation inside, batch norm folded, images resized."""

from collections.abc import Sequence
from copy import deepcopy
from inspect import signature

import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace
from torch.fx.experimental.optimization import fuse
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm


class Normalising(nn.Module):
    """A network in eval mode and without parameter gradients that normalises pixels itself.

    Attributes:
        network: a module, converted to channels_last order.
        name: of the architecture, or the class of the user's network.
        categories: names of the C classes; None: they are unknown.
        mean, std: (1, 3, 1, 1), with which pixels are normalised, grey levels.
        sha256: hash of the weights file, or of the weights of the user's network.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        categories: Sequence[str] | None,
        mean: Sequence[float],
        std: Sequence[float],
        sha256: str,
    ):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.name = name
        self.categories = categories
        self.sha256 = sha256
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def normalised(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode with batch norm folded into the convolutions: the same map, faster.

    Where torch.fx cannot trace the network, its children are folded one by one.
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
    except Exception:  # a forward that looks at its numbers may raise anything
        return False
    calls = [node.target for node in nodes if node.op == "call_module"]
    calls = [name for name in calls if any(True for _ in modules[name].parameters())]
    read_layers = {node.target.rpartition(".")[0] for node in nodes if node.op == "get_attr"}
    # a layer that is called twice, or whose weight is also read, must stay as it is
    return len(calls) == len(set(calls)) and not read_layers & set(calls)


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize images (B, C, H, W) to ``size``, (height, width): bilinear and antialiased.

    The same map as ``interpolate``, written as two matrix products: on a GPU the gradient of
    ``interpolate`` varies from run to run (``upsample_bilinear2d_aa_backward`` adds in any order).
    """

    def matrix(old: int, new: int) -> Tensor:
        unit = torch.eye(old, dtype=x.dtype, device=x.device)
        return interpolate(unit[None, None], (new, old), mode="bilinear", antialias=True)[0, 0]

    rows = matrix(x.shape[2], size[0])
    columns = matrix(x.shape[3], size[1])
    return rows @ x @ columns.T
