"""Every small image under every small window, against Caffe's rule in NumPy.

Backends go wrong at the edges of their domain: one output, a stride beyond the image, a
kernel beyond it, one channel. A sample runs always; with the marker `slow` one case in
sixteen, which ones by the run's seed: sixteen seeds in a row meet all of them.
"""

import contextlib
import functools
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
every_turn = pytest.mark.parametrize("turn", range(4))


def sample(step):
    """Return every `step`-th case; a prime number meets all kinds."""
    if keras.config.backend() == "jax":
        step *= 11  # it compiles every shape
    return itertools.islice(every_case(), 0, None, step)


@pytest.fixture
def share(run_seed):
    """A sixteenth of all cases."""
    return itertools.islice(every_case(), run_seed % 16, None, 16)


def turned(cases, layouts, turn):
    """Yield each case with one of the layouts and a number of images.

    In four turns each case meets each layout.
    """
    for i, case in enumerate(cases):
        yield *case, layouts[(i + turn) % len(layouts)], BATCHES[(i + turn) % 3]


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


@functools.lru_cache(4)  # those of one window, in the order of the cases
def made(make, *arguments):
    """Return a layer and its weights."""
    layer = make(*arguments)
    return layer, built(layer, None, None, None, arguments[-1][0])


tensor = ops.convert_to_tensor


def refused(layer, x):
    with pytest.raises(ValueError, match="Expected an (in|out)put"):
        layer(x)
    return True


def conv2d(kernel, dilation, stride, pad, layout):
    _, filters, groups = layout
    return CaffeConv2D(filters, kernel, stride, pad, "channels_last", dilation, groups)


def conv_nd(kernel, dilation, stride, pad, layout):
    return CaffeConvND(layout[1], kernel, stride, pad, dilation, layout[2])


def deconv2d(kernel, dilation, stride, pad, layout):
    _, filters, groups = layout
    return CaffeDeconv2D(filters, kernel, stride, pad, dilation, groups, **LAST)


def im2col(kernel, dilation, stride, pad, _):
    return CaffeIm2col(kernel, stride, pad, dilation)


def check_convolution(make, cases, turn=0):
    for size, *window, layout, n in turned(cases, CONVOLVED, turn):
        layer, (weight, bias) = made(make, *window, layout)
        x = numbers(n, *size, layout[0])
        places = places_of(size, *window)
        if 0 in map(len, places):
            refused(layer, x)
            continue
        expected = convolved(seen(x, *places, 0), weight, layout[2]) + bias
        assert_equal(layer.call(tensor(x)), expected, size, *window, layout, n)


def places_of(size, kernel, dilation, stride, pad):
    axes = zip(size, kernel, stride, pad, dilation, strict=True)
    return [conv_places(*axis) for axis in axes]


def test_convolution():
    check_convolution(conv2d, sample(1601))


@pytest.mark.slow
@every_turn
def test_many_convolutions(turn, share):
    check_convolution(conv2d, share, turn)


def test_convolution_nd():
    check_convolution(conv_nd, sample(1601))


@pytest.mark.slow
def test_many_convolutions_nd(share):
    check_convolution(conv_nd, share)


GRAPHS = [
    (conv2d, CONVOLVED),
    pytest.param(conv_nd, CONVOLVED, marks=pytest.mark.slow),
    pytest.param(deconv2d, SPREAD, marks=pytest.mark.slow),
    pytest.param(im2col, CONVOLVED, marks=pytest.mark.slow),
]


def check_graph(layers, inputs, known):
    """In a graph TensorFlow fuses ops; sizes may be unknown there."""
    import tensorflow as tf

    expected, fits = [], []
    for layer, x in zip(layers, inputs, strict=True):
        with contextlib.suppress(ValueError):
            expected.append(keras.tree.flatten(layer(x)))
            fits.append((layer, x))
    layers, inputs = zip(*fits, strict=True)
    together = tf.function(
        lambda *xs: [layer(x) for layer, x in zip(layers, xs, strict=True)],
        input_signature=[
            tf.TensorSpec(x.shape if known else [None] * 3 + [x.shape[3]], "float32")
            for x in inputs
        ],
    )
    for layer, y, e in zip(layers, together(*inputs), expected, strict=True):
        for one, other in zip(keras.tree.flatten(y), e, strict=True):
            assert_equal(one, ops.convert_to_numpy(other), layer.get_config())


