"""The descent in the page (book/live) beside PyTorch's, in node, without a browser."""

import copy
import inspect
import json
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from assemble import script
from companion.checkout import ROOT
from companion.efficientnet import MEAN, STD, efficientnet_lite
from companion.photos import central_square, load_photos, load_picture, packaged_photos
from companion.studies.derivation import slope, updates_to_K
from companion.zoo import load_machine
from export import NETWORK, SIDE, defaults, layers, packed, unfolded, write_all, write_network
from jnd.cost import Cost
from jnd.descent import find_jnd, update
from jnd.metrics import psnr

SCRIPTS = ROOT / "book" / "live"
ALPHA = defaults()["alpha"]

needs_node = pytest.mark.skipif(
    not shutil.which("node"), reason="not on the PATH: apt-get install nodejs"
)


def base64(values: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(values).tobytes()).decode()


def interleaved(image: Tensor) -> np.ndarray:
    """Return an image (3, H, W) as the page has it, the channels of a pixel side by side."""
    return image.permute(1, 2, 0).float().numpy()


class Scaled(nn.Module):
    """Pixels as the network takes them."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - MEAN) / STD


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    return unfolded()


@pytest.fixture(scope="module")
def machine() -> nn.Module:
    return load_machine(NETWORK, device="cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_all(folder)
    return folder


@pytest.fixture(scope="module")
def photos() -> Tensor:
    return load_photos(packaged_photos(), SIDE)[0]


def ask(made: Path, *questions: dict) -> list:
    """Return what live.mjs answers."""
    done = subprocess.run(
        ["node", "--expose-gc", ROOT / "tests" / "book" / "browser" / "live.mjs", SCRIPTS, made],
        input="".join(json.dumps(question) + "\n" for question in questions),
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def descents(
    made: Path,
    photos: Tensor,
    options: dict,
    updates: int,
    what: str = "descent",
    until_K: bool = False,
) -> list:
    """Return the descents in the page, one for each photo."""
    settings = {"target": None, "alpha": ALPHA, "after": ALPHA, "weights": [1, 1, 1]} | options
    question = {"what": what, "settings": settings, "updates": updates, "untilK": until_K}
    return ask(made, *(question | {"picture": base64(interleaved(x))} for x in photos))


def test_the_defaults_are_those_of_find_jnd():
    options = inspect.signature(find_jnd).parameters
    cost = options["cost"].default
    assert defaults()["lambda"] == cost.squared_distance
    assert defaults()["alpha"] == options["alpha"].default
    assert defaults()["updates"] == options["max_iter"].default


def test_the_loops_are_what_their_script_makes():
    assert (SCRIPTS / "loops.js").read_text() == script()


def test_it_is_small_and_can_be_read():
    scripts = [*SCRIPTS.glob("*.js")]
    lines = [line.strip() for script in scripts for line in script.read_text("utf-8").splitlines()]
    assert sum(bool(line) and not line.startswith("//") for line in lines) <= 1000
    assert sum(script.stat().st_size for script in (*scripts, SCRIPTS / "live.css")) <= 100_000


def test_no_weight_is_further_off_than_float32s_own(network):
    shapes, weights, biases = layers(network, SIDE)
    numbers = packed(weights, biases)
    rows = sum(shape["outputs"] for shape in shapes)
    units = np.frombuffer(numbers, "<f4", 2 * rows)
    bytes_ = np.frombuffer(numbers, "u1", offset=8 * rows).reshape(-1, 3).astype(np.int64)
    wholes = (bytes_ @ [1, 2**8, 2**16] + 2**23) % 2**24 - 2**23
    at = place = 0
    for weight, bias in zip(weights, biases, strict=True):
        matrix = weight.flatten(1).numpy()
        unit, own_bias = np.split(units[at : at + 2 * len(matrix)], 2)
        values = wholes[place : place + matrix.size].reshape(matrix.shape) * np.float64(
            unit[:, None]
        )
        largest = abs(matrix).max(1, keepdims=True)
        assert (abs(values - matrix) <= 2.0**-24 * 1.001 * largest + 1e-30).all()
        assert np.allclose(own_bias, bias, rtol=1e-7, atol=0)
        at, place = at + 2 * len(matrix), place + matrix.size
    assert place * 3 + at * 4 == len(numbers)


def gradients(
    network: nn.Sequential, made: Path, pictures: Tensor, of_logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the page's errors in the logits, (B, 1000), and in the gradients, (B, H, W, 3).

    They are shares of the largest number of each image; float64 is taken as exact.
    """
    here = pictures.double().requires_grad_()
    logits = nn.Sequential(Scaled(), copy.deepcopy(network).double())(here)
    (exact,) = torch.autograd.grad(logits, here, of_logits.double())
    questions = [
        {"what": "gradient", "picture": base64(interleaved(x)), "ofLogits": base64(slope.numpy())}
        for x, slope in zip(pictures, of_logits, strict=True)
    ]
    answers = ask(made, *questions)
    logits_in_page = torch.tensor([answer["logits"] for answer in answers])
    slopes = torch.tensor([answer["ofPicture"] for answer in answers]).view(-1, SIDE, SIDE, 3)
    exact = exact.permute(0, 2, 3, 1)
    return (
        (logits_in_page - logits).abs() / logits.abs().amax(1, keepdim=True),
        (slopes - exact).abs() / exact.abs().amax((1, 2, 3), keepdim=True),
    )


