"""A Caffe solver: from its prototxt to a compiled Keras model, and its training."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_caffe_zoo.caffe import Net, read_solver
from keras_caffe_zoo.training.solver import multipliers
from keras_caffe_zoo.training.solver.model import compile_for, training_model
from keras_caffe_zoo.training.solver.nets import SolverNets, last_part
from keras_caffe_zoo.training.solver.settings import optimizer_of
from keras_caffe_zoo.training.solver.snapshots import CaffeSnapshot

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


def from_solver(
    solver: PathLike,
    model: keras.Model | None = None,
    *,
    net: PathLike | None = None,
    weights: PathLike | None = None,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    infogain=None,
) -> Training:
    """Compile a model as a Caffe solver trains it.

    The solver gives the optimizer, the learning rate policy, weight decay, clipping and
    `iter_size`; its training net the model, the losses, their weights, and `lr_mult`
    and `decay_mult` of each parameter. The Accuracy layers of the test net become
    metrics. The net's data layers become the model's inputs: feed it `(images,
    labels)`, images channels last, labels as in Caffe (see `image_dataset` and
    `layer_dataset`).

    Paths inside the solver are not followed: its net is looked for, by name, in the
    solver's own folder.

    Args:
        solver: The solver's `.prototxt`.
        model: A model to train in place of the solver's net, such as
            `caffenet(classes=20)`: it takes multipliers from the net's layers of the
            same names. It is compiled here.
        net: The net's `.prototxt`, where it is not beside the solver.
        weights: A `.caffemodel` to start from (`caffe train -weights`): layers take the
            parameters of their names; the others start from their fillers.
        input_shape: Shape of one image `(H, W, C)`, or a mapping by blob, where the net
            does not tell it.
        infogain: The matrix H of an InfogainLoss, or its `.binaryproto`.

    Returns:
        A `Training`; its `model` is ready for `fit` and `train_on_batch`.

    Raises:
        CaffeFormatError: If the solver or the net is damaged, or asks for what Caffe
            does not have, or what Keras cannot do the same way; names the field.
        FileNotFoundError: If the net is not found.
    """
    message = read_solver(solver)
    source = os.fspath(solver)
    optimizer = optimizer_of(message, source)
    nets = SolverNets(message, source, net)
    train_net, test_net = nets.training(needed=model is None), nets.test()
    loaded = ()
    if message.weights and weights is None:
        warnings.warn(
            f"{source} starts from {list(message.weights)}, which are not looked for: "
            "pass weights=….",
            stacklevel=2,
        )
    if model is None:
        seed = message.random_seed
        model, loaded = training_model(
            train_net, weights, input_shape, seed, test_net, infogain
        )
    elif weights is not None:
        raise ValueError(
            "Expected `weights` for the solver's own net only; received them with a "
            f"model. Load them into it: '{model.name}'"
        )
    if train_net is not None:
        declared = multipliers.declared(train_net)
        optimizer.multipliers = multipliers.by_variable(model, declared)
    compile_for(model, optimizer, train_net, test_net, infogain)
    return Training(
        model,
        optimizer,
        iterations=message.max_iter,
        iter_size=message.iter_size,
        test_interval=message.test_interval,
        test_iterations=tuple(message.test_iter),
        snapshot_interval=message.snapshot,
        snapshot_after_train=message.snapshot_after_train,
        snapshot_name=last_part(message.snapshot_prefix) or model.name,
        solver=message,
        net=train_net,
        loaded=tuple(loaded),
    )
