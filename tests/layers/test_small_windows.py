"""Every small image under every small window, against Caffe's rule in NumPy.

Backends go wrong at the edges of their domain: one output, a stride beyond the image, a
kernel beyond it, one channel. A sample runs always, each case with the marker `slow`.
"""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from small_windows import (
    PADS,
    SIZES,
    STRIDES,
    WINDOWS,
    backward,
    conv_places,
    convolved,
    every_case,
    numbers,
    pool_places,
    seen,
    spread,
)
from support import gradients

from keras_caffe_zoo.layers import (
    CaffeConv2D,
    CaffeConvND,
    CaffeDeconv2D,
    CaffeIm2col,
    CaffeMaxPool2DWithMask,
    CaffePool2D,
    CaffeStochasticPool2D,
)

LAST = {"data_format": "channels_last"}
BATCHES = (1, 2, 3)
# (channels, filters, groups): one of either, several, two groups, depthwise
CONVOLVED = [(1, 2, 1), (3, 2, 1), (4, 2, 2), (2, 4, 2)]
SPREAD = [(1, 2, 1), (3, 1, 1), (4, 2, 2), (2, 2, 2)]
LOWEST = float(np.finfo("float32").min)
every_stride = pytest.mark.parametrize(
    "stride", list(itertools.product(STRIDES, STRIDES)), ids=str
)


def sample(step):
    """Return every `step`-th case; a prime number meets all kinds."""
    return itertools.islice(every_case(), 0, None, step)


def by_window(cases):
    """Yield (kernel, dilation, stride, pad) and the sizes that come with it."""
    for window, group in itertools.groupby(cases, lambda case: case[1:]):
        yield window, [case[0] for case in group]


def assert_equal(actual, expected, *case):
    actual = ops.convert_to_numpy(actual)
    assert actual.shape == expected.shape, case
    np.testing.assert_allclose(actual, expected, 1e-5, 1e-5, err_msg=str(case))


def built(layer, *shape):
    """Build a layer; return its weights, none of them zero."""
    layer.build(shape)
    weights = [numbers(*w.shape) for w in layer.weights]
    layer.set_weights(weights)
    return weights


def refused(layer, x):
    with pytest.raises(ValueError, match="Expected an i"):
        layer(x)
    return True


def check_convolution(cases, make, layouts=CONVOLVED, batches=BATCHES):
    for (kernel, dilation, stride, pad), sizes in by_window(cases):
        layers = [make(kernel, dilation, stride, pad, *layout) for layout in layouts]
        weights = [
            built(layer, None, None, None, layout[0])
            for layer, layout in zip(layers, layouts, strict=True)
        ]
        for size in sizes:
            places = [
                conv_places(*axis)
                for axis in zip(size, kernel, stride, pad, dilation, strict=True)
            ]
            for layer, (w, bias), layout in zip(layers, weights, layouts, strict=True):
                x = numbers(max(batches), *size, layout[0])
                if 0 in (len(p) for p in places):
                    refused(layer, x)
                    continue
                expected = convolved(seen(x, *places, 0), w, layout[2]) + bias
                for n in batches:
                    case = (n, size, kernel, dilation, stride, pad, layout)
                    assert_equal(layer(x[:n]), expected[:n], *case)


def conv2d(kernel, dilation, stride, pad, _, filters, groups):
    return CaffeConv2D(filters, kernel, stride, pad, "channels_last", dilation, groups)


def conv_nd(kernel, dilation, stride, pad, _, filters, groups):
    return CaffeConvND(filters, kernel, stride, pad, dilation, groups)


def test_convolution():
    check_convolution(sample(499), conv2d)


@pytest.mark.slow
@every_stride
def test_every_convolution(stride):
    check_convolution(every_case(stride), conv2d)


def test_convolution_nd():
    check_convolution(sample(997), conv_nd)


@pytest.mark.slow
@every_stride
def test_every_convolution_nd(stride):
    check_convolution(every_case(stride), conv_nd, batches=(2,))


def test_convolution_over_one_axis():
    windows = itertools.product(SIZES, WINDOWS, STRIDES, PADS)
    for size, (k, d), s, p in itertools.islice(windows, 0, None, 3):
        for channels, filters, groups in CONVOLVED:
            layer = CaffeConvND(filters, [k], [s], [p], [d], groups)
            weight, bias = built(layer, None, channels, size)
            x = numbers(2, channels, size)
            places = conv_places(size, k, s, p, d)
            if not len(places):
                refused(layer, x)
                continue
            one = np.zeros((1, 1), int)
            windows_seen = seen(np.moveaxis(x, 1, -1)[:, None], one, places, 0)
            expected = convolved(windows_seen, weight[None], groups)[:, 0] + bias
            assert_equal(layer(x), np.moveaxis(expected, -1, 1), size, k, d, s, p)


