"""Which pixels the cells of a net's map look at."""

from typing import NamedTuple

import keras

from keras_caffe_zoo.conversion.walk import calls
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import traits_of
from keras_caffe_zoo.rules.rule import Window

Pair = tuple[int, int]


class _Axis(NamedTuple):
    """Where cells look along one axis of the image, in pixels.

    A cell's field is what can change it, padding included: from `offset + i * stride`
    on, `field` long. `before` and `after` of it is only there because layers pad.
    """

    size: int
    offset: int = 0
    stride: int = 1
    field: int = 1
    before: int = 0
    after: int = 0

    def through(self, window: Window) -> "_Axis":
        """Return the axis behind a layer with a window."""
        reach = window.dilation * (window.kernel - 1) * self.stride
        return _Axis(
            window.size,
            self.offset - window.before * self.stride,
            self.stride * window.stride,
            self.field + reach,
            self.before + window.before * self.stride,
            self.after + window.after * self.stride,
        )


class Grid(NamedTuple):
    """Where the cells of a net's map look.

    A cell's *box* is the part of the image that it answers for: what the classifier
    would be shown to give one answer, 227 x 227 pixels for CaffeNet. Its *field* is
    what can change its value at all. The two are the same in a net without padding;
    where layers pad, the cells of a map look beyond their boxes at pixels for which the
    classifier, shown the box alone, has zeros.

    Attributes:
        shape: Rows and columns of the map.
        window: Height and width of a box.
        stride: Pixels from one cell's box to the next's, down and across.
        offset: Pixels from the image's top left corner to the first cell's box.
        field: Height and width of a field.
        field_offset: Pixels to the first cell's field; negative where it begins in
            the padding.

    Example:
        >>> from keras_caffe_zoo.dense import Grid
        >>> grid = Grid(
        ...     shape=(8, 8), window=(227, 227), stride=(32, 32), offset=(0, 0),
        ...     field=(355, 355), field_offset=(-64, -64),
        ... )
        >>> grid.box(1, 2), grid.field_box(1, 2)
        ((32, 64, 259, 291), (-32, 0, 323, 355))
    """

    shape: Pair
    window: Pair
    stride: Pair
    offset: Pair
    field: Pair
    field_offset: Pair

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return a cell's box as `(top, left, bottom, right)`, bottom and right out.

        The last boxes may hang over the image's end, as Caffe's poolings do.
        """
        return self._place(row, column, self.offset, self.window)

    def field_box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return a cell's field likewise; it may begin before the image."""
        return self._place(row, column, self.field_offset, self.field)

    def _place(self, row, column, offset, size):
        top = offset[0] + row * self.stride[0]
        left = offset[1] + column * self.stride[1]
        return top, left, top + size[0], left + size[1]


def output_grid(model: keras.Model, image_shape: tuple[int, ...]) -> Grid:
    """Return which pixels of an image each cell of a net's map looks at.

    Args:
        model: A net of one image input that gives a map: a fully convolutional net, or
            one without its top.
        image_shape: Height and width of the image; more is not looked at.

    Raises:
        ValueError: If the net gives no map, or a layer is not known to keep the places
            of its cells; names the layer.

    Example:
        >>> dense = kcz.caffenet(weights=None, fully_convolutional=True)
        >>> grid = kcz.output_grid(dense, (451, 451))
        >>> grid.shape, grid.window, grid.stride
        ((8, 8), (227, 227), (32, 32))
    """
    (inputs,), (output,) = model.inputs, model.outputs
    found = {id(inputs): tuple(_Axis(int(size)) for size in image_shape[:2])}
    for call in calls(model):
        if call.inputs:
            sources = [found[id(tensor)] for tensor in call.inputs]
            axes = _both_axes(call, sources)
            found.update(dict.fromkeys(map(id, call.outputs), axes))
    height, width = _told(found[id(output)])
    sides = (height, width)
    return Grid(
        tuple(a.size for a in sides),
        tuple(a.field - a.before - a.after for a in sides),
        tuple(a.stride for a in sides),
        tuple(a.offset + a.before for a in sides),
        tuple(a.field for a in sides),
        tuple(a.offset for a in sides),
    )


def _both_axes(call, sources: list):
    """Return both axes behind a layer, or why they cannot be told.

    An error then, for it matters only if the output is made of it.
    """
    if traits_of(call.layer).places == "first":
        return sources[0]
    try:
        pairs = [_told(source) for source in sources]
        return tuple(_look_through(call, [p[i] for p in pairs], i) for i in (0, 1))
    except ValueError as error:
        return error


def _told(axes):
    if isinstance(axes, ValueError):
        raise axes
    return axes


def _look_through(call, sources: list[_Axis], axis: int) -> _Axis:
    """Return one axis behind a layer."""
    layer = call.layer
    places = traits_of(layer).places
    maps = all(len(tensor.shape) == 4 for tensor in (*call.inputs, *call.outputs))
    if callable(places) and maps:
        return sources[0].through(places(layer, sources[0].size, axis))
    if places == "kept" and maps:
        return _union(layer, sources)
    where = f"layer '{caffe_name(layer.name)}' ({type(layer).__name__})"
    if places is None:
        raise ValueError(
            f"No rule declares which places {where} looks at. Register one with its "
            "traits: keras_caffe_zoo.register(rule)."
        )
    raise ValueError(
        f"{where[0].upper()}{where[1:]} does not keep the places of the cells, and "
        "output_grid looks for a map. Build the net with fully_convolutional=True, or "
        "without its top."
    )


def _union(layer, sources) -> _Axis:
    """Return what cells see that are made of cells of several maps at their place."""
    first = sources[0]
    if any((s.size, s.stride) != (first.size, first.stride) for s in sources):
        raise ValueError(
            "Expected maps of the same size and stride for layer "
            f"'{caffe_name(layer.name)}'; received: "
            f"{[(s.size, s.stride) for s in sources]}."
        )
    start = min(s.offset for s in sources)
    end = max(s.offset + s.field for s in sources)
    box_start = min(s.offset + s.before for s in sources)
    box_end = max(s.offset + s.field - s.after for s in sources)
    before, after = box_start - start, end - box_end
    return _Axis(first.size, start, first.stride, end - start, before, after)
