"""Maps by tiles, at several scales, on finer grids: the same numbers everywhere."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from support import relative_error

from keras_caffe_zoo import caffenet, demo
from keras_caffe_zoo.dense import (
    output_grid,
    predict_dense,
    to_fully_convolutional,
    top_boxes,
)
from keras_caffe_zoo.layers import CaffeConv2D, CaffePool2D
from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.preprocessing import resize_float


@pytest.fixture(scope="module")
def net():
    """A small net with padding in every layer, round-up pooling and stride 4."""
    keras.utils.set_random_seed(0)
    options = {"data_format": "channels_last"}
    x = inputs = keras.Input((None, None, 3))
    x = CaffeConv2D(6, 5, strides=2, pad=2, activation="relu", **options)(x)
    x = CaffePool2D("max", 3, 2, pad=1, **options)(x)
    x = CaffeConv2D(8, 3, pad=1, activation="relu", **options)(x)
    x = CaffePool2D("ave", 3, 1, pad=1, **options)(x)
    return keras.Model(inputs, CaffeConv2D(4, 3, **options)(x))


def picture(height, width):
    rng = np.random.default_rng(0)
    return rng.normal(size=(height, width, 3)).astype("float32")


@pytest.mark.parametrize("size", [(97, 66), (63, 64)])
@pytest.mark.parametrize(("tile", "batch_size"), [(40, 1), ((64, 33), 3), (1, 4)])
def test_tiles_make_the_map_of_the_whole_image(net, size, tile, batch_size):
    image = picture(*size)
    whole = net.predict(image[None], verbose=0)[0]
    tiled = predict_dense(net, image, tile=tile, batch_size=batch_size, progress=False)
    assert relative_error(tiled, whole) <= 1e-6


def test_tiles_of_caffenet_make_the_map_of_the_whole_image(monkeypatch):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 16)
    keras.utils.set_random_seed(0)
    model = caffenet(weights=None, classes=7, fully_convolutional=True)
    image = picture(651, 517) * 20
    whole = model.predict(image[None], verbose=0)[0]
    tiled = predict_dense(model, image, tile=400, progress=False)
    assert tiled.shape == whole.shape == (15, 10, 7)
    assert relative_error(tiled, whole) <= 1e-5


def test_cells_without_border_effect_are_the_net_on_their_field(net):
    """A cell in the middle equals a cell of the map of its own field alone."""
    image = picture(97, 130)
    grid = output_grid(net, image.shape)
    found = predict_dense(net, image, progress=False)
    cells, fields = [], []
    for row, column in np.ndindex(*grid.shape):
        top, left, bottom, right = grid.field_box(row, column)
        top, left = top // 4 * 4, left // 4 * 4  # the grid's own steps
        if min(top, left) >= 0 and bottom <= 97 and right <= 130:
            cells.append((row, column, row - top // 4, column - left // 4))
            fields.append(image[top:bottom, left:right])
    maps = net.predict(np.stack(fields), verbose=0)
    assert len(cells) > 200
    for (row, column, i, j), part in zip(cells, maps, strict=True):
        assert relative_error(part[i, j], found[row, column]) <= 1e-4


def test_less_overlap_leaves_seams_and_no_more(net):
    image = picture(97, 130)
    exact = predict_dense(net, image, progress=False)
    seamed = predict_dense(net, image, tile=40, overlap=0, progress=False)
    assert seamed.shape == exact.shape
    assert 1e-3 < relative_error(seamed, exact) < 2
    same = np.isclose(seamed, exact, rtol=1e-4, atol=1e-5).all(-1)
    assert 0.1 < same.mean() < 1


def test_memory_mapped_images_are_read_by_tiles(net, tmp_path):
    image = np.memmap(tmp_path / "x", "float32", "w+", shape=(90, 70, 3))
    image[:] = picture(90, 70)
    tiled = predict_dense(net, image, tile=40, progress=False)
    whole = net.predict(np.array(image)[None], verbose=0)[0]
    assert relative_error(tiled, whole) <= 1e-6


@pytest.mark.parametrize("stitch", [2, 4])
def test_stitched_grid_holds_the_map_of_each_shifted_image(net, stitch):
    image = picture(61, 74)
    fine = predict_dense(net, image, stitch=stitch, progress=False)
    step = 4 // stitch
    assert fine.grid.stride == (step, step)
    assert fine.grid.shape == fine.shape[:2]
    for i, j in np.ndindex(stitch, stitch):
        part = net.predict(image[None, i * step :, j * step :], verbose=0)[0]
        place = fine[i::stitch, j::stitch]
        assert abs(place.shape[0] - part.shape[0]) <= 1
        part = part[: place.shape[0], : place.shape[1]]
        assert relative_error(place, part) <= 1e-6


def test_stitching_by_the_whole_stride_gives_every_pixel():
    """Of a padless net: each cell is the net on its own box, at a stride of 1."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(3, 3, strides=2, activation="relu")(x)
    x = keras.layers.MaxPooling2D(2)(x)
    model = keras.Model(inputs, x)
    image = picture(21, 26)[..., :1]
    fine = predict_dense(model, image, stitch=4, progress=False)
    for row, column in np.ndindex(*fine.shape[:2]):
        top, left, bottom, right = fine.grid.box(row, column)
        assert (top, left) == (row, column)
        box = image[None, top:bottom, left:right]
        answer = model.predict_on_batch(box)[0, 0, 0]
        np.testing.assert_allclose(fine[row, column], answer, rtol=1e-4, atol=1e-6)


