"""How far a long work has come."""

import contextlib
import sys
from collections.abc import Iterator

from tqdm import tqdm

from keras_caffe_zoo.messages import is_talkative

QUIET_SECONDS = 2.0  # what takes less shows no line


class _Line(tqdm):
    monitor_interval = 0  # no thread of its own
    is_shown = False

    def display(self, *args, **options):
        self.is_shown = True
        return super().display(*args, **options)


class Progress:
    """A line on stderr that is written over and over, of what takes a while.

    It is shown on a terminal and in notebooks; in a file, or to whoever reads a pipe,
    it would be hundreds of lines.

    Args:
        total: How many there are; None if nobody knows.
        unit: What is counted, one of it.
        enabled: Whether to show anything. Nothing is shown either where Keras'
            interactive logging was switched off.
        scaled: Whether to write large numbers with k, M and G.

    Attributes:
        computed: How many were done in this run.
    """

    def __init__(
        self,
        total: int | None,
        unit: str = "image",
        enabled: bool = True,
        scaled: bool = False,
    ):
        self.computed = 0
        self._line = _Line(
            total=total,
            unit=unit if scaled else f" {unit}s",
            unit_scale=scaled,
            delay=QUIET_SECONDS,
            disable=not (enabled and is_talkative() and _is_watched()),
            dynamic_ncols=True,
        )

    def skip(self, count: int) -> None:
        """Count what earlier runs have done, which tells nothing of the speed."""
        if not self._line.disable:  # else it has nothing to count from
            self._line.initial += count
        self._line.update(count)

    def advance(self, count: int) -> None:
        """Count what is done, and show the line if it is time."""
        self.computed += count
        self._line.update(count)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line away while something else is printed, which stays above it."""
        hide = self._line.external_write_mode if self._line.is_shown else None
        with hide() if hide else contextlib.nullcontext():
            yield

    def close(self) -> None:
        """End the line, if there is one."""
        self._line.close()


def _is_watched() -> bool:
    """Tell whether what is written on stderr can be written over."""
    stderr = sys.stderr
    return stderr is not None and (stderr.isatty() or "ipykernel" in sys.modules)
