"""The descent against machines whose path is known."""

import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from units import GREY, grey_cost

from jnd.cost import Cost, CostOfEach
from jnd.descent import find_arms, find_jnd, update
from jnd.trajectory import DivergedError, distance, eight_bit, relative_distance

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


def relative(x, x0):
    return (x - x0).flatten(1).norm(dim=1) / x0.flatten(1).norm(dim=1)


def test_an_update_is_equation_2_with_the_noise_of_equation_3(w, x0):
    """Of the squared distance alone: n(k) = −α · 2λ (x(k) − x(0)), image by image."""
    x = (x0 + torch.arange(1.0, len(x0) + 1, dtype=x0.dtype).view(-1, 1, 1, 1)).requires_grad_()
    updated = update(x, grey_cost(0.25, 0.0, 0.0)(torch.zeros(len(x)), x, x0), alpha=0.1 / GREY)
    assert torch.allclose(updated, x - 0.1 * 2 * 0.25 * (x - x0)) and not updated.requires_grad


def test_the_relative_distance_is_a_ratio_of_norms():
    x0 = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).view(2, 1, 1, 2)
    x = x0 + torch.tensor([[0.0, 1.0], [3.0, 4.0]]).view(2, 1, 1, 2)
    assert distance(x, x0).tolist() == [1.0, 5.0]
    assert relative_distance(x, x0).tolist() == pytest.approx([0.2, 2.5])


def test_constant_gradient_gives_K_and_jnd_in_closed_form(w, x0):
    alpha, margin = 0.01, 7.3
    found = find_jnd(
        linear_machine(w, x0, margin),
        x0[:1],
        objective=LinearObjective(),
        cost=NONE,
        alpha=alpha / GREY,
        max_iter=60,
    )
    squared = w.square().sum().item()
    K = math.floor(margin / (alpha * squared)) + 1
    assert found.K.tolist() == [K]
    assert torch.allclose(found.x_jnd, x0[:1] + K * alpha * w)
    assert torch.allclose(found.x_end, x0[:1] + 60 * alpha * w)
    assert found.jnd.item() == pytest.approx(K * alpha * math.sqrt(squared) / x0[0].norm().item())
    assert found.distance[:, 0].tolist() == pytest.approx(
        [k * alpha * math.sqrt(squared) for k in range(61)]
    )
    assert found.stays_adversarial.tolist() == [True]


@pytest.mark.parametrize("target", [1, None])
@pytest.mark.parametrize("strength", [0.0, 0.02])
def test_cross_entropy_follows_the_scalar_recursion(w, x0, target, strength):
    """x(k) = x(0) + c(k)·w, c(k+1) = (1 − 2αλ)c(k) + α·s(k), s = σ(−m) or, away, σ(m)."""
    alpha, margin, steps = 0.3, 2.0, 200
    found = find_jnd(
        linear_machine(w, x0, margin),
        x0[:1],
        target=target,
        alpha=alpha / GREY,
        max_iter=steps,
        cost=grey_cost(strength, 0.0, 0.0),
    )
    squared, c, path = w.square().sum().item(), 0.0, [0.0]
    for _ in range(steps):
        m = -margin + c * squared
        push = 1 / (1 + math.exp(m)) if target == 1 else 1 / (1 + math.exp(-m))
        c = (1 - 2 * alpha * strength) * c + alpha * push
        path.append(c)
    margins = [-margin + c * squared for c in path]
    K = next(k for k, m in enumerate(margins) if m > 0)
    assert found.K.tolist() == [K]
    assert torch.allclose(found.x_jnd, x0[:1] + path[K] * w)
    assert torch.allclose(found.x_end, x0[:1] + path[-1] * w)
    assert found.confidence[:, 0, 1].tolist() == pytest.approx(
        [1 / (1 + math.exp(-m)) for m in margins]
    )
    assert torch.allclose(found.confidence.sum(2), torch.ones(steps + 1, 1, dtype=torch.float64))