@needs_node
def test_the_gradient_is_exact_unless_a_relu6_is_on_its_kink(tmp_path, generator):
    torch.manual_seed(0)
    network = efficientnet_lite(NETWORK).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2.0)
            nn.init.normal_(layer.bias)
    header = write_network(network, SIDE, tmp_path)
    settings = json.dumps({"network": header})
    (tmp_path / "settings.js").write_text(f"live.settings = {settings};")
    pictures = 255 * torch.rand(4, 3, SIDE, SIDE, generator=generator)
    of_logits = torch.randn(4, 1000, generator=generator)
    logits, slopes = gradients(network, tmp_path, pictures, of_logits)
    assert logits.max() < 1e-5
    # rounding takes a ReLU6 over its kink now and then, in PyTorch too, but not in every picture
    assert slopes.amax((1, 2, 3)).median() < 1e-3


@needs_node
def test_the_gradient_of_the_real_network_is_pytorchs(network, made, photos):
    with torch.no_grad():
        confidence = nn.Sequential(Scaled(), network)(photos).softmax(1)
    of_logits = confidence - one_hot(confidence.argmax(1), 1000)
    logits, slopes = gradients(network, made, photos, of_logits)
    assert logits.max() < 1e-5
    assert (slopes < 1e-3).double().mean((1, 2, 3)).min() > 0.99


@needs_node
def test_K_label_confidence_and_jnd_are_those_of_find_jnd(machine, made, photos):
    expected = find_jnd(machine, photos, max_iter=60, stop_at_K=True)
    in_page = descents(made, photos, {}, 60, until_K=True)
    assert [one["K"] for one in in_page] == expected.K.tolist()
    assert [one["label"] for one in in_page] == expected.objective.label.tolist()
    # find_jnd in float64 is not closer to find_jnd: a step that large makes much of a rounding
    assert [one["jnd"] for one in in_page] == pytest.approx(expected.jnd.tolist(), rel=2e-3)
    for i, one in enumerate(in_page):
        assert one["confidence"] == pytest.approx(
            expected.confidence[one["K"], i].tolist(), abs=0.01
        )
        x = torch.tensor(one["x"]).view(1, SIDE, SIDE, 3).permute(0, 3, 1, 2)
        assert one["psnr"] == pytest.approx(psnr(photos[i : i + 1], x).item(), abs=1e-3)
        assert one["largest"] == pytest.approx((x[0] - photos[i]).abs().max().item(), abs=1e-4)


@needs_node
@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("weights", [(0, 0, 0), (6.5, 0, 0), (0, 5, 0), (0, 0, 6.5e6)])
def test_an_update_is_that_of_find_jnd(machine, made, photos, weights, target):
    x0 = 1.1 * photos[:1] - 1  # some of it out of range
    cost = Cost(*weights)
    expected = find_jnd(machine, x0, cost=cost, target=target, max_iter=3)
    (in_page,) = descents(made, x0, {"weights": weights, "target": target}, 3)
    assert in_page["K"] == expected.K
    x = torch.tensor(in_page["x"]).view(SIDE, SIDE, 3).permute(2, 0, 1)
    moved, error = (expected.x_end - x0)[0], x - expected.x_end[0]
    assert (error.abs() < 1e-3 * moved.abs().max()).double().mean() > 0.99


