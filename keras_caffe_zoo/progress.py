"""How far a long work has come."""

from tqdm import tqdm

from keras_caffe_zoo.messages import is_talkative

QUIET_SECONDS = 2.0  # what takes less shows no line


class _Line(tqdm):
    monitor_interval = 0  # no thread of its own


class Progress:
    """A line on stderr that is written over and over, of what takes a while.

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
            disable=not (enabled and is_talkative()),
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

    def close(self) -> None:
        """End the line, if there is one."""
        self._line.close()
