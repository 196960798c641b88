"""A Caffe solver's state: parameters, history and iteration, out of a model and back.

Caffe's history has an array, or two, for each parameter that a layer of the training
net owns, in the order of the layers: also for those that are not trained. A parameter's
history is laid out as the parameter is.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    Layer,
    Net,
    SolverState,
    read_net,
    read_solverstate,
)
from keras_caffe_zoo.conversion.loading import (
    learned,
    stored_by_position,
    with_axes,
)
from keras_caffe_zoo.conversion.params import assign, fitted, layers_with_weights
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.names import caffe_name, twin_name
from keras_caffe_zoo.rules.registry import codec_of, rule_of
from keras_caffe_zoo.training.solver.nets import last_part
from keras_caffe_zoo.training.solver.optimizers import CaffeOptimizer
from keras_caffe_zoo.training.solver.policies import LearningRatePolicy

PathLike = str | os.PathLike
Arrays = list[np.ndarray]


def restore(
    model: keras.Model,
    optimizer: CaffeOptimizer,
    net: Net,
    path: PathLike,
    weights: PathLike | None = None,
) -> list[str]:
    """Put a snapshot into a model and its optimizer; all of it or nothing.

    Args:
        model: The model.
        optimizer: One of Caffe's solvers.
        net: The training net, whose layers tell the order of the history.
        path: The `.solverstate` or `.solverstate.h5`.
        weights: The caffemodel; if None, it is the one that the state names, beside it.

    Returns:
        The names of the layers that took parameters.

    Raises:
        CaffeFormatError: If a file is damaged, or of another net or solver.
        FileNotFoundError: If there is no such caffemodel beside the state.
    """
    source = os.fspath(path)
    state = read_solverstate(path)
    if not 0 <= state.current_step <= state.iteration:
        raise CaffeFormatError(
            f"Expected at most {state.iteration} steps of the learning rate after as "
            f"many iterations; received: {state.current_step}",
            source=source,
            field="current_step",
        )
    trained = read_net(_model_beside(state, source, weights), gaps=True)
    parameters = Parameters(model, net)
    plan = parameters.plan(trained)
    optimizer.build(model.trainable_variables)
    slots = parameters.slots(optimizer, state.history, source)
    for layer, arrays in plan:
        assign(layer, arrays)
    for slot, array in slots:
        slot.assign(array)
    _set_iteration(optimizer, state)
    model.train_function = None  # it may have the rates of another policy
    return [caffe_name(layer.name) for layer, _ in plan]


def state_of(
    model: keras.Model, optimizer: CaffeOptimizer, net: Net, learned_net: str
) -> SolverState:
    """Return the state that Caffe's solver would be in.

    Args:
        model: The model.
        optimizer: One of Caffe's solvers.
        net: The training net, as in `restore`.
        learned_net: The caffemodel that holds the parameters.

    Raises:
        ValueError: If the net has other parameters than the model.
    """
    optimizer.build(model.trainable_variables)  # of use before the first iteration
    history = Parameters(model, net).history(optimizer)
    state = SolverState(int(optimizer.iterations), learned_net, 0, history)
    state.current_step = _steps_done(optimizer._learning_rate, state)
    return state


class _Place(NamedTuple):
    """A layer of a net, and the Keras layer with its weights, if there is one."""

    layer: Layer
    ours: keras.Layer | None
    shapes: list[tuple | None]  # of its parameters, as Caffe has them
    names: list[str]  # by which it shares them; "" for its own


class Parameters:
    """A training net's parameters in Caffe's order, and a model's weights for them.

    Args:
        model: The model.
        net: The net.

    Raises:
        ValueError: If the model has trained layers that the net does not have.
    """

    def __init__(self, model: keras.Model, net: Net):
        layers = {caffe_name(x.name): x for x in layers_with_weights(model)}
        self.model = model
        self.places = [_place(x, layers) for x in net.layers]
        self.places = [place for place in self.places if place.shapes]
        known = {id(place.ours) for place in self.places}
        others = [
            name
            for name, layer in layers.items()
            if id(layer) not in known and layer.trainable_variables
        ]
        if others:
            names = [place.layer.name for place in self.places]
            raise ValueError(
                f"Expected layers of the training net; '{model.name}' trains others: "
                f"{', '.join(map(repr, others[:3]))}. {there_are(names, others[0])}."
            )

    def check_complete(self) -> None:
        """Raise ValueError if the net has parameters that the model does not have."""
        missing = [x.layer.name for x in self.places if x.ours is None]
        if missing:
            raise ValueError(
                f"Expected the parameters of every layer of the net; "
                f"'{self.model.name}' has none for: "
                f"{', '.join(map(repr, missing[:3]))}"
            )

    def plan(self, trained: Net) -> list[tuple[keras.Layer, Arrays]]:
        """Return the model's layers with what a caffemodel has for them.

        Raises:
            CaffeFormatError: If a layer has none, or of other shapes.
        """
        part = Net(layers=[place.layer for place in self.places])
        found = stored_by_position(part, trained)
        plan, loaded, missing = [], set(), []
        for at, place in enumerate(self.places):
            if place.ours is not None and at in found:
                arrays = _fitted(place, found[at], trained.source)
                plan.append((place.ours, arrays))
                loaded.update(id(weight) for weight in place.ours.weights)
        for layer in layers_with_weights(self.model):
            if any(id(weight) not in loaded for weight in layer.weights):
                missing.append(caffe_name(layer.name))
        if missing:
            raise CaffeFormatError(
                "Expected parameters for every layer; received none for: "
                f"{', '.join(map(repr, missing[:3]))}. The caffemodel is another net's",
                source=trained.source,
            )
        return plan

    def history(self, optimizer: CaffeOptimizer) -> Arrays:
        """Return what an optimizer keeps, in Caffe's order and layout.

        Of parameters that are not trained it is zeros. Caffe's may be others, since
        weight decay counts as a gradient; multiplied with a rate of 0 it is nothing.

        Raises:
            ValueError: As `check_complete`.
        """
        self.check_complete()
        known = _index(optimizer)
        return [
            blob
            for slots in optimizer.history_slots
            for blob in self._owned(slots, known, optimizer.history_sign)
        ]

    def slots(
        self, optimizer: CaffeOptimizer, history: Arrays, source: str
    ) -> list[tuple[keras.Variable, np.ndarray]]:
        """Return an optimizer's variables with the history that they are to keep.

        Args:
            optimizer: The optimizer, built.
            history: In Caffe's order and layout.
            source: The state's file, for errors.

        Raises:
            CaffeFormatError: If it is the history of another net or solver.
        """
        owners, count = self._owners()
        kinds = optimizer.history_slots
        if len(history) != len(kinds) * count:
            raise CaffeFormatError(
                f"Expected a history of {len(kinds) * count} arrays, {len(kinds)} for "
                f"each of {count} parameters, as {type(optimizer).__name__} keeps it; "
                f"received: {len(history)}. The state is another net's or another "
                "solver's",
                source=source,
            )
        known, found = _index(optimizer), []
        for kind, slots in enumerate(kinds):
            for place, numbers in zip(self.places, owners, strict=True):
                if not slots or not _is_trained(place, known):
                    continue
                blobs = [history[kind * count + n] for n in numbers]
                arrays = _fitted(place, blobs, source)
                for weight, array in zip(place.ours.weights, arrays, strict=True):
                    if id(weight) in known:
                        array = optimizer.history_sign * array
                        found.append((slots[known[id(weight)]], array))
        return found

    def _owners(self) -> tuple[list[list[int]], int]:
        """Return where in the history each layer's are, and how many there are."""
        owners: dict[str, int] = {}
        found, count = [], 0
        for place in self.places:
            numbers = []
            for name in place.names:
                number = owners.get(name, count)
                count += number == count
                numbers.append(number)
                if name:
                    owners[name] = number
            found.append(numbers)
        return found, count

    def _owned(self, slots, known: dict[int, int], sign: float) -> Iterable:
        owners, _ = self._owners()
        done = 0
        for place, numbers in zip(self.places, owners, strict=True):
            trained = bool(slots) and _is_trained(place, known)
            arrays = [
                sign * ops.convert_to_numpy(slots[known[id(weight)]])
                if trained and id(weight) in known
                else np.zeros(weight.shape, "float32")
                for weight in place.ours.weights
            ]
            blobs = stored_blobs(place.layer, place.ours, arrays)
            for number, blob in zip(numbers, blobs, strict=True):
                if number == done:
                    done += 1
                    yield blob if trained else np.zeros_like(blob)


