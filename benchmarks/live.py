"""An update in the book's page (book/live, in node) beside one of find_jnd, both on one thread.

    python benchmarks/live.py

They take turns, some updates at a time, so that what slows the computer slows both. The page's
number is without pictures being drawn: its worker computes, while the page draws.
"""

import json
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from jnd import find_jnd
from jnd.browser import ALPHA, COST, NETWORK, PHOTOS, SIDE, Scaled, write_network
from jnd.datasets import load_photos
from jnd.efficientnet import VARIANTS, efficientnet_lite, renamed
from jnd.registry import fetch

ROOT = Path(__file__).parents[1]
UPDATES = 10  # of each, before it is the other's turn


def beside_pytorch(rounds: int) -> dict[str, float]:
    """Median milliseconds of an update in each, and the median and quartiles of their ratio."""
    torch.set_num_threads(1)
    network = efficientnet_lite(NETWORK).eval()
    state = torch.load(fetch(VARIANTS[NETWORK][2]), weights_only=True)
    network.load_state_dict(renamed(state, network))
    machine = nn.Sequential(Scaled(), fuse(network).to(memory_format=torch.channels_last))
    x0, _ = load_photos(PHOTOS[:1], SIDE)
    alpha = ALPHA * 255**2
    weights = [COST.squared_distance, COST.bounded_range, COST.total_variation]

    def native(updates: int) -> float:
        began = time.perf_counter()
        find_jnd(machine, x0, label=967, cost=COST, alpha=alpha, max_iter=updates)
        return time.perf_counter() - began

    with TemporaryDirectory() as made:
        header = write_network(network, SIDE, Path(made))
        settings = json.dumps({"network": header})
        Path(made, "settings.js").write_text(f"live.settings = {settings};")
        command = ["node", ROOT / "tests" / "browser" / "live.mjs", ROOT / "book" / "live", made]
        picture = b64encode(x0[0].permute(1, 2, 0).contiguous().numpy().tobytes()).decode()
        options = {"target": None, "alpha": alpha, "weights": weights}
        question = {"what": "speed", "picture": picture, "settings": options, "updates": UPDATES}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as node:

            def page() -> float:
                print(json.dumps(question), file=node.stdin, flush=True)
                return sum(json.loads(node.stdout.readline())) / UPDATES

            def pytorch() -> float:  # a longer run less a shorter one leaves the updates alone
                return 1e3 * (native(UPDATES + 1) - native(1)) / UPDATES

            times = np.array([(page(), pytorch()) for _ in range(rounds + 1)][1:])
            node.stdin.close()
    low, ratio, high = np.percentile(times[:, 0] / times[:, 1], [25, 50, 75]).tolist()
    in_page, native_ms = np.median(times, 0).tolist()
    return {"page": in_page, "pytorch": native_ms, "ratio": ratio, "low": low, "high": high}


if __name__ == "__main__":
    print(json.dumps(beside_pytorch(rounds=15), indent=1))
