"""What a GPU asks for, on a CPU that plays one."""

import warnings

import pytest
import torch
from torch import nn
from units import GREY, grey_cost

from jnd import descent, find_jnd
from jnd.studies import attacks, metered
from jnd.support import device
from jnd.support.device import Parts, reproducible

GPU = torch.device("cuda")


def settings():
    backends = torch.backends
    return {
        "deterministic": (torch.get_deterministic_debug_mode(), backends.cudnn.deterministic),
        "benchmark": backends.cudnn.benchmark,
        "precision": {
            place.fp32_precision
            for place in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
        },
    }


@pytest.fixture(params=["PyTorch's old way", "its new way"])
def hurried(monkeypatch, request):
    """A process that has been told to be fast."""
    before, matmul = settings(), torch.backends.cuda.matmul
    allowed, torch.backends.cudnn.benchmark = matmul.fp32_precision, True
    if request.param == "PyTorch's old way":
        matmul.allow_tf32 = True
    else:
        matmul.fp32_precision = "tf32"
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    torch.backends.cudnn.benchmark = before["benchmark"]
    assert request.param != "PyTorch's old way" or matmul.allow_tf32
    matmul.fp32_precision = allowed
    assert settings() == before


EXACT = {"deterministic": (1, True), "benchmark": False, "precision": {"ieee"}}


def test_cuda_is_exact_and_deterministic_inside_and_as_before_afterwards(hurried):
    before = settings()
    with reproducible(GPU):
        assert settings() == EXACT
        with reproducible(GPU, tf32=True):
            assert settings() == EXACT | {"precision": {"tf32"}}
        assert settings() == EXACT
    assert settings() == before
    with pytest.raises(KeyError), reproducible(GPU):
        raise KeyError
    assert settings() == before


def test_a_process_that_refuses_what_is_not_deterministic_goes_on_refusing():
    torch.set_deterministic_debug_mode("error")
    try:
        with reproducible(GPU):
            assert torch.get_deterministic_debug_mode() == 2
    finally:
        torch.set_deterministic_debug_mode("default")


def test_a_cpu_needs_nothing(hurried):
    before = settings()
    with reproducible(torch.device("cpu")):
        assert settings() == before


class Margin(nn.Module):
    """Two classes; the margin grows with the brightness, a little differently for every pixel."""

    def __init__(self, generator):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 6, 5, generator=generator))

    def forward(self, x):
        margin = (x * self.weight).flatten(1).sum(1) - 3500
        return torch.stack((torch.zeros_like(margin), margin), 1) / 100


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_the_descent_is_exact_in_the_forward_and_in_the_gradient(
    hurried, monkeypatch, generator, precision
):
    seen = []

    class Watched(Margin):
        def forward(self, x):
            seen.append(settings())
            if x.requires_grad:
                x.register_hook(lambda gradient: seen.append(settings()))
            return super().forward(x)

    monkeypatch.setattr(descent, "reproducible", lambda device, tf32: reproducible(GPU, tf32))
    machine = Watched(generator)
    machine.precision = precision
    find_jnd(machine, torch.full((1, 3, 6, 5), 100.0), target=1, label=0, max_iter=2)
    expected = EXACT | {"precision": {"tf32" if precision == "tf32" else "ieee"}}
    assert len(seen) == 6 and all(s == expected for s in seen)


def test_the_attacks_of_others_are_exact_too(hurried, monkeypatch, generator):
    seen = []

    class Watched(Margin):
        def forward(self, x):
            x = x + 0
            if x.requires_grad:
                x.register_hook(lambda gradient: seen.append(settings()))
            return super().forward(x)

    monkeypatch.setattr(metered, "reproducible", lambda device, tf32: reproducible(GPU, tf32))
    attack = attacks.state_of_the_art(4)["DDN"]
    x0, label = torch.full((1, 3, 6, 5), 100.0), torch.zeros(1, dtype=torch.int64)
    metered.run_attack(attack, Watched(generator), x0, label)
    assert len(seen) == 4 and all(s == EXACT for s in seen)


