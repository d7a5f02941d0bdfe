"""The descent against machines whose path is known."""

import math
from contextlib import ExitStack
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from jnd.cost import Cost
from jnd.descent import find_jnd, update
from jnd.pictures import eight_bit
from jnd.trajectory import DivergedError, distance, relative_distance
from units import GREY, grey_cost

NONE = Cost.arm("none")


class Linear(nn.Module):
    """Two classes: logits (0, w·x + b)."""

    def __init__(self, w, b):
        super().__init__()
        self.w = nn.Parameter(w)
        self.b = nn.Parameter(torch.as_tensor(b, dtype=w.dtype))

    def forward(self, x):
        margin = (x * self.w).flatten(1).sum(1) + self.b
        return torch.stack((torch.zeros_like(margin), margin), 1)


class LinearObjective:
    """Loss −w·x, so that x(k) = x(0) + kαw."""

    def loss(self, logits):
        return -logits[:, 1]

    def noticed(self, logits):
        return logits[:, 1] > 0

    def confidence(self, logits):
        return logits.softmax(1)

    def select(self, images):
        return self


@pytest.fixture
def w(generator):
    return torch.randn(3, 6, 5, generator=generator, dtype=torch.float64)


@pytest.fixture
def x0(generator):
    return 255 * torch.rand(4, 3, 6, 5, generator=generator, dtype=torch.float64)


def linear_machine(w, x0, margin):
    """A machine with margin −`margin` for the first image; the others' differ."""
    return Linear(w, -margin - (x0[0] * w).sum())


def assert_same_trajectory(trajectory, expected):
    """All tensors are equal to the bit; NaN equals NaN."""
    for name in "x0", "x_jnd", "x_end", "K", "confidence", "distance", "noticed":
        ours = getattr(trajectory, name).nan_to_num(-7)
        assert torch.equal(ours, getattr(expected, name).nan_to_num(-7)), name


def test_an_update_is_equation_2_with_the_noise_of_equation_3(w, x0):
    """With the squared distance alone: n(k) = −α · 2λ (x(k) − x(0)), image by image."""
    shift = torch.arange(1.0, len(x0) + 1, dtype=x0.dtype).view(-1, 1, 1, 1)
    x = (x0 + shift).requires_grad_()
    cost = grey_cost(0.25, 0.0, 0.0)(torch.zeros(len(x)), x, x0)
    updated = update(x, cost, alpha=0.1 / GREY)
    assert torch.allclose(updated, x - 0.1 * 2 * 0.25 * (x - x0))
    assert not updated.requires_grad


def test_the_relative_distance_is_a_ratio_of_norms():
    x0 = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).view(2, 1, 1, 2)
    x = x0 + torch.tensor([[0.0, 1.0], [3.0, 4.0]]).view(2, 1, 1, 2)
    assert distance(x, x0).tolist() == [1.0, 5.0]
    assert relative_distance(x, x0).tolist() == pytest.approx([0.2, 2.5])


def test_a_constant_gradient_gives_K_and_jnd_in_closed_form(w, x0):
    alpha = 0.01
    margin = 7.3
    trajectory = find_jnd(
        linear_machine(w, x0, margin),
        x0[:1],
        objective=LinearObjective(),
        cost=NONE,
        alpha=alpha / GREY,
        max_iter=60,
    )
    step = alpha * w.norm().item()
    K = math.floor(margin / (alpha * w.square().sum().item())) + 1
    assert trajectory.K.tolist() == [K]
    assert torch.allclose(trajectory.x_jnd, x0[:1] + K * alpha * w)
    assert torch.allclose(trajectory.x_end, x0[:1] + 60 * alpha * w)
    assert trajectory.jnd.item() == pytest.approx(K * step / x0[0].norm().item())
    assert trajectory.distance[:, 0].tolist() == pytest.approx([k * step for k in range(61)])
    assert trajectory.stays_adversarial.tolist() == [True]


