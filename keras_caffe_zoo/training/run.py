"""A model with what a solver says of its training."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.training.snapshots import CaffeSnapshot

PathLike = str | os.PathLike


@dataclass(frozen=True)
class Training:
    """A model that is compiled as a Caffe solver trains it.

    Attributes:
        model: The Keras model. A call of `train_on_batch`, or a step of `fit`, is one
            of Caffe's forward and backward passes, and one iteration: with an
            `iter_size` of n, n of them are.
        optimizer: Its optimizer; `optimizer.iterations` counts as Caffe does.
        iterations: How many the solver does (`max_iter`).
        iter_size: Passes in an iteration.
        test_interval: Iterations from one test to the next; 0 for no tests.
        test_iterations: Batches of a test, for each test net (`test_iter`).
        snapshot_interval: Iterations from one snapshot to the next; 0 for none.
        snapshot_after_train: Whether there is a snapshot at the end.
        snapshot_name: The last part of the solver's `snapshot_prefix`.
        solver: The solver's `SolverParameter` message.
        net: The training net in Caffe's terms, if there is one.
        loaded: Layers whose parameters came from a caffemodel.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    iterations: int
    iter_size: int
    test_interval: int
    test_iterations: tuple[int, ...]
    snapshot_interval: int
    snapshot_after_train: bool
    snapshot_name: str
    solver: Any = field(repr=False)
    net: Net | None = field(default=None, repr=False)
    loaded: tuple[str, ...] = field(default=(), repr=False)

    def snapshots(self, folder: PathLike, **options) -> CaffeSnapshot:
        """Return a callback that writes the solver's snapshots into a folder.

        Args:
            folder: Where to write them; the solver's own folder is not used.
            **options: As for `CaffeSnapshot`.
        """
        options.setdefault("at_end", self.snapshot_after_train)
        prefix = os.path.join(folder, self.snapshot_name)
        return CaffeSnapshot(prefix, self.snapshot_interval, **options)

    def fit(
        self,
        data,
        validation_data=None,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options,
    ) -> keras.callbacks.History:
        """Train for as long as the solver does, testing when it tests.

        An epoch, for Keras and its callbacks, is what lies between two tests.

        Args:
            data: An endless `tf.data.Dataset`, or any that `fit` takes; a finite
                dataset of Keras or TensorFlow is repeated.
            validation_data: Data of the tests.
            callbacks: Keras' callbacks, such as `snapshots(folder)` and
                `keras.callbacks.BackupAndRestore(folder)`.
            **options: Everything else that `fit` takes.
        """
        every = self.test_interval if validation_data is not None else 0
        every = min(every or self.iterations, self.iterations)
        epochs = -(-self.iterations // every)
        if hasattr(data, "repeat"):
            data = data.repeat()
            options.setdefault("shuffle", False)
        if validation_data is not None and self.test_iterations:
            options.setdefault("validation_steps", self.test_iterations[0])
        last = _StopAt(self.iterations)
        return self.model.fit(
            data,
            validation_data=validation_data,
            epochs=epochs,
            steps_per_epoch=every * self.iter_size,
            callbacks=[*callbacks, last],
            **options,
        )


class _StopAt(keras.callbacks.Callback):
    """Stops in the last epoch, which may be shorter than the others."""

    def __init__(self, iterations: int):
        super().__init__()
        self.iterations = iterations

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) >= self.iterations:
            self.model.stop_training = True