def stored_blobs(layer: Layer, ours: keras.Layer, arrays: Arrays) -> Arrays:
    """Return a Keras layer's arrays as Caffe's net has them.

    Args:
        layer: The layer as the net defines it.
        ours: The Keras layer.
        arrays: One of the shape of each of its weights.
    """
    return as_defined(layer, codec_of(ours).encode(ours, arrays))


def as_defined(layer: Layer, blobs: Arrays) -> Arrays:
    """Return blobs of a codec as the definition of a layer has them."""
    rule = rule_of(layer.type)
    if rule is None or not blobs or blobs[0].ndim == 4:
        return blobs  # of a convolution's twin they are as they should be
    return [rule.stored(layer, i, blob) for i, blob in enumerate(blobs)]


def _place(layer: Layer, layers: dict[str, keras.Layer]) -> _Place:
    ours = layers.get(layer.name) or layers.get(twin_name(layer.name))
    if ours is None:
        shapes = [None] * len(layer.blob_axes or ())
    else:
        zeros = [np.zeros(weight.shape, "float32") for weight in ours.weights]
        shapes = [blob.shape for blob in stored_blobs(layer, ours, zeros)]
    names = [spec.name for spec in layer.message.param][: len(shapes)]
    return _Place(layer, ours, shapes, names + [""] * (len(shapes) - len(names)))