def test_regularisers_act_alone_where_the_loss_is_flat(x0):
    """With no pull from M, one update is x − α·∂(BR + TV)/∂x, here from finite differences."""
    cost, alpha, eps = grey_cost(0.0, 0.5, 0.8), 0.1, 1e-3
    x0 = x0[:1] * 1.4 - 40
    found = find_jnd(
        Linear(torch.zeros(3, 6, 5, dtype=torch.float64), -1.0),
        x0,
        cost=cost,
        alpha=alpha / GREY,
        max_iter=1,
    )
    zero = torch.zeros(1, dtype=torch.float64)
    for index in [(0, 0, 0, 0), (0, 1, 3, 2), (0, 2, 5, 4)]:
        step = torch.zeros_like(x0)
        step[index] = eps
        slope = (cost(zero, x0 + step, x0) - cost(zero, x0 - step, x0)) / (2 * eps)
        assert found.x_end[index].item() == pytest.approx(x0[index].item() - alpha * slope.item())


def test_images_do_not_influence_one_another(w, x0):
    machine = linear_machine(w, x0, 3.0)
    label = machine(x0).argmax(1)
    options = dict(cost=grey_cost(0.01, 1.0, 0.5), alpha=0.1 / GREY, max_iter=40)
    together = find_jnd(machine, x0, target=1 - label, **options)
    for i in range(len(x0)):
        alone = find_jnd(machine, x0[i : i + 1], target=1 - label[i : i + 1], **options)
        assert alone.K == together.K[i]
        for name in "x_jnd", "x_end", "jnd", "stays_adversarial":
            one, all_ = getattr(alone, name)[0], getattr(together, name)[i]
            assert torch.allclose(one, all_, rtol=1e-12, equal_nan=True)
        assert torch.allclose(alone.confidence[:, 0], together.confidence[:, i])


def test_K_is_minus_one_and_jnd_nan_where_nothing_flips(w, x0):
    found = find_jnd(
        linear_machine(w, x0, 1e4), x0[:1], target=1, cost=NONE, alpha=1e-3 / GREY, max_iter=3
    )
    assert found.K.tolist() == [-1]
    assert found.jnd.isnan().all() and found.x_jnd.isnan().all()
    assert found.x_end.isfinite().all()
    assert found.stays_adversarial.tolist() == [False]


def test_K_is_zero_where_the_machine_never_said_the_label(w, x0):
    found = find_jnd(linear_machine(w, x0, 3.0), x0[:1], label=1, cost=NONE, max_iter=1)
    assert found.K.tolist() == [0]
    assert torch.equal(found.x_jnd, x0[:1]) and found.jnd.item() == 0


def test_stays_adversarial_is_false_when_the_answer_flips_back():
    """One pixel thrown over a narrow band: the label returns beyond 12."""

    class Band(nn.Module):
        def forward(self, x):
            inside = 4 - (x.flatten(1)[:, 0] - 8).square()
            return torch.stack((torch.zeros_like(inside), inside), 1)

    class Walk(LinearObjective):
        def loss(self, logits):
            return -pixels.flatten(1)[:, 0]

    pixels = torch.zeros(1, 1, 1, 1)

    class Watched(Band):
        def forward(self, x):
            nonlocal pixels
            pixels = x
            return super().forward(x)

    found = find_jnd(
        Watched(), torch.zeros(1, 1, 1, 1), objective=Walk(), cost=NONE, alpha=1 / GREY, max_iter=12
    )
    assert found.noticed[:, 0].nonzero().flatten().tolist() == [7, 8, 9]
    assert found.K.tolist() == [7] and found.stays_adversarial.tolist() == [False]


