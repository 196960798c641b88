"""A Caffe solver: from its prototxt to a compiled Keras model, and its training."""

import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import keras

from keras_caffe_zoo.caffe import Net, read_solver, read_test_settings, schema
from keras_caffe_zoo.conversion.exporter import caffe_net
from keras_caffe_zoo.training.data.pipeline import StartAt, batches_done
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.solver import multipliers
from keras_caffe_zoo.training.solver.arrays import arrays_dataset, is_arrays
from keras_caffe_zoo.training.solver.chance import set_chance
from keras_caffe_zoo.training.solver.debugging import KeptBatches
from keras_caffe_zoo.training.solver.detecting import (
    DetectionTests,
    without_evaluations,
)
from keras_caffe_zoo.training.solver.log import SolverLog
from keras_caffe_zoo.training.solver.loop import Ending, Events, Solving, Test, TestData
from keras_caffe_zoo.training.solver.model import (
    CaffeTrainingModel,
    compile_for,
    training_model,
)
from keras_caffe_zoo.training.solver.net_data import find_file, is_places, net_dataset
from keras_caffe_zoo.training.solver.nets import SolverNets, last_part
from keras_caffe_zoo.training.solver.objectives import losses, unread_tops
from keras_caffe_zoo.training.solver.requests import Requests
from keras_caffe_zoo.training.solver.settings import optimizer_of
from keras_caffe_zoo.training.solver.shapes import shapes_of
from keras_caffe_zoo.training.solver.snapshots import CaffeSnapshot
from keras_caffe_zoo.training.solver.state import restore
from keras_caffe_zoo.training.solver.testing import TestNet

