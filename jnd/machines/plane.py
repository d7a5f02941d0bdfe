"""A machine whose JND is known: two classes on either side of a plane."""

import hashlib

import torch
from torch import Tensor, nn


class Plane(nn.Module):
    """Two classes on either side of a plane, with logits (0, w·(x − mean)): its JND is known.

    Args:
        normal: (C, H, W), w; points to the side of the second class.
        mean: (C, H, W), a point on the plane, grey levels.
        categories: names of the two classes.
    """

    name = "plane"
    normal: Tensor
    mean: Tensor

    def __init__(self, normal: Tensor, mean: Tensor, categories: tuple[str, str]):
        super().__init__()
        self.categories = categories
        self.register_buffer("normal", normal)
        self.register_buffer("mean", mean)
        numbers = torch.stack((normal, mean)).double().numpy().tobytes()
        self.sha256 = hashlib.sha256(numbers).hexdigest()

    @property
    def precision(self) -> str:
        return str(self.normal.dtype).removeprefix("torch.")

    def forward(self, pixels: Tensor) -> Tensor:
        margin = ((pixels - self.mean) * self.normal).flatten(1).sum(1)
        return torch.stack((torch.zeros_like(margin), margin), 1)

    def distance(self, pixels: Tensor) -> Tensor:
        """Length of the shortest way to the plane, from the size of w·(x − mean) / ‖w‖: (B,)."""
        return self(pixels)[:, 1].abs() / torch.linalg.vector_norm(self.normal)
