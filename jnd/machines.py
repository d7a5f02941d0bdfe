"""The machines M: frozen networks that take pixels 0..255 and answer with logits."""

import difflib
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.functional import interpolate

from jnd.device import reproducible
from jnd.registry import DATA
from jnd.weights import read_weights

# a bundled machine, a GoogLeNet each, is called by its file; the first by its architecture too
BUNDLED = {
    name: DATA / "weights" / f"{file}.safetensors"
    for name, file in {
        "googlenet": "googlenet_caltech101",
        "googlenet_caltech101": "googlenet_caltech101",
        "googlenet_cifar10": "googlenet_cifar10",
    }.items()
}
PRECISIONS = ("float32", "tf32", "bfloat16")


class Machine(nn.Module):
    """A classifier with its preprocessing inside: pixels (B, 3, H, W) in 0..255 -> logits (B, C).

    Attributes:
        name: torchvision's name of the architecture, or that of a bundled machine.
        categories: names of the C classes.
        min_size: (height, width), the smallest image it takes.
        input_size: (height, width) to which images are resized inside (bilinear, so that the
            gradient reaches the pixels given); None: they are taken as they are.
        sha256: hash of the weights file.
        precision: in what the network computes, one of ``PRECISIONS``. Pixels and logits are
            float32 in any case.
    """

    def __init__(
        self, network, name, categories, mean, std, min_size, input_size, sha256, precision
    ):
        super().__init__()
        dtype = torch.bfloat16 if precision == "bfloat16" else None
        self.network = network.to(dtype=dtype, memory_format=torch.channels_last)
        self.name, self.categories, self.sha256 = name, categories, sha256
        self.precision = precision
        self.min_size, self.input_size = min_size, input_size
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))  # grey levels
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"{self.name} takes pixels (B, 3, H, W), not {tuple(pixels.shape)}")
        if any(side < least for side, least in zip(pixels.shape[2:], self.min_size)):
            raise ValueError(
                f"images of {pixels.shape[2]}×{pixels.shape[3]} are too small for {self.name}: "
                f"it needs {self.min_size[0]}×{self.min_size[1]} at least"
            )
        with reproducible(pixels.device, tf32=self.precision == "tf32"):
            x = (pixels - self.mean) / self.std
            if self.input_size:
                x = resized(x, self.input_size)
            dtype = next(self.network.parameters()).dtype
            return self.network(x.to(dtype, memory_format=torch.channels_last)).to(x.dtype)

    def called(self, category: int) -> str:
        """The name of a class, as people write it."""
        return self.categories[category].replace("_", " ")

    @torch.no_grad()
    def answers(self, images: Tensor) -> list[str]:
        """What M says of each image and how surely: ``"cup, 0.62"``; "" for an image of NaN."""
        confidence, answer = self(images).softmax(1).max(1)
        pairs = zip(answer.tolist(), confidence.tolist())
        return [f"{self.called(c)}, {p:.2f}" if p == p else "" for c, p in pairs]


class Plane(nn.Module):
    """Two classes on either side of a plane, with logits (0, w·(x − mean)): its JND is known.

    Args:
        normal: (C, H, W), w; points to the side of the second class.
        mean: (C, H, W), a point on the plane, grey levels.
        categories: names of the two classes.
    """

    name = "plane"

    @property
    def precision(self) -> str:
        return str(self.normal.dtype).removeprefix("torch.")

    def __init__(self, normal: Tensor, mean: Tensor, categories: tuple[str, str]):
        super().__init__()
        self.categories = categories
        self.register_buffer("normal", normal)
        self.register_buffer("mean", mean)
        numbers = torch.stack((normal, mean)).double().numpy().tobytes()
        self.sha256 = hashlib.sha256(numbers).hexdigest()

    def forward(self, pixels: Tensor) -> Tensor:
        margin = ((pixels - self.mean) * self.normal).flatten(1).sum(1)
        return torch.stack((torch.zeros_like(margin), margin), 1)

    def distance(self, pixels: Tensor) -> Tensor:
        """Length of the shortest way to the plane, from the size of w·(x − mean) / ‖w‖: (B,)."""
        return self(pixels)[:, 1].abs() / torch.linalg.vector_norm(self.normal)


