"""What Caffe prints with `debug_info`: how large blobs, parameters and updates are."""

from collections.abc import Iterator

import keras
import numpy as np

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.params import caffe_params
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training.solver.chance import traceless


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
            batch = keras.tree.map_structure(keras.ops.convert_to_numpy, batch)
            self._kept[self._next] = batch
            self._next += 1
            yield batch

    def take(self, number: int) -> tuple | None:
        """Return a batch, and forget those before it."""
        for old in [n for n in self._kept if n < number]:
            del self._kept[old]
        return self._kept.pop(number, None)


class DebugInfo:
    """The mean absolute values that Caffe prints of an iteration.

    Args:
        model: The model that is trained.
        net: Its net, filtered.
    """

    def __init__(self, model: keras.Model, net: Net):
        self._model = model
        layers = {layer.name: layer for layer in model.layers}
        self._tops: list[tuple[str, str, str]] = []
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
                self._tops.append((layer.name, top, key))
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        self._blobs = keras.Model(inputs, outputs)
        self._before: dict[str, list[np.ndarray]] = {}

    def forward(self, batch) -> list[str]:
        """Return the lines of a forward pass, and remember the parameters.

        Args:
            batch: What the pass will be trained on.
        """
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        with traceless(self._model):
            values = self._blobs(x, training=True)
        self._before = caffe_params(self._model)
        lines, told = [], set()
        for name, top, key in self._tops:
            size = _mean(keras.ops.convert_to_numpy(values[key]))
            lines.append(f"[Forward] Layer {name}, top blob {top} data: {size}")
            if name not in told:
                lines += [
                    f"[Forward] Layer {name}, param blob {i} data: {_mean(param)}"
                    for i, param in enumerate(self._before.get(name, ()))
                ]
            told.add(name)
        return lines

    def update(self) -> list[str]:
        """Return the lines of the update since the forward pass."""
        after = caffe_params(self._model)
        return [
            f"[Update] Layer {name}, param {i} data: {_mean(old)}; "
            f"diff: {_mean(old - new)}"
            for name, params in self._before.items()
            for i, (old, new) in enumerate(zip(params, after[name], strict=True))
        ]


def _mean(values: np.ndarray) -> str:
    return f"{np.abs(values).mean(dtype='float64') if values.size else 0.0:g}"