def test_of_pictures_K_is_the_first_whose_answer_differs(w, x0):
    """Those of the straight path x(0) + kαw, rounded and clipped."""
    x0, alpha, steps = eight_bit(x0[:1]), 0.002, 300
    machine = linear_machine(w, x0, 6.0)
    options = dict(objective=LinearObjective(), cost=NONE, alpha=alpha / GREY, max_iter=steps)
    watched = []
    found = find_jnd(
        machine, x0, pixels="8bit", watch=lambda k, x: watched.append(x.clone()), **options
    )
    path = [eight_bit(x0 + k * alpha * w) for k in range(steps + 1)]
    K = next(k for k, x in enumerate(path) if machine(x)[0, 1] > 0)
    assert found.K.tolist() == [K] and K > find_jnd(machine, x0, **options).K.item()
    assert torch.equal(found.x_jnd, path[K]) and torch.equal(found.x_before, path[K - 1])
    assert torch.equal(found.x_end, path[-1])
    assert all(map(torch.equal, watched, path))
    assert found.distance[:, 0].tolist() == pytest.approx([distance(x, x0).item() for x in path])


def test_the_picture_found_is_at_most_a_pixel_from_the_least(generator):
    """On a plane the least change in whole grey levels is a knapsack; here it is enumerated."""
    x0 = torch.full((1, 3, 2, 2), 100.0, dtype=torch.float64)
    changes = torch.cartesian_prod(*[torch.tensor([-1, 0, 1])] * 12).to(x0.dtype)
    sizes = changes.norm(dim=1)
    for _ in range(8):
        w = torch.randn(3, 2, 2, generator=generator, dtype=x0.dtype)
        machine = Linear(w, -0.4 * w.abs().sum() - (x0 * w).sum())
        found = find_jnd(
            machine, x0, objective=LinearObjective(), cost=NONE, alpha=1e-3 / GREY, stop_at_K=True,
            max_iter=5000, pixels="8bit",
        )  # fmt: skip
        least = sizes[changes @ w.flatten() > -machine(x0)[0, 1]].min()
        assert found.K.item() > 0 and (found.x_jnd - x0).abs().max() == 1
        assert distance(found.x_jnd, x0) < (least**2 + 1.5) ** 0.5


def test_pictures_start_from_a_picture(w, x0):
    with pytest.raises(ValueError, match="whole grey levels 0..255 for pixels='8bit'"):
        find_jnd(linear_machine(w, x0, 3.0), x0, pixels="8bit")
    with pytest.raises(ValueError, match="pixels = '8 bit': choose 'float' or '8bit'"):
        find_jnd(linear_machine(w, x0, 3.0), x0, pixels="8 bit")


def test_at_the_border_the_margin_is_gone(w, x0):
    """Where the path is straight, x(0) + tw, the plane is margin / ‖w‖ away."""
    machine = linear_machine(w, x0, 7.3)
    options = dict(objective=LinearObjective(), cost=NONE, max_iter=60)
    found = find_jnd(machine, x0[:1], alpha=0.03 / GREY, **options)
    crossing = found.at_border(machine, halvings=30)
    assert torch.allclose(found.x_before, x0[:1] + 0.03 * (found.K.item() - 1) * w)
    assert distance(crossing, x0[:1]).item() == pytest.approx(7.3 / w.norm().item(), rel=1e-9)
    assert distance(found.x_jnd, x0[:1]) > 1.01 * distance(crossing, x0[:1])
    near = find_jnd(machine, x0, alpha=1e-6 / GREY, **options | {"max_iter": 2})
    assert near.at_border(machine)[near.K < 0].isnan().all() and (near.K < 0).any()
    at_once = near.K == 0
    assert at_once.any() and torch.equal(near.at_border(machine)[at_once], x0[at_once])


def test_eight_bit_rounds_and_clips():
    assert eight_bit(torch.tensor([-3.0, 0.4, 0.6, 254.7, 300.0])).tolist() == [0, 0, 1, 255, 255]