@pytest.mark.parametrize("target", [1, None])
@pytest.mark.parametrize("strength", [0.0, 0.02])
def test_cross_entropy_follows_the_scalar_recursion(w, x0, target, strength):
    """x(k) = x(0) + c(k)·w, c(k+1) = (1 − 2αλ)c(k) + α·s(k), s = σ(−m) or, away, σ(m)."""
    alpha = 0.3
    margin = 2.0
    steps = 200
    trajectory = find_jnd(
        linear_machine(w, x0, margin),
        x0[:1],
        target=target,
        alpha=alpha / GREY,
        max_iter=steps,
        cost=grey_cost(strength, 0.0, 0.0),
    )
    squared = w.square().sum().item()
    c = [0.0]
    for _ in range(steps):
        m = -margin + c[-1] * squared
        push = 1 / (1 + math.exp(m)) if target == 1 else 1 / (1 + math.exp(-m))
        c.append((1 - 2 * alpha * strength) * c[-1] + alpha * push)
    margins = [-margin + c_k * squared for c_k in c]
    K = next(k for k, m in enumerate(margins) if m > 0)
    assert trajectory.K.tolist() == [K]
    assert torch.allclose(trajectory.x_jnd, x0[:1] + c[K] * w)
    assert torch.allclose(trajectory.x_end, x0[:1] + c[-1] * w)
    expected = [1 / (1 + math.exp(-m)) for m in margins]
    assert trajectory.confidence[:, 0, 1].tolist() == pytest.approx(expected)
    assert trajectory.confidence.sum(2).flatten().tolist() == pytest.approx([1] * (steps + 1))


def test_regularisers_act_alone_where_the_loss_is_flat(x0):
    """With no pull from M, one update is x − α·∂(BR + TV)/∂x, here from finite differences."""
    cost = grey_cost(0.0, 0.5, 0.8)
    alpha = 0.1
    eps = 1e-3
    x0 = x0[:1] * 1.4 - 40
    machine = Linear(torch.full((3, 6, 5), 1e-30, dtype=torch.float64), -1.0)
    trajectory = find_jnd(machine, x0, cost=cost, alpha=alpha / GREY, max_iter=1)
    zero = torch.zeros(1, dtype=torch.float64)
    for index in [(0, 0, 0, 0), (0, 1, 3, 2), (0, 2, 5, 4)]:
        step = torch.zeros_like(x0)
        step[index] = eps
        slope = (cost(zero, x0 + step, x0) - cost(zero, x0 - step, x0)) / (2 * eps)
        expected = x0[index].item() - alpha * slope.item()
        assert trajectory.x_end[index].item() == pytest.approx(expected)


def test_images_do_not_influence_one_another(w, x0):
    machine = linear_machine(w, x0, 3.0)
    target = 1 - machine(x0).argmax(1)
    options = dict(cost=grey_cost(0.01, 1.0, 0.5), alpha=0.1 / GREY, max_iter=40)
    together = find_jnd(machine, x0, target=target, **options)
    for i in range(len(x0)):
        alone = find_jnd(machine, x0[i : i + 1], target=target[i : i + 1], **options)
        assert alone.K == together.K[i]
        for name in "x_jnd", "x_end", "jnd", "stays_adversarial":
            expected = getattr(together, name)[i]
            assert torch.allclose(getattr(alone, name)[0], expected, rtol=1e-12, equal_nan=True)
        assert torch.allclose(alone.confidence[:, 0], together.confidence[:, i])


def test_K_is_minus_one_and_jnd_nan_where_nothing_flips(w, x0):
    trajectory = find_jnd(
        linear_machine(w, x0, 1e4), x0[:1], target=1, cost=NONE, alpha=1e-3 / GREY, max_iter=3
    )
    assert trajectory.K.tolist() == [-1]
    assert trajectory.jnd.isnan().all() and trajectory.x_jnd.isnan().all()
    assert trajectory.x_end.isfinite().all()
    assert trajectory.stays_adversarial.tolist() == [False]


@pytest.mark.parametrize("stop_at_K", [False, True])
def test_K_is_zero_where_the_machine_never_gave_the_label(w, x0, stop_at_K):
    trajectory = find_jnd(
        linear_machine(w, x0, 3.0), x0[:1], label=1, cost=NONE, max_iter=1, stop_at_K=stop_at_K
    )
    assert trajectory.K.tolist() == [0]
    assert torch.equal(trajectory.x_jnd, x0[:1])
    assert trajectory.jnd.item() == 0