def load_machine(
    name: str,
    weights: str | Path = "bundled",
    device: str | torch.device | None = None,
    precision: str = "float32",
) -> Machine:
    """A frozen torchvision classifier.

    Args:
        name: any of torchvision's classifiers, such as ``"googlenet"`` or ``"inception_v3"``, or
            one of this repository's machines, such as ``"googlenet_cifar10"``.
        weights: ``"bundled"`` (this repository's), ``"official"`` (torchvision's, downloaded and
            checked by hash) or the path of a safetensors file. A file whose header has no
            ``categories`` is read as torchvision's own: ImageNet classes and preprocessing.
        device: None: the GPU if there is one.
        precision: in what the network computes: ``"float32"``, exact; ``"tf32"``, on a GPU, faster
            and with 10 bits of a mantissa in convolutions and matrix products; or ``"bfloat16"``,
            with 7 bits. A CPU without instructions for that is slower then, and a warning says so.

    Raises:
        ValueError: unknown name or precision, no bundled weights for it, or a file that is damaged,
            of another architecture or no safetensors.
        FileNotFoundError: no such weights file.
        OSError: the official weights could not be fetched.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in {*known, *BUNDLED}:
        hint = difflib.get_close_matches(name, [*known, *BUNDLED]) or [*known, *BUNDLED]
        raise ValueError(f"unknown machine {name!r}; there is {', '.join(hint)}")
    if weights == "bundled" and name not in BUNDLED:
        raise ValueError(
            f"no weights for {name} are bundled (only for {', '.join(BUNDLED)}); use "
            'weights="official" or the path of a safetensors file'
        )
    if weights != "bundled" and name not in known:
        raise ValueError(f'{name} is bundled: use weights="bundled", or the architecture\'s name')
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}")
    if precision == "tf32" and device.type != "cuda":
        raise ValueError(f'{device} has no TF32: use precision="float32" there')
    if precision == "bfloat16" and device.type == "cpu" and not has_bfloat16():
        warnings.warn(
            "this processor has no instructions for bfloat16 and is much slower with it: use "
            'precision="float32"',
            stacklevel=2,
        )
    architecture = name if name in known else "googlenet"
    read = read_weights(BUNDLED[name] if weights == "bundled" else weights, architecture)
    official = torchvision.models.get_model_weights(architecture).DEFAULT
    preset = official.transforms()
    categories = read.listed("categories", official.meta["categories"])
    mean = read.listed("mean", [255 * m for m in preset.mean])
    std = read.listed("std", [255 * s for s in preset.std])
    input_size = tuple(read.listed("input_size", []))
    min_size = (1, 1) if input_size else official.meta["min_size"]
    network = _network(
        architecture, read.state, len(categories), torchvisions_own="categories" not in read.header
    )
    read.fill(network, name)
    network = fuse(network.eval())  # batch norm into the convolutions: the same map, faster
    machine = Machine(
        network, name, categories, mean, std, min_size, input_size, read.sha256, precision
    )
    return machine.to(device)


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for it; an older PyTorch cannot tell, and is believed."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return True
    return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W) of another ``size``, (height, width): bilinear and antialiased.

    As ``interpolate`` has it, but as two matrix products: on a GPU, the gradient of that function
    is not the same each time (``upsample_bilinear2d_aa_backward`` adds in any order).
    """

    def matrix(old: int, new: int) -> Tensor:
        unit = torch.eye(old, dtype=x.dtype, device=x.device)
        return interpolate(unit[None, None], (new, old), mode="bilinear", antialias=True)[0, 0]

    rows, columns = map(matrix, x.shape[2:], size)
    return rows @ x @ columns.T


@torch.no_grad()
def rightly_named(machine: nn.Module, images: Tensor, labels: Tensor, count: int) -> Tensor:
    """Numbers of the first images that M calls by their label, (count,) int64.

    A change of answer means something only for those.

    Args:
        machine: maps pixels (B, 3, H, W) to logits.
        images: (N, 3, H, W), of any real dtype, on any device.
        labels: (N,) int64.
        count: how many are wanted.

    Raises:
        ValueError: M is right less often than not, so the labels are not its classes; or there
            are fewer than ``count``.
    """
    device, found, looked_at = next(machine.buffers()).device, [], 0
    for chunk, expected in zip(images.split(100), labels.split(100)):
        right = machine(chunk.to(device, torch.float32)).argmax(1).cpu() == expected
        found += (right.nonzero().flatten() + looked_at).tolist()
        looked_at += len(chunk)
        if len(found) >= count:
            break
    if 2 * len(found) < looked_at:
        raise ValueError(
            f"the machine agrees with only {len(found)} of the first {looked_at} labels: are they "
            "in the order of its categories, and do they belong to these images?"
        )
    if len(found) < count:
        raise ValueError(
            f"the machine names {len(found)} of {looked_at} images, {count} are needed"
        )
    return torch.tensor(found[:count])


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


def _network(
    name: str, state: dict[str, Tensor], classes: int, torchvisions_own: bool
) -> nn.Module:
    options = {"num_classes": classes}
    if name in {"googlenet", "inception_v3"}:
        # torchvision's own weights for these two expect inputs scaled once more
        options |= {"transform_input": torchvisions_own, "init_weights": False}
        options["aux_logits"] = any(key.startswith(("aux", "Aux")) for key in state)
    return torchvision.models.get_model(name, weights=None, **options)
