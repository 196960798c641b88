"""What Caffe prints of single blobs, and with `debug_info` of how large all are."""

import inspect
from collections.abc import Iterator, Mapping

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import Layer, Net
from keras_caffe_zoo.conversion.params import caffe_params, layers_with_weights
from keras_caffe_zoo.rules.names import caffe_name, keras_name
from keras_caffe_zoo.rules.registry import codec_of
from keras_caffe_zoo.training.solver.chance import traceless
from keras_caffe_zoo.training.solver.objectives import backward_bottoms, losses

MOST_VALUES = 100  # of a blob, beyond which its values are not told


class KeptBatches:
    """Data whose last batches are kept, until they are trained on.

    Args:
        data: What `fit` takes, and Python can iterate.
        first: The number of its first batch.
    """

    def __init__(self, data, first: int = 0):
        self._data, self._next = data, first
        self._kept: dict[int, tuple] = {}

    def generate(self) -> Iterator[tuple]:
        """Yield the batches. Keras may take some before it trains on them."""
        for batch in self._data:
            batch = keras.tree.map_structure(ops.convert_to_numpy, batch)
            self._kept[self._next] = batch
            self._next += 1
            yield batch

    def take(self, number: int) -> tuple | None:
        """Return a batch, and forget those before it."""
        for old in [n for n in self._kept if n < number]:
            del self._kept[old]
        return self._kept.get(number)


class UnreadBlobs:
    """The values of blobs that no layer reads and that are no losses or measures.

    Args:
        model: A model of `training_model`, whose `unread` they are.
    """

    def __init__(self, model: keras.Model):
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        self._model, self._blobs = model, keras.Model(inputs, dict(model.unread))

    def values(self, batch) -> dict[str, np.ndarray]:
        """Return those that are small, in Caffe's order of axes.

        Args:
            batch: What the model will be trained on.
        """
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        with traceless(self._model):
            found = self._blobs(x, training=True)
        found = {name: ops.convert_to_numpy(value) for name, value in found.items()}
        return {
            name: axes.in_caffe_order(value)
            for name, value in found.items()
            if value.size <= MOST_VALUES
        }


class DebugInfo:
    """The mean absolute values that Caffe prints of an iteration.

    Args:
        model: The model that is trained.
        net: Its net, filtered.
    """

    def __init__(self, model: keras.Model, net: Net):
        self._model, self._net = model, net
        layers = {layer.name: layer for layer in model.layers}
        self._tops: list[tuple[Layer, str, str]] = []
        outputs = {}
        for layer in net.layers:
            built = layers.get(keras_name(layer.name))
            for place, top in enumerate(layer.tops):
                one = layers.get(keras_name(top)) if not layer.bottoms else built
                if one is None:
                    continue
                tensors = keras.tree.flatten(one.output)
                if layer.bottoms and place >= len(tensors):
                    continue
                key = f"{len(self._tops)}"
                outputs[key] = tensors[place if layer.bottoms else 0]
                self._tops.append((layer, top, key))
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        self._blobs = keras.Model(inputs, outputs)
        self._params: dict[str, list[np.ndarray]] = {}

    def forward(self, batch) -> list[str]:
        """Return the lines of a forward pass, and remember the parameters.

        Args:
            batch: What the pass will be trained on.
        """
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        with traceless(self._model):
            values = self._blobs(x, training=True)
            self._params = caffe_params(self._model)
        lines, told = [], set()
        for layer, top, key in self._tops:
            name, size = layer.name, _mean(ops.convert_to_numpy(values[key]))
            lines.append(f"[Forward] Layer {name}, top blob {top} data: {size}")
            if name not in told:
                lines += [
                    f"[Forward] Layer {name}, param blob {_param_name(layer, i)} "
                    f"data: {_mean(param)}"
                    for i, param in enumerate(self._params.get(name, ()))
                ]
            told.add(name)
        return lines

    def backward(self, batch) -> list[str]:
        """Return the lines of a backward pass; none on other engines than TensorFlow.

        Args:
            batch: As for `forward`, which comes first.
        """
        if keras.backend.backend() != "tensorflow":
            return []
        of_bottoms, of_params = _Gradients(self._model, self._net).of(batch)
        lines = []
        for at, bottoms in reversed(backward_bottoms(self._net).items()):
            layer = self._net.layers[at]
            start = f"[Backward] Layer {layer.name},"
            for i in bottoms:
                if (at, i) in of_bottoms:
                    size = _mean(of_bottoms[at, i])
                    lines.append(f"{start} bottom blob {layer.bottoms[i]} diff: {size}")
            for i, diff in enumerate(of_params.get(layer.name, ())):
                if _is_learned(layer, i):
                    lines.append(f"{start} param blob {i} diff: {_mean(diff)}")
        data = [param for params in self._params.values() for param in params]
        layers = {layer.name: layer for layer in self._net.layers}
        diffs = [
            diff
            for name, diffs in of_params.items()
            for i, diff in enumerate(diffs)
            if _is_learned(layers.get(name), i)  # to Caffe others have none
        ]
        sums = [f"({_total(data, n)}, {_total(diffs, n)})" for n in (1, 2)]
        lines.append(
            f"[Backward] All net params (data, diff): L1 norm = {sums[0]}; "
            f"L2 norm = {sums[1]}"
        )
        return lines


