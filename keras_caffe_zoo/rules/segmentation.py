"""Layers of the forks for segmentation: DeepLab, PSPNet, SegNet, ENet."""

import math

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.onnx.resizing import new_size, repeated, stretched
from keras_caffe_zoo.onnx.unpooling import unpooled
from keras_caffe_zoo.rules.data import ImageData
from keras_caffe_zoo.rules.loss import Accuracy
from keras_caffe_zoo.rules.python import PYTHON, add_python, param_dict
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Rule, Traits
from keras_caffe_zoo.rules.window import check_image

_DEEPLAB, _SEGNET = "DeepLab", "SegNet"


@register
class Interp(Rule):
    types = ("Interp",)
    fork = _DEEPLAB
    layers = ("CaffeInterp",)
    param = Param(
        "interp_param",
        """
        1 height int32=0; 2 width int32=0; 3 zoom_factor int32=1;
        4 shrink_factor int32=1; 5 pad_beg int32=0; 6 pad_end int32=0
        """,
        143,
    )
    traits = MIXED._replace(channels="kept", enlarges=True)

    def build(self, node, x):
        given = self._given(node)
        pads = {"pad_beg": node.param.pad_beg, "pad_end": node.param.pad_end}
        layer = layers.CaffeInterp(**given, **pads, name=node.name)
        return node.checked(layer(x))

    def onnx(self, node, x):
        check_image(node, x)
        wanted, factors = self._settings(node)
        begin, end = -node.param.pad_beg, node.param.pad_end
        lost = begin - end
        if any(size is not None and size <= lost for size in x.shape[2:]):
            raise node.error(
                f"Expected more rows and columns than the {lost} pixels that are cut "
                f"off; received shape: {x.shape}",
                "interp_param.pad_beg",
            )
        if lost:
            ends = [end or 2**31 - 1] * 2
            x = node.op("Slice", x, [begin] * 2, ends, [2, 3])
        sizes = [
            new_size(node, node.size(x, 2 + axis), wanted[axis], *factors)
            for axis in range(2)
        ]
        return node.checked(stretched(node, x, sizes))

    @staticmethod
    def _given(node) -> dict[str, int | None]:
        """Return the sizes and factors that the layer has, None for others."""
        param = node.param
        names = ("height", "width", "zoom_factor", "shrink_factor")
        return {x: getattr(param, x) if param.HasField(x) else None for x in names}

    def _settings(self, node) -> tuple[list, list]:
        """Return height and width, or neither, and the factors that count."""
        param = node.param
        height, width, *factors = self._given(node).values()
        # A single factor takes the place of a size.
        has_size = factors.count(None) != 1 and None not in (height, width)
        used = [height, width] if has_size else [x for x in factors if x is not None]
        if not used or min(used) < 1:
            raise node.error(
                "Expected a positive zoom_factor or shrink_factor, or a positive "
                f"height and width; received: {self._given(node)}",
                "interp_param",
            )
        if max(param.pad_beg, param.pad_end) > 0:
            raise node.error(
                "Expected pad_beg and pad_end of at most 0 (they cut off); received: "
                f"{param.pad_beg} and {param.pad_end}",
                "interp_param.pad_beg",
            )
        return [height, width] if has_size else [None, None], factors

    def encode(self, call):
        layer = call.layer
        names = ("height", "width", "zoom_factor", "shrink_factor")
        values = {name: getattr(layer, name) for name in names}
        values = {name: value for name, value in values.items() if value is not None}
        if layer.pad_beg or layer.pad_end:
            values.update(pad_beg=layer.pad_beg, pad_end=layer.pad_end)
        call.add("Interp", interp_param=values)


def _upsample(scale: int, numbers) -> Param:
    return Param(
        "upsample_param",
        f"""
        1 scale int32={scale}; 2 scale_h uint32; 3 scale_w uint32;
        4 pad_out_h bool=false; 5 pad_out_w bool=false; 6 upsample_h uint32;
        7 upsample_w uint32
        """,
        numbers,
    )