class Small(Margin):
    """With room for so many images at once, in the forward or in the gradient."""

    def __init__(self, generator, room, where):
        super().__init__(generator)
        self.room, self.where, self.images = room, where, []

    def forward(self, x):
        if self.where == "gradient" and x.requires_grad:
            x.register_hook(self.take)
        elif self.where == "forward":
            self.take(x)
        self.images.append(len(x))
        return super().forward(x)

    def take(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.fixture
def x0(generator):
    return (120 * torch.rand(7, 3, 6, 5, generator=generator)).round()


def descents(machine, x0, **options):
    options = {
        "target": 1,
        "label": 0,
        "cost": grey_cost(1e-5, 1e-3, 1e-3),
        "max_iter": 60,
    } | options
    return find_jnd(machine, x0, alpha=200.0 / GREY, **options)


def assert_same(found, expected):
    for name, value in vars(expected).items():
        if name != "objective" and value is not None:
            assert torch.equal(getattr(found, name).nan_to_num(-7), value.nan_to_num(-7)), name


@pytest.mark.parametrize("options", [{"pixels": "8bit"}, {"stop_at_K": True}])
@pytest.mark.parametrize("where", ["forward", "gradient"])
@pytest.mark.parametrize("room", [3, 1])
def test_a_batch_too_large_gives_the_same_in_parts(generator, x0, options, where, room):
    seed = generator.get_state()
    expected = descents(Margin(generator), x0, **options)
    assert len(set(expected.K.tolist())) > 3 and expected.K.min() > 3
    machine = Small(generator.set_state(seed), room, where)
    with pytest.warns(UserWarning, match="images at once are too many for the memory of the GPU"):
        assert_same(descents(machine, x0, **options), expected)


def test_it_tries_no_more_than_it_has_learnt(generator, x0):
    machine = Small(generator, 3, "forward")
    with pytest.warns(UserWarning, match="7 images at once .* on with 3 at once") as warned:
        descents(machine, x0, max_iter=10)
    assert len(warned) == 1
    assert machine.images == 12 * [3, 3, 1]  # the label; x(0) .. x(10)


def test_what_was_done_before_the_memory_ran_out_is_kept(generator):
    """One call too many in the middle: no image is lost, none comes twice."""
    calls = []

    def double(x):
        calls.append(x.tolist())
        if len(calls) == 2:
            raise torch.OutOfMemoryError
        return 2 * x, x

    parts = Parts()
    parts.most = 4
    with pytest.warns(UserWarning, match="4 images .* 2 at once"):
        doubled, same = parts(double, torch.arange(10))
    assert same.tolist() == list(range(10)) and doubled.tolist() == list(range(0, 20, 2))
    assert calls == [[0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [6, 7], [8, 9]]


def test_a_descent_in_parts_goes_on_from_its_checkpoint(generator, x0, tmp_path):
    seed = generator.get_state()
    expected = descents(Margin(generator), x0, stop_at_K=True)
    machine = Small(generator.set_state(seed), 3, "forward")
    kept = dict(checkpoint=tmp_path / "some.checkpoint", checkpoint_seconds=0, stop_at_K=True)

    def interrupted(iterations):
        for k in iterations:
            if k == 9:
                raise KeyboardInterrupt
            yield k

    with pytest.warns(UserWarning), pytest.raises(KeyboardInterrupt):
        descents(machine, x0, **kept, progress=interrupted)
    at = len(machine.images)
    with pytest.warns(UserWarning):
        assert_same(descents(machine, x0, **kept), expected)
    assert sum(machine.images[at:]) == len(x0) + (expected.K[expected.K >= 9] - 8).sum()


class OnGPU:
    """Images that say they are on a GPU."""

    device = GPU

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, part):
        return OnGPU(self.images[part])


@pytest.mark.parametrize(
    "free, parts", [(1000, [10]), (200, [7, 3]), (100, [3, 3, 3, 1]), (10, [1] * 10)]
)
def test_the_first_image_tells_how_many_fit(monkeypatch, free, parts):
    """An image takes 25, a tenth stays free; PyTorch has 40 in use and keeps 30 to use again."""
    peak = []

    class Played:
        memory_allocated = staticmethod(lambda device: 40)
        memory_reserved = staticmethod(lambda device: 40 + 30)
        mem_get_info = staticmethod(lambda device: (free - 30, 5000))
        reset_peak_memory_stats = staticmethod(lambda device: peak.clear())
        max_memory_allocated = staticmethod(lambda device: 40 + max(peak))

    def function(part):
        calls.append(len(part))
        peak.append(25 * len(part))
        return (part.images,)

    monkeypatch.setattr(device.torch, "cuda", Played)
    calls, at_once = [], Parts()
    for again in ([1], []):
        (done,) = at_once(function, OnGPU(torch.arange(10)))
        assert done.tolist() == list(range(10))
        assert calls == again + parts
        calls.clear()


def test_one_image_too_large_says_what_to_do(generator, x0):
    with (
        warnings.catch_warnings(),
        pytest.raises(MemoryError, match='smaller images.*device="cpu"'),
    ):
        warnings.simplefilter("ignore")
        descents(Small(generator, 0, "forward"), x0)