def test_stays_adversarial_is_false_when_the_answer_flips_back():
    """One pixel that walks by 1 per update over a narrow band: the label returns beyond it."""

    class Band(nn.Module):
        def forward(self, x):
            inside = 4 - (x.flatten(1)[:, 0] - 8).square()
            return torch.stack((torch.zeros_like(inside), inside), 1)

    def minus_pixel(loss, x, x0):
        return -x.flatten(1)[:, 0]

    trajectory = find_jnd(
        Band(), torch.zeros(1, 1, 1, 1), label=0, cost=minus_pixel, alpha=1 / GREY, max_iter=12
    )
    assert trajectory.noticed[:, 0].nonzero().flatten().tolist() == [7, 8, 9]
    assert trajectory.K.tolist() == [7]
    assert trajectory.stays_adversarial.tolist() == [False]


def test_with_8bit_pixels_K_is_the_first_picture_whose_answer_differs(w, x0):
    """The pictures are those of the straight path x(0) + kαw, rounded and clipped."""
    x0 = eight_bit(x0[:1])
    alpha = 0.002
    steps = 300
    machine = linear_machine(w, x0, 6.0)
    options = dict(objective=LinearObjective(), cost=NONE, alpha=alpha / GREY, max_iter=steps)
    shown = []
    trajectory = find_jnd(
        machine, x0, pixels="8bit", watch=[lambda r: shown.append(r.shown.clone())], **options
    )
    path = [eight_bit(x0 + k * alpha * w) for k in range(steps + 1)]
    K = next(k for k, picture in enumerate(path) if machine(picture)[0, 1] > 0)
    assert trajectory.K.tolist() == [K]
    assert K > find_jnd(machine, x0, **options).K.item()
    assert torch.equal(trajectory.x_jnd, path[K])
    assert torch.equal(trajectory.x_end, path[-1])
    assert all(map(torch.equal, shown, path))
    distances = [distance(picture, x0).item() for picture in path]
    assert trajectory.distance[:, 0].tolist() == pytest.approx(distances)


def test_the_8bit_jnd_is_at_most_a_pixel_from_the_smallest_change(generator):
    """On a plane the smallest change in whole grey levels is a knapsack; here it is enumerated."""
    x0 = torch.full((1, 3, 2, 2), 100.0, dtype=torch.float64)
    changes = torch.cartesian_prod(*[torch.tensor([-1, 0, 1])] * 12).to(x0.dtype)
    sizes = changes.norm(dim=1)
    for _ in range(8):
        w = torch.randn(3, 2, 2, generator=generator, dtype=x0.dtype)
        machine = Linear(w, -0.4 * w.abs().sum() - (x0 * w).sum())
        trajectory = find_jnd(
            machine,
            x0,
            objective=LinearObjective(),
            cost=NONE,
            alpha=4e-3 / GREY,
            max_iter=1000,
            pixels="8bit",
            stop_at_K=True,
        )
        smallest = sizes[changes @ w.flatten() > -machine(x0)[0, 1]].min()
        assert trajectory.K.item() > 0
        assert (trajectory.x_jnd - x0).abs().max() == 1
        assert distance(trajectory.x_jnd, x0) < (smallest**2 + 1.5) ** 0.5


def test_an_update_costs_one_forward_and_one_input_gradient(w, x0):
    calls = {"forward": 0, "backward": 0}
    machine = linear_machine(w, x0, 3.0)
    machine.register_forward_hook(lambda *_: calls.update(forward=calls["forward"] + 1))
    machine.register_full_backward_hook(lambda *_: calls.update(backward=calls["backward"] + 1))
    find_jnd(machine, x0[:1], target=1, max_iter=7)
    assert calls == {"forward": 1 + 8, "backward": 7}  # the label; x(0) .. x(7)


