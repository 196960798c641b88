"""MTCNN's cascade against a reference in loops, and what finds faces at one look."""

import json

import keras
import mtcnn_reference
import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo import find_faces, from_caffe, mtcnn_o, mtcnn_p, mtcnn_r
from keras_caffe_zoo.tasks import mtcnn

OUTPUTS = ("prob1", "conv4-2"), ("prob1", "conv5-2"), ("prob1", "conv6-2", "conv6-3")
RNG = np.random.default_rng


def of_caffe(model, names):
    """A model as a function of Caffe's arrays: chances of faces, and the rest."""

    def run(batch):
        answer = model(np.moveaxis(batch, 1, -1))
        chances, *rest = (np.asarray(answer[name]) for name in names)
        return chances[..., 1], *(np.moveaxis(x, -1, 1) for x in rest)

    return run


@pytest.fixture(scope="module")
def nets():
    """MTCNN's nets with random weights, sure enough to find something."""
    models = [build(weights=None) for build in (mtcnn_p, mtcnn_r, mtcnn_o)]
    for i, model in enumerate(models):
        rng = RNG(i)
        for weight in model.weights:
            fan = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 100
            weight.assign(rng.normal(0, np.sqrt(2 / fan), weight.shape))
        moves = model.get_layer(f"conv{4 + i}-2")  # or windows have no pixel
        moves.set_weights([0.05 * w for w in moves.get_weights()])
    return models


