"""What a process holds at most, MB: ten images of 299 px through Inception v3, and nothing else.

Linux only; a process of its own, as the libraries that bench.py loads would count too.
"""

import json
import re
from pathlib import Path

from networks import machines

from jnd import find_jnd
from jnd.datasets import packaged_squares


def peak() -> float:
    """MB since the process began; unlike getrusage's, not that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status)
    return int(kilobytes) / 1e3


if __name__ == "__main__":
    machine = machines("inception_v3", "cpu")[1]
    x0, _ = packaged_squares(10, 299)
    before = peak()
    find_jnd(machine, x0, label=0, max_iter=3)
    print(json.dumps({"before": before, "peak": peak()}))
