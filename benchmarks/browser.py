"""Time an update in the book's page (book/live, in node) beside find_jnd's, on one thread each.

    python benchmarks/browser.py

repeats this measurement alone and writes it into data/speed.json. The two take turns, some updates
at a time, so that whatever slows the computer slows both. The page's time excludes drawing, which
happens outside its worker.
"""

import json
import subprocess
import sys
import time
from base64 import b64encode
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from companion.checkout import ROOT
from companion.photos import load_photos, packaged_photos
from companion.provenance import commit
from companion.zoo import load_machine
from jnd.descent import find_jnd
from processor import processor

sys.path.insert(0, str(ROOT / "book" / "live"))
from export import NETWORK, SIDE, defaults, unfolded, write_network  # noqa: E402

UPDATES = 10  # of each in a turn
SPEED = ROOT / "data" / "speed.json"


def beside_pytorch(rounds: int) -> dict[str, Any]:
    """Return the median time of an update in each, ms, and median and quartiles of their ratio."""
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
        script = ROOT / "tests" / "book" / "browser" / "live.mjs"
        command: list[str | Path] = ["node", script, ROOT / "book" / "live", made]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as node:
            questions, answers = node.stdin, node.stdout
            assert questions and answers

            def page() -> float:
                print(json.dumps(question), file=questions, flush=True)
                return sum(json.loads(answers.readline())) / UPDATES

            def pytorch() -> float:  # the difference of two runs is the updates alone
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
