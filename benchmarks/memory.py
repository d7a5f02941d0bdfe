"""The peak of a process's memory, MB, in a descent of ten images of 299 px through Inception v3.

Linux only. It is a process of its own, since the libraries that bench.py loads would count as well.
"""

import json
import re
from pathlib import Path

from companion.photos import packaged_squares
from jnd.descent import find_jnd
from networks import machines


def peak() -> float:
    """Return the peak since this process began, MB; getrusage would count its parent's as well."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status)
    return int(kilobytes) / 1e3


if __name__ == "__main__":
    machine = machines("inception_v3", "cpu")[1]
    x0, _ = packaged_squares(10, 299)
    before = peak()
    find_jnd(machine, x0, label=0, max_iter=3)
    print(json.dumps({"before": before, "peak": peak()}))
