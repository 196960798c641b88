"""What the command train tells of a training."""

import numpy as np

from keras_caffe_zoo.cli._pictures import Answers
from keras_caffe_zoo.progress import Progress
from keras_caffe_zoo.training.solver.log import number
from keras_caffe_zoo.training.solver.loop import Display, Events, Output, Test


class Told(Events):
    """Prints how far a training is, what its tests give, and its snapshots.

    Args:
        answers: Where all of it is written as JSON.
        end: The last iteration.
        quiet: Whether to print nothing else.
    """

    def __init__(self, answers: Answers, end: int, quiet: bool):
        super().__init__()
        self.answers, self.end, self.quiet = answers, end, quiet
        self._line: Progress | None = None
        self._seen = 0

    def close(self) -> None:
        """End the line."""
        if self._line:
            self._line.close()
            self._line = None

    def on_train_batch_end(self, batch, logs=None):
        now = int(self.model.optimizer.iterations)
        if self._line and now > self._seen:
            self._line.advance(now - self._seen)
        self._seen = now

    def on_solve(self, iteration: int) -> None:
        """Begin the line."""
        self._line, self._seen = Progress(self.end, "iteration"), iteration
        self._line.skip(iteration)

    def on_display(self, display: Display) -> None:
        """Tell a loss."""
        self._tell(
            "display",
            iteration=display.iteration,
            loss=_finite(display.loss),
            learning_rate=display.learning_rate,
            outputs=_values(display.outputs),
        )

    def on_test(self, test: Test) -> None:
        """Tell what a test gave."""
        self._tell(
            "test",
            iteration=test.iteration,
            net=test.name,
            outputs=_values(test.outputs),
        )
        self._say(f"iteration {test.iteration}, {test.name}: {_text(test.outputs)}")

    def on_snapshot(self, path: str) -> None:
        """Tell a snapshot's file."""
        self._tell("snapshot", iteration=self._seen, file=path)
        self._say(f"written: {path}")

    def on_solved(self, iteration: int, stopped: bool) -> None:
        """End the line, and tell why it ends."""
        self.close()
        self._tell("end", iteration=iteration, finished=not stopped)
        self._say(f"{'stopped' if stopped else 'done'} after {iteration} iterations")

    def _tell(self, event: str, **values) -> None:
        self.answers.add({"event": event, **values})

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)


def _values(outputs: tuple[Output, ...]) -> dict:
    """Return outputs as JSON has them; what is no finite number becomes null."""
    found = {}
    for output in outputs:
        values = [_finite(value) for value in np.ravel(output.value).tolist()]
        found[output.name] = values if np.ndim(output.value) else values[0]
    return found


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _text(outputs: tuple[Output, ...]) -> str:
    return ", ".join(
        f"{output.name} = {' '.join(number(v) for v in np.ravel(output.value))}"
        for output in outputs
    )