def test_the_machine_is_left_as_it_was(generator):
    machine = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Dropout(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).train()
    machine[0].weight.requires_grad_(False)
    machine[1].eval()
    before = {key: value.clone() for key, value in machine.state_dict().items()}
    modes = [m.training for m in machine.modules()]
    wanted = [p.requires_grad for p in machine.parameters()]
    find_jnd(machine, 255 * torch.rand(2, 3, 8, 8, generator=generator), max_iter=3)
    assert [m.training for m in machine.modules()] == modes
    assert [p.requires_grad for p in machine.parameters()] == wanted
    assert all(p.grad is None for p in machine.parameters())
    assert all(torch.equal(value, before[key]) for key, value in machine.state_dict().items())


def test_an_update_costs_one_forward_and_one_input_gradient(w, x0):
    calls = {"forward": 0, "backward": 0}
    machine = linear_machine(w, x0, 3.0)
    machine.register_forward_hook(lambda *_: calls.update(forward=calls["forward"] + 1))
    machine.register_full_backward_hook(lambda *_: calls.update(backward=calls["backward"] + 1))
    find_jnd(machine, x0[:1], target=1, max_iter=7)
    assert calls == {"forward": 1 + 8, "backward": 7}  # the label; x(0) .. x(7)


def test_images_that_leave_at_K_cost_no_more_and_keep_their_K(w, x0):
    machine = linear_machine(w, x0, 3.0)
    options = dict(
        target=1 - machine(x0).argmax(1), alpha=0.1 / GREY, max_iter=300, cost=Cost.arm("l2")
    )
    whole = find_jnd(machine, x0, **options)
    assert len(set(whole.K.tolist())) == 4 and whole.K.min() > 0
    seen = []
    machine.register_forward_pre_hook(lambda _, pixels: seen.append(len(pixels[0])))
    left = find_jnd(machine, x0, **options, stop_at_K=True)
    assert sum(seen) == len(x0) + (whole.K + 1).sum()  # the labels; x(0) .. x(K)
    assert left.K.tolist() == whole.K.tolist()
    assert torch.equal(left.x_jnd, whole.x_jnd) and torch.equal(left.x_end, left.x_jnd)
    for i, K in enumerate(whole.K.tolist()):
        assert torch.equal(left.confidence[: K + 1, i], whole.confidence[: K + 1, i])
        assert left.confidence[K + 1 :, i].isnan().all() and left.distance[K + 1 :, i].isnan().all()
    with pytest.raises(ValueError, match="run the descent to its end"):
        _ = left.stays_adversarial


ARMS = {"full": grey_cost(0.02, 1.0, 0.5), "l2": grey_cost(0.02, 0.0, 0.0), "none": NONE}
SEEN = ["x_jnd", "x_end", "K", "jnd", "confidence", "distance", "noticed"]


@pytest.mark.parametrize("stop_at_K", [False, True])
def test_arms_in_one_batch_do_as_each_alone(w, x0, stop_at_K):
    """The machine is linear, so an image's path in a batch is the same to the bit."""
    machine = linear_machine(w, x0, 30.0)
    options = dict(alpha=0.1 / GREY, max_iter=60, stop_at_K=stop_at_K)
    target = 1 - machine(x0).argmax(1)
    joined = find_jnd(
        machine,
        x0.repeat(3, 1, 1, 1),
        target=target.repeat(3),
        cost=CostOfEach.of(list(ARMS.values()), x0),
        **options,
    )
    for arm, images in zip(ARMS, torch.arange(3 * len(x0)).split(len(x0)), strict=True):
        alone, part = (
            find_jnd(machine, x0, target=target, cost=ARMS[arm], **options),
            joined.select(images),
        )
        for name in SEEN:
            assert torch.equal(
                getattr(part, name).nan_to_num(-7), getattr(alone, name).nan_to_num(-7)
            ), name
        assert torch.equal(part.objective.target, target)


