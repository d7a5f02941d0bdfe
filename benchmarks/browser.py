"""An update in the book's page (book/live, in node) beside one of find_jnd, both on one thread.

    python benchmarks/browser.py

measures that alone again and writes it into data/speed.json. The two take turns, some updates at a
time, so that what slows the computer slows both. The page's number is without pictures being
drawn: its worker computes, while the page draws.
"""

import json
import subprocess
import time
from base64 import b64encode
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from processor import processor

from jnd import find_jnd, load_machine
from jnd.companion.browser import NETWORK, SIDE, defaults, unfolded, write_network
from jnd.companion.provenance import commit
from jnd.datasets import load_photos, packaged_photos
from jnd.support.checkout import ROOT

UPDATES = 10  # of each, before it is the other's turn
SPEED = ROOT / "data" / "speed.json"


def beside_pytorch(rounds: int) -> dict[str, Any]:
    """Median milliseconds of an update in each, and the median and quartiles of their ratio."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    machine = load_machine(NETWORK, device="cpu")
    x0, _ = load_photos(packaged_photos()[:1], SIDE)
    with torch.no_grad():
        label = machine(x0).argmax(1)

    def native(updates: int) -> float:
        began = time.perf_counter()
        find_jnd(machine, x0, label=label, max_iter=updates)
        return time.perf_counter() - began

    with TemporaryDirectory() as made:
        settings = json.dumps({"network": write_network(unfolded(), SIDE, Path(made))})
        Path(made, "settings.js").write_text(f"live.settings = {settings};")
        alpha = defaults()["alpha"]
        options = {"target": None, "alpha": alpha, "after": alpha, "weights": [1, 1, 1]}
        picture = b64encode(x0[0].permute(1, 2, 0).contiguous().numpy().tobytes()).decode()
        question = {"what": "speed", "picture": picture, "settings": options, "updates": UPDATES}
        script = ROOT / "tests" / "project" / "browser" / "live.mjs"
        command: list[str | Path] = ["node", script, ROOT / "book" / "live", made]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as node:
            questions, answers = node.stdin, node.stdout
            assert questions and answers

            def page() -> float:
                print(json.dumps(question), file=questions, flush=True)
                return sum(json.loads(answers.readline())) / UPDATES

            def pytorch() -> float:  # a longer run less a shorter one leaves the updates alone
                return 1e3 * (native(UPDATES + 1) - native(1)) / UPDATES

            times = np.array([(page(), pytorch()) for _ in range(rounds + 1)][1:])
            questions.close()
    torch.set_num_threads(threads)
    low, ratio, high = np.percentile(times[:, 0] / times[:, 1], [25, 50, 75]).tolist()
    in_page, native_ms = np.median(times, 0).tolist()
    return {
        "page": in_page,
        "pytorch": native_ms,
        "ratio": ratio,
        "low": low,
        "high": high,
        "provenance": {
            "processor": processor(),
            "node": subprocess.check_output(["node", "--version"], text=True).strip(),
            "torch": version("torch"),
            "commit": commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "rounds": rounds,
        },
    }


if __name__ == "__main__":
    content = json.loads(SPEED.read_text("utf-8"))
    content["values"]["browser"] = beside_pytorch(rounds=15)
    SPEED.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(json.dumps(content["values"]["browser"], indent=1))