def test_images_that_stop_at_K_cost_no_more_and_keep_their_K(w, x0):
    machine = linear_machine(w, x0, 3.0)
    target = 1 - machine(x0).argmax(1)
    options = dict(target=target, alpha=0.1 / GREY, max_iter=300, cost=Cost.arm("l2"))
    whole = find_jnd(machine, x0, **options)
    assert len(set(whole.K.tolist())) == 4 and whole.K.min() > 0
    batches = []
    machine.register_forward_pre_hook(lambda _, arguments: batches.append(len(arguments[0])))
    stopped = find_jnd(machine, x0, **options, stop_at_K=True)
    assert sum(batches) == len(x0) + (whole.K + 1).sum()  # the labels; x(0) .. x(K)
    assert stopped.K.tolist() == whole.K.tolist()
    assert torch.equal(stopped.x_jnd, whole.x_jnd)
    assert torch.equal(stopped.x_end, stopped.x_jnd)
    for i, K in enumerate(whole.K.tolist()):
        assert torch.equal(stopped.confidence[: K + 1, i], whole.confidence[: K + 1, i])
        assert stopped.confidence[K + 1 :, i].isnan().all()
        assert stopped.distance[K + 1 :, i].isnan().all()
    with pytest.raises(ValueError, match="run the descent to its end"):
        _ = stopped.stays_adversarial


def test_an_image_that_never_flips_descends_to_the_end(w, x0):
    machine = linear_machine(w, x0, 3.0)
    options = dict(target=1 - machine(x0).argmax(1), alpha=0.1 / GREY, max_iter=5)
    whole = find_jnd(machine, x0, **options)
    stopped = find_jnd(machine, x0, **options, stop_at_K=True)
    assert stopped.K.tolist() == whole.K.tolist() and -1 in whole.K
    assert torch.equal(stopped.x_end[whole.K < 0], whole.x_end[whole.K < 0])


def test_what_an_image_would_do_after_its_stop_does_not_count(w, x0):
    """x(1) flips, and the step from there would be infinite."""

    class Cliff(LinearObjective):
        def loss(self, logits):
            margin = logits[:, 1]
            return -margin * torch.where(margin.detach() > 0, math.inf, 1.0)

    machine = linear_machine(w, x0, 3.0)
    options = dict(objective=Cliff(), cost=NONE, max_iter=3)
    with pytest.raises(DivergedError, match="image 0 at iteration 2"):
        find_jnd(machine, x0[:1], **options)
    stopped = find_jnd(machine, x0[:1], **options, stop_at_K=True)
    assert stopped.K.item() == 1
    assert torch.equal(stopped.x_end, stopped.x_jnd)


def test_a_machine_without_an_answer_for_x0(w, x0):
    machine = Linear(w, math.nan)
    message = "image 0 at iteration 0; the machine's answer for x0 itself is not finite"
    with pytest.raises(DivergedError, match=message):
        find_jnd(machine, x0[:1], label=0, target=1, max_iter=2)


def test_a_machine_may_compute_in_another_type(w, x0):
    class Short(Linear):
        def forward(self, x):
            return super().forward(x).bfloat16()

    machine = linear_machine(w, x0, 3.0)
    options = dict(label=0, target=1, alpha=0.1 / GREY, max_iter=5)
    trajectory = find_jnd(Short(machine.w, machine.b), x0[:1], **options)
    assert trajectory.confidence.dtype == x0.dtype
    assert trajectory.K == find_jnd(machine, x0[:1], **options).K


class Unsynchronised(TorchDispatchMode):
    """Inside, an operation for whose result the host would wait for a GPU is an error."""

    WAITING = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        indices = args[1] if len(args) > 1 and isinstance(args[1], list) else []
        masked = "aten::index" in function.name() and any(
            index is not None and index.dtype == torch.bool for index in indices
        )
        if function in self.WAITING or masked:
            raise RuntimeError(f"the host waits for {function}")
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("pixels", ["float", "8bit"])
def test_an_iteration_does_not_wait_for_the_device(w, x0, pixels):
    x0 = eight_bit(x0)
    machine = linear_machine(w, x0, margin=50.0)

    def descend(**options):
        with ExitStack() as stack:

            def enter(recording):
                if recording.k == 0:
                    stack.enter_context(Unsynchronised())
                elif recording.done:
                    stack.close()

            return find_jnd(
                machine, x0, label=0, target=1, max_iter=4, pixels=pixels, watch=[enter], **options
            )

    descend()
    with pytest.raises(RuntimeError, match="the host waits"):  # as documented
        descend(stop_at_K=True)


