"""Layers that look at regions, against loops over pixels as the forks have them."""

import math

import keras
import numpy as np
import pytest
from support import gradients, relative_error, seeds

from keras_caffe_zoo import layers

F = np.float32


def c_round(x):
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def each(i, j, steps, start, maps):
    return zip((i, j), steps, start, maps.shape[1:3], strict=True)


def roi_pooling(maps, roi, bins, scale):
    """Return a region's maxima, and the cell of each (-1 for none)."""
    _, _, width, channels = maps.shape
    item = int(roi[0])
    x1, y1, x2, y2 = (c_round(F(v) * F(scale)) for v in roi[1:])
    start, end = (y1, x1), (y2, x2)
    steps = [
        F(max(b - a + 1, 1)) / F(n) for a, b, n in zip(start, end, bins, strict=True)
    ]
    out = np.zeros((*bins, channels), F)
    cells = np.full((*bins, channels), -1)
    for i, j in np.ndindex(*bins):
        low, high = [], []
        for p, step, first, size in each(i, j, steps, start, maps):
            low.append(min(max(math.floor(F(p) * step) + first, 0), size))
            high.append(min(max(math.ceil(F(p + 1) * step) + first, 0), size))
        part = maps[item, low[0] : high[0], low[1] : high[1]]
        if part.size:
            flat = part.reshape(-1, channels)
            out[i, j], first = flat.max(0), flat.argmax(0)
            row, column = np.divmod(first, part.shape[1])
            cells[i, j] = (low[0] + row) * width + low[1] + column
    return out, cells


def psroi_pooling(maps, roi, output, group, scale):
    start = [F(c_round(roi[k])) * F(scale) for k in (2, 1)]
    end = [F(c_round(roi[k]) + 1) * F(scale) for k in (4, 3)]
    steps = [max(b - a, F(0.1)) / F(group) for a, b in zip(start, end, strict=True)]
    out = np.zeros((group, group, output), F)
    for i, j, c in np.ndindex(group, group, output):
        low, high = [], []
        for p, step, first, size in each(i, j, steps, start, maps):
            low.append(min(max(math.floor(F(p) * step + first), 0), size))
            high.append(min(max(math.ceil(F(p + 1) * step + first), 0), size))
        channel = (c * group + i) * group + j
        part = maps[int(roi[0]), low[0] : high[0], low[1] : high[1], channel]
        out[i, j, c] = part.mean() if part.size else 0
    return out


def sample(image, y, x):
    height, width, _ = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    y, x = y - top, x - left
    above = image[top, left] * (1 - x) + image[top, right] * x
    below = image[down, left] * (1 - x) + image[down, right] * x
    return above * (1 - y) + below * y


def roi_align(maps, roi, bins, scale, ratio):
    x1, y1, x2, y2 = (F(v) * F(scale) for v in roi[1:])
    steps = [max(y2 - y1, F(1)) / F(bins[0]), max(x2 - x1, F(1)) / F(bins[1])]
    counts = [ratio if ratio > 0 else math.ceil(step) for step in steps]
    out = np.zeros((*bins, maps.shape[3]), F)
    for i, j in np.ndindex(*bins):
        for a, b in np.ndindex(*counts):
            y = y1 + F(i) * steps[0] + F(a + 0.5) * steps[0] / F(counts[0])
            x = x1 + F(j) * steps[1] + F(b + 0.5) * steps[1] / F(counts[1])
            out[i, j] += sample(maps[int(roi[0])], y, x)
    return out / math.prod(counts)


def drawn(seed, channels=3, ties=False):
    """Return maps, and regions in, beyond and far from them, and turned inside out."""
    rng = np.random.default_rng(seed)
    shape = (3, *rng.integers(1, 14, 2), channels)
    maps = rng.normal(size=shape).astype(F)
    if ties:
        maps = rng.integers(0, 3, shape).astype(F)
    size = 16 * np.array([shape[2], shape[1]])
    first = rng.uniform(-0.5, 1.2, (12, 2)) * size
    last = first + rng.uniform(-0.1, 1.3, (12, 2)) * size
    rois = np.concatenate([rng.integers(0, 3, (12, 1)), first, last], axis=1)
    rois[:4] = np.round(rois[:4] / 8) * 8  # halves of cells
    rois[4] = [0, -900, -900, 900, 900]
    return maps, rois.astype(F)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_roi_pooling(seed):
    bins = tuple(int(n) for n in np.random.default_rng(seed).integers(1, 8, 2))
    maps, rois = drawn(seed)
    found = numpy(layers.CaffeROIPooling(*bins, 1 / 16)([maps, rois]))
    wanted = [roi_pooling(maps, roi, bins, 1 / 16)[0] for roi in rois]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_the_gradient_of_roi_pooling_goes_to_first_maxima(seed):
    maps, rois = drawn(seed, ties=True)
    layer = layers.CaffeROIPooling(3, 2, 1 / 16)
    top_diff = np.random.default_rng(seed).normal(size=(12, 3, 2, 3)).astype(F)
    wanted = np.zeros_like(maps).reshape(3, -1, 3)
    for roi, diff in zip(rois, top_diff, strict=True):
        _, cells = roi_pooling(maps, roi, (3, 2), 1 / 16)
        for i, j, c in np.ndindex(*cells.shape):
            if cells[i, j, c] >= 0:
                wanted[int(roi[0]), cells[i, j, c], c] += diff[i, j, c]
    found, _ = gradients(OfRegions(layer, rois), maps, top_diff)
    assert relative_error(found, wanted.reshape(maps.shape)) <= 1e-6


