"""CaffeReshape by Caffe's own arithmetic, CaffeMVN's top, both in NumPy."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops
from support import nchw, nhwc

from keras_caffe_zoo.layers import CaffeMVN, CaffeReshape


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def caffes_shape(bottom, shape, axis, num_axes):
    """What Caffe's Reshape makes of a shape, step by step; None if it refuses."""
    start = axis if axis >= 0 else len(bottom) + axis + 1
    if not 0 <= start <= len(bottom) or num_axes < -1:
        return None
    end = len(bottom) if num_axes == -1 else start + num_axes
    if end > len(bottom):
        return None
    top = [*bottom[:start], *shape, *bottom[end:]]
    explicit = math.prod(bottom[:start]) * math.prod(bottom[end:])
    for i, size in enumerate(shape):
        if size == 0:
            if start + i >= len(bottom):
                return None
            top[start + i] = bottom[start + i]
            explicit *= bottom[start + i]
        elif size > 0:
            explicit *= size
    if -1 in shape:
        if math.prod(bottom) % explicit:
            return None
        top[start + list(shape).index(-1)] = math.prod(bottom) // explicit
    return tuple(top) if math.prod(top) == math.prod(bottom) else None


def reshapes():
    """Every reshape of a few blobs to at most three sizes, from every axis on."""
    for bottom in [(6,), (2, 6), (2, 3, 4), (2, 6, 2, 3), (2, 1, 3, 2, 2)]:
        axes = range(-len(bottom) - 1, len(bottom) + 1)
        for axis, num_axes in itertools.product(axes, range(-1, len(bottom) + 1)):
            for count in range(4):
                for shape in itertools.product((-1, 0, 1, 2, 3, 6), repeat=count):
                    if shape.count(-1) < 2:
                        yield bottom, shape, axis, num_axes


def told(layer, shape):
    """The top's shape, both in Caffe's order; None if the layer refuses."""
    try:
        return tuple(layer.blob_shape(shape))
    except ValueError:
        return None


def test_shapes_are_those_of_caffes_arithmetic():
    results = set()
    for bottom, shape, axis, num_axes in itertools.islice(reshapes(), 0, None, 11):
        expected = caffes_shape(bottom, shape, axis, num_axes)
        found = told(CaffeReshape(shape, axis, num_axes), bottom)
        assert found == expected, (bottom, shape, axis, num_axes)
        results.add(expected is None)
    assert results == {True, False}


def test_values_keep_caffes_order():
    """A sample, with sizes known and not; four axes are channels last outside."""
    for bottom, *arguments in itertools.islice(reshapes(), 0, None, 149):
        expected = caffes_shape(bottom, *arguments)
        if expected is None:
            continue
        layer, x = CaffeReshape(*arguments), numbers(*bottom)
        found = nchw(ops.convert_to_numpy(layer(nhwc(x))))
        np.testing.assert_array_equal(found, x.reshape(expected), str(arguments))


@pytest.mark.parametrize(
    ("bottom", "shape", "axis", "num_axes", "top"),
    [
        ((2, 6, 4, 3), (1, 0), 0, 1, None),  # 6 once more: too many values
        ((2, 1, 4, 3), (2, 0), 0, 1, (2, 1, 1, 4, 3)),
        ((6, 1, 2), (2, 0, 3), 0, 1, (2, 1, 3, 1, 2)),
        ((6, 2, 2), (-1, 0), 0, 1, (3, 2, 2, 2)),  # the second 2 is a copy
        ((6, 1, 2), (2, 3, 0), 1, 1, None),  # axis 3 is none of the bottom's
        ((4, 2, 3), (0, 0, -1, 1), 0, 2, (4, 2, 1, 1, 3)),
    ],
)
def test_zero_copies_an_axis_of_the_bottom_beyond_those_replaced(
    bottom, shape, axis, num_axes, top
):
    assert caffes_shape(bottom, shape, axis, num_axes) == top
    assert told(CaffeReshape(shape, axis, num_axes), bottom) == top


@pytest.mark.parametrize(
    ("shape", "axis", "num_axes", "unknown"),
    [
        ((0, -1), 0, -1, (0,)),
        ((0, -1), 0, -1, (0, 2, 3)),
        ((0, 0, -1), 0, -1, (0, 2, 3)),
        ((0, 3, -1, 0), 0, -1, (0, 2, 3)),
        ((2, 3), 1, 1, (0, 2, 3)),
        ((-1, 0), 1, 1, (0,)),
        ((-1, 0, 1), 1, 1, (0, 3)),
    ],
)
def test_unknown_sizes_make_no_difference(shape, axis, num_axes, unknown):
    x = numbers(2, 6, 2, 3)
    layer = CaffeReshape(shape, axis, num_axes)
    sizes = [None if i in unknown else n for i, n in enumerate(x.shape)]
    symbol = keras.Input(batch_shape=[sizes[i] for i in (0, 2, 3, 1)])
    model = keras.Model(symbol, layer(symbol))
    expected = x.reshape(caffes_shape(x.shape, shape, axis, num_axes))
    run = model.predict_on_batch if unknown == (0,) else model
    np.testing.assert_array_equal(nchw(ops.convert_to_numpy(run(nhwc(x)))), expected)


def test_a_reshape_says_what_it_lacks():
    with pytest.raises(ValueError, match=r"a size to copy for each 0 in \(0, 2, 0\)"):
        CaffeReshape((0, 2, 0))(numbers(4, 3))
    with pytest.raises(ValueError, match="as many values as the new shape"):
        CaffeReshape((5, -1))(numbers(4, 3))


def normalized(x, across, divide):
    """Caffe's MVN of (N, C, H, W), item by item."""
    y = np.zeros(x.shape)
    parts = [(n,) for n in range(len(x))] if across else np.ndindex(*x.shape[:2])
    for part in parts:
        values = x[part].astype("float64")
        y[part] = values - values.mean()
        if divide:
            y[part] /= np.sqrt(((values - values.mean()) ** 2).mean()) + 0.1
    return y


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4), (2, 3, 4, 5)])
def test_mvn_has_a_top_of_four_axes(shape, across, divide):
    layer, x = CaffeMVN(divide, across, 0.1), numbers(*shape)
    expected = normalized(x.reshape(*shape, *[1] * (4 - len(shape))), across, divide)
    found = nchw(ops.convert_to_numpy(layer(nhwc(x))))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    symbol = keras.Input(nhwc(x).shape[1:])
    assert layer(symbol).shape == (None, *nhwc(expected).shape[1:])


def test_mvn_refuses_five_axes_as_caffe_does():
    with pytest.raises(ValueError, match="at most four axes for layer 'mvn'"):
        CaffeMVN(name="mvn")(numbers(1, 2, 3, 4, 5))
