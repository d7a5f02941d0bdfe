"""The paper's printed numbers, and what the 331.17 dB in them are."""

import math
from typing import Any

from jnd.support.checkout import read_data

INT64_DB = 20 * math.log10((2**63 - 1) / 255)
"""What sewar and scikit-image add to the PSNR of int64 images, whose peak they take for MAX."""


def printed_tables() -> dict[str, Any]:
    """``"table1"`` and ``"table2"`` of data/paper.yaml: column -> metric -> what is printed."""
    return read_data("paper")["tables"]
