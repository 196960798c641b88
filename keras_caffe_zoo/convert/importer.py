"""From a prototxt and a caffemodel to a Keras model."""

import os
from collections.abc import Mapping

import keras

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net, read_net, read_prototxt
from keras_caffe_zoo.convert import handlers  # noqa: F401  fills the table
from keras_caffe_zoo.convert.graph import HANDLERS, Node
from keras_caffe_zoo.convert.model import CaffeModel
from keras_caffe_zoo.convert.names import keras_name
from keras_caffe_zoo.convert.params import set_caffe_params

PathLike = str | os.PathLike


def from_caffe(
    prototxt: PathLike,
    caffemodel: PathLike | None = None,
    *,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
) -> keras.Model:
    """Build a Keras model that computes what a Caffe net computes.

    Args:
        prototxt: The net's definition.
        caffemodel: Its weights; without them they are random.
        input_shape: Shape of one item of the data blob in Keras layout, `(H, W, C)`
            for images; H and W may be None. A mapping by blob name where there are
            several. The prototxt's own if not given.
        fully_convolutional: Turn inner products on images into convolutions with the
            window that they have at the prototxt's own size.

    Returns:
        A `keras.Model` whose inputs are the data blobs and whose outputs are the
        blobs that no layer reads: one tensor, or a dict by name of several. 4-D blobs
        are channels last, others as in Caffe.

    Raises:
        CaffeFormatError: If a file is damaged, or a layer is of an unknown type.
        ValueError: If the weights do not fit.
    """
    net = read_prototxt(prototxt).filter("TEST")
    _check_types(net)
    windows = _Graph(net).windows() if fully_convolutional else None
    model = _Graph(net, _by_blob(net, input_shape), windows).model()
    if caffemodel is not None:
        set_caffe_params(model, read_net(caffemodel).params)
    return model


def _check_types(net: Net) -> None:
    unknown = [
        f"'{layer.name}' ({layer.type})"
        for layer in net.layers
        if layer.type not in HANDLERS
    ]
    if unknown:
        raise CaffeFormatError(
            f"Expected layers of the types {sorted(HANDLERS)}; received also: "
            f"{', '.join(unknown)}",
            source=net.source,
        )


def _by_blob(net: Net, given) -> dict[str, tuple]:
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    return {next(iter(net.inputs), "data"): tuple(given)}


class _Graph:
    """One walk through a net's layers, blob by blob."""

    def __init__(
        self,
        net: Net,
        shapes: Mapping[str, tuple] | None = None,
        windows: Mapping[str, tuple[int, int]] | None = None,
    ):
        self.net = net
        self.shapes = dict(shapes or {})
        self.fully_convolutional = windows is not None
        self._windows = dict(windows or {})
        self.inputs = []
        self.blobs = {}  # name -> tensor that holds it now
        self.places = {}  # name -> [Keras layer, output index]
        self.unread = {}  # the blobs that no layer has read yet, in order

    def model(self) -> keras.Model:
        """Return the Keras model of the whole net."""
        for layer in self.net.layers:
            self._add(layer)
        outputs = {name: self.blobs[name] for name in self.unread}
        if len(outputs) == 1:
            (outputs,) = outputs.values()
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        model = CaffeModel(inputs, outputs, name=keras_name(self.net.name or "net"))
        model.caffe_blobs = self.places
        return model

    def windows(self) -> dict[str, tuple[int, int]]:
        """Return the height and width of the blobs that inner products flatten.

        Their own outputs are flat stand-ins: no dense layer is made.
        """
        for layer in self.net.layers:
            if layer.type == "InnerProduct":
                self._stand_in(layer)
            else:
                self._add(layer)
        return self._windows

    def _stand_in(self, layer: Layer) -> None:
        shape = self.blobs[layer.bottoms[0]].shape
        if len(shape) == 4:
            self._windows[layer.name] = tuple(shape[1:3])
        units = layer.message.inner_product_param.num_output
        self._write(layer.tops[0], keras.Input((units,)))

    def _add(self, layer: Layer) -> None:
        if layer.type == "Input":
            for blob in layer.tops:
                self._add_input(blob)
            return
        bottoms = [self._read(layer, blob) for blob in layer.bottoms]
        node = Node(layer, self.net.source, self.fully_convolutional, self._windows)
        tensors = HANDLERS[layer.type](node, *bottoms)
        tensors = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        for blob, tensor in zip(layer.tops, tensors, strict=True):
            self._write(blob, tensor)

    def _add_input(self, blob: str) -> None:
        shape = self.shapes.get(blob)
        if shape is None:
            shape = self.net.inputs[blob][1:]
            shape = (*shape[1:], shape[0]) if len(shape) == 3 else shape
        tensor = keras.Input(shape, name=keras_name(blob))
        self.inputs.append(tensor)
        self._write(blob, tensor)

    def _read(self, layer: Layer, blob: str):
        if blob not in self.blobs:
            raise CaffeFormatError(
                f"({layer.type}) Expected the name of a blob that a layer before it "
                f"writes; received: {blob!r}",
                source=self.net.source,
                layer=layer.name,
                field="bottom",
            )
        self.unread.pop(blob, None)
        return self.blobs[blob]

    def _write(self, blob: str, tensor) -> None:
        self.blobs[blob] = tensor
        history = tensor._keras_history
        self.places[blob] = [history.operation.name, history.tensor_index]
        self.unread.pop(blob, None)
        self.unread[blob] = True
