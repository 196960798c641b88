"""Layers of FlowNet2 that make maps of other sizes."""

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.resizing import downsampled, resampled, stretched
from keras_caffe_zoo.rules.flownet import OnMaps
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED


class _Resizing(OnMaps):
    """A layer that makes maps of a size, or of that of its second bottom.

    Attributes:
        sizes: Fields of the height and width.
    """

    bottoms = (1, 2)
    traits = MIXED._replace(channels="kept", reads=1)
    sizes = ("height", "width")

    def _size(self, node, others) -> tuple[int | None, int | None]:
        """Return `(height, width)`; neither where a second bottom tells."""
        if others:
            return (None, None)
        values = [getattr(node.param, name) for name in self.sizes]
        for value, name in zip(values, self.sizes, strict=True):
            node.count(value, f"{self.param.name}.{name}")
        return tuple(values)

    def _sizes(self, node, others) -> list:
        """Return height and width in an ONNX graph, integers or values."""
        if others:
            return [node.size(others[0], axis) for axis in (2, 3)]
        return list(self._size(node, others))

    def _size_fields(self, layer) -> dict:
        if layer.height is None:
            return {}
        return dict(zip(self.sizes, (layer.height, layer.width), strict=True))


@register
class Resample(_Resizing):
    types = ("Resample",)
    layers = ("CaffeResample",)
    param = Param(
        "resample_param",
        """
        1 width uint32; 2 height uint32; 3 type ResampleType=LINEAR;
        4 antialias bool=true; 5 factor float=1
        enum ResampleType: NEAREST=1 LINEAR=2 CUBIC=3 AREA=4
        """,
        155,
    )

    def build(self, node, x, *others):
        method, size = self._settings(node, x, others)
        antialias = node.param.antialias
        layer = layers.CaffeResample(*size, method, antialias, name=node.name)
        return self.call_on(node, layer, x, *others)

    def on_maps(self, node, x, *others):
        method, _ = self._settings(node, x, others)
        sizes = self._sizes(node, others)
        return resampled(node, x, sizes, method, node.param.antialias)

    def _settings(self, node, x, others):
        """Return the method, and `(height, width)` as `_size` does."""
        param, methods = node.param, ("nearest", "linear", "cubic")
        if param.type > len(methods):
            raise node.error(
                "Expected NEAREST, LINEAR or CUBIC; received: AREA, which the fork "
                "cannot do either",
                "resample_param.type",
            )
        method = methods[param.type - 1]
        size = self._size(node, others)
        if method == "nearest":
            new = caffe_shape(others[0])[2:] if others else size
            _check_nearest(node, caffe_shape(x)[2:], new)
        return method, size

    def encode(self, call):
        layer = call.layer
        values = {"type": layer.method.upper(), "antialias": layer.antialias}
        call.add("Resample", resample_param={**self._size_fields(layer), **values})


def _check_nearest(node, sizes, new) -> None:
    """Refuse what makes the fork read beyond the map, as its rows and columns mix."""
    if None in (*sizes, *new):
        return
    down, right = (a / b for a, b in zip(sizes, new, strict=True))
    if down >= 2 * right or right >= 2 * down:
        raise node.error(
            "Expected rows and columns to be resized alike with NEAREST: the fork "
            f"reads beyond the map; received: {tuple(sizes)} to {tuple(new)}",
            "resample_param.type",
        )


@register
class Downsample(_Resizing):
    types = ("Downsample",)
    layers = ("CaffeDownsample",)
    param = Param(
        "downsample_param", "1 top_height uint32=0; 2 top_width uint32=0", 156
    )
    sizes = ("top_height", "top_width")

    def build(self, node, x, *others):
        layer = layers.CaffeDownsample(*self._size(node, others), name=node.name)
        return self.call_on(node, layer, x, *others)

    def on_maps(self, node, x, *others):
        sizes = self._sizes(node, others)
        if sizes != list(x.shape[2:]):
            _check_corners(node, sizes)
        return downsampled(node, x, sizes)

    def encode(self, call):
        call.add("Downsample", downsample_param=self._size_fields(call.layer))


@register
class Accum(OnMaps):
    types = ("Accum",)
    layers = ("CaffeAccum",)
    param = Param(
        "accum_param",
        """
        1 top_height uint32=0; 2 top_width uint32=0; 3 size_divisible_by uint32=0;
        4 have_reference bool=false
        """,
        160,
    )
    bottoms = (1, None)
    same_items = True

    def build(self, node, *bottoms):
        size = self._own_size(node, bottoms) or (None, None)
        return self.call_on(node, layers.CaffeAccum(*size, name=node.name), *bottoms)

    def on_maps(self, node, *bottoms):
        maps, size = bottoms, self._own_size(node, bottoms)
        if size is None:
            *maps, reference = bottoms
            size = [node.size(reference, axis) for axis in (2, 3)]
        _check_corners(node, size)
        parts = [stretched(node, x, list(size)) for x in maps]
        return node.op("Concat", *parts, axis=1) if parts[1:] else parts[0]

    def _own_size(self, node, bottoms) -> tuple[int, int] | None:
        """Return `(height, width)`; None where the last bottom tells."""
        if not node.param.have_reference:
            return self._size(node, [caffe_shape(x)[2:] for x in bottoms])
        if len(bottoms) < 2:
            raise node.error("Expected a bottom of the size, too; received: one bottom")
        return None

    @staticmethod
    def _size(node, sizes) -> tuple[int, int]:
        """Return `(height, width)`, that of the largest bottom or more."""
        param = node.param
        if None in sum(map(tuple, sizes), ()):
            raise node.error(f"Expected bottoms of known sizes; received: {sizes}")
        largest = _largest(sizes)
        wanted = (param.top_height, param.top_width)
        if param.HasField("size_divisible_by"):
            by = node.count(param.size_divisible_by, "accum_param.size_divisible_by")
            wanted = tuple(-(-size // by) * by for size in largest)
        return wanted if _is_larger(wanted, largest) else largest

    def encode(self, call):
        layer = call.layer
        if layer.height is None:
            call.add("Accum", accum_param={"have_reference": True})
            return
        size = (layer.height, layer.width)
        largest = _largest([x.shape[1:3] for x in call.inputs])
        if size == largest:
            call.add("Accum")
        elif _is_larger(size, largest):
            values = dict(zip(("top_height", "top_width"), size, strict=True))
            call.add("Accum", accum_param=values)
        else:
            raise call.error(f"Caffe cannot bring maps of {largest} to {size}")


def _check_corners(node, sizes) -> None:
    """Refuse maps of one row or column, whose corners are not told apart."""
    if 1 in sizes:
        raise node.error(
            "Expected at least 2 rows and columns, whose first and last lie on those "
            f"of the bottoms; received: {tuple(sizes)}"
        )


def _largest(sizes) -> tuple[int, int]:
    """Return the largest height and the largest width of some."""
    return tuple(max(sides) for sides in zip(*sizes, strict=True))


def _is_larger(size, other) -> bool:
    return all(a > b for a, b in zip(size, other, strict=True))