def test_scales_are_maps_of_the_resized_image(net):
    image = picture(64, 80)
    maps = predict_dense(net, image, scales=(0.5, 1, 2), progress=False)
    assert list(maps) == [0.5, 1, 2]
    double = net.predict(resize_float(image, (128, 160))[None], verbose=0)[0]
    assert relative_error(maps[2], double) <= 1e-6
    assert maps[0.5].grid.shape == maps[0.5].shape[:2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 0}, "Expected `tile`"),
        ({"tile": (3, 4, 5)}, "Expected `tile`"),
        ({"stitch": 3}, r"divide the net's stride \(4, 4\)"),
        ({"scales": [0]}, "positive `scales`"),
    ],
)
def test_bad_arguments_are_refused(net, options, message):
    with pytest.raises(ValueError, match=message):
        predict_dense(net, picture(64, 64), progress=False, **options)


def test_images_of_other_shapes_are_refused(net):
    with pytest.raises(ValueError, match=r"\(H, W, 3\); received: shape \(64, 64\)"):
        predict_dense(net, np.zeros((64, 64)))


def test_images_smaller_than_the_window_are_refused():
    model = to_fully_convolutional(demo.load())
    one = predict_dense(model, np.zeros((32, 32, 1)), progress=False)
    assert one.shape == (1, 1, 11)
    with pytest.raises(ValueError, match="received: 20 x 40"):
        predict_dense(model, np.zeros((20, 40, 1)))


def test_top_boxes_are_the_digits_on_the_page():
    images, labels = demo.held_out_digits()
    page, placed = demo.canvas(images[:12], labels[:12], 160, 320, seed=3)
    model = to_fully_convolutional(demo.load())
    found = predict_dense(model, page, progress=False)
    digits = found[..., : demo.NOTHING].view(type(found))
    boxes = top_boxes(digits, top=50, threshold=0.6, iou=0.2)
    assert [box.probability for box in boxes] == sorted(
        (box.probability for box in boxes), reverse=True
    )
    centres = [
        (b.class_index, (b.box[0] + b.box[2]) / 2, (b.box[1] + b.box[3]) / 2)
        for b in boxes
    ]
    assert sum(demo.matches(centre, placed) for centre in centres) >= 11
    assert len(boxes) <= 14


def test_top_boxes_of_one_class_and_of_none():
    model = to_fully_convolutional(demo.load())
    images, labels = demo.held_out_digits()
    page, placed = demo.canvas(images[:12], labels[:12], 160, 320, seed=3)
    found = predict_dense(model, page, progress=False)
    label = placed[0][0]
    boxes = top_boxes(found, class_index=label)
    assert {box.class_index for box in boxes} == {label}
    assert top_boxes(found, threshold=1.1) == []
    with pytest.raises(ValueError, match="and its grid"):
        top_boxes(np.asarray(found))


MEMORY = """
import resource, sys
import numpy as np
from keras_caffe_zoo import caffenet
from keras_caffe_zoo.dense import predict_dense
model = caffenet(weights=None, fully_convolutional=True)
image = np.memmap(sys.argv[1], "float32", "r", shape=(2000, 3000, 3))
predict_dense(model, image[:600, :600], tile=600, progress=False)  # buffers, threads
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = predict_dense(model, image, tile=600, progress=False)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(found.shape, (after - before) / 1024)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_the_tile_on_a_large_image(tmp_path):
    """CaffeNet at full size on 3000 x 2000 pixels: less than 500 MB beyond one tile."""
    image = np.memmap(tmp_path / "x", "float32", "w+", shape=(2000, 3000, 3))
    image[:] = np.random.default_rng(0).uniform(-100, 100, (1, 3000, 3))
    image.flush()
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "x")],
        capture_output=True,
        text=True,
        check=True,
    )
    shape, megabytes = result.stdout.strip().rsplit(" ", 1)
    assert shape == "(57, 88, 1000)"
    assert float(megabytes) < 500


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_other_engines_draw_the_same_map(net, runtime):
    image = picture(90, 101)
    options = {"tile": 48, "batch_size": 2, "stitch": 2, "progress": False}
    found = predict_dense(net, image, runtime=runtime, **options)
    wanted = predict_dense(net, image, **options)
    assert found.grid == wanted.grid
    assert relative_error(found, wanted) <= 1e-5