@register
class Upsample(Rule):
    """SegNet's unpooling and MobileNet-YOLO's enlarging: the bottoms tell them apart.

    Each fork has other defaults, and another number in binary files.
    """

    types = ("Upsample",)
    fork = "SegNet, YOLO"
    param = _upsample(2, (137, 150))
    variants = (_upsample(1, (150, 137)),)
    bottoms = (1, 2)

    def param_of(self, layer):
        return self.param if len(layer.bottoms) == 2 else self.variants[0]

    def build(self, node, x, mask=None):
        if mask is not None:
            return node.checked(self._unpooled(node, x, mask))
        options = {"data_format": "channels_last", "name": node.name}
        return node.checked(keras.layers.UpSampling2D(self._times(node), **options)(x))

    def onnx(self, node, x, mask=None):
        check_image(node, x)
        if mask is None:
            return node.checked(repeated(node, x, self._times(node)))
        check_image(node, mask)
        if any(
            a != b and None not in (a, b)
            for a, b in zip(x.shape, mask.shape, strict=True)
        ):
            raise node.error(
                f"Expected values and a mask of one shape; received: {x.shape} and "
                f"{mask.shape}",
                "bottom",
            )
        scale, size, pad_out = self._unpooling(node)
        if size is None:
            size = [
                node.op("Sub", node.op("Mul", node.size(x, axis), times), int(is_less))
                for axis, times, is_less in zip((2, 3), scale, pad_out, strict=True)
            ]
        return node.checked(unpooled(node, x, mask, size))

    @staticmethod
    def _times(node) -> int:
        """Return how many times a pixel stands in rows and columns, without a mask."""
        for name in ("scale_h", "scale_w", "upsample_h", "upsample_w"):
            if node.param.HasField(name):
                raise node.error(
                    f"Expected {name} with a second bottom, a mask; received one "
                    "bottom",
                    f"upsample_param.{name}",
                )
        return node.count(node.param.scale, "upsample_param.scale")

    def _unpooled(self, node, x, mask):
        distinct = _tells_apart(mask)
        settings = self._unpooling(node)
        layer = layers.CaffeUnpool(*settings, distinct=distinct, name=node.name)
        return layer([x, mask])

    def _unpooling(self, node) -> tuple:
        """Return scale, size or None, and whether there is a row, a column less."""
        param = node.param
        size = None
        if param.HasField("upsample_h") and param.HasField("upsample_w"):
            size = (param.upsample_h, param.upsample_w)
            if min(size) < 1:
                raise node.error(
                    f"Expected a height and width of at least 1; received: {size}",
                    "upsample_param.upsample_h",
                )
        scale, pad_out = self._scale(node), (param.pad_out_h, param.pad_out_w)
        for side, times, is_less in zip("hw", scale, pad_out, strict=True):
            if size is None and is_less and times != 2:
                raise node.error(
                    f"Expected pad_out_{side} with scale 2; received: {scale}",
                    f"upsample_param.pad_out_{side}",
                )
        return scale, size, (False, False) if size else pad_out

    @staticmethod
    def _scale(node) -> tuple[int, int]:
        param = node.param
        sides = [param.HasField("scale_h"), param.HasField("scale_w")]
        if any(sides) and (not all(sides) or param.HasField("scale")):
            raise node.error(
                "Expected scale, or scale_h and scale_w; received others",
                "upsample_param.scale",
            )
        scale = (param.scale_h, param.scale_w) if all(sides) else (param.scale,) * 2
        return tuple(node.count(value, "upsample_param.scale") for value in scale)


def _tells_apart(mask) -> bool:
    """Tell whether a mask is known to name each place once: its windows are apart."""
    made_by = mask._keras_history.operation
    if not isinstance(made_by, layers.CaffeMaxPool2DWithMask):
        return False
    if made_by.global_pooling:
        return True
    return all(
        kernel <= stride
        for kernel, stride in zip(made_by.kernel_size, made_by.strides, strict=True)
    )


@register
class Unpool(Rule):
    layers = ("CaffeUnpool",)
    param = Upsample.param
    traits = Traits(places="mixed", channels="kept", order="moved", enlarges=True)

    def encode(self, call):
        layer = call.layer
        if layer.size is not None:
            values = {"upsample_h": layer.size[0], "upsample_w": layer.size[1]}
        elif layer.scale[0] == layer.scale[1]:
            values = {"scale": layer.scale[0]}
        else:
            values = {"scale_h": layer.scale[0], "scale_w": layer.scale[1]}
        for axis, is_less in zip("hw", layer.pad_out, strict=True):
            values.update({f"pad_out_{axis}": True} if is_less else {})
        call.add("Upsample", upsample_param=values)


@register
class NearestUpsample(Rule):
    layers = ("UpSampling2D",)
    precision = "kept"
    (param,) = Upsample.variants
    traits = Traits(places="uniform", channels="kept", order="moved", enlarges=True)

    def encode(self, call):
        layer = call.layer
        height, width = layer.size
        if layer.interpolation != "nearest" or height != width:
            raise call.error(
                f"its interpolation is {layer.interpolation}, its size {layer.size}"
            )
        if layer.data_format != "channels_last":
            raise call.error("its data_format is channels_first")
        call.add("Upsample", upsample_param={"scale": height})


@register
class SpatialDropout(Rule):
    """ENet's Python layer: whole channels become 0 in training."""

    types = ("spatial_dropout.SpatialDropoutLayer",)
    fork = "ENet"
    layers = ("SpatialDropout2D",)
    precision = "kept"
    param = PYTHON
    in_place = "possible"
    traits = POINTWISE

    def build(self, node, x):
        options = {"data_format": "channels_last", "name": node.name}
        return keras.layers.SpatialDropout2D(self._ratio(node), **options)(x)

    def onnx(self, node, x):
        self._ratio(node)
        return x

    @staticmethod
    def _ratio(node) -> float:
        said = param_dict(node).get("p")
        try:
            ratio = float(said)  # ENet's own definitions have it in quotes
        except (TypeError, ValueError, OverflowError):
            ratio = math.nan
        if not 0 < ratio < 1:
            raise node.error(
                f"Expected 'p' between 0 and 1; received: {said!r}",
                "python_param.param_str",
            )
        return ratio

    def encode(self, call):
        settings = {"phase": "TEST", "p": float(call.layer.rate)}
        add_python(call, self.types[0], repr(settings))


@register
class DenseImageData(ImageData):
    types = ("DenseImageData",)
    fork = _SEGNET
    param = Param("dense_image_data_param", number=138, message="ImageDataParameter")


@register
class ImageSegData(ImageData):
    types = ("ImageSegData",)
    fork = _DEEPLAB


@register
class SegAccuracy(Accuracy):
    types = ("SegAccuracy",)
    fork = _DEEPLAB
    param = Param("seg_accuracy_param", "1 ignore_label int32*; 2 reset bool=true", 144)


@register
class MatWrite(Rule):
    types = ("MatWrite",)
    fork = _DEEPLAB
    role = "output"
    param = Param(
        "mat_write_param",
        "1 prefix string!; 2 source string; 3 strip int32=0; 4 period int32=1",
        145,
    )
    bottoms, tops = (1, None), (0, 0)
    labels_from = 1 << 31  # never: what it writes are the net's answers
