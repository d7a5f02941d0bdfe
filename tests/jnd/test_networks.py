import pytest
import torch
from torch import nn

from jnd.descent import find_jnd
from jnd.guards import deterministic, frozen
from jnd.networks import folded, resized
from random_norms import randomise_norms

GPU = torch.device("cuda")  # of which `deterministic` asks nothing that a CPU does not have


def backend_settings():
    cudnn = torch.backends.cudnn
    backends = (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul)
    return {
        "mode": torch.get_deterministic_debug_mode(),
        "deterministic": cudnn.deterministic,
        "benchmark": cudnn.benchmark,
        "precision": {backend.fp32_precision for backend in backends},
    }


EXACT = {"mode": 1, "deterministic": True, "benchmark": False, "precision": {"ieee"}}


@pytest.fixture(params=["PyTorch's old interface", "PyTorch's new interface"])
def fast_settings(monkeypatch, request):
    """A process that was configured for speed."""
    before = backend_settings()
    matmul = torch.backends.cuda.matmul
    precision = matmul.fp32_precision
    old_interface = request.param == "PyTorch's old interface"
    torch.backends.cudnn.benchmark = True
    if old_interface:
        matmul.allow_tf32 = True
    else:
        matmul.fp32_precision = "tf32"
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    torch.backends.cudnn.benchmark = before["benchmark"]
    assert not old_interface or matmul.allow_tf32
    matmul.fp32_precision = precision
    assert backend_settings() == before


def test_cuda_is_exact_and_deterministic_inside_and_as_before_afterwards(fast_settings):
    before = backend_settings()
    with deterministic(GPU):
        assert backend_settings() == EXACT
        with deterministic(GPU):
            assert backend_settings() == EXACT
        assert backend_settings() == EXACT
    assert backend_settings() == before
    with pytest.raises(KeyError), deterministic(GPU):
        raise KeyError
    assert backend_settings() == before


def test_a_process_that_refuses_nondeterministic_operations_goes_on_refusing_them():
    torch.set_deterministic_debug_mode("error")
    try:
        with deterministic(GPU):
            assert torch.get_deterministic_debug_mode() == 2
    finally:
        torch.set_deterministic_debug_mode("default")


def test_nothing_is_set_for_a_cpu(fast_settings):
    before = backend_settings()
    with deterministic(torch.device("cpu")):
        assert backend_settings() == before


def test_the_descent_is_exact_in_the_forward_and_in_the_gradient(fast_settings, monkeypatch):
    observed = []

    class Brightness(nn.Module):
        def forward(self, x):
            observed.append(backend_settings())
            if x.requires_grad:
                x.register_hook(lambda gradient: observed.append(backend_settings()))
            return torch.stack((100 + 0 * x.mean((1, 2, 3)), x.mean((1, 2, 3))), 1)

    monkeypatch.setattr("jnd.descent.deterministic", lambda device: deterministic(GPU))
    find_jnd(Brightness(), torch.full((1, 3, 6, 5), 90.0), target=1, max_iter=2)
    assert observed == [EXACT] * (1 + 3 + 2)  # the label; x(0) .. x(2); two gradients


def test_a_frozen_module_is_as_before_afterwards(generator):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    module[0].weight.requires_grad_(False)
    module[2].eval()
    images = torch.rand(2, 3, 8, 8, generator=generator)
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    modes = [m.training for m in module.modules()]
    gradients = [p.requires_grad for p in module.parameters()]
    with pytest.raises(KeyError), frozen(module):
        assert not any(m.training for m in module.modules())
        assert not any(p.requires_grad for p in module.parameters())
        assert torch.equal(module(images), module(images))
        module.train()(images)  # moves the running mean
        raise KeyError
    assert [m.training for m in module.modules()] == modes
    assert [p.requires_grad for p in module.parameters()] == gradients
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


def block(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


class Untraceable(nn.Module):
    """The forward depends on its numbers, so torch.fx cannot trace it; it can trace its blocks."""

    def __init__(self):
        super().__init__()
        self.first = block(3)
        self.second = block(4)

    def forward(self, x):
        x = self.first(x)
        return self.second(x) if x.mean() > -9 else x


class Shared(nn.Module):
    """One convolution before two norms: folding either would spoil the other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.one = nn.BatchNorm2d(4)
        self.two = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.one(self.conv(x)) + self.two(self.conv(x.flip(3)))


class Tied(nn.Module):
    """The forward also reads the weight of a convolution that could be folded."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)) + nn.functional.conv2d(x, self.conv.weight)


class Hooked(nn.Sequential):
    """A hook halves the output of the block."""

    def __init__(self):
        super().__init__(block(3))
        self[0].register_forward_hook(lambda module, args, output: output / 2)


class Optional(nn.Module):
    """The forward has an optional argument."""

    def __init__(self):
        super().__init__()
        self.block = block(3)

    def forward(self, x, targets=None):
        return self.block(x) if targets is None else targets


@pytest.mark.parametrize(
    "build, unfolded_norms",
    [(lambda: block(3), 0), (Untraceable, 0), (Optional, 0), (Shared, 2), (Tied, 1), (Hooked, 1)],
)
def test_a_folded_network_is_the_same_map(build, unfolded_norms, generator):
    torch.manual_seed(0)
    network = randomise_norms(build())
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    copy = folded(network)
    assert network.training and not copy.training
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in copy.modules()) == unfolded_norms

    images = torch.randn(2, 3, 16, 16, generator=generator)
    with torch.no_grad():
        expected = network.eval()(images)
        assert torch.allclose(copy(images), expected, rtol=1e-5, atol=1e-5 * expected.std())


@pytest.mark.parametrize("size", [(20, 33), (5, 4), (12, 9)])
def test_resizing_by_matrices_is_interpolation(generator, size):
    x = torch.rand(2, 3, 12, 9, generator=generator, dtype=torch.float64).requires_grad_()
    expected = nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
    ours = resized(x, size)
    assert torch.allclose(ours, expected, atol=1e-12)
    push = torch.rand(expected.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((y * push).sum(), x)[0] for y in (ours, expected)]
    assert torch.allclose(*gradients, atol=1e-12)
