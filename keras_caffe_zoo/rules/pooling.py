"""Poolings: a window's maximum or average, or a whole map's."""

from keras_caffe_zoo.arithmetic.windows import pyramid
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.onnx.pooling import max_and_mask, pooling
from keras_caffe_zoo.rules.engines import ENGINE
from keras_caffe_zoo.rules.geometry import pool_geometry, sides
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule, Traits, Window
from keras_caffe_zoo.rules.window import (
    LAST,
    check_channels_last,
    check_image,
    keras_window,
    new_size,
)

_POOLS = ("max", "ave", "stochastic")


def _pooling_window(layer, size, axis):
    pad, windows = layer.pad[axis], new_size(layer, size, axis)
    return Window(layer.kernel_size[axis], layer.strides[axis], 1, pad, pad, windows)


@register
class Pooling(Rule):
    types = ("Pooling",)
    layers = ("CaffePool2D", "CaffeMaxPool2DWithMask", "CaffeStochasticPool2D")
    param = Param(
        "pooling_param",
        f"""
        1 pool PoolMethod=MAX; 2 kernel_size uint32; 3 stride uint32=1; 4 pad uint32=0;
        5 kernel_h uint32; 6 kernel_w uint32; 7 stride_h uint32; 8 stride_w uint32;
        9 pad_h uint32=0; 10 pad_w uint32=0; 11 engine Engine=DEFAULT;
        12 global_pooling bool=false; 13 round_mode RoundMode=CEIL;
        - ceil_mode bool; - avg_include_pad bool=true
        enum PoolMethod: MAX=0 AVE=1 STOCHASTIC=2
        {ENGINE}
        enum RoundMode: CEIL=0 FLOOR=1
        """,
        121,
    )
    tops = (1, 2)
    traits = Traits(places=_pooling_window, channels="kept", order="moved")
    compares_reads = True

    def build(self, node, x):
        pool, geometry = self._geometry(node, x)
        options = {**geometry, "name": node.name, **LAST}
        if len(node.layer.tops) == 2:
            return layers.CaffeMaxPool2DWithMask(**options)(x)
        if pool == "stochastic":
            return layers.CaffeStochasticPool2D(**options)(x)
        return layers.CaffePool2D(
            pool, include_pad=node.param.avg_include_pad, **options
        )(x)

    def onnx(self, node, x):
        pool, geometry = self._geometry(node, x)
        if len(node.layer.tops) == 2:
            return max_and_mask(node, x, geometry)
        return pooling(node, x, pool, geometry, node.param.avg_include_pad)

    @staticmethod
    def _geometry(node, x) -> tuple[str, dict]:
        """Return what is pooled how, and over which windows."""
        check_image(node, x)
        pool = _POOLS[node.param.pool]
        if len(node.layer.tops) == 2 and pool != "max":
            raise node.error("Expected one top but for MAX; received: two", "top")
        geometry = pool_geometry(node)
        if pool == "stochastic":
            _check_no_pad(node, geometry.get("pad", (0, 0)))
        return pool, {**geometry, "round_mode": _round_mode(node)}

    def encode(self, call):
        layer = call.layer
        pool = layer.pool.upper()
        if layer.global_pooling:
            call.add("Pooling", pooling_param={"pool": pool, "global_pooling": True})
        else:
            _add_pooling(call, pool, layer.kernel_size, layer.strides, layer.pad)

    def precision_of(self, layer):
        # Means are sums of many values, and a mask has the numbers of places.
        masks = isinstance(layer, layers.CaffeMaxPool2DWithMask)
        return "kept" if layer.pool == "max" and not masks else ""

    def traits_of(self, layer):
        # Of a global pooling there is one cell; a mask counts from the image's corner.
        if layer.global_pooling or isinstance(layer, layers.CaffeMaxPool2DWithMask):
            return MIXED._replace(channels="kept")
        return self.traits

    def on_map(self, layer, image):
        """Return the layer; of a global pooling one of as large a window everywhere."""
        if not layer.global_pooling:
            return super().on_map(layer, image)
        size = layer.input.shape[1:3]
        if None in size:
            raise ValueError("its input has no known size")
        config = {**layer.get_config(), "global_pooling": False, "kernel_size": size}
        return layer.__class__.from_config(config)

    def facts(self, layer):
        param = layer.param
        if not layer.decode(self.param).given or param.global_pooling:
            return {}
        return {
            "pool": _POOLS[param.pool],
            "kernel_size": sides(param, "kernel_size", None),
            "strides": sides(param, "stride", 1),
            "pad": sides(param, "pad", 0),
        }


def _check_no_pad(node, pad) -> None:
    if any(pad):
        raise node.error(
            f"Expected pad 0 for STOCHASTIC; received: {tuple(pad)}", "pad"
        )