in_a_graph = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="others always know the sizes"
)


@in_a_graph
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("make", "layouts"), GRAPHS)
def test_a_graph_computes_the_same(make, layouts, known):
    layers, inputs = [], []
    for size, *window, layout, n in turned(sample(11987), layouts, 0):
        layers.append(make(*window, layout))
        built(layers[-1], None, None, None, layout[0])
        inputs.append(numbers(n, *size, layout[0]))
    check_graph(layers, inputs, known)


def test_convolution_over_one_axis():
    windows = itertools.product(SIZES, WINDOWS, STRIDES, PADS)
    for size, (k, d), s, p in itertools.islice(windows, 0, None, 7):
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


def test_convolution_over_three_axes():
    """Each tap of the third axis is a convolution over two."""
    depths = itertools.product((1, 2, 4), WINDOWS, STRIDES, PADS)
    for depth, (case, layout) in zip(
        itertools.cycle(depths),
        zip(sample(5987), itertools.cycle(CONVOLVED)),
        strict=False,
    ):
        _check_three_axes(depth, case, layout)


def _check_three_axes(depth, case, layout):
    (length, (k, d), s, p), (size, kernel, dilation, stride, pad) = depth, case
    channels, filters, groups = layout
    windows = [(k, *kernel), (s, *stride), (p, *pad), (d, *dilation)]
    layer = CaffeConvND(filters, *windows, groups)
    weight, bias = built(layer, None, channels, length, *size)
    x = numbers(2, channels, length, *size)
    along = conv_places(length, k, s, p, d)
    places = places_of(*case)
    if 0 in map(len, [along, *places]):
        refused(layer, x)
        return
    images = [seen(np.moveaxis(x[:, :, i], 1, -1), *places, 0) for i in range(length)]
    expected = [
        sum(
            convolved(images[i], weight[t], groups)
            for t, i in enumerate(taps)
            if i >= 0
        )
        + np.zeros((2, *map(len, places), filters))
        for taps in along
    ]
    expected = np.moveaxis(np.stack(expected, 1) + bias, -1, 1)
    assert_equal(layer(x), expected, *depth, *case, layout)


def test_gradients_of_a_convolution():
    for size, *window, layout, n in turned(sample(1601), CONVOLVED, 0):
        rows, columns = places = places_of(size, *window)
        if 0 in map(len, places):
            continue
        layer, (weight, _) = made(conv2d, *window, layout)
        x = numbers(n, *size, layout[0])
        top = numbers(n, len(rows), len(columns), layout[1])
        at_input, (at_kernel, at_bias) = gradients(layer, x, top)
        looked_at = seen(x, *places, 0)
        expected = backward(top, x.shape, looked_at, *places, weight, layout[2])
        case = (size, *window, layout, n)
        assert_equal(at_input, expected[0], *case)
        assert_equal(at_kernel, expected[1], *case)
        assert_equal(at_bias, top.sum((0, 1, 2)), *case)


def check_deconvolution(cases, turn=0):
    for size, *window, layout, n in turned(cases, SPREAD, turn):
        layer, (weight, bias) = made(deconv2d, *window, layout)
        _, dilation, stride, pad = window
        x = numbers(n, *size, layout[0])
        expected = spread(x, weight, stride, pad, dilation, layout[2]) + bias
        if expected.size:
            assert_equal(layer.call(tensor(x)), expected, size, *window, layout, n)
        else:
            refused(layer, x)


def test_deconvolution():
    check_deconvolution(sample(1601))


@pytest.mark.slow
@every_turn
def test_many_deconvolutions(turn, share):
    check_deconvolution(share, turn)


def test_gradients_of_a_deconvolution():
    for size, *window, layout, n in turned(sample(1601), SPREAD, 0):
        layer, (weight, _) = made(deconv2d, *window, layout)
        x = numbers(n, *size, layout[0])
        try:
            top = numbers(*layer.compute_output_shape(x.shape))
        except ValueError:
            continue
        at_input, (at_kernel, at_bias) = gradients(layer, x, top)
        places = places_of(top.shape[1:3], *window)
        looked_at = seen(top, *places, 0)
        expected = backward(x, top.shape, looked_at, *places, weight, layout[2])
        case = (size, *window, layout, n)
        assert_equal(at_input, convolved(looked_at, weight, layout[2]), *case)
        assert_equal(at_kernel, expected[1], *case)
        assert_equal(at_bias, top.sum((0, 1, 2)), *case)


