import os

import pytest
import torch

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same numbers wherever the tests run


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
