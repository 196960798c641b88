"""Layers that multiply by a matrix, or look up its rows."""

import math

import numpy as np

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.rules import layout
from keras_caffe_zoo.rules.names import conv_name
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.order import flat_channels
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import (
    MIXED,
    STORED,
    Codec,
    Rule,
    Traits,
    activation_of,
    filled,
)

_LAST = {"data_format": "channels_last"}
_NEW = MIXED._replace(order="new")


def bias_shape(param, units: int) -> list[tuple[int]]:
    """Return the shape of a bias in a list, of no bias an empty one."""
    return [(units,)] if param.bias_term else []


def _encode_inner_product(layer, arrays):
    kernel, *bias = arrays
    return [layout.transposed(kernel) if layer.transpose else kernel, *bias]


def _decode_inner_product(layer, blobs):
    weight, *bias = blobs
    if weight.ndim == 4:
        weight = weight.reshape(len(weight), -1)
    return [layout.transposed(weight) if layer.transpose else weight, *bias]


@register
class InnerProduct(Rule):
    types = ("InnerProduct",)
    layers = ("CaffeInnerProduct",)
    param = Param(
        "inner_product_param",
        """
        1 num_output uint32; 2 bias_term bool=true; 3 weight_filler FillerParameter;
        4 bias_filler FillerParameter; 5 axis int32=1; 6 transpose bool=false
        """,
        117,
    )
    fillers = ("weight_filler", "bias_filler")
    has_kernel = flattens = True
    codec = Codec(_encode_inner_product, _decode_inner_product)
    traits = _NEW
    precision = "reduced"

    def build(self, node, x):
        param, units = node.param, node.param.num_output
        axis = self._axis(node, x)
        if node.fully_convolutional and len(x.shape) == 4 and axis == 1:
            return self._as_convolution(node, x, units)
        if axis == 1 and len(x.shape) in (2, 4) and not node.shares:
            return self._dense(node, x, units)
        options = {"use_bias": param.bias_term, "transpose": param.transpose}
        return layers.CaffeInnerProduct(units, axis, **options, name=node.name)(x)

    def onnx(self, node, x):
        axis, bias = self._axis(node, x), node.param.bias_term
        weights = [node.weight(0), *([node.weight(1)] if bias else [])]
        if len(node.shapes[0]) == 4:
            return node.op("Conv", x, *weights)
        if axis == 1:
            x = node.op("Flatten", x) if len(x.shape) > 2 else x
            return node.op("Gemm", x, *weights, transB=1)
        lead = [node.size(x, i) for i in range(axis)]
        rows = node.reshape(x, [-1, node.shapes[0][1]])
        y = node.op("Gemm", rows, *weights, transB=1)
        return node.reshape(y, [*lead, node.param.num_output])

    def _axis(self, node, x) -> int:
        """Return from which axis on a blob is flattened; the node learns the weights.

        Notes the window of the blob in `node.windows`, or takes it from there.
        """
        param, shape = node.param, caffe_shape(x)
        axis = node.caffe_axis(param.axis, len(shape), "inner_product_param.axis")
        units = node.count(param.num_output, "inner_product_param.num_output")
        if len(shape) == 4 and axis == 1 and not node.fully_convolutional:
            node.windows[node.layer.name] = shape[2:]
        elif len(shape) == 4 and axis == 1:
            window = node.windows.get(node.layer.name, (1, 1))
            node.learns((units, node.channels(x), *window), *bias_shape(param, units))
            return axis
        if axis == 0:
            node.whole_batch(x)
        if None in shape[axis:]:
            raise node.error(
                f"Expected a blob of known size to flatten; received: {shape}. Give an "
                "input_shape, or fully_convolutional=True"
            )
        ends = (units, math.prod(shape[axis:]))
        # With or without `transpose`, parameters are (outputs, inputs) here.
        node.learns(ends, *bias_shape(param, units))
        return axis

    def _dense(self, node, x, units):
        if len(x.shape) == 4:
            x = keras.layers.Flatten(name=node.aux("flatten"), **_LAST)(x)
        bias = node.param.bias_term
        return keras.layers.Dense(units, use_bias=bias, name=node.name)(x)

    def _as_convolution(self, node, x, units):
        window = node.windows.get(node.layer.name, (1, 1))
        bias = node.param.bias_term
        name = node.conv_name
        return layers.CaffeConv2D(units, window, use_bias=bias, name=name, **_LAST)(x)

    def stand_in(self, node, x):
        """Return a tensor like the output, without making a layer of many weights.

        Notes the window of the blob that the layer flattens in `node.windows`.
        """
        units = node.count(node.param.num_output, "inner_product_param.num_output")
        axis = node.caffe_axis(node.param.axis, len(x.shape))
        if len(x.shape) == 4 and axis == 1:
            node.windows[node.layer.name] = tuple(x.shape[1:3])
        return keras.Input((*x.shape[1:axis], units) if axis else (units,))

    def encode(self, call):
        layer = call.layer
        param = {
            "num_output": layer.units,
            "bias_term": layer.use_bias,
            "axis": layer.axis,
        }  # no transpose: `caffe_params` gives (outputs, inputs) in any case
        call.add("InnerProduct", inner_product_param=param)

    def by_channel(self, layer, x, kernel):
        if layer.axis % len(x.shape) != 1:
            return None
        view = layout.conv_by_channel if layer.transpose else layout.deconv_by_channel
        return view(kernel)

    def blob_axes(self, layer):
        return (2, 1)[: 1 + layer.param.bias_term]

    def channels(self, layer, bottoms):
        return layer.param.num_output or None if layer.param.axis == 1 else None

    def learned_blobs(self, layer):
        """Return the weights as (O, I), also those of `transpose`, which are (I, O)."""
        if not layer.param.transpose:
            return layer.blobs
        weight, *bias = layer.blobs
        return [layout.transposed(weight), *bias]

    def stored(self, node, index, array):
        if index or not node.param.transpose:
            return array
        return layout.transposed(array.reshape(len(array), -1))

    def fill(self, node, index, initializer):
        if index:
            return super().fill(node, index, initializer)
        # A matrix in Caffe, also where it became a convolution.
        shape = node.shapes[0]
        matrix = (shape[0], math.prod(shape[1:]))
        matrix = matrix[::-1] if node.param.transpose else matrix
        return self.stored(node, 0, filled(matrix, initializer)).reshape(shape)


