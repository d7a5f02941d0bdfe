"""A progress bar for people that leaves nothing in an executed notebook."""

import time
from collections.abc import Callable, Iterable, Iterator

from IPython import get_ipython
from IPython.display import HTML, display
from tqdm import tqdm

REFRESH = 0.5  # seconds


def bar(description: str) -> Callable[[range], Iterable[int]]:
    """A wrapper for ``find_jnd(progress=...)``: tqdm in a terminal, a bar that goes when done in a
    notebook."""
    if get_ipython() is None:
        return lambda iterations: tqdm(iterations, description, leave=False, disable=None)
    return lambda iterations: _in_notebook(iterations, description)


def _in_notebook(iterations: range, description: str) -> Iterator[int]:
    line = display(HTML(""), display_id=True)
    shown = 0.0
    try:
        for k in iterations:
            if time.monotonic() - shown > REFRESH:
                shown, of = time.monotonic(), iterations.stop
                done = f"<progress value={k} max={of}></progress> {k} of {of}"
                line.update(HTML(f"{description} {done}"))
            yield k
    finally:
        line.update(HTML(""))
