"""Prior boxes, Permute and Normalize against plain NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import gradients, relative_error

from keras_caffe_zoo.arithmetic.axes import keras_axis
from keras_caffe_zoo.layers import (
    CaffeNormalize,
    CaffePermute,
    CaffePriorBox,
    CaffePriorBoxClustered,
)

FLOATS = st.floats(1, 50, width=32)


def boxes_around(sizes, rows, columns, image, step, offset, clip):
    """Return the corners, cell by cell."""
    found = []
    for y in range(rows):
        for x in range(columns):
            cy, cx = (y + offset) * step[0], (x + offset) * step[1]
            for width, height in sizes:
                found += [
                    (cx - width / 2) / image[1],
                    (cy - height / 2) / image[0],
                    (cx + width / 2) / image[1],
                    (cy + height / 2) / image[0],
                ]
    return np.clip(found, 0, 1) if clip else np.array(found)


def priors_of(layer, rows, columns, image, unknown):
    """Return what a layer makes of a map and an image, sizes known or not."""
    arrays = [np.zeros((2, rows, columns, 3)), np.zeros((2, *image, 3))]
    arrays = [array.astype("float32") for array in arrays]
    if not unknown:
        return keras.ops.convert_to_numpy(layer(arrays))
    inputs = [keras.Input((None, None, 3)) for _ in arrays]
    model = keras.Model(inputs, layer(inputs))
    return keras.ops.convert_to_numpy(model(arrays))


@given(
    st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=2),
    st.lists(st.floats(0.25, 3, width=32), max_size=2),
    st.tuples(*[st.booleans()] * 4),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_prior_boxes(sizes, ratios, how, rows, columns):
    flip, clip, largest, unknown = how
    least = [min(pair) for pair in sizes]
    most = [max(pair) + 1 for pair in sizes] if largest else []
    layer = CaffePriorBox(least, most, ratios, flip, clip, offset=0.4)
    expected, all_ratios = [], [1.0]
    for ratio in ratios:
        if all(abs(ratio - known) >= 1e-6 for known in all_ratios):
            all_ratios += [ratio, 1 / ratio][: 1 + flip]
    for i, size in enumerate(map(int, least)):
        expected.append((size, size))
        if largest:
            expected.append([np.sqrt(size * int(most[i]))] * 2)
        others = [r for r in all_ratios if abs(r - 1) >= 1e-6]
        expected += [(size * np.sqrt(r), size / np.sqrt(r)) for r in others]
    image = (30, 50)
    step = (image[0] / rows, image[1] / columns)
    found = priors_of(layer, rows, columns, image, unknown)
    wanted = boxes_around(expected, rows, columns, image, step, 0.4, clip)
    assert found.shape == (1, 2, len(wanted))
    np.testing.assert_allclose(found[0, 0], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[0, 1], 0.1)


def test_a_size_of_any_float_makes_boxes():
    layer = CaffePriorBox([3], [1e38])
    assert np.isfinite(priors_of(layer, 1, 1, (30, 50), False)).all()


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_clustered_prior_boxes(clip, unknown):
    variance = (0.1, 0.2, 0.3, 0.4)
    sizes = [(9.4, 15.2), (25.1, 39.6)]
    layer = CaffePriorBoxClustered(
        *zip(*sizes, strict=True), clip, variance, (60, 80), (16, 8)
    )
    found = priors_of(layer, 3, 4, (30, 50), unknown)
    wanted = boxes_around(sizes, 3, 4, (60, 80), (16, 8), 0.5, clip)
    np.testing.assert_allclose(found[0, 0], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[0, 1].reshape(-1, 4), [variance] * 24)


def test_a_million_boxes_are_too_many():
    layer = CaffePriorBox([1.0] * 3000)
    with pytest.raises(ValueError, match=r"at most 2,097,152 boxes.*3,000 for each"):
        layer.compute_output_shape([(1, 100, 100, 3), (1, 300, 300, 3)])


@pytest.mark.parametrize(
    "options",
    [
        {"min_sizes": []},
        {"min_sizes": [-1]},
        {"min_sizes": [float("nan")]},
        {"min_sizes": [float("inf")]},
        {"max_sizes": [3]},
        {"max_sizes": [9, 9]},
        {"aspect_ratios": [0]},
        {"aspect_ratios": [float("nan")]},
        {"aspect_ratios": [float("inf")]},
        {"variance": (0.1, 0.2)},
        {"variance": (-1,)},
        {"variance": (float("nan"),)},
        {"image_size": (0, 3)},
        {"step": (1, 2, 3)},
    ],
)
def test_what_no_box_can_be_is_refused(options):
    with pytest.raises(ValueError, match="Expected"):
        CaffePriorBox(**{"min_sizes": [4], **options})
    with pytest.raises(ValueError, match="Expected positive `widths`"):
        CaffePriorBoxClustered([1, 2], [1])


@given(st.permutations(range(4)), st.integers(0, 4), st.integers(2, 4))
def test_permute_puts_caffes_axes_in_order(order, named, rank):
    order = [axis for axis in order if axis < rank]
    blob = np.arange(np.prod([2, 3, 4, 5][:rank])).reshape([2, 3, 4, 5][:rank])
    layer = CaffePermute(order[:named])
    whole = [*order[:named], *sorted(set(range(rank)) - set(order[:named]))]
    to_keras = (0, 2, 3, 1) if rank == 4 else range(rank)
    x = blob.transpose(to_keras).astype("float32")
    wanted = blob.transpose(whole).transpose(to_keras)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x)), wanted)
    assert layer.compute_output_shape(x.shape) == wanted.shape


def test_permute_of_axes_that_are_not_there():
    with pytest.raises(ValueError, match="different axes"):
        CaffePermute([0, 0])
    with pytest.raises(ValueError, match="3 axes for layer 'p'"):
        CaffePermute([0, 3], name="p").compute_output_shape((1, 2, 3))


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rank", [2, 4])
def test_normalize_and_its_true_gradient(across, shared, rank):
    rng = np.random.default_rng(0)
    shape = (2, 3, 4, 5)[-rank:]
    x = rng.normal(size=shape).astype("float32")
    layer = CaffeNormalize(across, shared, 0.1)
    layer.build(shape)
    channels = keras_axis(1, rank)
    scale = rng.uniform(1, 2, () if shared else (shape[channels],)).astype("float32")
    layer.set_weights([scale])
    axes = tuple(range(1, rank)) if across else channels

    def forward(x):  # the channels are last for both ranks
        norm = np.sqrt(np.sum(x**2, axes, keepdims=True) + 0.1)
        return x / norm * scale

    y = keras.ops.convert_to_numpy(layer(x))
    assert relative_error(y, forward(x)) <= 2e-6
    top = rng.normal(size=shape).astype("float32")
    at_input, at_weights = gradients(layer, x, top)
    wide, numeric = x.astype("float64"), np.zeros(shape)
    for place in np.ndindex(shape):
        step = np.zeros(shape)
        step[place] = 1e-5
        change = forward(wide + step) - forward(wide - step)
        numeric[place] = np.sum(change * top) / 2e-5
    assert relative_error(at_input, numeric) <= 1e-5
    others = None if shared else tuple(i for i in range(rank) if i != channels)
    at_scale = np.sum(y * top, others) / scale
    assert relative_error(at_weights[0], at_scale) <= 1e-5
