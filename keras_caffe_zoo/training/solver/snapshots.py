"""Snapshots of a model in training, at intervals."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace

import keras

from keras_caffe_zoo.caffe import Net, schema, write_caffemodel, write_solverstate
from keras_caffe_zoo.caffe.hdf5 import check_names
from keras_caffe_zoo.conversion.exporter import caffe_net
from keras_caffe_zoo.training.solver.optimizers import CaffeOptimizer
from keras_caffe_zoo.training.solver.state import Parameters, as_defined, state_of

PathLike = str | os.PathLike


class CaffeSnapshot(keras.callbacks.Callback):
    """Writes a snapshot every so many iterations, as Caffe's solvers do.

    The files are named `PREFIX_iter_N.caffemodel`, after the iterations done, and
    appear whole. They hold what Caffe's own hold, parameters and the net's structure,
    and load with `from_caffe`, with any builder's `weights=`, and in Caffe. Beside each
    is `PREFIX_iter_N.solverstate`, if the optimizer is one of Caffe's: with it, the
    training goes on in Caffe, or with `Training.restore`. Dropout's random numbers are
    in neither; to keep them too, use `keras.callbacks.BackupAndRestore`.

    Args:
        prefix: Where the files go and what their names start with; its folder is made
            if need be.
        every: Iterations between two of them; 0 for none but the last.
        at_end: Whether to write one when the training ends.
        input_shape: Shape of one image, `(H, W, C)`, where the model leaves it open.
        snapshot_format: As in a solver: `"BINARYPROTO"`, or `"HDF5"` for files that end
            in `.caffemodel.h5` and `.solverstate.h5`.
        net: The training net that the model was made of: then the files are what Caffe
            would write of that net, and without it of what `to_caffe` makes.

    Raises:
        ValueError: At the start of the training, if the model has layers that Caffe
            does not have; names them. In HDF5, if a layer's name has a slash.

    Example:
        >>> x = keras.Input((2,))
        >>> model = keras.Model(x, keras.layers.Dense(1, name="ip")(x))
        >>> model.compile(kcz.training.CaffeSGD(0.1, momentum=0.9), "mse")
        >>> snapshot = kcz.training.CaffeSnapshot("out/line", every=2)
        >>> x, y = np.zeros((3, 2)), np.zeros((3, 1))
        >>> _ = model.fit(x, y, batch_size=1, verbose=0, callbacks=[snapshot])
        >>> import os
        >>> sorted(os.listdir("out"))
        ['line_iter_2.caffemodel', 'line_iter_2.solverstate',
         'line_iter_3.caffemodel', 'line_iter_3.solverstate']
    """

    def __init__(
        self,
        prefix: PathLike,
        every: int = 0,
        *,
        at_end: bool = True,
        input_shape: tuple | None = None,
        snapshot_format: str = "BINARYPROTO",
        net: Net | None = None,
    ):
        super().__init__()
        if not isinstance(every, int) or every < 0:
            raise ValueError(
                f"Expected `every` to be iterations, or 0; received: every={every!r}"
            )
        formats = list(schema.ENUMS["SolverParameter.SnapshotFormat"])
        if snapshot_format not in formats:
            raise ValueError(
                f"Expected snapshot_format to be one of {formats}; received: "
                f"{snapshot_format!r}"
            )
        self.prefix, self.every = os.fspath(prefix), every
        self.at_end, self.input_shape = at_end, input_shape
        self.net, self._ending = net, ".h5" if snapshot_format == "HDF5" else ""
        self._has_state = False
        self._last = self._written = None
        self.listeners: Sequence = ()  # of `Events`, whom to tell of each file

    def on_train_begin(self, logs=None):
        net, _ = self._caffe_net()  # raises now, not later
        if self._ending:
            check_names(layer.name for layer in net.layers)
        self._has_state = self._can_have_state(net)
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

    def write(self) -> None:
        """Write a snapshot now, whatever the interval says."""
        if self._iterations() != self._written:
            self._write(self._iterations())

    def path(self, iteration: int) -> str:
        """Return the name of the caffemodel of an iteration."""
        return f"{self.prefix}_iter_{iteration}.caffemodel{self._ending}"

    def state_path(self, iteration: int) -> str:
        """Return the name of the solver's state of an iteration."""
        return f"{self.prefix}_iter_{iteration}.solverstate{self._ending}"

    def _iterations(self) -> int:
        return int(self.model.optimizer.iterations)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)

    def _caffe_net(self):
        net, params = caffe_net(self.model, input_shape=self.input_shape)
        if self.net is None:
            return net, params
        net, params = _like(net, params, self.net)
        if self._ending and params.keys() <= {x.name for x in self.net.layers}:
            net = self.net  # in its order the first owns what layers share
        return net, params

    def _can_have_state(self, net: Net) -> bool:
        if not isinstance(self._optimizer(), CaffeOptimizer):
            return False
        try:
            Parameters(self.model, self.net or net).check_complete()
        except ValueError as error:
            warnings.warn(
                f"Snapshots have no .solverstate, only the .caffemodel: {error}",
                stacklevel=2,
            )
            return False
        return True

    def _write(self, iteration: int) -> None:
        net, params = self._caffe_net()
        path = self.path(iteration)
        write_caffemodel(path, params, net=net)
        self._tell(path)
        if self._has_state:  # names the caffemodel, so that is there before it
            state = state_of(self.model, self._optimizer(), self.net or net, path)
            write_solverstate(self.state_path(iteration), state)
            self._tell(self.state_path(iteration))
        self._written = iteration

    def _tell(self, path: str) -> None:
        for listener in self.listeners:
            listener.on_snapshot(path)


def _like(net: Net, params: dict, defined: Net) -> tuple[Net, dict]:
    """Return a net and its parameters with those in the forms of its definition.

    Caffe reads a snapshot into that definition: where an InnerProduct has `transpose`,
    its weights are transposed.
    """
    given, layers, params = {x.name: x for x in defined.layers}, [], dict(params)
    for layer in net.layers:
        original = given.get(layer.name)
        blobs = params.get(layer.name)
        if blobs and original is not None and original.type == layer.type:
            stored = as_defined(original, blobs)
            if any(a is not b for a, b in zip(stored, blobs, strict=True)):
                params[layer.name] = stored
                layer = replace(layer, message=original.message)
        layers.append(layer)
    return replace(net, layers=layers), params