@pytest.mark.parametrize("images, batches", [(1, [3]), (4, [4, 4, 4])])
def test_arms_share_a_batch_where_that_is_faster(w, x0, images, batches):
    class Counting(Linear):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    seen, steps = [], []
    machine, x = Counting(w, -30 - (x0[0] * w).sum()), x0[:images]
    label = machine(x).argmax(1)
    seen.clear()
    found = find_arms(
        machine,
        x,
        ARMS,
        label=label,
        target=None,
        objective=None,
        alpha=0.1 / GREY,
        max_iter=5,
        progress=lambda iterations: steps.append(len(iterations)) or iterations,
    )
    assert list(found) == list(ARMS)
    assert steps == [6] * len(batches)
    assert seen == [n for n in batches for _ in range(1 + 6)]  # the label; x(k)
    for arm, t in found.items():
        alone = find_jnd(
            Linear(machine.w, machine.b),
            x,
            cost=ARMS[arm],
            alpha=0.1 / GREY,
            max_iter=5,
        )
        assert torch.equal(t.x_end, alone.x_end) and torch.equal(t.K, alone.K)
    assert not torch.equal(found["full"].x_end, found["none"].x_end)


def test_arms_in_one_batch_refuse_too_many_labels(w, x0):
    with pytest.raises(ValueError, match="one for each of the 3 images"):
        find_arms(linear_machine(w, x0, 3.0), x0[:1], ARMS, label=torch.tensor([0, 1]), max_iter=1)


def test_an_arm_that_diverges_is_told_from_the_others(w, x0):
    arms = {"none": NONE, "l2": grey_cost(1e3, 0.0, 0.0)}  # 2αλ far above 2
    with pytest.raises(DivergedError, match=r": image 1 at iteration \d+; try") as caught:
        find_arms(
            linear_machine(w, x0, 30.0), x0[:1], arms, target=1, alpha=1.0 / GREY, max_iter=200
        )
    assert caught.value.__notes__ == ["images count on from arm to arm: 1 for each of none, l2"]
    assert caught.value.trajectory.x_end[0].isfinite().all()


def test_arms_keep_their_checkpoints(w, x0, tmp_path):
    machine, kept = linear_machine(w, x0, 30.0), tmp_path / "arms.checkpoint"
    find_arms(machine, x0[:1], ARMS, max_iter=2, checkpoint=kept)
    find_arms(machine, x0, ARMS, max_iter=2, checkpoint=kept)
    assert {file.stem for file in tmp_path.iterdir()} == {
        "arms",
        *(f"arms, {i}" for i in (1, 2, 3)),
    }


def test_what_an_image_would_do_after_it_left_does_not_count(w, x0):
    """x(1) flips, and the step from there would be infinite."""

    class Cliff(LinearObjective):
        def loss(self, logits):
            margin = logits[:, 1]
            return -margin * torch.where(margin.detach() > 0, math.inf, 1.0)

        def select(self, images):
            return self

    machine, options = linear_machine(w, x0, 3.0), dict(objective=Cliff(), cost=NONE, max_iter=3)
    with pytest.raises(DivergedError, match="image 0 at iteration 2"):
        find_jnd(machine, x0[:1], **options)
    found = find_jnd(machine, x0[:1], **options, stop_at_K=True)
    assert found.K.item() == 1 and torch.equal(found.x_end, found.x_jnd)


def test_a_machine_that_has_no_answer_for_x0(w, x0):
    machine = Linear(w, math.nan)
    with pytest.raises(
        DivergedError, match="image 0 at iteration 0; the machine's answer for x0 itself"
    ):
        find_jnd(machine, x0[:1], label=0, target=1, max_iter=2)


def test_a_machine_may_compute_in_another_type(w, x0):
    class Short(Linear):
        def forward(self, x):
            return super().forward(x).bfloat16()

    machine = linear_machine(w, x0, 3.0)
    options = dict(label=0, target=1, alpha=0.1 / GREY, max_iter=5)
    found = find_jnd(Short(machine.w, machine.b), x0[:1], **options)
    assert found.confidence.dtype == x0.dtype and found.K == find_jnd(machine, x0[:1], **options).K