class Square(nn.Module):
    """Logits (‖x − 100‖², 0): along the gradient of the first, the distance multiplies."""

    def forward(self, x):
        m = (x - 100).flatten(1).square().sum(1)
        return torch.stack((m, torch.zeros_like(m)), 1)


class AwayFrom100(LinearObjective):
    def loss(self, logits):
        return -logits[:, 0]

    def noticed(self, logits):
        return logits[:, 0] > 1e12


EXPLOSION = dict(objective=AwayFrom100(), cost=NONE, alpha=1e4 / GREY, max_iter=30)


@pytest.fixture
def at_rest_and_beside():
    x0 = torch.full((2, 3, 2, 2), 100.0)
    x0[1] += 1
    return x0


def test_divergence_names_image_and_iteration_and_keeps_the_rest(at_rest_and_beside):
    """The image beside 100 overflows, the image at 100 has no gradient."""
    with pytest.raises(DivergedError, match=r"image 1 at iteration \d+") as caught:
        find_jnd(Square(), at_rest_and_beside, **EXPLOSION)
    trajectory = caught.value.trajectory
    assert caught.value.at[0] == -1 and caught.value.at[1] > 0
    assert trajectory.x_end.isfinite().all()
    assert torch.equal(trajectory.x_end[0], at_rest_and_beside[0])
    assert trajectory.K[0] == -1 and trajectory.K[1] > 0


def test_an_answer_of_nan_is_no_answer():
    """The last image is finite, M's logits for it are not."""

    class Edge(nn.Module):
        def forward(self, x):
            m = x.flatten(1).sum(1)
            return torch.stack((1 - m, torch.where(m > 5, torch.nan, m - 100)), 1)

    class Sum(LinearObjective):
        """Climbs by 1 per pixel and update."""

        def loss(self, logits):
            return logits[:, 0]

    with pytest.raises(DivergedError, match="image 0 at iteration 3"):
        find_jnd(
            Edge(), torch.zeros(1, 1, 1, 2), objective=Sum(), cost=NONE, alpha=1 / GREY, max_iter=3
        )


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(alpha=0.0), "alpha = 0.0"),
        (dict(alpha=float("nan")), "alpha = nan"),
        (dict(max_iter=0), "max_iter = 0"),
        (dict(target=2), r"target 2 is out of range: the machine has classes 0\.\.1"),
        (dict(label=-1), "label -1 is out of range"),
        (dict(target=0), "target = label for image 0"),
        (dict(target=torch.tensor([1, 1])), "one for each of the 1 images"),
        (dict(target=0.5), "class number"),
        (dict(target=1, objective=LinearObjective()), "not both"),
        (dict(pixels="8bit"), "whole grey levels 0..255 for pixels='8bit'"),
        (dict(pixels="8 bit"), "pixels = '8 bit': choose 'float', 'clipped' or '8bit'"),
    ],
)
def test_wrong_arguments(w, x0, wrong, message):
    with pytest.raises(ValueError, match=message):
        find_jnd(linear_machine(w, x0, 3.0), x0[:1], **wrong)


def test_watchers_are_called_in_order_once_per_k_after_the_answer_is_recorded(w, x0):
    alpha = 0.01
    machine = linear_machine(w, x0, 0.5)
    rows = []
    calls = []

    def record(recording):
        k = recording.k
        assert recording.confidence[k + 1 :].isnan().all()
        assert not recording.noticed[k + 1 :].any()
        assert recording.done == (k == recording.max_iter)
        confidence = recording.confidence[k].clone()
        rows.append((recording.x.clone(), confidence, recording.noticed[k].clone()))
        calls.append(("first", k))

    trajectory = find_jnd(
        machine,
        x0[:1],
        objective=LinearObjective(),
        cost=NONE,
        alpha=alpha / GREY,
        max_iter=5,
        watch=[record, lambda recording: calls.append(("second", recording.k))],
    )
    assert calls == [(watcher, k) for k in range(6) for watcher in ("first", "second")]
    for k, (x, confidence, noticed) in enumerate(rows):
        logits = machine(x0[:1] + k * alpha * w)
        assert torch.allclose(x, x0[:1] + k * alpha * w)
        assert torch.allclose(confidence, logits.softmax(1))
        assert noticed.item() == (logits[0, 1] > 0)
        assert torch.equal(confidence, trajectory.confidence[k])
    assert 0 < trajectory.K.item() < 5