def check_im2col(cases):
    for size, *window in cases:
        layer, x = im2col(*window, None), numbers(2, *size, 2)
        places = places_of(size, *window)
        if 0 in map(len, places):
            refused(layer, x)
            continue
        expected = seen(x, *places, 0)
        expected = expected.reshape(*expected.shape[:3], -1)
        assert_equal(layer.call(tensor(x)), expected, size, *window)


def test_im2col():
    check_im2col(sample(199))


@pytest.mark.slow
def test_many_im2cols(share):
    check_im2col(share)


def pools(cases):
    """Yield the cases that a pooling has: not dilated, padded below the kernel."""
    for size, kernel, dilation, stride, pad in cases:
        smaller = all(p < k for p, k in zip(pad, kernel, strict=True))
        if dilation == (1, 1) and smaller:
            yield size, kernel, stride, pad


def check_pooling(cases, mode):
    for i, (size, kernel, stride, pad) in enumerate(pools(cases)):
        options = {"strides": stride, "pad": pad, "round_mode": mode, **LAST}
        layers = [CaffePool2D(pool, kernel, **options) for pool in ("max", "ave")]
        layers.append(CaffeMaxPool2DWithMask(kernel, **options))
        if not any(pad):
            layers.append(CaffeStochasticPool2D(kernel, **options))
        axes = zip(size, kernel, stride, pad, strict=True)
        (rows, heights), (columns, widths) = (
            pool_places(*axis, any(pad), mode == "floor") for axis in axes
        )
        x = numbers(BATCHES[i % 3], *size, 2)
        if not (len(rows) and len(columns)):
            assert all(refused(layer, x) for layer in layers)
            continue
        expected = pooled(x, rows, columns, heights[:, None, None] * widths[:, None])
        # Stochastic pooling divides by a sum, which numbers of both signs take near 0.
        bright = np.maximum(x, 0)
        expected[CaffeStochasticPool2D, "stochastic"] = [
            weighted(bright, rows, columns)
        ]
        for layer in layers:
            given = bright if layer.pool == "stochastic" else x
            found = keras.tree.flatten(layer.call(tensor(given)))
            for y, e in zip(found, expected[type(layer), layer.pool], strict=True):
                assert_equal(y, e, size, kernel, stride, pad, mode, layer)


@in_a_graph
@pytest.mark.parametrize("known", [True, False])
def test_a_graph_pools_the_same(known):
    layers, inputs = [], []
    for i, (size, kernel, stride, pad) in enumerate(pools(sample(7993))):
        options = {"strides": stride, "pad": pad, **LAST}
        layers.append(CaffePool2D(("max", "ave")[i % 2], kernel, **options))
        layers.append(CaffeMaxPool2DWithMask(kernel, **options))
        inputs += [numbers(BATCHES[i % 3], *size, 2)] * 2
    check_graph(layers, inputs, known)


def pooled(x, rows, columns, areas):
    """Return what each layer makes of the windows."""
    flat = seen(x, rows, columns, LOWEST)
    flat = flat.reshape(*flat.shape[:4], -1)
    places = rows[:, None, :, None] * x.shape[2] + columns[:, None, :]
    places = np.broadcast_to(places.reshape(*places.shape[:2], 1, -1), flat.shape)
    at = flat.argmax(-1)[..., None]
    largest = flat.max(-1)
    mask = np.take_along_axis(places, at, -1)[..., 0]
    mask = np.where(largest == LOWEST, -1, mask)
    with np.errstate(invalid="ignore", divide="ignore"):
        average = seen(x.astype("f8"), rows, columns, 0).sum((-1, -2)) / areas
    return {
        (CaffePool2D, "max"): [largest],
        (CaffePool2D, "ave"): [average],
        (CaffeMaxPool2DWithMask, "max"): [largest, mask],
    }


def weighted(x, rows, columns):
    """Return what stochastic pooling makes of the windows."""
    values = seen(x.astype("f8"), rows, columns, 0)
    sums = values.sum((-1, -2))
    return (values**2).sum((-1, -2)) / np.where(sums > 0, sums, 1)


@pytest.mark.parametrize("mode", ["ceil", "floor"])
def test_pooling(mode):
    check_pooling(sample(997), mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ceil", "floor"])
def test_many_poolings(mode, share):
    check_pooling(share, mode)
