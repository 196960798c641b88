"""Factors and offsets along chosen axes: Scale and Bias."""

from keras_caffe_zoo.arithmetic.affine import Affine
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.normalization import wide
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, STORED, Rule

_WHOLE = MIXED._replace(channels="kept", order="kept")


class _AlongAxes(Rule):
    """Scale and Bias: learned values that span some axes of a blob."""

    bottoms = (1, 2)
    in_place = "possible"
    codec = STORED
    precision = "kept"

    def _build(self, node, x, second, blobs, **options):
        """Return the top, with `blobs` learned parameters of the same shape."""
        self._span(node, x, second, blobs)
        kind, param = getattr(layers, self.layers[0]), node.param
        layer = kind(param.axis, param.num_axes, name=node.name, **options)
        return layer(x if second is None else [x, second])

    def _values(self, node, x, second, blobs):
        """Return the second bottom and learned parameters, shaped to meet the first."""
        behind = len(x.shape) - self._span(node, x, second, blobs)
        if second is not None:
            yield node.with_ones(second, behind)
        for index in range(blobs):
            array = node.array(index)
            shaped = array.reshape(*array.shape, *[1] * behind)
            yield node.constant(shaped, f"{node.layer.name}/{index}")

    @staticmethod
    def _span(node, x, second, blobs) -> int:
        """Return the axis behind those that values are for; the node learns these."""
        param, shape = node.param, caffe_shape(x)
        size = param.num_axes if second is None else len(second.shape)
        axis = node.caffe_axis(param.axis, len(shape)) if size else 0
        end = len(shape) if size == -1 else axis + size
        if size < -1 or end > len(shape):
            raise node.error(
                f"Expected at most {len(shape) - axis} axes from axis {axis} on of a "
                f"blob with {len(shape)}; received: {size}",
                "num_axes" if second is None else "bottom",
            )
        if axis == 0 and size and blobs:
            node.whole_batch(x)
        own = spanned = shape[axis:end]
        if second is not None:
            own = caffe_shape(second)
            if blobs and None in own:
                node.whole_batch(second)
            if any(None not in p and p[0] != p[1] for p in zip(own, spanned, strict=1)):
                raise node.error(
                    f"Expected a second bottom of the shape {spanned}; received: {own}",
                    "bottom",
                )
        if blobs and None in own:
            raise node.error(f"Expected known sizes; received shape: {shape}")
        if blobs:
            node.learns(*[own] * blobs)
        return end

    def blob_axes(self, layer):
        axes = layer.param.num_axes
        return (axes if axes >= 0 else None,) * self._blobs(layer)

    def _blobs(self, layer) -> int:
        return int(len(layer.bottoms) < 2)

    def affine(self, layer, x):
        if not layer.weights or layer.num_axes not in (0, 1):
            return None  # values from elsewhere, or for each place
        if layer.num_axes and layer.axis % len(x.shape) != 1:
            return None
        return self._affine(layer)

    def traits_of(self, layer):
        inputs = keras.tree.flatten(layer.input)
        rank = len(inputs[0].shape)
        if len(inputs) == 2:  # a value for each value, or values for whole maps
            whole = len(inputs[1].shape) < rank
        else:
            size = layer.num_axes
            end = rank if size == -1 else layer.axis % rank + size
            whole = size and end > 2
        return _WHOLE if rank == 4 and whole else POINTWISE

    def on_map(self, layer, image):
        if self.traits_of(layer) == _WHOLE:
            raise ValueError("it looks at the whole map")
        if len(layer.output.shape) != 4 and (layer.axis, layer.num_axes) != (1, 1):
            raise ValueError("it has values for other axes than the channels")
        return layer.__class__.from_config(layer.get_config())


@register
class Scale(_AlongAxes):
    types = ("Scale",)
    layers = ("CaffeScale",)
    param = Param(
        "scale_param",
        """
        1 axis int32=1; 2 num_axes int32=1; 3 filler FillerParameter;
        4 bias_term bool=false; 5 bias_filler FillerParameter
        """,
        142,
    )
    fillers = ("filler", "bias_filler")
    traits = POINTWISE

    def build(self, node, x, factor=None):
        bias = node.param.bias_term
        blobs = (factor is None) + bias
        return self._build(node, x, factor, int(blobs), use_bias=bias)

    def onnx(self, node, x, factor=None):
        blobs = (factor is None) + node.param.bias_term
        factor, *offset = self._values(node, x, factor, int(blobs))
        x = node.op("Mul", x, factor)
        return node.op("Add", x, *offset) if offset else x

    def encode(self, call):
        layer = call.layer
        values = {"axis": layer.axis, "num_axes": layer.num_axes}
        call.add("Scale", scale_param={**values, "bias_term": layer.use_bias})

    def _affine(self, layer):
        if layer.scale is None:
            return None
        offset = 0.0 if layer.bias is None else wide(layer.bias)
        return Affine(wide(layer.scale), offset)

    def filler_fields(self, node):
        own = self.fillers[len(node.layer.bottoms) > 1 :]  # factors may be a bottom
        return own[: len(node.shapes)]

    def _blobs(self, layer):
        return super()._blobs(layer) + layer.param.bias_term


@register
class Bias(_AlongAxes):
    types = ("Bias",)
    layers = ("CaffeBias",)
    param = Param(
        "bias_param",
        "1 axis int32=1; 2 num_axes int32=1; 3 filler FillerParameter",
        141,
    )
    fillers = ("filler",)
    traits = POINTWISE

    def build(self, node, x, offset=None):
        return self._build(node, x, offset, int(offset is None))

    def onnx(self, node, x, offset=None):
        (offset,) = self._values(node, x, offset, int(offset is None))
        return node.op("Add", x, offset)

    def encode(self, call):
        layer = call.layer
        values = {"axis": layer.axis, "num_axes": layer.num_axes}
        call.add("Bias", bias_param=values)

    def _affine(self, layer):
        return Affine(1.0, wide(layer.bias))
