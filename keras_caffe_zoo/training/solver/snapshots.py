"""Caffemodels of a model in training, at intervals."""

import os

import keras

from keras_caffe_zoo.caffe import write_caffemodel
from keras_caffe_zoo.conversion.exporter import caffe_net

PathLike = str | os.PathLike


class CaffeSnapshot(keras.callbacks.Callback):
    """Writes a `.caffemodel` every so many iterations, as Caffe's solvers do.

    The files are named `PREFIX_iter_N.caffemodel`, after the iterations done, and
    appear whole. They hold what Caffe's own hold, parameters and the net's structure,
    and load with `from_caffe`, with any builder's `weights=`, and in Caffe. To resume
    an interrupted training, use `keras.callbacks.BackupAndRestore`, which keeps the
    optimizer's state too.

    Args:
        prefix: Where the files go and what their names start with; its folder is made
            if need be.
        every: Iterations between two of them; 0 for none but the last.
        at_end: Whether to write one when the training ends.
        input_shape: Shape of one image, `(H, W, C)`, where the model leaves it open.

    Raises:
        ValueError: At the start of the training, if the model has layers that Caffe
            does not have; names them.
    """

    def __init__(
        self,
        prefix: PathLike,
        every: int = 0,
        *,
        at_end: bool = True,
        input_shape: tuple | None = None,
    ):
        super().__init__()
        if not isinstance(every, int) or every < 0:
            raise ValueError(
                f"Expected `every` to be iterations, or 0; received: every={every!r}"
            )
        self.prefix, self.every = os.fspath(prefix), every
        self.at_end, self.input_shape = at_end, input_shape
        self._last = self._written = None

    def on_train_begin(self, logs=None):
        caffe_net(self.model, input_shape=self.input_shape)  # raises now, not later
        os.makedirs(os.path.dirname(os.path.abspath(self.prefix)), exist_ok=True)
        self._last = self._written = None

    def on_train_batch_begin(self, batch, logs=None):
        if self._last is None:  # only now has every callback restored what it keeps
            self._last = self._iterations()

    def on_train_batch_end(self, batch, logs=None):
        now = self._iterations()
        # Keras may run several steps between two calls.
        if self.every and now // self.every > self._last // self.every:
            self._write(now)
        self._last = now

    def on_train_end(self, logs=None):
        now = self._iterations()
        if self.at_end and now != self._written:
            self._write(now)

    def path(self, iteration: int) -> str:
        """Return the name of the file of an iteration."""
        return f"{self.prefix}_iter_{iteration}.caffemodel"

    def _iterations(self) -> int:
        return int(self.model.optimizer.iterations)

    def _write(self, iteration: int) -> None:
        net, params = caffe_net(self.model, input_shape=self.input_shape)
        write_caffemodel(self.path(iteration), params, net=net)
        self._written = iteration