def _round_mode(node) -> str:
    """Return how a pooling rounds the number of its windows: "ceil" or "floor".

    BVLC's Caffe calls it `round_mode`, some forks `ceil_mode`. In binary files both
    have number 13, where Intel's Caffe has `avg_include_pad`; there it is read as
    BVLC's.
    """
    param = node.param
    floor = param.round_mode == 1
    if param.HasField("ceil_mode"):
        if param.HasField("round_mode") and param.ceil_mode == floor:
            raise node.error(
                "Expected ceil_mode or round_mode; received both, and they disagree",
                "pooling_param.ceil_mode",
            )
        floor = not param.ceil_mode
    return "floor" if floor else "ceil"


def _add_pooling(call, pool, kernel, stride, pad):
    param = {
        "pool": pool,
        **_named_sides("kernel", "kernel_size", kernel),
        **_named_sides("stride", "stride", stride),
        **_named_sides("pad", "pad", pad),
    }
    if getattr(call.layer, "round_mode", "ceil") == "floor":
        param["round_mode"] = "FLOOR"
    if not getattr(call.layer, "include_pad", True):
        param["avg_include_pad"] = False
    call.add("Pooling", pooling_param=param)


def _named_sides(stem, name, value):
    if value[0] == value[1]:
        return {name: value[0]}
    return {f"{stem}_h": value[0], f"{stem}_w": value[1]}


@register
class KerasPooling(Rule):
    layers = ("MaxPooling2D", "AveragePooling2D")
    traits = Traits(places=keras_window, channels="kept", order="moved")

    def precision_of(self, layer):
        return "kept" if isinstance(layer, keras.layers.MaxPooling2D) else ""

    def encode(self, call):
        layer = call.layer
        check_channels_last(call)
        sizes = call.inputs[0].shape[1:3]
        if (
            layer.padding != "valid"
            or None in sizes
            or any(
                (size - kernel) % stride
                for size, kernel, stride in zip(
                    sizes, layer.pool_size, layer.strides, strict=True
                )
            )
        ):
            raise call.error(
                "Caffe's pooling makes as many windows only where they fit the input "
                "exactly; use CaffePool2D"
            )
        pool = "MAX" if isinstance(layer, keras.layers.MaxPooling2D) else "AVE"
        _add_pooling(call, pool, layer.pool_size, layer.strides, (0, 0))


@register
class KerasGlobalPooling(Rule):
    layers = ("GlobalMaxPooling2D", "GlobalAveragePooling2D")
    traits = MIXED._replace(channels="kept", order="new")

    def encode(self, call):
        check_channels_last(call)
        is_max = isinstance(call.layer, keras.layers.GlobalMaxPooling2D)
        param = {"pool": "MAX" if is_max else "AVE", "global_pooling": True}
        if call.layer.keepdims:
            call.add("Pooling", pooling_param=param)
            return
        pooled = [call.new_blob(f"{call.name}_pooled")]
        call.add("Pooling", tops=pooled, name=pooled[0], pooling_param=param)
        call.add("Flatten", pooled)

    def on_map(self, layer, image):
        """Return the pooling of as large a window at every place."""
        if isinstance(layer, keras.layers.GlobalMaxPooling2D):
            kind = keras.layers.MaxPooling2D
        else:
            kind = keras.layers.AveragePooling2D
        size = layer.input.shape[1:3]
        if None in size:
            raise ValueError("its input has no known size")
        return kind(size, 1, name=layer.name, **LAST)


@register
class SPP(Rule):
    types = ("SPP",)
    layers = ("CaffeSPP",)
    param = Param(
        "spp_param",
        f"""
        1 pyramid_height uint32; 2 pool PoolMethod=MAX; 6 engine Engine=DEFAULT
        enum PoolMethod: MAX=0 AVE=1 STOCHASTIC=2
        {ENGINE}
        """,
        132,
    )
    traits = MIXED._replace(order="flattened in Caffe's order")

    def build(self, node, x):
        height, pool = len(self._levels(node, x)), _POOLS[node.param.pool]
        return layers.CaffeSPP(height, pool, name=node.name)(x)

    def onnx(self, node, x):
        pool, found = _POOLS[node.param.pool], []
        for kernel, pad in self._levels(node, x):
            geometry = {"kernel_size": kernel, "strides": kernel, "pad": pad}
            found.append(pooling(node, x, pool, {**geometry, "round_mode": "ceil"}))
        if len(found) == 1:
            return found[0]
        return node.op("Concat", *(node.op("Flatten", y) for y in found), axis=1)

    @staticmethod
    def _levels(node, x) -> list[tuple]:
        check_image(node, x)
        height = node.count(node.param.pyramid_height, "spp_param.pyramid_height")
        levels = pyramid(caffe_shape(x)[2:], height, node.layer.name)
        if _POOLS[node.param.pool] == "stochastic":
            for _, pad in levels:
                _check_no_pad(node, pad)
        return levels

    def encode(self, call):
        layer = call.layer
        param = {"pyramid_height": layer.pyramid_height, "pool": layer.pool.upper()}
        call.add("SPP", spp_param=param)
