"""What somebody asks of a training while it runs: to stop, or to write a snapshot."""

import keras

from keras_caffe_zoo.training.data.pipeline import batches_done
from keras_caffe_zoo.training.solver.snapshots import CaffeSnapshot


class Requests(keras.callbacks.Callback):
    """Stops a training, or writes a snapshot, at the end of the iteration.

    Its methods may be called by another thread, or where a signal is handled.

    Args:
        snapshots: What writes snapshots; it is to be one of the callbacks too.
        iter_size: Passes in an iteration.
    """

    def __init__(self, snapshots: CaffeSnapshot, iter_size: int = 1):
        super().__init__()
        self.snapshots, self.iter_size = snapshots, iter_size
        self.stopped = self._snapshot = False

    def stop(self) -> None:
        """Ask for a snapshot and the end."""
        self.stopped = True

    def snapshot(self) -> None:
        """Ask for a snapshot."""
        self._snapshot = True

    def on_train_batch_end(self, batch, logs=None):
        if not (self.stopped or self._snapshot):
            return
        if batches_done(self.model) % self.iter_size:
            return
        self.snapshots.write()
        self._snapshot = False
        if self.stopped:
            self.model.stop_training = True
