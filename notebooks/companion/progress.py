"""A progress bar that leaves no trace in an executed notebook."""

import time
from collections.abc import Callable, Iterable, Iterator

from IPython import get_ipython
from IPython.display import HTML, display
from tqdm import tqdm

REFRESH = 0.5  # seconds


class Bar:
    """A progress bar: tqdm in a terminal, a line that vanishes when done in a notebook."""

    def __init__(self, description: str):
        self.description = description
        self.shown = 0.0
        self.in_notebook = get_ipython() is not None
        if self.in_notebook:
            self.line = display(HTML(""), display_id=True)
        else:
            self.terminal = tqdm(desc=description, leave=False, disable=None)

    def show(self, done: int, total: int) -> None:
        """Show how much is done, at most twice a second."""
        if time.monotonic() - self.shown < REFRESH:
            return
        self.shown = time.monotonic()
        if self.in_notebook:
            progress = f"<progress value={done} max={total}></progress> {done} of {total}"
            self.line.update(HTML(f"{self.description} {progress}"))
        else:
            self.terminal.total = total
            self.terminal.update(done - self.terminal.n)

    def close(self) -> None:
        if self.in_notebook:
            self.line.update(HTML(""))
        else:
            self.terminal.close()


def bar(description: str) -> Callable[[range], Iterable[int]]:
    """A wrapper for a range that shows how far its loop has come."""

    def track(steps: range) -> Iterator[int]:
        progress = Bar(description)
        try:
            for step in steps:
                progress.show(step, steps.stop)
                yield step
        finally:
            progress.close()

    return track