def picture(seed=0, sides=(61, 83)):
    """Blobs of all sizes."""
    rng = RNG(seed)
    small = rng.integers(0, 256, (sides[0] // 9, sides[1] // 9, 3), "uint8")
    coarse = Image.fromarray(small).resize(sides[::-1], Image.Resampling.BICUBIC)
    return np.asarray(coarse) // 2 + rng.integers(0, 128, (*sides, 3), "uint8")


def test_the_cascade_is_that_of_the_reference(nets):
    pixels, thresholds = picture(sides=(45, 64)), (0.9, 0.5, 0.4)
    found = find_faces(nets, pixels, threshold=thresholds, smallest=14)
    functions = [of_caffe(*pair) for pair in zip(nets, OUTPUTS, strict=True)]
    wanted = mtcnn_reference.find(pixels, functions, 14, thresholds)
    assert len(found) == len(wanted) > 3
    np.testing.assert_allclose(found.boxes, wanted[:, :4], atol=2e-3)
    np.testing.assert_allclose(found.scores, wanted[:, 4], atol=1e-5)
    np.testing.assert_allclose(found.points, wanted[:, 5:].reshape(-1, 5, 2), atol=2e-3)
    # Windows beyond the edges were among them.
    assert found.boxes.min() < 0 or found.boxes[:, 2].max() > pixels.shape[1]


def test_a_pyramid_ends_where_a_face_no_longer_fits():
    assert mtcnn.scales((100, 300, 3), 20) == [0.6 * 0.709**i for i in range(5)]
    assert 100 * 0.6 * 0.709**4 >= 12 > 100 * 0.6 * 0.709**5
    assert mtcnn.scales((12, 12, 3), 12) == [1]
    assert mtcnn.scales((19, 300, 3), 20) == []
    pixels = picture(sides=(50, 70))
    levels = [level for _, level in mtcnn.pyramid(pixels, 20)]
    assert [x.shape for x in levels] == [(42, 30, 3), (30, 22, 3), (22, 16, 3)]
    for level in levels:
        wanted = mtcnn_reference.bilinear(pixels, *level.shape[1::-1])
        np.testing.assert_allclose(level.swapaxes(0, 1), wanted, atol=1e-3)


def test_windows_are_black_outside_of_the_picture():
    pixels = picture(1, (31, 44))
    boxes = [
        *((3, 4, 20, 21), (-7, -5, 6, 8), (40, 25, 60, 45), (1, 1, 44, 44)),
        *((9, 9, 9, 9), (50, 2, 60, 12), (-30, -30, 90, 90), (44, 31, 44, 31)),
    ]
    found = mtcnn.windows(pixels, np.array(boxes, float), 24)
    assert found.shape == (8, 24, 24, 3)
    for box, window in zip(boxes, found, strict=True):
        wanted = mtcnn_reference.cut(pixels, box, 24)
        np.testing.assert_allclose(window.swapaxes(0, 1), wanted, atol=1e-3)


def test_squares_are_of_whole_pixels_dropped_towards_zero():
    boxes = RNG(3).uniform(-40, 60, (200, 2))
    boxes = np.concatenate([boxes, boxes + RNG(4).uniform(0.5, 50, (200, 2))], axis=1)
    wanted = [mtcnn_reference.square(*box) for box in boxes]
    np.testing.assert_array_equal(mtcnn.squares(boxes), wanted)
    without = np.array([[5.0, 5, 1, 2], [0, 0, 3, 1]])  # the first has no pixel
    np.testing.assert_array_equal(mtcnn.squares(without), [[0, -1, 3, 2]])


@pytest.mark.parametrize(("mode", "least"), [("union", False), ("min", True)])
def test_what_stays_is_what_the_reference_keeps(mode, least):
    rng = RNG(5)
    boxes = np.trunc(rng.uniform(0, 60, (300, 2)))
    boxes = np.concatenate([boxes, boxes + np.trunc(rng.uniform(5, 40, (300, 2)))], 1)
    scores = np.round(rng.random(300), 2)  # many are equal
    rows = np.column_stack([boxes, scores, np.arange(300)])
    stay = mtcnn.suppressed(boxes, scores, 0.5, mode)
    wanted = [int(row[5]) for row in mtcnn_reference.kept(rows.tolist(), 0.5, least)]
    assert stay.tolist() == wanted
    assert 10 < len(wanted) < 250


def handed_on(model, last, bias):
    """Make a net hand the middle of its window on, through its first channels.

    Its answer is how bright that is, -1 to 1, times 12, and a bias.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.PReLU):
            layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
        elif layer.weights:
            kernel, offsets = (np.zeros_like(w) for w in layer.get_weights())
            if kernel.ndim == 4:
                kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, 0, 0] = 1
            else:  # of a map of 3 x 3
                kernel[len(kernel) * 4 // 9, 0] = 1
            layer.set_weights([kernel, offsets])
    kernel, offsets = (np.zeros_like(w) for w in model.get_layer(last).get_weights())
    kernel[..., 0, 1] = 12
    offsets[1] = bias
    model.get_layer(last).set_weights([kernel, offsets])


@pytest.fixture(scope="module")
def finders():
    """MTCNN's nets, made to find what is bright where all around is dark.

    P-Net compares the middle with eight places around; the others look at the middle.
    The points are at fixed places.
    """
    models = [build(weights=None) for build in (mtcnn_p, mtcnn_r, mtcnn_o)]
    handed_on(models[0], "conv4-1", -18)
    handed_on(models[1], "conv5-1", 0)
    handed_on(models[2], "conv6-1", 0)
    layers = [models[0].get_layer(name) for name in ("conv1", "conv2", "conv3")]
    means, places, sums = (layer.get_weights()[0] for layer in layers)
    means[:, :, 0, 0] = 1 / 9
    around = [(u, v) for u in range(3) for v in range(3) if (u, v) != (1, 1)]
    for i, place in enumerate(around, start=1):
        places[*place, 0, i] = 1
        sums[*place, i, 0] = -1 / 8
    for layer, kernel in zip(layers, (means, places, sums), strict=True):
        layer.set_weights([kernel, layer.get_weights()[1]])
    points = models[2].get_layer("conv6-3")
    fixed = [0.4, 0.6, 0.5, 0.4, 0.6, 0.3, 0.3, 0.5, 0.7, 0.7]
    points.set_weights([0 * points.get_weights()[0], np.float32(fixed)])
    for i, model in enumerate(models):
        moves = model.get_layer(f"conv{4 + i}-2")
        moves.set_weights([0 * x for x in moves.get_weights()])
    return models


def squares_on_black(places, sides=(120, 160)):
    pixels = np.zeros((*sides, 3), "uint8")
    for x, y, side in places:
        pixels[y : y + side, x : x + side] = 255
    return pixels


def test_bright_squares_are_found_where_they_are(finders):
    places = [(20, 60, 12), (95, 80, 15), (120, 15, 8)]
    faces = find_faces(finders, squares_on_black(places))
    assert len(faces) == 3
    for x, y, side in places:
        middle = np.array([x + side / 2, y + side / 2])
        corners = faces.boxes.reshape(-1, 2, 2)
        off = np.abs(corners.mean(axis=1) - middle).max(axis=1)
        face = int(off.argmin())
        assert off[face] <= 5  # where the map's cells are 7 pixels apart
        wide, tall = corners[face, 1] - corners[face, 0]
        assert wide == tall
        assert 2 <= wide / side <= 4  # a third of the window is bright
        left, right, nose, *_, corner = faces.points[face]
        np.testing.assert_allclose(nose, middle, atol=5.5)
        np.testing.assert_allclose(right - left, [0.2 * wide, 0], atol=0.3)
        np.testing.assert_allclose(corner - right, [0, 0.4 * wide], atol=0.5)


def test_a_face_smaller_than_asked_for_is_not_looked_for(finders):
    pixels = squares_on_black([(20, 60, 24), (120, 15, 8)])
    assert len(find_faces(finders, pixels)) == 2
    assert len(find_faces(finders, pixels, smallest=50)) == 1
    assert len(find_faces(finders, pixels, smallest=500)) == 0


SSD = """
input: "data" input_shape { dim: 1 dim: 3 dim: 20 dim: 30 }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 6 kernel_size: 10 stride: 10 } }
layer { name: "l" type: "Slice" bottom: "c" top: "loc" top: "conf"
  slice_param { slice_point: 4 } }
