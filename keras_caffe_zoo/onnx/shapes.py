"""The shape and type of what each ONNX operation makes.

A size that is not known is None. The operations are those of the standard's operator
set 17 that Caffe's layers need, and others that layers of one's own may.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from keras_caffe_zoo.messages import there_are

Size = int | None
Shape = tuple[Size, ...]
Made = list[tuple[Shape, str]]
_SHAPES: dict[str, Callable] = {}


def shapes_of(type: str, inputs: Sequence, attributes: dict, outputs: int) -> Made:
    """Return the shape and type of each output of an operation.

    Args:
        type: ONNX's name of the type.
        inputs: Values; None for one that is left out.
        attributes: ONNX's attributes.
        outputs: How many there are.

    Raises:
        ValueError: If the inputs do not fit one another, or there is no such operation.
    """
    if type not in _SHAPES:
        raise ValueError(
            f"Expected one of ONNX's operations that are known here; received: {type}. "
            f"{there_are(sorted(_SHAPES), type)}"
        )
    found = _SHAPES[type](inputs, attributes, outputs)
    return [(shape, inputs[0].dtype if d is None else d) for shape, d in found]


def _shape(*types: str):
    def add(function):
        _SHAPES.update(dict.fromkeys(types, function))
        return function

    return add


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that shapes broadcast to, as in NumPy.

    Raises:
        ValueError: If they do not.
    """
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(_agreed(sizes, shapes) for sizes in zip(*padded, strict=True))


def _agreed(sizes, shapes) -> Size:
    known = {size for size in sizes if size not in (None, 1)}
    if len(known) > 1:
        raise ValueError(f"Expected shapes that broadcast; received: {list(shapes)}")
    if known:
        return known.pop()
    return None if None in sizes else 1


def constant(value) -> list[int] | None:
    """Return a constant's numbers as a list; None if it is no constant."""
    if value is None or value.array is None:
        return None
    return value.array.reshape(-1).tolist()