def kernel_from_caffe(layer, blobs):
    """Return Caffe's weights and bias as a kernel and bias, dense or convolutional."""
    weight, *bias = blobs
    if weight.ndim > 2:
        return [layout.conv_kernel(weight), *bias]
    channels = flat_channels(layer)
    if weight.ndim == 2 and weight.shape[1] % channels == 0:
        weight = layout.dense_kernel(weight, channels)
    return [weight, *bias]  # as it is where it cannot fit, for `fitted` to tell


def _encode_dense(layer, arrays):
    kernel, *bias = arrays
    return [layout.dense_weight(kernel, flat_channels(layer)), *bias]


@register
class Dense(Rule):
    layers = ("Dense",)
    precision = "reduced"
    codec = Codec(_encode_dense, kernel_from_caffe)
    traits = Traits(places="mixed", order="new", outputs="units")

    def encode(self, call):
        rank = len(call.inputs[0].shape)
        if rank == 4:
            raise call.error("it is applied pixel by pixel; use CaffeConv2D")
        param = {"num_output": call.layer.units, "bias_term": call.layer.use_bias}
        if rank > 2:
            param["axis"] = rank - 1
        call.add("InnerProduct", inner_product_param=param)
        call.add_activation()

    def traits_of(self, layer):
        return self.traits._replace(activation=activation_of(layer))

    def by_channel(self, layer, x, kernel):
        return layout.conv_by_channel(kernel) if len(x.shape) in (2, 4) else None

    def sees_zeros(self, layer, x):
        return False

    def on_map(self, layer, image):
        on_pixels = len(layer.input.shape) == 4  # over the channels of an image
        config = layer.get_config()
        return layers.CaffeConv2D(
            layer.units,
            (1, 1) if on_pixels else image(layer)[0],
            activation=config["activation"],
            use_bias=layer.use_bias,
            name=conv_name(layer.name),
            data_format="channels_last",
            dtype=config["dtype"],
        )

    def give_weights(self, layer, source, image):
        kernel, *bias = source.get_weights()
        height, width, _, _ = layer.kernel.shape
        if len(source.input.shape) != 4 and image(source)[1]:  # rows in C, H, W
            kernel = layout.conv_kernel_of_rows(kernel, (height, width))
        layer.set_weights([kernel.reshape(layer.kernel.shape), *bias])


@register
class Embed(Rule):
    types = ("Embed",)
    layers = ("Embedding", "CaffeEmbed")
    param = Param(
        "embed_param",
        """
        1 num_output uint32; 2 input_dim uint32; 3 bias_term bool=true;
        4 weight_filler FillerParameter; 5 bias_filler FillerParameter
        """,
        137,
    )
    codec = STORED
    fillers = ("weight_filler", "bias_filler")
    traits = _NEW

    def build(self, node, x):
        (rows, units), bias = self._table(node), node.param.bias_term
        if not bias and len(x.shape) < 3:
            return keras.layers.Embedding(rows, units, name=node.name)(x)
        return layers.CaffeEmbed(rows, units, bias, name=node.name)(x)

    def onnx(self, node, x):
        self._table(node)
        numbers = node.op("Cast", x, to=np.int64)
        y = node.op("Gather", node.weight(0), numbers, axis=0)
        return node.op("Add", y, node.weight(1)) if node.param.bias_term else y

    @staticmethod
    def _table(node) -> tuple[int, int]:
        """Return how many rows of what size there are, which the node learns."""
        param = node.param
        units = node.count(param.num_output, "embed_param.num_output")
        rows = node.count(param.input_dim, "embed_param.input_dim")
        node.learns((rows, units), *bias_shape(param, units))
        return rows, units

    def encode(self, call):
        layer = call.layer
        ours = isinstance(layer, layers.CaffeEmbed)
        param = {
            "num_output": layer.units if ours else layer.output_dim,
            "input_dim": layer.input_dim,
            "bias_term": ours and layer.use_bias,
        }
        call.add("Embed", embed_param=param)

    def blob_axes(self, layer):
        return (2, 1)[: 1 + layer.param.bias_term]