layer { name: "p1" type: "Permute" bottom: "loc" top: "p1"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "f1" type: "Flatten" bottom: "p1" top: "f1" }
layer { name: "p2" type: "Permute" bottom: "conf" top: "p2"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "r2" type: "Reshape" bottom: "p2" top: "r2"
  reshape_param { shape { dim: 0 dim: -1 dim: 2 } } }
layer { name: "s2" type: "Softmax" bottom: "r2" top: "s2"
  softmax_param { axis: 2 } }
layer { name: "f2" type: "Flatten" bottom: "s2" top: "f2" }
layer { name: "prior" type: "PriorBox" bottom: "c" bottom: "data" top: "prior"
  prior_box_param { min_size: 10 variance: 0.1 } }
layer { name: "out" type: "DetectionOutput" bottom: "f1" bottom: "f2" bottom: "prior"
  top: "out" detection_output_param { num_classes: 2 code_type: CENTER_SIZE
  nms_param { nms_threshold: 0.4 top_k: 20 } keep_top_k: 10 } }
"""


@pytest.fixture(scope="module")
def ssd(tmp_path_factory):
    """An SSD whose cells of 10 pixels are faces where they are bright."""
    path = tmp_path_factory.mktemp("ssd") / "net.prototxt"
    path.write_text(SSD)
    model = from_caffe(path)
    kernel, bias = (np.zeros_like(w) for w in model.get_layer("c").get_weights())
    kernel[..., 5] = 1 / 300
    model.get_layer("c").set_weights([kernel, bias])
    return model


def test_faces_of_a_detector_are_in_the_pictures_own_pixels(ssd):
    pixels = squares_on_black([(40, 20, 20), (0, 0, 20)], (40, 60)) // 64
    found = find_faces(ssd, [pixels, pixels[:, ::-1]], mean=0, threshold=0.8)
    for faces, wanted in zip(
        found, ([(0, 0), (40, 20)], [(0, 20), (40, 0)]), strict=True
    ):
        assert faces.points is None
        assert faces.size == (40, 60)
        boxes = sorted(faces.boxes.tolist())
        np.testing.assert_allclose(boxes, [(x, y, x + 20, y + 20) for x, y in wanted])
        np.testing.assert_allclose(faces.scores, 1 / (1 + np.exp(-3)), rtol=1e-5)
    assert "2 faces in 60 x 40 pixels" in repr(found[0])
    assert "\n  face 95.3% at 0, 0 – 20, 20" in repr(found[0])


def test_faces_are_json(finders, ssd):
    pixels = squares_on_black([(20, 60, 12)])
    faces = find_faces(finders, pixels)
    facts = json.loads(json.dumps(faces.as_dict()))
    assert facts["size"] == [120, 160]
    (face,) = facts["faces"]
    assert face["box"] == faces.boxes[0].tolist()
    assert list(face["points"])[2] == "nose"
    assert face["points"]["nose"] == faces.points[0, 2].tolist()
    assert find_faces(ssd, pixels, mean=1000).as_dict()["faces"] == []


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            "mtcnn_r",
            {},
            "which is mtcnn_p, mtcnn_r, mtcnn_o together; received: 'mtcnn_r'",
        ),
        ("caffenet", {}, "for face_detection; received: 'caffenet', which is for"),
        ("mtcnn", {"threshold": (0.5, 0.6)}, "one threshold or three"),
        ("mtcnn", {"threshold": 7}, "thresholds from 0 to 1"),
        ("mtcnn", {"smallest": 0}, "at least 1 pixel; received: smallest=0"),
        ("own", {"mean": 0, "threshold": (0.5, 0.6, 0.7)}, "one threshold for a net"),
        ("own", {}, "Expected `mean=…`"),
        ("two", {}, "its three models: P-Net, R-Net, O-Net; received: 2"),
        ("turned", {}, "with the outputs prob1, conv4-2; received: 'mtcnn_o'"),
    ],
)
def test_what_does_not_go_together_is_refused(finders, ssd, model, options, message):
    own = {"own": ssd, "two": finders[:2], "turned": finders[::-1]}
    with pytest.raises(ValueError, match=message):
        find_faces(own.get(model, model), picture(), weights=None, **options)