@_shape("Relu", "LeakyRelu", "Elu", "Selu", "PRelu", "HardSigmoid", "HardSwish", "Clip")
@_shape("Sigmoid", "Tanh", "Softplus", "Softmax", "LogSoftmax", "Exp", "Log", "Erf")
@_shape("Abs", "Neg", "Sign", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Not")
@_shape("LRN", "BatchNormalization", "InstanceNormalization", "LpNormalization")
@_shape("Identity", "Dropout", "CumSum", "ScatterElements", "ScatterND")
def _same(inputs, attributes, outputs):
    return [(inputs[0].shape, None)] * outputs


@_shape("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Sum", "Mean")
def _broadcast(inputs, attributes, outputs):
    return [(broadcast(*(x.shape for x in inputs)), None)]


@_shape("Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual", "And", "Or")
def _compare(inputs, attributes, outputs):
    return [(broadcast(*(x.shape for x in inputs)), "bool")]


@_shape("IsNaN", "IsInf")
def _test(inputs, attributes, outputs):
    return [(inputs[0].shape, "bool")]


@_shape("Where")
def _where(inputs, attributes, outputs):
    return [(broadcast(*(x.shape for x in inputs)), inputs[1].dtype)]


@_shape("Cast")
def _cast(inputs, attributes, outputs):
    return [(inputs[0].shape, attributes["to"])]


def _windows(size: Size, kernel, stride, before, after, dilation, up) -> Size:
    if size is None:
        return None
    space = size + before + after - dilation * (kernel - 1) - 1
    if space < 0:
        raise ValueError(
            f"Expected an input that the window fits; received: {size} with a window "
            f"of {dilation * (kernel - 1) + 1} and {before + after} around it"
        )
    return (-(-space // stride) if up else space // stride) + 1


def _slid(shape: Shape, kernel, attributes) -> Shape:
    axes = len(kernel)
    strides = attributes.get("strides", [1] * axes)
    dilations = attributes.get("dilations", [1] * axes)
    pads = attributes.get("pads", [0] * (2 * axes))
    ceil = attributes.get("ceil_mode", 0)
    return tuple(
        _windows(
            size, kernel[i], strides[i], pads[i], pads[axes + i], dilations[i], ceil
        )
        for i, size in enumerate(shape)
    )


@_shape("Conv")
def _conv(inputs, attributes, outputs):
    x, weight = inputs[:2]
    channels = weight.shape[1] * attributes.get("group", 1)
    if x.shape[1] not in (None, channels):
        raise ValueError(f"Expected {channels} channels; received: {x.shape}")
    moved = _slid(x.shape[2:], weight.shape[2:], attributes)
    return [((x.shape[0], weight.shape[0], *moved), None)]


@_shape("ConvTranspose")
def _conv_transpose(inputs, attributes, outputs):
    x, weight = inputs[:2]
    axes = len(weight.shape) - 2
    strides = attributes.get("strides", [1] * axes)
    dilations = attributes.get("dilations", [1] * axes)
    pads = attributes.get("pads", [0] * (2 * axes))
    more = attributes.get("output_padding", [0] * axes)
    sizes = tuple(
        None
        if size is None
        else strides[i] * (size - 1)
        + more[i]
        + dilations[i] * (weight.shape[2 + i] - 1)
        + 1
        - pads[i]
        - pads[axes + i]
        for i, size in enumerate(x.shape[2:])
    )
    channels = weight.shape[1] * attributes.get("group", 1)
    return [((x.shape[0], channels, *sizes), None)]


@_shape("MaxPool", "AveragePool")
def _pool(inputs, attributes, outputs):
    shape = inputs[0].shape
    moved = _slid(shape[2:], attributes["kernel_shape"], attributes)
    return [((*shape[:2], *moved), None), ((*shape[:2], *moved), "int64")][:outputs]


@_shape("GlobalMaxPool", "GlobalAveragePool")
def _global_pool(inputs, attributes, outputs):
    shape = inputs[0].shape
    return [((*shape[:2], *[1] * (len(shape) - 2)), None)]


@_shape("Gemm")
def _gemm(inputs, attributes, outputs):
    a, b = (x.shape for x in inputs[:2])
    a = a[::-1] if attributes.get("transA") else a
    b = b[::-1] if attributes.get("transB") else b
    _check_inner(a[1], b[0])
    return [((a[0], b[1]), None)]


@_shape("MatMul")
def _matmul(inputs, attributes, outputs):
    a, b = (x.shape for x in inputs)
    _check_inner(a[-1], b[-2])
    return [((*broadcast(a[:-2], b[:-2]), a[-2], b[-1]), None)]


def _check_inner(a: Size, b: Size) -> None:
    if None not in (a, b) and a != b:
        raise ValueError(f"Expected {b} values in each row; received: {a}")


@_shape("Flatten")
def _flatten(inputs, attributes, outputs):
    shape, axis = inputs[0].shape, attributes.get("axis", 1)
    return [((_product(shape[:axis]), _product(shape[axis:])), None)]


def _product(sizes: Shape) -> Size:
    return None if None in sizes else math.prod(sizes)


@_shape("Reshape")
def _reshape(inputs, attributes, outputs):
    x, wanted = inputs[0].shape, constant(inputs[1])
    if wanted is None:
        return [((None,) * inputs[1].shape[0], None)]
    sizes = [x[i] if size == 0 else size for i, size in enumerate(wanted)]
    if -1 in sizes:
        sizes[sizes.index(-1)] = _left(x, wanted, sizes)
    if None not in (*x, *sizes) and math.prod(x) != math.prod(sizes):
        raise ValueError(f"Expected {math.prod(sizes)} values; received shape: {x}")
    return [(tuple(sizes), None)]


def _left(x: Shape, wanted: list[int], sizes: list) -> Size:
    """Return the size that a Reshape infers; what is copied may be unknown."""
    copied = {i for i, size in enumerate(wanted) if size == 0}
    have = [size for i, size in enumerate(x) if i not in copied]
    rest = [s for i, s in enumerate(sizes) if s != -1 and i not in copied]
    if None in have or None in rest:
        return None
    whole, part = math.prod(have), math.prod(rest)
    if part == 0 or whole % part:
        raise ValueError(f"Expected a multiple of {part} values; received shape: {x}")
    return whole // part


@_shape("Transpose")
def _transpose(inputs, attributes, outputs):
    shape = inputs[0].shape
    return [(tuple(shape[i] for i in attributes["perm"]), None)]


@_shape("Concat")
def _concat(inputs, attributes, outputs):
    axis, shapes = attributes["axis"] % len(inputs[0].shape), [x.shape for x in inputs]
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"Expected as many axes of each; received: {shapes}")
    sizes = [shape[axis] for shape in shapes]
    whole = None if None in sizes else sum(sizes)
    others = broadcast_equal([s[:axis] + s[axis + 1 :] for s in shapes])
    return [((*others[:axis], whole, *others[axis:]), None)]


def broadcast_equal(shapes: list[Shape]) -> Shape:
    """Return the one shape that all have, as far as their sizes are known.

    Raises:
        ValueError: If they differ.
    """
    found = []
    for sizes in zip(*shapes, strict=True):
        known = {size for size in sizes if size is not None}
        if len(known) > 1:
            raise ValueError(f"Expected shapes that agree; received: {shapes}")
        found.append(known.pop() if known else None)
    return tuple(found)


@_shape("Slice")
def _slice(inputs, attributes, outputs):
    shape = list(inputs[0].shape)
    starts, ends, axes, steps = (constant(x) for x in [*inputs[1:], None, None][:4])
    count = inputs[1].shape[0]
    axes = list(range(count)) if axes is None else axes
    for i, axis in enumerate(axes):
        known = starts is not None and ends is not None and shape[axis] is not None
        if known:
            step = 1 if steps is None else steps[i]
            shape[axis] = len(range(shape[axis])[_cut(starts[i], ends[i], step)])
        else:
            shape[axis] = None
    return [(tuple(shape), None)]


def _cut(start: int, end: int, step: int) -> slice:
    if step < 0 and end < -(2**31):  # to the first, and that as well
        return slice(start, None, step)
    return slice(start, end, step)


@_shape("Split")
def _split(inputs, attributes, outputs):
    shape, axis = list(inputs[0].shape), attributes.get("axis", 0)
    sizes = constant(inputs[1]) if len(inputs) > 1 else None
    if sizes is None:
        whole = shape[axis]
        sizes = [None if whole is None else whole // outputs] * outputs
    found = []
    for size in sizes:
        shape[axis] = size
        found.append((tuple(shape), None))
    return found


@_shape("Squeeze")
def _squeeze(inputs, attributes, outputs):
    shape = inputs[0].shape
    gone = {axis % len(shape) for axis in constant(inputs[1])}
    return [(tuple(s for i, s in enumerate(shape) if i not in gone), None)]


@_shape("Unsqueeze")
def _unsqueeze(inputs, attributes, outputs):
    axes = constant(inputs[1])
    rank = len(inputs[0].shape) + len(axes)
    new, old = {axis % rank for axis in axes}, iter(inputs[0].shape)
    return [(tuple(1 if i in new else next(old) for i in range(rank)), None)]


@_shape("Expand")
def _expand(inputs, attributes, outputs):
    wanted = constant(inputs[1])
    wanted = (None,) * inputs[1].shape[0] if wanted is None else tuple(wanted)
    return [(broadcast(inputs[0].shape, wanted), None)]


@_shape("Tile")
def _tile(inputs, attributes, outputs):
    times = constant(inputs[1]) or [None] * len(inputs[0].shape)
    pairs = zip(inputs[0].shape, times, strict=True)
    return [
        (tuple(None if None in pair else pair[0] * pair[1] for pair in pairs), None)
    ]


@_shape("Gather")
def _gather(inputs, attributes, outputs):
    x, at = (v.shape for v in inputs)
    axis = attributes.get("axis", 0) % len(x)
    return [((*x[:axis], *at, *x[axis + 1 :]), None)]


@_shape("GatherElements")
def _gather_elements(inputs, attributes, outputs):
    return [(inputs[1].shape, None)]


@_shape("GatherND")
def _gather_nd(inputs, attributes, outputs):
    x, at = (v.shape for v in inputs)
    batch = attributes.get("batch_dims", 0)
    return [((*at[:-1], *x[batch + at[-1] :]), None)]


@_shape("Pad")
def _pad(inputs, attributes, outputs):
    shape, pads = inputs[0].shape, constant(inputs[1])
    if pads is None:
        return [((None,) * len(shape), None)]
    sides = zip(shape, pads[: len(shape)], pads[len(shape) :], strict=True)
    return [(tuple(None if s is None else s + a + b for s, a, b in sides), None)]


@_shape("Resize")
def _resize(inputs, attributes, outputs):
    shape = inputs[0].shape
    scales, sizes = (constant(x) for x in [*inputs[2:], None, None][:2])
    if sizes is not None:
        return [(tuple(sizes), None)]
    if scales is None:
        return [((None,) * len(shape), None)]
    pairs = zip(shape, scales, strict=True)
    return [(tuple(None if s is None else int(s * f) for s, f in pairs), None)]


@_shape("DepthToSpace")
def _depth_to_space(inputs, attributes, outputs):
    items, channels, *sizes = inputs[0].shape
    block = attributes["blocksize"]
    sizes = [None if size is None else size * block for size in sizes]
    return [((items, channels // block**2, *sizes), None)]


@_shape("SpaceToDepth")
def _space_to_depth(inputs, attributes, outputs):
    items, channels, *sizes = inputs[0].shape
    block = attributes["blocksize"]
    sizes = [None if size is None else size // block for size in sizes]
    return [((items, channels * block**2, *sizes), None)]


@_shape("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
@_shape("ReduceL1", "ReduceL2", "ReduceSumSquare")
def _reduce(inputs, attributes, outputs):
    shape = inputs[0].shape
    axes = attributes.get("axes") or constant(inputs[1] if len(inputs) > 1 else None)
    gone = {axis % len(shape) for axis in (range(len(shape)) if axes is None else axes)}
    if attributes.get("keepdims", 1):
        return [(tuple(1 if i in gone else s for i, s in enumerate(shape)), None)]
    return [(tuple(s for i, s in enumerate(shape) if i not in gone), None)]


@_shape("ArgMax", "ArgMin")
def _argmax(inputs, attributes, outputs):
    shape = list(inputs[0].shape)
    axis = attributes.get("axis", 0) % len(shape)
    if attributes.get("keepdims", 1):
        shape[axis] = 1
    else:
        del shape[axis]
    return [(tuple(shape), "int64")]


@_shape("TopK")
def _top_k(inputs, attributes, outputs):
    shape, count = list(inputs[0].shape), constant(inputs[1])
    shape[attributes.get("axis", -1)] = None if count is None else count[0]
    return [(tuple(shape), None), (tuple(shape), "int64")]


@_shape("NonMaxSuppression")
def _suppression(inputs, attributes, outputs):
    return [((None, 3), "int64")]


@_shape("NonZero")
def _non_zero(inputs, attributes, outputs):
    return [((len(inputs[0].shape), None), "int64")]


@_shape("Compress")
def _compress(inputs, attributes, outputs):
    shape = list(inputs[0].shape)
    shape[attributes["axis"]] = None
    return [(tuple(shape), None)]


@_shape("Shape")
def _shape_of(inputs, attributes, outputs):
    return [((len(inputs[0].shape),), "int64")]


@_shape("Range")
def _range(inputs, attributes, outputs):
    ends = [constant(x) for x in inputs]
    if None in ends:
        return [((None,), None)]
    start, end, step = (x[0] for x in ends)
    return [((max(math.ceil((end - start) / step), 0),), None)]


@_shape("ConstantOfShape")
def _constant_of_shape(inputs, attributes, outputs):
    wanted = constant(inputs[0])
    wanted = (None,) * inputs[0].shape[0] if wanted is None else wanted
    return [(tuple(wanted), attributes["value"].dtype)]


@_shape("OneHot")
def _one_hot(inputs, attributes, outputs):
    depth = constant(inputs[1])[0]
    return [((*inputs[0].shape, depth), inputs[2].dtype)]


@_shape("LSTM", "RNN")
def _recurrent(inputs, attributes, outputs):
    steps, items, _ = inputs[0].shape
    units, ways = attributes["hidden_size"], inputs[1].shape[0]
    state = ((ways, items, units), None)
    return [((steps, ways, items, units), None), state, state][:outputs]


@_shape("GridSample")
def _grid_sample(inputs, attributes, outputs):
    x, grid = (v.shape for v in inputs)
    return [((*x[:2], *grid[1:3]), None)]


@_shape("MaxRoiPool")
def _max_roi_pool(inputs, attributes, outputs):
    x, rois = (v.shape for v in inputs)
    return [((rois[0], x[1], *attributes["pooled_shape"]), None)]


@_shape("RoiAlign")
def _roi_align(inputs, attributes, outputs):
    x, rois = (v.shape for v in inputs[:2])
    sizes = (attributes["output_height"], attributes["output_width"])
    return [((rois[0], x[1], *sizes), None)]


@_shape("ReverseSequence")
def _reverse(inputs, attributes, outputs):
    return [(inputs[0].shape, None)]