class _Gradients:
    """The gradients of a pass, of what each layer reads and of its parameters.

    Each layer is given copies of what it reads: their gradients are those that it
    alone is the cause of, Caffe's `bottom[i]->diff`.
    """

    def __init__(self, model: keras.Model, net: Net):
        self._model, self._net = model, net
        self._read: dict[str, list] = {}

    def of(self, batch) -> tuple[dict, dict]:
        """Return gradients by (layer, bottom), and by layer in Caffe's layout."""
        import tensorflow as tf

        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        with traceless(self._model), tf.GradientTape(persistent=True) as tape:
            inputs = self._inputs(x)
            tape.watch(inputs)
            ends = self._model._run_through_graph(inputs, operation_fn=self._watched)
            ends = keras.tree.map_structure(tf.identity, ends)
            loss = self._model.compute_loss(x, y, ends, weight, training=True)
        by_name = ends if isinstance(ends, Mapping) else {None: ends}
        read = dict(self._read)
        for objective in losses(self._net):
            name = keras_name(objective.layer.name)
            if name not in read:  # what its bottoms' gradients are, but for the sign
                end = by_name.get(objective.name, by_name.get(None))
                read[name] = [end] * len(objective.layer.bottoms)
        of_bottoms = {}
        for at, layer in enumerate(self._net.layers):
            tensors = read.get(keras_name(layer.name), [])
            if len(tensors) == len(layer.bottoms):
                pairs = zip(tensors, tape.gradient(loss, tensors), strict=True)
                of_bottoms.update(
                    {(at, i): _array(*pair) for i, pair in enumerate(pairs)}
                )
        of_params = {
            caffe_name(layer.name): self._of_layer(tape, loss, layer)
            for layer in layers_with_weights(self._model)
        }
        return of_bottoms, of_params

    def _inputs(self, x) -> list:
        """Return a batch's arrays as the model's inputs are ordered."""
        inputs = self._model.inputs
        if isinstance(x, Mapping):
            arrays = [x[one.name] for one in inputs]
        else:
            arrays = keras.tree.flatten(x)
        pairs = zip(arrays, inputs, strict=True)
        return [ops.cast(array, one.dtype) for array, one in pairs]

    def _watched(self, layer):
        """Return a layer that keeps its own copies of what it reads."""
        trains = "training" in inspect.signature(layer.call).parameters

        def call(*args, **kwargs):
            args, kwargs = keras.tree.map_structure(_copy, (args, kwargs))
            tensors = keras.tree.flatten((args, kwargs))
            self._read[layer.name] = [x for x in tensors if ops.is_tensor(x)]
            if trains:
                kwargs["training"] = True
            return layer(*args, **kwargs)

        return call

    def _of_layer(self, tape, loss, layer) -> list[np.ndarray]:
        variables = [weight.value for weight in layer.weights]
        arrays = [
            _array(x, tape.gradient(loss, x) if weight.trainable else None)
            for x, weight in zip(variables, layer.weights, strict=True)
        ]
        return codec_of(layer).encode(layer, arrays)


def _copy(x):
    return ops.copy(x) if ops.is_tensor(x) else x


def _array(tensor, gradient) -> np.ndarray:
    """Return a gradient as an array; zeros if there is none."""
    given = tensor if gradient is None else gradient
    array = ops.convert_to_numpy(given)
    return np.zeros_like(array) if gradient is None else array


def _param_name(layer: Layer, at: int) -> str:
    """Return what Caffe calls a parameter: the name by which it is shared, or where."""
    specs = layer.message.param
    return (specs[at].name if at < len(specs) else "") or str(at)


def _is_learned(layer: Layer | None, at: int) -> bool:
    specs = layer.message.param if layer is not None else ()
    return at >= len(specs) or specs[at].lr_mult != 0


def _mean(values: np.ndarray) -> str:
    return f"{np.abs(values).mean(dtype='float64') if values.size else 0.0:g}"


def _total(arrays, norm: int) -> str:
    """Return the L1 or L2 norm of all values."""
    total = sum((np.abs(x.astype("float64")) ** norm).sum() for x in arrays)
    return f"{total ** (1 / norm):g}"
