"""What Caffe's solver does around the iterations of a training: tests, and reports."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_caffe_zoo.training.data.pipeline import batches_done
from keras_caffe_zoo.training.solver.chance import traceless
from keras_caffe_zoo.training.solver.debugging import (
    DebugInfo,
    KeptBatches,
    UnreadBlobs,
)


class Output(NamedTuple):
    """An output blob of a net, as Caffe prints it.

    Attributes:
        name: The blob.
        value: Its values, one or several, before they are weighted.
        weight: The loss weight; 0 if it is no loss.
        by_class: Pairs of a class and its average precision, where SSD's solver asks
            for them.
    """

    name: str
    value: float | np.ndarray
    weight: float = 0.0
    by_class: tuple[tuple[int, float], ...] = ()


class Display(NamedTuple):
    """What Caffe displays of an iteration, before its update.

    Attributes:
        iteration: The iterations done.
        loss: The loss, averaged over the last `average_loss` iterations.
        outputs: The output blobs of the last pass.
        learning_rate: The rate of the update.
        seconds: Time since the last display.
        iterations: Iterations since then.
        every: Iterations from one display to the next.
        last: Whether this is the loss after the whole training, which is computed for
            display only; there are no outputs then.
    """

    iteration: int
    loss: float
    outputs: tuple[Output, ...]
    learning_rate: float
    seconds: float
    iterations: int
    every: int
    last: bool = False


class Test(NamedTuple):
    """What a test of a net gave.

    Attributes:
        iteration: The iterations done before.
        number: Caffe's number of the test net.
        name: Its name.
        outputs: Its output blobs, each the mean over the test's batches.
    """

    __test__ = False  # no test of pytest's

    iteration: int
    number: int
    name: str
    outputs: tuple[Output, ...]

    @property
    def loss(self) -> float:
        """The sum of the losses, each times its weight."""
        return float(sum(np.sum(o.value) * o.weight for o in self.outputs))


class Events(keras.callbacks.Callback):
    """A callback that is told what Caffe's solver would tell.

    Give one to `Training.fit`; each of these methods does nothing.
    """

    def on_solve(self, iteration: int) -> None:
        """Be told that the training starts, after so many iterations."""

    def on_display(self, display: Display) -> None:
        """Be told the loss of an iteration that is displayed."""

    def on_debug(self, line: str) -> None:
        """Be told how large a blob, a parameter or an update is."""

    def on_test_begin(self, iteration: int, number: int, name: str) -> None:
        """Be told that a test net is to be tested."""

    def on_test(self, test: Test) -> None:
        """Be told what a test gave."""

    def on_test_interrupted(self) -> None:
        """Be told that a test was broken off, since the training is to stop."""

    def on_snapshot(self, path: str) -> None:
        """Be told which file a snapshot was written to."""

    def on_solved(self, iteration: int, stopped: bool) -> None:
        """Be told that the training ended, and whether before its time."""


class _Interrupted(Exception):
    """A test that nobody waits for any more."""


class SmoothedLoss:
    """The loss over the last iterations, as Caffe computes it.

    Args:
        over: How many iterations, a solver's `average_loss`.
    """

    def __init__(self, over: int):
        self.over, self.value = over, np.float32(0)
        self._losses: list[np.float32] = []
        self._next = 0

    def add(self, loss: float) -> float:
        """Return the average with one more loss, in place of the oldest."""
        loss, count = np.float32(loss), len(self._losses)
        if count < self.over:
            self._losses.append(loss)
            self.value = (self.value * np.float32(count) + loss) / np.float32(count + 1)
        else:
            oldest = self._losses[self._next]
            self.value += (loss - oldest) / np.float32(self.over)
            self._losses[self._next] = loss
            self._next = (self._next + 1) % self.over
        return float(self.value)


class TestData(NamedTuple):
    """A test net and what it is tested with.

    Attributes:
        net: The `TestNet`.
        number: Caffe's number of it.
        data: Function of the number of the first batch: an endless iterable of the
            test's batches.
    """

    __test__ = False  # no test of pytest's

    net: Any
    number: int
    data: Any


class Solving(keras.callbacks.Callback):
    """Tests and displays when Caffe does.

    Where somebody listens, or there is something to test, the metrics are those of
    each batch alone, as Caffe has them, and an epoch's are their mean.

    Args:
        solver: The `SolverParameter`.
        outputs: Names and weights of what Caffe prints of the training net.
        tests: The test nets.
        listeners: Whom to tell.
        next_batch: Function that returns the batch that would come next, for the loss
            after the training; None where nobody knows.
        net: The training net, for `debug_info`.
        kept: Its batches, where more than losses and accuracies is told.
        stops: Tells whether somebody wants the training to stop: a test is broken off.
    """

    def __init__(
        self,
        solver,
        outputs: Mapping[str, float],
        tests: Sequence[TestData] = (),
        listeners: Iterable[Events] = (),
        next_batch=None,
        net=None,
        kept: KeptBatches | None = None,
        stops: Callable[[], bool] = lambda: False,
    ):
        super().__init__()
        self.stops = stops
        self.net, self.kept = net, kept
        self.solver, self.outputs = solver, dict(outputs)
        self._unread: dict[str, np.ndarray] = {}
        self.tests, self.listeners = list(tests), list(listeners)
        self.next_batch = next_batch
        self.results: list[Test] = []
        self._data: dict[int, Iterator] = {}

    @property
    def exact(self) -> bool:
        """Whether metrics are those of each batch."""
        return bool(self.listeners or self.tests)

    def on_train_begin(self, logs=None):
        self._begun = False
        self._epoch: dict[str, list[float]] = {}

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = {}

    def on_train_batch_begin(self, batch, logs=None):
        if not self._begun:  # only now has every callback restored what it keeps
            self._begin()
        if self._pass == 0:
            self._before_iteration()
        if self._pass == self.solver.iter_size - 1:
            self._before_last_pass()
        if self.exact:
            self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        logs = {name: float(np.asarray(value)) for name, value in (logs or {}).items()}
        for name, value in logs.items():
            self._epoch.setdefault(name, []).append(value)
        self._losses.append(logs.get("loss", float("nan")))
        self._pass += 1
        if self._pass == self.solver.iter_size:
            self._after_iteration(logs)
            self._pass = 0

    def on_epoch_end(self, epoch, logs=None):
        if self.exact and logs is not None:
            logs.update({name: np.mean(v) for name, v in self._epoch.items()})

    def end(self) -> None:
        """Do what Caffe does after the last iteration, and its snapshot."""
        if not self._begun:
            self._begin()
        now = self._iteration()
        stopped = now < self.solver.max_iter
        if not stopped:
            self._at_end(now)
        for listener in self.listeners:
            listener.on_solved(now, stopped)

    def _begin(self) -> None:
        self._begun, self._losses = True, []
        self._pass = batches_done(self.model) % self.solver.iter_size
        self._smoothed = SmoothedLoss(self.solver.average_loss)
        self._started = self._last = self._iteration()
        self._clock = time.monotonic()
        for listener in self.listeners:
            listener.on_solve(self._started)

    def _before_iteration(self) -> None:
        now = self._iteration()
        if self._due(now, self.solver.test_interval) and (
            now > 0 or self.solver.test_initialization
        ):
            self._test(now)
        # Caffe tells of each pass of the iteration; here it is the first.
        batch = self._batch() if self.solver.debug_info else None
        if batch is not None:
            debug = DebugInfo(self.model, self.net)
            self._tell(debug.forward(batch))
            self._tell(debug.backward(batch))

    def _batch(self) -> tuple | None:
        """Return the batch of the next pass if it is kept and displayed."""
        if not (self.kept and self._due(self._iteration(), self.solver.display)):
            return None
        return self.kept.take(batches_done(self.model))

    def _before_last_pass(self) -> None:
        batch = self._batch() if getattr(self.model, "unread", None) else None
        blobs = {} if batch is None else UnreadBlobs(self.model).values(batch)
        self._unread = {k: x for k, x in blobs.items() if k in self.outputs}

    def _tell(self, lines: Iterable[str]) -> None:
        for listener in self.listeners:
            for line in lines:
                listener.on_debug(line)

    def _after_iteration(self, logs: dict[str, float]) -> None:
        done = self._iteration() - 1  # Caffe counts from 0
        loss = self._smoothed.add(np.mean(self._losses, dtype="float32"))
        self._losses = []
        if self.listeners and self._due(done, self.solver.display):
            self._display(done, loss, self._outputs(logs))

    def _at_end(self, now: int) -> None:
        if self.listeners and self.next_batch and self._due(now, self.solver.display):
            loss = self._smoothed.add(loss_of(self.model, self.next_batch()))
            self._display(now, loss, (), last=True)
        if self._due(now, self.solver.test_interval):
            self._test(now)

    def _due(self, now: int, every: int) -> bool:
        return bool(every) and now % every == 0

    def _display(self, iteration, loss, outputs, last=False) -> None:
        clock = time.monotonic()
        display = Display(
            iteration,
            loss,
            outputs,
            self._rate(iteration),
            clock - self._clock,
            iteration - self._last,
            self.solver.display,
            last,
        )
        self._clock, self._last = clock, iteration
        for listener in self.listeners:
            listener.on_display(display)

    def _rate(self, iteration: int) -> float:
        optimizer = self.model.optimizer
        rate = optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return float(keras.ops.convert_to_numpy(rate(iteration)))
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    def _outputs(self, logs: dict[str, float]) -> tuple[Output, ...]:
        """Return what Caffe prints of a pass, unweighted, where it is known."""
        found = []
        for name, weight in self.outputs.items():
            value = self._value(name, weight, logs)
            if value is not None:
                found.append(Output(name, value, weight))
        return tuple(found)

    def _value(self, name: str, weight: float, logs: dict[str, float]):
        if name in self._unread:
            return self._unread[name]
        if f"{name}/0" in logs:
            names = [key for key in logs if key.rpartition("/")[0] == name]
            return np.array([logs[key] for key in sorted(names, key=_class_of)])
        keys = (f"{name}_unweighted", f"{name}_loss", *([name] * (name != "loss")))
        value = next((logs[key] for key in keys if key in logs), None)
        if value is None and weight and "loss" in logs:
            value = logs["loss"] / weight
        return value

    def _test(self, now: int) -> None:
        for test in self.tests:
            for listener in self.listeners:
                listener.on_test_begin(now, test.number, test.net.name)
            data = self._data.get(test.number)
            if data is None:
                done = self._tests_before(now) * test.net.iterations
                data = map(_as_arrays, test.data(done))
                self._data[test.number] = data
            try:
                values = test.net.evaluate(self.model, self._until_stopped(data))
            except _Interrupted:
                for listener in self.listeners:
                    listener.on_test_interrupted()
                return
            weights = test.net.weights
            classes = test.net.by_class
            outputs = tuple(
                Output(
                    name,
                    value,
                    weights.get(name, 0.0),
                    tuple(classes.get(name, {}).items()),
                )
                for name, value in sorted(values.items())
            )
            result = Test(now, test.number, test.net.name, outputs)
            self._keep(result)
            for listener in self.listeners:
                listener.on_test(result)

    def _until_stopped(self, batches: Iterable) -> Iterator:
        """Yield batches until somebody wants the training to stop."""
        for batch in batches:
            if self.stops():
                raise _Interrupted
            yield batch

    def _tests_before(self, now: int) -> int:
        """Return how many tests there were before one: their batches are read."""
        interval = self.solver.test_interval
        first = 0 if self.solver.test_initialization else 1
        return now // interval - first

    def _keep(self, test: Test) -> None:
        """Keep a test's values, in Keras' history too."""
        self.results.append(test)
        history = getattr(self.model.history, "history", None)
        if history is None:
            return
        start = "val_" if len(self.tests) == 1 else f"val_{test.name}_"
        for output in test.outputs:
            values = np.ravel(output.value)
            names = [f"{start}{output.name}"]
            if len(values) > 1:
                names = [f"{names[0]}/{i}" for i in range(len(values))]
            for name, value in zip(names, values, strict=True):
                history.setdefault(name, []).append(float(value))
            for label, value in output.by_class:
                history.setdefault(f"{start}{output.name}/{label}", []).append(value)
        losses = [output.name for output in test.outputs if output.weight]
        if losses and "loss" not in losses:
            history.setdefault(f"{start}loss", []).append(test.loss)

    def _iteration(self) -> int:
        return int(self.model.optimizer.iterations)


def _class_of(name: str) -> int:
    return int(name.rpartition("/")[2])


class Ending(keras.callbacks.Callback):
    """Ends what a `Solving` began; the last of the callbacks."""

    def __init__(self, solving: Solving):
        super().__init__()
        self._solving = solving

    def on_train_end(self, logs=None):
        self._solving.end()


def _as_arrays(batch):
    """Return a batch of NumPy's arrays, which every engine takes."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, batch)


def loss_of(model: keras.Model, batch) -> float:
    """Return the loss of a batch in a pass of training that leaves no trace."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(_as_arrays(batch))
    with traceless(model):
        prediction = model(x, training=True)
        loss = model.compute_loss(x, y, prediction, weight, training=True)
    return float(keras.ops.convert_to_numpy(loss))