class OfRegions(keras.layers.Layer):
    """A layer of two inputs as a function of the first."""

    def __init__(self, layer, rois):
        super().__init__()
        self.layer, self.rois = layer, keras.ops.convert_to_tensor(rois)
        self.built = True

    def call(self, maps):
        return self.layer([maps, self.rois])


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_psroi_pooling(seed):
    output, group = (int(n) for n in np.random.default_rng(seed).integers(1, 5, 2))
    maps, rois = drawn(seed, output * group**2)
    found = numpy(layers.CaffePSROIPooling(output, group, 1 / 16)([maps, rois]))
    wanted = [psroi_pooling(maps, roi, output, group, 1 / 16) for roi in rois]
    assert relative_error(found, wanted) <= 1e-6


@pytest.mark.parametrize("seed", seeds(4, 40))
@pytest.mark.parametrize("ratio", [-1, 3])
def test_roi_align(seed, ratio):
    maps, rois = drawn(seed)
    rois[4] = [1, -60, -50, 70, 90]  # the reference takes its time
    found = numpy(layers.CaffeROIAlign(3, 4, 0.05, ratio)([maps, rois]))
    wanted = [roi_align(maps, roi, (3, 4), F(0.05), ratio) for roi in rois]
    assert relative_error(found, wanted) <= 5e-6


POOLINGS = [
    layers.CaffeROIPooling(2, 2, 0.5),
    layers.CaffePSROIPooling(1, 2, 0.5),
    layers.CaffeROIAlign(2, 2, 0.5),
]


@pytest.mark.parametrize("layer", POOLINGS, ids=lambda x: type(x).__name__)
def test_rows_of_no_item_are_zero_and_those_of_a_missing_one_are_no_numbers(layer):
    maps = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(F)
    box = [1.0, 2.0, 9.0, 8.0]
    rois = F([[0, *box], [-1, *box], [2, *box], [0, *box], [1, 1, math.nan, 2, 2]])
    rois[3, 3] = math.inf
    found = numpy(layer([maps, rois])).reshape(5, -1)
    assert np.isfinite(found[0]).all() and found[0].any()
    assert not found[1].any()
    assert np.isnan(found[2:]).all()
    top_diff = np.ones(layer([maps, rois[:2]]).shape, F)
    at_maps, _ = gradients(OfRegions(layer, rois[:2]), maps, top_diff)
    assert np.isfinite(at_maps).all() and not at_maps[1].any()


@pytest.mark.parametrize("layer", POOLINGS, ids=lambda x: type(x).__name__)
def test_half_precision_leaves_regions_alone(layer):
    config = {**layer.get_config(), "dtype": "mixed_float16", "name": "half"}
    half = type(layer).from_config(config)
    maps = np.random.default_rng(0).normal(size=(1, 5, 2100, 4)).astype(F)
    rois = F([[0, 4097, 1, 4103, 8]])
    found = half([maps, rois])
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(numpy(found), numpy(layer([maps, rois])), atol=0.01)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.CaffeROIPooling(0, 1),
        lambda: layers.CaffePSROIPooling(1, 2.5, 1),
        lambda: layers.CaffeROIAlign(1, 1, 1, 10**6),
        lambda: layers.CaffeProposal(ratios=()),
        lambda: layers.CaffeProposal(scales=(0,)),
        lambda: layers.CaffeROIPooling(1, 1)([np.ones((1, 2, 3, 4)), np.ones((2, 4))]),
        lambda: layers.CaffePSROIPooling(2, 2, 1)(
            [np.ones((1, 2, 3, 4)), np.ones((2, 5))]
        ),
    ],
)
def test_wrong_arguments_and_shapes_are_named(make):
    with pytest.raises(ValueError, match="Expected"):
        make()