def test_an_image_that_never_flips_stays_to_the_end(w, x0):
    machine = linear_machine(w, x0, 3.0)
    options = dict(target=1 - machine(x0).argmax(1), alpha=0.1 / GREY, max_iter=5)
    whole, left = find_jnd(machine, x0, **options), find_jnd(machine, x0, **options, stop_at_K=True)
    assert left.K.tolist() == whole.K.tolist() and -1 in whole.K
    assert torch.equal(left.x_end[whole.K < 0], whole.x_end[whole.K < 0])


class Unsynchronised(TorchDispatchMode):
    """Inside, an operation for whose outcome the host would wait for a GPU is an error."""

    WAITING = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}

    def __torch_dispatch__(self, function, types, args=(), options=None):
        indices = args[1] if len(args) > 1 and isinstance(args[1], list) else []
        masked = "aten::index" in function.name() and any(
            index is not None and index.dtype == torch.bool for index in indices
        )
        if function in self.WAITING or masked:
            raise RuntimeError(f"the host waits for {function}")
        return function(*args, **options or {})


def test_an_iteration_does_not_wait_for_the_device(w, x0):
    def watched(iterations):
        with Unsynchronised():
            yield from iterations

    machine = linear_machine(w, x0, margin=50.0)
    options = dict(target=1, label=0, alpha=0.01 / GREY, max_iter=4, progress=watched)
    find_jnd(machine, eight_bit(x0), pixels="8bit", **options)
    find_arms(
        machine,
        x0[:1],
        {arm: Cost.arm(arm) for arm in ("full", "none")},
        **options,
    )
    of_each = CostOfEach.of([Cost()], x0)  # as in a batch that goes in parts
    with Unsynchronised():
        of_each.select(torch.arange(2))
    with pytest.raises(RuntimeError, match="the host waits"):  # as is said of this option
        find_jnd(machine, x0, stop_at_K=True, **options)


def test_progress_wraps_the_iterations(w, x0):
    seen = []
    find_jnd(
        linear_machine(w, x0, 3.0),
        x0[:1],
        target=1,
        max_iter=5,
        progress=lambda iterations: (seen.append(k) or k for k in iterations),
    )
    assert seen == list(range(6))


def test_divergence_names_image_and_iteration_and_keeps_the_rest(w, x0):
    """A cost that doubles the distance overflows for the far image first."""

    class Explosive(nn.Module):
        def forward(self, x):
            m = (x - 100).flatten(1).square().sum(1)
            return torch.stack((m, torch.zeros_like(m)), 1)

    class Away(LinearObjective):
        def loss(self, logits):
            return -logits[:, 0]

        def noticed(self, logits):
            return logits[:, 0] > 1e12

    x = torch.full((2, 3, 2, 2), 100.0)
    x[1] += 1
    with pytest.raises(DivergedError, match=r"image 1 at iteration \d+") as caught:
        find_jnd(Explosive(), x, objective=Away(), cost=NONE, alpha=1e4 / GREY, max_iter=30)
    kept = caught.value.trajectory
    assert kept.x_end.isfinite().all()
    assert torch.equal(kept.x_end[0], x[0])
    assert kept.K.tolist()[0] == -1 and kept.K.tolist()[1] > 0


def test_an_answer_of_nan_is_no_answer():
    """The last image is finite, M's logits for it are not."""

    class Edge(nn.Module):
        def forward(self, x):
            m = x.flatten(1).sum(1)
            return torch.stack((1 - m, torch.where(m > 5, torch.nan, m - 100)), 1)

    with pytest.raises(DivergedError, match="image 0 at iteration 3"):
        find_jnd(
            Edge(), torch.zeros(1, 1, 1, 2), objective=Sum(), cost=NONE, alpha=1 / GREY, max_iter=3
        )


class Sum(LinearObjective):
    """Climbs by 1 per pixel and update."""

    def loss(self, logits):
        return logits[:, 0]


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
    ],
)
def test_wrong_arguments(w, x0, wrong, message):
    with pytest.raises(ValueError, match=message):
        find_jnd(linear_machine(w, x0, 3.0), x0[:1], **wrong)