def test_gradients_of_a_convolution():
    for size, kernel, dilation, stride, pad in sample(1499):
        window = list(zip(size, kernel, stride, pad, dilation, strict=True))
        rows, columns = places = [conv_places(*axis) for axis in window]
        if 0 in map(len, places):
            continue
        for channels, filters, groups in CONVOLVED:
            layer = conv2d(kernel, dilation, stride, pad, channels, filters, groups)
            x = numbers(2, *size, channels)
            weight, _ = built(layer, *x.shape)
            top = numbers(2, len(rows), len(columns), filters)
            at_input, (at_kernel, at_bias) = gradients(layer, x, top)
            expected = backward(
                top, x.shape, seen(x, *places, 0), *places, weight, groups
            )
            case = (size, kernel, dilation, stride, pad, groups)
            assert_equal(at_input, expected[0], *case)
            assert_equal(at_kernel, expected[1], *case)
            assert_equal(at_bias, top.sum((0, 1, 2)), *case)


def check_deconvolution(cases):
    for (kernel, dilation, stride, pad), sizes in by_window(cases):
        for channels, filters, groups in SPREAD:
            layer = CaffeDeconv2D(
                filters, kernel, stride, pad, dilation, groups, **LAST
            )
            weight, bias = built(layer, None, None, None, channels)
            for size in sizes:
                x = numbers(max(BATCHES), *size, channels)
                expected = spread(x, weight, stride, pad, dilation, groups) + bias
                for n in BATCHES:
                    case = (n, size, kernel, dilation, stride, pad, groups)
                    if expected.size:
                        assert_equal(layer(x[:n]), expected[:n], *case)
                    else:
                        with pytest.raises(ValueError, match="Expected an output"):
                            layer.compute_output_shape(x.shape)


def test_deconvolution():
    check_deconvolution(sample(499))


@pytest.mark.slow
@every_stride
def test_every_deconvolution(stride):
    check_deconvolution(every_case(stride))


def check_im2col(cases):
    for (kernel, dilation, stride, pad), sizes in by_window(cases):
        layer = CaffeIm2col(kernel, stride, pad, dilation)
        for size in sizes:
            x = numbers(2, *size, 2)
            window = zip(size, kernel, stride, pad, dilation, strict=True)
            places = [conv_places(*axis) for axis in window]
            if 0 in map(len, places):
                refused(layer, x)
                continue
            expected = seen(x, *places, 0)
            expected = expected.reshape(*expected.shape[:3], -1)
            assert_equal(layer(x), expected, size, kernel, dilation, stride, pad)


def test_im2col():
    check_im2col(sample(199))


@pytest.mark.slow
@every_stride
def test_every_im2col(stride):
    check_im2col(every_case(stride))


def pools(cases):
    """Yield the cases that a pooling has: not dilated, padded below the kernel."""
    for size, kernel, dilation, stride, pad in cases:
        smaller = all(p < k for p, k in zip(pad, kernel, strict=True))
        if dilation == (1, 1) and smaller:
            yield size, kernel, stride, pad


def check_pooling(cases):
    for size, kernel, stride, pad in pools(cases):
        for mode in ("ceil", "floor"):
            options = {"strides": stride, "pad": pad, "round_mode": mode, **LAST}
            layers = [CaffePool2D(pool, kernel, **options) for pool in ("max", "ave")]
            layers.append(CaffeMaxPool2DWithMask(kernel, **options))
            if not any(pad):
                layers.append(CaffeStochasticPool2D(kernel, **options))
            window = zip(size, kernel, stride, pad, strict=True)
            (rows, heights), (columns, widths) = (
                pool_places(*axis, any(pad), mode == "floor") for axis in window
            )
            x = numbers(max(BATCHES), *size, 2)
            if not (len(rows) and len(columns)):
                assert all(refused(layer, x) for layer in layers)
                continue
            area = heights[:, None, None] * widths[:, None]
            expected = pooled(x, rows, columns, area)
            for n in BATCHES:
                case = (n, size, kernel, stride, pad, mode)
                for layer in layers:
                    found = keras.tree.flatten(layer(x[:n]))
                    for y, e in zip(
                        found, expected[type(layer), layer.pool], strict=True
                    ):
                        assert_equal(y, e[:n], *case)


def pooled(x, rows, columns, area):
    """Return what each layer makes of the windows."""
    values = seen(x, rows, columns, 0).astype("float64")
    sums, squares = values.sum((-1, -2)), (values**2).sum((-1, -2))
    flat = seen(x, rows, columns, LOWEST).reshape(*values.shape[:4], -1)
    places = rows[:, None, :, None] * x.shape[2] + columns[:, None, :]
    places = places.reshape(*places.shape[:2], 1, -1)
    at = flat.argmax(-1)[..., None]
    mask = np.take_along_axis(np.broadcast_to(places, flat.shape), at, -1)[..., 0]
    largest = flat.max(-1)
    mask = np.where(largest == LOWEST, -1, mask)
    with np.errstate(invalid="ignore", divide="ignore"):
        average = sums / area
        expected = np.where(sums > 0, squares / sums, 0)
    return {
        (CaffePool2D, "max"): [largest],
        (CaffePool2D, "ave"): [average],
        (CaffeMaxPool2DWithMask, "max"): [largest, mask],
        (CaffeStochasticPool2D, "stochastic"): [expected],
    }


def test_pooling():
    check_pooling(sample(199))


@pytest.mark.slow
@every_stride
def test_every_pooling(stride):
    check_pooling(every_case(stride))