def boxes_of(scores, moves, info, layer, anchors):
    """Return the proposals of one item, by the letter of py-faster-rcnn."""
    height, width, _ = moves.shape
    found = []
    for y, x, k in np.ndindex(height, width, len(anchors)):
        x1, y1, x2, y2 = anchors[k] + F(layer.feat_stride) * F([x, y, x, y])
        w, h = x2 - x1 + 1, y2 - y1 + 1
        dx, dy, dw, dh = moves[y, x, 4 * k : 4 * k + 4]
        cx, cy = dx * w + (x1 + F(0.5) * w), dy * h + (y1 + F(0.5) * h)
        w, h = np.exp(dw) * w / 2, np.exp(dh) * h / 2
        box = np.clip([cx - w, cy - h, cx + w, cy + h], 0, info[[1, 0, 1, 0]] - 1)
        score = scores[y, x, len(anchors) + k]
        small = box[2] - box[0] + 1 < layer.min_size * info[-1]
        small |= box[3] - box[1] + 1 < layer.min_size * info[2]
        if not (small and layer.drop_small):
            found.append((0.0 if small else score, *box))
    found.sort(key=lambda row: -row[0])
    found, kept = found[: layer.pre_nms_topn or None], []
    for row in found:
        if all(overlap(row[1:], other[1:]) <= layer.nms_thresh for other in kept):
            kept.append(row)
    return np.array(kept[: layer.post_nms_topn or None], F).reshape(-1, 5)


def overlap(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + 1, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + 1, 0)
    area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return width * height / (sum(area) - width * height)


ANCHORS = F(
    [[-15, -4, 30, 19], [-38, -16, 53, 31], [-8, -8, 23, 23], [-24, -24, 39, 39]]
)


@pytest.mark.parametrize("drop_small", [True, False])
@pytest.mark.parametrize("counts", [(60, 9), (0, 0), (7, 500)])
@pytest.mark.parametrize("unknown", [False, True])
def test_proposals(drop_small, counts, unknown):
    layer = layers.CaffeProposal(
        8, 16, (0.5, 1), (2, 4), 20, *counts, 0.5, drop_small, True
    )
    rng = np.random.default_rng(counts[0])
    scores = rng.permutation(2 * 5 * 6 * 8).reshape(2, 5, 6, 8).astype(F) / 480
    moves = (rng.normal(size=(2, 5, 6, 16)) * 0.4).astype(F)
    info = F([[40, 47, 0.9], [36, 48, 1.5]])
    inputs = [keras.Input(shape=x.shape[1:]) for x in (scores, moves, info)]
    if unknown:
        inputs[:2] = [keras.Input(shape=(None, None, n)) for n in (8, 16)]
    model = keras.Model(inputs, layer(inputs))
    rois, found = map(numpy, model([scores, moves, info]))
    most = counts[1] or 5 * 6 * 4
    assert rois.shape == (2 * most, 5)
    assert found.shape == ((2 * most, 1) if drop_small else (2 * most,))
    for i in range(2):
        wanted = boxes_of(scores[i], moves[i], info[i], layer, ANCHORS)
        own = slice(i * most, i * most + len(wanted))
        rest = slice(own.stop, (i + 1) * most)
        np.testing.assert_allclose(rois[own, 1:], wanted[:, 1:], atol=1e-4)
        np.testing.assert_array_equal(found[own].ravel(), wanted[:, 0])
        assert (rois[own, 0] == i).all() and (found[rest] == -1).all()
        assert (rois[rest] == [-1, 0, 0, 0, 0]).all()


def test_proposals_read_the_first_of_six_values_of_an_image():
    rng = np.random.default_rng(0)
    blobs = [rng.normal(size=(1, 5, 6, n)).astype(F) for n in (18, 36)]
    layer = layers.CaffeProposal(8, min_size=20)
    info = F([[40, 47, 0.9, 1.1, 7, 8]])
    np.testing.assert_array_equal(
        numpy(layer([*blobs, info])), numpy(layer([*blobs, info[:, :4]]))
    )


def test_anchors_are_those_of_py_faster_rcnn():
    from keras_caffe_zoo.arithmetic.regions import anchors

    first = [[-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199]]
    found = anchors(16, (0.5, 1, 2), (8, 16, 32))
    np.testing.assert_array_equal(found[:3], first)
    np.testing.assert_array_equal(anchors(16, (0.5, 1), (2, 4)), ANCHORS)