@needs_node
@pytest.mark.parametrize("side", [40, 100, 224, 225, 700, 1501])
def test_a_square_is_resized_as_load_photos_does_it(made, generator, side):
    photo = load_picture("coffee", 600)[0][0].byte()
    pixels = central_square(photo, side)
    noise = torch.randint(-20, 20, pixels.shape, generator=generator)
    pixels = (pixels.int() + noise).clamp(0, 255).byte()
    rgba = torch.cat((pixels, torch.full_like(pixels[:1], 255))).permute(1, 2, 0)
    question = {"what": "resized", "rgba": base64(rgba.numpy()), "side": side, "size": SIDE}
    (answer,) = ask(made, question)
    in_page = torch.tensor(answer).view(SIDE, SIDE, 3).permute(2, 0, 1)
    assert torch.equal(in_page, central_square(pixels, SIDE).float())


@needs_node
def test_memory_does_not_grow(made, photos):
    (growth,) = descents(made, photos[:1], {}, 20, what="growth")
    assert growth < 2_000_000


@needs_node
def test_the_learning_rate_is_kept_until_a_file_fools_and_then_is_the_larger_one(
    machine, made, photos
):
    x0 = photos[1:2]
    after = defaults()["after"]
    fooling = find_jnd(machine, x0, max_iter=60, pixels="8bit", stop_at_K=True)
    (at_file,) = descents(made, x0, {"after": after}, int(fooling.K))
    (answer,) = descents(made, x0, {"after": after}, int(fooling.K) + 1)
    assert [answer["K"], answer["file"]] == [fooling.K_unrounded, fooling.K]
    before, in_page = (
        torch.tensor(one["x"]).view(1, SIDE, SIDE, 3).permute(0, 3, 1, 2)
        for one in (at_file, answer)
    )
    x = before.requires_grad_()
    moved = update(x, Cost()(fooling.objective.loss(machine(x)), x, x0), after) - x
    # where a ReLU6 switches, roundings decide
    assert (in_page - x - moved).norm() < 0.02 * moved.norm()


@needs_node
def test_thresholds_of_simulated_observers_are_recovered(made):
    cells = [(threshold, slope) for threshold in (0.004, 0.04) for slope in (2, 3.5)]
    answers = ask(
        made,
        *(
            {"what": "observers", "threshold": threshold, "slope": slope, "count": 200, "pairs": 44}
            for threshold, slope in cells
        ),
    )
    for results, (threshold, _) in zip(answers, cells, strict=True):
        measured = [one for one in results if one]
        ratios = np.array([one["threshold"] for one in measured]) / threshold
        within = np.sum(abs(ratios - 1) < 0.15) / len(results)
        covered = [one["low"] <= threshold <= one["high"] for one in measured]
        assert len(measured) >= 195
        assert abs(ratios.mean() - 1) < 0.05
        assert within >= 0.5
        assert 0.9 <= sum(covered) / len(results) <= 0.99


@needs_node
def test_who_guesses_has_no_threshold(made):
    question = {"what": "observers", "threshold": 1e9, "slope": 2, "count": 20, "pairs": 44}
    (results,) = ask(made, question)
    assert results == [None] * 20


@needs_node
def test_the_call_in_python_gives_the_K_and_the_file_of_the_page(made, capsys):
    settings = {"target": None, "weights": [1, 1, 1], "alpha": ALPHA, "updates": 60}
    (call,) = ask(made, {"what": "python", "settings": settings, "photo": "cat"})
    exec(call, {})
    x0, _ = load_photos(["cat"], SIDE)
    (in_page,) = descents(made, x0, {}, 60)
    assert capsys.readouterr().out == f"K {in_page['K']} file {in_page['file']}\n"


@needs_node
def test_random_noise_is_as_large_as_asked_for_and_white(made):
    (noise,) = ask(made, {"what": "noise", "length": 150_000, "norm": 30})
    values = np.array(noise)
    assert np.linalg.norm(values) == pytest.approx(30, rel=1e-5)
    z = values / values.std()
    assert abs(z.mean()) < 0.01 and abs((z**4).mean() - 3) < 0.1
    assert abs((z[1:] * z[:-1]).mean()) < 0.01


@needs_node
def test_a_prediction_of_K_is_that_of_why_these_numbers(machine, made, photos):
    label = machine(photos).argmax(1)
    at_x0 = slope(machine, photos, label)
    expected = updates_to_K(at_x0, at_x0.steepness, ALPHA)
    settings = {"target": None, "alpha": ALPHA, "after": ALPHA, "weights": [1, 1, 1]}
    questions = ({"what": "predict", "picture": base64(interleaved(x))} for x in photos)
    answers = ask(made, *(question | {"settings": settings} for question in questions))
    assert [one["time"] / ALPHA for one in answers] == pytest.approx(expected.tolist(), rel=0.02)