def test_wrong_images(w, x0):
    machine = linear_machine(w, x0, 3.0)
    with pytest.raises(ValueError, match="uint8"):
        find_jnd(machine, x0.byte())
    with pytest.raises(ValueError, match=r"\(3, 6, 5\)"):
        find_jnd(machine, x0[0])
    x0[2, 0, 1, 1] = float("nan")
    with pytest.raises(ValueError, match="image 2 of x0"):
        find_jnd(machine, x0)


def test_a_machine_without_logits_is_refused(x0):
    with pytest.raises(ValueError, match=r"logits \(B, C\), but gave \(4, 3, 6, 5\)"):
        find_jnd(nn.Identity(), x0)


def interrupted(at):
    def progress(iterations):
        for k in iterations:
            if k == at:
                raise KeyboardInterrupt
            yield k

    return progress


@pytest.mark.parametrize("also", [{"pixels": "8bit"}, {"stop_at_K": True}])
def test_an_interrupted_descent_goes_on_to_the_same_bits(w, x0, tmp_path, also):
    x0 = eight_bit(x0)
    machine = linear_machine(w, x0, 3.0)
    options = dict(target=1 - machine(x0).argmax(1), alpha=0.1 / GREY, max_iter=30, **also)
    straight = find_jnd(machine, x0, **options)
    kept = dict(checkpoint=tmp_path / "full.checkpoint", checkpoint_seconds=0)
    for at in (1, 7, 8, 30):
        with pytest.raises(KeyboardInterrupt):
            find_jnd(machine, x0, **options, **kept, progress=interrupted(at))
    calls = []
    machine.register_forward_hook(lambda *_: calls.append(1))
    resumed = find_jnd(machine, x0, **options, **kept)
    assert len(calls) == (3 if also.get("pixels") else 2)  # x(0), x(30) and its picture
    for name in "K", "x_before", "x_jnd", "x_end", "confidence", "distance", "noticed":
        expected, found = getattr(straight, name), getattr(resumed, name)
        assert torch.equal(expected.nan_to_num(-7), found.nan_to_num(-7)), name


@pytest.mark.parametrize(
    "spoil",
    [
        "other alpha",
        "other image",
        "other machine",
        "other setting of it",
        "other precision",
        "other weight",
        "damaged",
    ],
)
def test_a_checkpoint_of_another_descent_is_ignored(w, x0, tmp_path, spoil):
    machine, alpha, file = linear_machine(w, x0, 3.0), 0.1, tmp_path / "full.checkpoint"
    cost = CostOfEach(torch.tensor([[1e-3], [1.0], [0.5]]))
    options = dict(cost=cost, max_iter=20, checkpoint=file, checkpoint_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        find_jnd(machine, x0[:1], target=1, alpha=alpha / GREY, **options, progress=interrupted(9))
    if spoil == "other alpha":
        alpha = 0.2
    elif spoil == "other image":
        x0 = x0 + 1
    elif spoil == "other machine":
        machine.b.data += 0.5
    elif spoil == "other setting of it":
        machine.scale = 2.0
    elif spoil == "other precision":
        machine.precision = "tf32"
    elif spoil == "other weight":
        cost.weights[2] = 0.50001  # all digits count
    else:
        file.write_bytes(file.read_bytes()[:-9])
    calls = []
    machine.register_forward_hook(lambda *_: calls.append(1))
    found = find_jnd(machine, x0[:1], target=1, alpha=alpha / GREY, **options)
    assert len(calls) == 1 + 21  # the label; x(0) .. x(20)
    options["checkpoint"] = None
    expected = find_jnd(machine, x0[:1], target=1, alpha=alpha / GREY, **options)
    assert torch.equal(found.x_end, expected.x_end) and torch.equal(found.K, expected.K)