def test_with_stop_at_K_watchers_see_who_is_active_up_to_the_last_K(w, x0):
    machine = linear_machine(w, x0, 3.0)
    active = []
    trajectory = find_jnd(
        machine,
        x0,
        target=1 - machine(x0).argmax(1),
        cost=NONE,
        alpha=0.1 / GREY,
        max_iter=300,
        stop_at_K=True,
        watch=[lambda r: active.append((r.k, r.active.tolist(), r.done))],
    )
    K = trajectory.K.tolist()
    assert active == [
        (k, [i for i in range(4) if k <= K[i]], k == max(K)) for k in range(max(K) + 1)
    ]


@pytest.mark.parametrize("stop_at_K", [False, True])
@pytest.mark.parametrize("pixels", ["float", "8bit"])
def test_a_descent_resumed_at_any_k_gives_the_same_bits(w, x0, pixels, stop_at_K):
    x0 = eight_bit(x0)
    machine = linear_machine(w, x0, 3.0)
    options = dict(
        target=1 - machine(x0).argmax(1),
        cost=grey_cost(1e-4, 1.0, 1e-3),
        alpha=1.0 / GREY,
        max_iter=14,
        pixels=pixels,
        stop_at_K=stop_at_K,
    )
    states = []
    whole = find_jnd(machine, x0, **options, watch=[lambda r: states.append(deepcopy(r.state))])
    assert {-1, 1} < set(whole.K.tolist())
    ks = []
    for k, state in enumerate(states):
        ks.clear()
        resumed = find_jnd(machine, x0, **options, watch=[lambda r: ks.append(r.k)], resume=state)
        assert ks == list(range(k, len(states)))
        assert_same_trajectory(resumed, whole)


def test_tensors_that_watchers_keep_are_resumed_too(w, x0):
    """Here the path of the first image, which grows by a row per k."""
    machine = linear_machine(w, x0, 3.0)
    options = dict(label=0, target=1, alpha=0.1 / GREY, max_iter=20)
    states = []

    def keep_path(recording):
        path = recording.kept.get("path", x0[:0])
        recording.kept["path"] = torch.cat((path[: recording.k], recording.x[:1]))

    watch = [keep_path, lambda recording: states.append(deepcopy(recording.state))]
    find_jnd(machine, x0, **options, watch=watch)
    path = states[-1]["path"]
    assert len(path) == 21 and len(path.unique(dim=0)) == 21
    find_jnd(machine, x0, **options, watch=watch, resume=states[7])
    assert len(states) == 21 + 14
    assert torch.equal(states[-1]["path"], path)


def test_a_resumed_descent_remembers_who_diverged(at_rest_and_beside):
    states = []
    with pytest.raises(DivergedError) as whole:
        find_jnd(
            Square(),
            at_rest_and_beside,
            **EXPLOSION,
            watch=[lambda r: states.append(deepcopy(r.state))],
        )
    for state in states:
        with pytest.raises(DivergedError) as resumed:
            find_jnd(Square(), at_rest_and_beside, **EXPLOSION, resume=state)
        assert torch.equal(resumed.value.at, whole.value.at)
        assert_same_trajectory(resumed.value.trajectory, whole.value.trajectory)


def test_a_watcher_may_interrupt_and_the_machine_is_left_as_it_was(w, x0):
    machine = linear_machine(w, x0, 3.0).train()

    def interrupt(recording):
        assert not machine.training
        if recording.k == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_jnd(machine, x0, watch=[interrupt])
    assert machine.training and machine.w.requires_grad


def test_the_method_reads_and_writes_no_file(w, x0, monkeypatch):
    machine = linear_machine(w, x0, 3.0)
    options = dict(label=0, target=1, max_iter=3, stop_at_K=True)
    states = []
    find_jnd(machine, x0, **options, watch=[lambda r: states.append(deepcopy(r.state))])
    for function in "builtins.open", "io.open", "os.open":
        monkeypatch.setattr(function, lambda *_, **__: pytest.fail("opened a file"))
    find_jnd(machine, x0, **options, resume=states[1])