def _index(optimizer: CaffeOptimizer) -> dict[int, int]:
    """Return the number of each parameter in an optimizer's variables."""
    return {id(v): i for i, v in enumerate(optimizer._trainable_variables)}


def _is_trained(place: _Place, known: dict[int, int]) -> bool:
    return place.ours is not None and any(id(w) in known for w in place.ours.weights)


def _fitted(place: _Place, blobs: Arrays, source: str) -> Arrays:
    """Return blobs in the shapes of a Keras layer's weights."""
    layer, ours, shapes, _ = place
    received = [np.shape(blob) for blob in blobs]
    try:
        pairs = zip(blobs, shapes, strict=True)
        blobs = learned(layer, [_with_axes(blob, shape) for blob, shape in pairs])
        return fitted(ours, codec_of(ours).decode(ours, blobs), received)
    except ValueError as error:
        raise CaffeFormatError(
            f"Expected arrays of the shapes {shapes}; received: {received}. The file "
            "is another net's",
            source=source,
            layer=layer.name,
        ) from error


def _with_axes(blob: np.ndarray, shape: tuple) -> np.ndarray:
    """Return a blob with the axes that it should have; old files have more, of 1."""
    if [n for n in blob.shape if n != 1] == [n for n in shape if n != 1]:
        return blob.reshape(shape)
    return with_axes(blob, shape)


def _model_beside(state: SolverState, source: str, weights: PathLike | None):
    if weights is not None:
        return weights
    # Only the file's name: a stranger's file must not make us read another place.
    name = last_part(state.learned_net)
    path = os.path.join(os.path.dirname(source), name)
    if not name or not os.path.isfile(path):
        raise FileNotFoundError(
            f"Expected the caffemodel {name!r} beside {source}; received no such file. "
            "Pass weights=…"
        )
    return path


def _set_iteration(optimizer: CaffeOptimizer, state: SolverState) -> None:
    passes = state.iteration * (optimizer.gradient_accumulation_steps or 1)
    optimizer._iterations.assign(passes)
    for gradient in getattr(optimizer, "_accumulated_gradients", ()):
        gradient.assign(ops.zeros_like(gradient.value))
    policy = getattr(optimizer, "_learning_rate", None)
    if _is(policy, "multistep") and state.current_step != _steps_done(policy, state):
        optimizer.learning_rate = _resumed(policy, state)


def _is(policy, name: str) -> bool:
    return isinstance(policy, LearningRatePolicy) and policy.policy == name


def _resumed(policy: LearningRatePolicy, state: SolverState) -> LearningRatePolicy:
    """Return a policy that goes on from a state's step, whatever its own values say.

    Caffe takes no step back, and one step forward in an iteration.
    """
    done, now = state.current_step, state.iteration
    later = [max(value, now + n) for n, value in enumerate(policy.stepvalue[done:])]
    config = policy.get_config() | {"stepvalue": [*range(done), *later]}
    return LearningRatePolicy.from_config(config)


def _steps_done(policy, state: SolverState) -> int:
    """Return Caffe's `current_step`, which is that of the last iteration."""
    last = state.iteration - 1
    if _is(policy, "multistep"):
        return sum(value <= last for value in policy.steps)
    return max(last, 0) // policy.stepsize if _is(policy, "step") else 0