PathLike = str | os.PathLike
_SNAPSHOT_FORMAT = "SolverParameter.SnapshotFormat"


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
        data: What it is trained on, if `from_solver` was told; batches `(x, y)`.
        tests: The solver's test nets and their data, likewise.
        results: What the tests have given so far, each a `Test`.
        seed: What chance in the net and its data is made of; None for Keras' own.
        start: Where the data goes on, on JAX.
        solver: The solver's `SolverParameter` message.
        net: The training net in Caffe's terms, if there is one.
        loaded: Layers whose parameters came from a caffemodel.

    Example:
        >>> with open("net.prototxt", "w") as file:
        ...     _ = file.write('''input: "data" input_shape { dim: 1 dim: 1 }
        ...         input: "y" input_shape { dim: 1 dim: 1 }
        ...         layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        ...             inner_product_param { num_output: 1 bias_term: false
        ...                 weight_filler { value: 0 } } }
        ...         layer { type: "EuclideanLoss" bottom: "ip" bottom: "y" }''')
        >>> with open("solver.prototxt", "w") as file:
        ...     _ = file.write('''net: "net.prototxt" lr_policy: "fixed" base_lr: 0.5
        ...         max_iter: 3 snapshot_prefix: "line"''')
        >>> data = np.ones((1, 1)), np.full((1, 1), 8.0)
        >>> training = kcz.training.from_solver("solver.prototxt", data=data)
        >>> training.iterations, training.snapshot_name
        (3, 'line')
        >>> _ = training.fit(verbose=0)
        >>> training.model.get_weights()[0].tolist()  # half the way to 8, three times
        [[7.0]]
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
    data: Any = field(default=None, repr=False)
    tests: tuple[TestData, ...] = field(default=(), repr=False)
    results: list[Test] = field(default_factory=list, repr=False)
    seed: int | None = None
    start: "_Start | None" = field(default=None, repr=False)

    def snapshots(self, folder: PathLike, **options) -> CaffeSnapshot:
        """Return a callback that writes the solver's snapshots into a folder.

        Args:
            folder: Where to write them; the solver's own folder is not used.
            **options: As for `CaffeSnapshot`.
        """
        options.setdefault("at_end", self.snapshot_after_train)
        options.setdefault("net", self.net)
        options.setdefault("snapshot_format", _format_of(self.solver))
        prefix = os.path.join(folder, self.snapshot_name)
        return CaffeSnapshot(prefix, self.snapshot_interval, **options)

    def log_lines(self, stream: TextIO, **options) -> SolverLog:
        """Return a callback that writes Caffe's log lines to a stream.

        Args:
            stream: An open text file, such as `sys.stderr`.
            **options: As for `SolverLog`.
        """
        options.setdefault("name", self.net.name if self.net else self.model.name)
        return SolverLog(stream, policy=self.solver.lr_policy, **options)

    def restore(self, path: PathLike, weights: PathLike | None = None) -> None:
        """Go on from a snapshot, Caffe's or one of `snapshots`.

        Sets the parameters, what the solver keeps of its updates, and the iteration; a
        dataset made with `resume=model` goes on at the batch that follows. With a
        `seed`, dropout and random crops draw what they would have drawn.

        Args:
            path: The `.solverstate`, or `.solverstate.h5`.
            weights: The caffemodel with the parameters; if None, it is the one whose
                name the state has, beside the state.

        Raises:
            CaffeFormatError: If a file is damaged, or is of another net or solver.
            FileNotFoundError: If a file is not there.
        """
        net = self.net if self.net is not None else caffe_net(self.model)[0]
        restore(self.model, self.optimizer, net, path, weights)
        if self.seed is not None:
            set_chance(self.model, self.seed, batches_done(self.model))

    def fit(
        self,
        data=None,
        validation_data=None,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        iterations: int | None = None,
        **options,
    ) -> keras.callbacks.History:
        """Train for as long as the solver does, testing when it tests.

        It goes on from where the optimizer is. An epoch, for Keras and its callbacks,
        is what lies between two tests.

        The nets in `tests` are tested as Caffe tests them: before the first iteration
        with `test_initialization`, then at each `test_interval`; each output blob of
        theirs is in Keras' history as `val_BLOB`, or `val_NET_BLOB` where there are
        several nets, and with its iteration in `results`.

        Args:
            data: An endless `tf.data.Dataset`, or any that `fit` takes; a finite
                dataset of Keras or TensorFlow is repeated. `self.data` if None.
            validation_data: Data of tests that Keras makes at the end of each epoch,
                in place of the solver's own.
            callbacks: Keras' callbacks, such as `snapshots(folder)`,
                `log_lines(sys.stderr)` and
                `keras.callbacks.BackupAndRestore(folder)`.
            iterations: Where to stop before `max_iter`, counted from the beginning of
                the training.
            **options: Everything else that `fit` takes.

        Raises:
            ValueError: If there is no data.
        """
        own = data is None
        if own:
            data = self.data
        if data is None:
            raise ValueError(
                "Expected data to train on; received: None, and from_solver got none. "
                "Pass fit(data), or from_solver(…, data=…)"
            )
        passes = self.start.read() if self.start else batches_done(self.model)
        if self.seed is not None:
            set_chance(self.model, self.seed, passes)
        listeners = [one for one in callbacks if isinstance(one, Events)]
        for one in callbacks:
            if isinstance(one, CaffeSnapshot):
                one.listeners = listeners
        tests = self.tests if validation_data is None else ()
        every = self.test_interval if tests or validation_data is not None else 0
        end = min(iterations or self.iterations, self.iterations)
        every = min(every or end, end)
        left = max(end - int(self.optimizer.iterations), 0)
        if hasattr(data, "repeat"):
            data = data.repeat()
            options.setdefault("shuffle", False)
        asked = [one for one in callbacks if isinstance(one, Requests)]
        solving = Solving(
            self.solver,
            self._outputs(),
            tests,
            listeners,
            self._next_batch if own else None,
            net=self.net,
            stops=lambda: any(one.stopped for one in asked),
        )
        unread = getattr(self.model, "unread", None)
        if self.net and listeners and (self.solver.debug_info or unread):
            solving.kept = KeptBatches(data, passes)
            data = solving.kept.generate()
        if validation_data is not None and self.test_iterations:
            options.setdefault("validation_steps", self.test_iterations[0])
        last = _StopAt(end)
        history = self.model.fit(
            data,
            validation_data=validation_data,
            epochs=-(-left // every),
            steps_per_epoch=every * self.iter_size,
            callbacks=[solving, *callbacks, last, Ending(solving)],
            **options,
        )
        self.results.extend(solving.results)
        return history

    def _outputs(self) -> dict[str, float]:
        """Return what Caffe prints of the training net, with its weights as losses."""
        if not self.net:
            return {}
        tops = unread_tops(self.net)
        if isinstance(self.model, CaffeTrainingModel):
            return {name: top.weight for name, top in tops.items()}
        only = losses(self.net)[-1]  # a given model's one output has it
        return {only.name: only.weight}

    def _next_batch(self):
        if self.start:
            self.start.read()
        return next(iter(self.data))


def _format_of(solver) -> str:
    names = {n: name for name, n in schema.ENUMS[_SNAPSHOT_FORMAT].items()}
    return names[solver.snapshot_format]


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
    snapshot: PathLike | None = None,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    infogain=None,
    data=None,
    seed: int | None = None,
    bad_records: BadRecords | None = None,
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
            parameters of their names; the others start from their fillers. With a
            snapshot, its caffemodel, where that is not beside it.
        snapshot: A `.solverstate` to go on from (`caffe train -snapshot`): see
            `Training.restore`.
        input_shape: Shape of one image `(H, W, C)`, or a mapping by blob, where the net
            does not tell it.
        infogain: The matrix H of an InfogainLoss, or its `.binaryproto`.
        data: What to train on, then `fit()` needs no data: a dataset of `(x, y)`, whose
            shapes the model takes; or a tuple of arrays `(x, y)`, which are taken in
            their order, in batches as the net's data layer has them; or where the files
            lie that the data layers name, a folder, several, or a mapping by name, as
            in `net_dataset`. With files the solver's test nets are tested, too.
        seed: Makes fillers, the data's order, crops and dropout the same every time;
            the solver's `random_seed` if None, and if that is below 0 the data's is 0
            and the others follow `keras.utils.set_random_seed`.
        bad_records: As in `net_dataset`, for the files.

    Returns:
        A `Training`; its `model` is ready for `fit` and `train_on_batch`.

    Raises:
        CaffeFormatError: If the solver or the net is damaged, or asks for what Caffe
            does not have, or what Keras cannot do the same way; names the field.
        FileNotFoundError: If the net is not found.

    Example:
        >>> with open("net.prototxt", "w") as file:
        ...     _ = file.write('''input: "data" input_shape { dim: 1 dim: 1 }
        ...         input: "y" input_shape { dim: 1 dim: 1 }
        ...         layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        ...             param { lr_mult: 2 } inner_product_param { num_output: 1 } }
        ...         layer { type: "EuclideanLoss" bottom: "ip" bottom: "y" }''')
        >>> with open("solver.prototxt", "w") as file:
        ...     _ = file.write('''net: "net.prototxt" lr_policy: "step" base_lr: 0.5
        ...         gamma: 0.1 stepsize: 10 momentum: 0.9 max_iter: 20''')
        >>> training = kcz.training.from_solver("solver.prototxt")
        >>> training.iterations, float(training.optimizer.learning_rate)
        (20, 0.5)
        >>> training.optimizer.multipliers
        {'ip/kernel': Multipliers(lr_mult=2.0, decay_mult=1.0)}
    """
    message = read_solver(solver)
    source = os.fspath(solver)
    optimizer = optimizer_of(message, source)
    nets = SolverNets(message, source, net)
    train_net, test_net = nets.training(needed=model is None), nets.test()
    if test_net is not None and is_places(data):  # then tests measure detections
        test_net = without_evaluations(test_net)
    loaded = ()
    if message.weights and weights is None and snapshot is None:
        warnings.warn(
            f"{source} starts from {list(message.weights)}, which are not looked for: "
            "pass weights=….",
            stacklevel=2,
        )
    if seed is None and message.random_seed >= 0:
        seed = message.random_seed
    feed = _feed_of(data, train_net, seed, bad_records)
    if model is None:
        if input_shape is None and data is not None:
            input_shape = shapes_of(feed(None), train_net)
        begin = weights if snapshot is None else None
        fillers = -1 if seed is None else seed
        model, loaded = training_model(
            train_net, begin, input_shape, fillers, test_net, infogain
        )
    elif weights is not None and snapshot is None:
        raise ValueError(
            "Expected `weights` for the solver's own net only; received them with a "
            f"model. Load them into it: '{model.name}'"
        )
    if train_net is not None:
        declared = multipliers.declared(train_net)
        optimizer.multipliers = multipliers.by_variable(model, declared)
    compile_for(model, optimizer, train_net, test_net, infogain)
    tests, start = (), None
    if is_places(data):
        told = read_test_settings(solver)
        detecting = DetectionTests(
            told.get("ap_version", "Integral"),
            told.get("show_per_class_result") in ("true", "1"),
            functools.partial(find_file, data),
        )
        tests = _tests_of(nets, feed, infogain, detecting)
    if keras.backend.backend() == "jax" and (is_places(data) or is_arrays(data)):
        start = _Start(model)
    if snapshot is not None:
        order = train_net if train_net is not None else caffe_net(model)[0]
        loaded = restore(model, optimizer, order, snapshot, weights)
    if seed is not None:
        set_chance(model, seed, batches_done(model))
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
        data=None if data is None else feed(StartAt(start.tell) if start else model),
        tests=tests,
        seed=seed,
        start=start,
    )


class _Start:
    """The number of the first batch, read before JAX' `fit` hides the optimizer."""

    def __init__(self, model: keras.Model):
        self._model, self._batch = model, 0

    def read(self) -> int:
        """Read it from the optimizer."""
        self._batch = batches_done(self._model)
        return self._batch

    def tell(self) -> int:
        """Return what was read."""
        return self._batch


def _feed_of(data, net, seed, bad_records):
    """Return a function that makes datasets of what the caller has given.

    Its first argument is what the dataset is to go on with (`resume`), its second a net
    in place of the training net, and its third that net's phase.
    """

    def feed(resume, net=net, phase="TRAIN"):
        if is_arrays(data):
            return arrays_dataset(data, net, resume)
        if not is_places(data):
            return data
        options = {"seed": seed or 0, "bad_records": bad_records}
        options["by_blob"] = phase == "TEST"
        return net_dataset(net, data, phase=phase, resume=resume, **options)

    return feed


def _tests_of(nets, feed, infogain, detecting) -> tuple[TestData, ...]:
    """Return a solver's test nets and their data."""

    def data_of(net):
        return lambda first: feed(StartAt(lambda: first), net, "TEST")

    found = []
    for part in nets.tests():
        net = TestNet(part.net, part.name, part.iterations, None, infogain, detecting)
        found.append(TestData(net, part.number, data_of(part.net)))
    return tuple(found)
