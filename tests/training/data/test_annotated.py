"""Pictures with boxes for SSD: databases, the whole pipeline, and its data layer."""

import annotated_reference as reference
import keras
import numpy as np
import pytest
from annotated_files import DISTORT, annotated_datum, scene, write_scenes
from annotated_reference import INTERPOLATIONS
from data_files import batches, datum, write_lmdb
from hypothesis import given
from hypothesis import strategies as st

from keras_caffe_zoo.training import box_targets
from keras_caffe_zoo.training.data import (
    AnnotatedTransform,
    BadRecords,
    BatchSampler,
    Distortion,
    Fitting,
    Transform,
    annotated_dataset,
    layer_dataset,
)
from keras_caffe_zoo.training.data.annotated import decode_annotated_datum

MEAN = (104, 117, 123)
SAMPLERS = [{"max_sample": 1, "max_trials": 1}] + [
    {
        "min_scale": 0.3,
        "max_scale": 1.0,
        "min_aspect_ratio": 0.5,
        "max_aspect_ratio": 2.0,
        "min_jaccard_overlap": overlap,
        "max_sample": 1,
        "max_trials": 50,
    }
    for overlap in (0.1, 0.5, 0.9)
]


def fields(told):
    return " ".join(f"{name}: {value}" for name, value in told.items())


def sampler_text(told):
    inner = {k: v for k, v in told.items() if "scale" in k or "ratio" in k}
    limits = {k: v for k, v in told.items() if "overlap" in k}
    outer = {k: v for k, v in told.items() if k not in {**inner, **limits}}
    sampler = f"sampler {{ {fields(inner)} }}" if inner else ""
    limits = f"sample_constraint {{ {fields(limits)} }}" if limits else ""
    return f"batch_sampler {{ {sampler} {limits} {fields(outer)} }}"


def transform_text(size=(30, 30), modes=INTERPOLATIONS):
    modes = " ".join(f"interp_mode: {mode.upper()}" for mode in modes)
    return f"""transform_param {{ mirror: true mean_value: 104 mean_value: 117
      mean_value: 123 resize_param {{ prob: 1 resize_mode: WARP height: {size[0]}
        width: {size[1]} {modes} }} emit_constraint {{ emit_type: CENTER }}
      distort_param {{ {fields(DISTORT)} random_order_prob: 0.0 }}
      expand_param {{ prob: 0.5 max_expand_ratio: 4.0 }} }}"""


# As SSD300's own train.prototxt and test.prototxt of VOC0712 have them, but smaller.
TRAIN = f"""layer {{ name: "data" type: "AnnotatedData" top: "data" top: "label"
  include {{ phase: TRAIN }} {transform_text()}
  data_param {{ source: "/their/VOC0712_trainval_lmdb" batch_size: 4 backend: LMDB }}
  annotated_data_param {{ {" ".join(map(sampler_text, SAMPLERS))}
    label_map_file: "/their/labelmap_voc.prototxt" }} }}
"""
TEST = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TEST } transform_param { mean_value: 104 mean_value: 117
    mean_value: 123 resize_param { prob: 1 resize_mode: WARP height: 30 width: 30
      interp_mode: LINEAR } }
  data_param { source: "/their/VOC0712_test_lmdb" batch_size: 1 backend: LMDB }
  annotated_data_param { batch_sampler { }
    label_map_file: "/their/labelmap_voc.prototxt" } }
"""


@pytest.fixture
def prototxt(tmp_path):
    def write(text):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return path

    return write


def plain(groups):
    """Return the rows of groups: label, instance, box, difficult."""
    return [
        (label, i, list(box[:4]), box[4] if len(box) > 4 else 0)
        for label, boxes in groups
        for i, box in enumerate(boxes)
    ]


def check_rows(found, wanted, atol=1e-5):
    """Check the rows of one image, which are filled up with rows of -1."""
    assert (found[len(wanted) :] == -1).all()
    found = found[: len(wanted)]
    assert found[:, [1, 2, 7]].tolist() == [[a, b, d] for a, b, _, d in wanted]
    boxes = np.array([box for _, _, box, _ in wanted]).reshape(-1, 4)
    np.testing.assert_allclose(found[:, 3:7], boxes, atol=atol)


def test_records_come_with_their_objects_in_order(tmp_path):
    scenes = write_scenes(tmp_path / "db", 3, size=(6, 8))
    scenes[2] = (scenes[2][0], [])
    values = [annotated_datum(*one) for one in scenes]
    ((images, rows), (last, none)) = batches(
        annotated_dataset(write_lmdb(tmp_path / "other", values), batch_size=2)
    )
    assert images.dtype == rows.dtype == np.float32 and rows.shape == (2, 3, 8)
    for item, (rgb, groups) in enumerate(scenes[:2]):
        np.testing.assert_array_equal(images[item], rgb[..., ::-1])
        check_rows(rows[item], plain(groups), 1e-7)
        assert rows[item, :, 0].tolist() == [item] * 3
    assert last.shape == (1, 6, 8, 3) and none.tolist() == [[[-1.0] * 8]]


def test_objects_are_those_that_the_loss_takes_of_caffes_blob(tmp_path):
    write_scenes(tmp_path / "db", 4, size=(6, 8))
    ((_, rows),) = batches(annotated_dataset(tmp_path / "db", batch_size=4))
    blob = rows[rows[..., 0] >= 0][None, None]
    np.testing.assert_array_equal(box_targets(blob, 4), rows)


def test_a_fixed_number_of_rows_is_filled_up_and_not_exceeded(tmp_path):
    write_scenes(tmp_path / "db", 2, size=(6, 8))
    data = annotated_dataset(tmp_path / "db", batch_size=2, max_objects=5)
    assert data.element_spec[1].shape.as_list() == [None, 5, 8]
    ((_, rows),) = batches(data)
    assert (rows[:, 3:] == -1).all()
    with pytest.raises(ValueError, match="at most 2 objects.*max_objects"):
        annotated_dataset(tmp_path / "db", max_objects=2)
    with pytest.raises(ValueError, match="max_objects"):
        annotated_dataset(tmp_path / "db", max_objects=0)


@pytest.mark.parametrize(
    "steps", [6, pytest.param(400, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_ssds_own_train_layer_is_its_pipeline_step_by_step(tmp_path, prototxt, steps):
    scenes = write_scenes(tmp_path / "db", 10)
    data = layer_dataset(prototxt(TRAIN + TEST), tmp_path / "db", seed=5, repeat=True)
    told = {
        "size": (30, 30),
        # The order of a dict of the fork's, which the prototxt's follows.
        "interpolations": list(INTERPOLATIONS),
        "distort": DISTORT,
        "expand": (0.5, 4),
        "samplers": SAMPLERS,
        "emit": "center",
        "mean": MEAN,
        "mirror": True,
    }
    taken = 0
    for number, (images, rows) in enumerate(data.take(steps).as_numpy_iterator()):
        assert images.shape == (4, 30, 30, 3)
        for item in range(4):
            position = 4 * number + item
            rgb, groups = scenes[position % 10]
            bgr = np.ascontiguousarray(rgb[..., ::-1])
            image, wanted = reference.transformed(
                bgr, plain(groups), told, seed=5, position=position
            )
            np.testing.assert_array_equal(images[item], image)
            check_rows(rows[item], wanted)
            taken += len(wanted)
    assert taken > 4 * steps


def test_ssds_own_test_layer_takes_pictures_whole(tmp_path, prototxt):
    scenes = write_scenes(tmp_path / "db", 2)
    data = layer_dataset(prototxt(TRAIN + TEST), tmp_path / "db", phase="TEST")
    told = {"size": (30, 30), "interpolations": ["linear"], "distort": {}}
    told |= {"expand": (0, 1), "samplers": [], "emit": None, "mean": MEAN}
    for (images, rows), (rgb, groups) in zip(batches(data), scenes, strict=True):
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        image, wanted = reference.transformed(
            bgr, plain(groups), {**told, "mirror": False}, 0, 0
        )
        np.testing.assert_array_equal(images[0], image)
        check_rows(rows[0], wanted)


def test_a_layer_without_labels_gives_images_alone(tmp_path, prototxt):
    write_scenes(tmp_path / "db", 2)
    text = TEST.replace('top: "label"', "")
    first = next(iter(layer_dataset(prototxt(text), tmp_path / "db", phase="TEST")))
    assert first.shape == (1, 30, 30, 3)


def test_a_layer_may_be_fed_from_python(prototxt):
    rgb, groups = scene(0)
    boxes = [[label, *box] for label, (box,) in groups]
    text = TRAIN.replace("batch_size: 4", "batch_size: 2")
    data = layer_dataset(prototxt(text), [(rgb, boxes), (rgb, [])], seed=1)
    ((images, rows),) = batches(data)
    assert images.shape == (2, 30, 30, 3) and (rows[1] == -1).all()


@given(st.integers(0, 2**32), st.integers(0, 10**6))
def test_whatever_is_drawn_boxes_lie_in_the_picture(seed, position):
    transform = AnnotatedTransform(
        Transform(12, mirror=True, mean=MEAN),
        Fitting((16, 20), "fit_large_size_and_pad"),
        Distortion(**DISTORT, random_order_prob=0.5),
        0.5,
        3.0,
        tuple(BatchSampler(**told) for told in SAMPLERS),
        0.25,
    )
    rgb, groups = scene(seed % 50, (13, 17))
    rows = np.zeros((len(groups), 8), "float32")
    for row, (label, _, box, difficult) in zip(rows, plain(groups), strict=True):
        row[1], row[3:7], row[7] = label, box, difficult
    image, found = transform(rgb, rows, position, seed)
    assert image.shape == (12, 12, 3) and image.dtype == np.float32
    assert ((found[:, 3:7] >= 0) & (found[:, 3:7] <= 1)).all()
    assert (found[:, 3:5] < found[:, 5:7]).all()
    assert set(found[:, 1]) <= set(rows[:, 1])
    again = transform(rgb, rows, position, seed)
    np.testing.assert_array_equal(image, again[0])
    np.testing.assert_array_equal(found, again[1])


def test_a_crop_moves_the_boxes():
    transform = AnnotatedTransform(Transform(4, phase="TEST"))
    image = np.arange(8 * 8, dtype="uint8").reshape(8, 8, 1)
    rows = np.zeros((2, 8), "float32")
    rows[:, 1] = 3, 4
    rows[:, 3:7] = [0.25, 0.25, 0.5, 0.75], [0, 0, 0.25, 0.25]
    out, found = transform(image, rows)
    np.testing.assert_array_equal(out, image[2:6, 2:6].astype("float32"))
    assert found.tolist() == [[0, 3, 0, 0, 0, 0.5, 1, 0]]


def test_an_expanded_picture_is_surrounded_by_the_mean():
    transform = AnnotatedTransform(
        Transform(mean=MEAN), expand_prob=1.0, max_expand_ratio=3.0
    )
    image = np.full((4, 5, 3), 200, "uint8")
    rows = np.float32([[0, 7, 0, 0, 0, 1, 1, 0]])
    sizes = set()
    for position in range(20):
        out, ((_, label, _, *corners, _),) = transform(image, rows, position)
        inside = (out != 0).any(-1)
        top, left = np.argwhere(inside)[0]
        assert inside[top : top + 4, left : left + 5].all() and inside.sum() == 20
        height, width = out.shape[:2]
        wanted = left / width, top / height, (left + 5) / width, (top + 4) / height
        np.testing.assert_allclose(corners, wanted, atol=1e-6)
        sizes.add(out.shape[:2])
    assert len(sizes) > 5 and max(sizes)[0] <= 12


def test_pictures_of_several_sizes_need_a_size_or_batches_of_one():
    records = [(np.zeros((4, n, 3), "uint8"), []) for n in (5, 6)]
    shapes = [x.shape for x, _ in batches(annotated_dataset(records, batch_size=1))]
    assert shapes == [(1, 4, 5, 3), (1, 4, 6, 3)]
    with pytest.raises(Exception, match="different sizes"):
        batches(annotated_dataset(records, batch_size=2))


def test_bad_records_are_named_or_left_out(tmp_path):
    good = annotated_datum(*scene(0, (6, 8)))
    values = [good, b"\xff\xff", annotated_datum(*scene(1, (6, 8)), typed=False), good]
    nan = scene(0, (6, 8))[0], [(1, [(0, 0, 1, float("nan"))])]
    path = write_lmdb(tmp_path / "db", [*values, annotated_datum(*nan)])
    with pytest.raises(Exception, match="AnnotatedDatum"):
        batches(annotated_dataset(path, batch_size=5))
    bad = BadRecords()
    with pytest.warns(UserWarning, match="Left out a bad record"):
        ((images, rows),) = batches(
            annotated_dataset(path, batch_size=5, bad_records=bad)
        )
    assert len(images) == 2 and bad.count == 3
    assert rows[:, 0, 0].tolist() == [0, 1]
    reasons = " ".join(reason for _, reason in bad.records)
    assert "type BBOX" in reasons and "corners that are numbers" in reasons


def test_a_record_without_a_type_is_of_the_layers(tmp_path, prototxt):
    value = annotated_datum(*scene(0), typed=False)
    path = write_lmdb(tmp_path / "db", [value])
    text = TEST.replace("label_map_file", "anno_type: BBOX label_map_file")
    ((_, rows),) = batches(layer_dataset(prototxt(text), path, phase="TEST"))
    assert rows.shape == (1, 3, 8)
    with pytest.raises(ValueError, match="without a type"):
        layer_dataset(prototxt(TEST), path, phase="TEST")


def test_raw_pixels_do_and_floats_do_not():
    bgr = scene(0, (6, 8))[0]
    raw = {"data": bgr.transpose(2, 0, 1).tobytes(), "encoded": False}
    raw |= {"channels": 3, "height": 6, "width": 8}
    image, rows = decode_annotated_datum(annotated_datum(bgr, [], **raw))
    np.testing.assert_array_equal(image, bgr)
    assert rows.shape == (0, 8)
    with pytest.raises(ValueError, match="uint8; received: float32"):
        AnnotatedTransform()(bgr.astype("float32"), rows)


@given(st.binary(max_size=60))
def test_hostile_bytes_are_an_error_that_says_so(value):
    with pytest.raises(ValueError, match="Expected"):
        decode_annotated_datum(value)


def test_a_database_of_plain_datums_is_refused(tmp_path):
    path = write_lmdb(tmp_path / "db", [datum(scene(0)[0], 3)])
    with pytest.raises(ValueError, match="AnnotatedDatum"):
        annotated_dataset(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mirror: true", "noise_param { prob: 1 }", "noise_param"),
        ("mirror: true", "crop_h: 3 crop_w: 4", "crop_size"),
        ("emit_constraint", "resize_param { } emit_constraint", "one resize_param"),
        ("max_expand_ratio: 4.0", "max_expand_ratio: 0.5", "max_expand_ratio"),
        ("prob: 1 ", "prob: 1 height_scale: 9 ", "height_scale"),
        ("max_trials: 50", "max_trials: 4000000000", "max_trials"),
        ("hue_delta: 18", "hue_delta: -18", "hue_delta"),
        ("height: 30", "height: 3000000", "3000000 x 30"),
    ],
)
def test_a_layer_that_asks_for_what_cannot_be_done_is_named(prototxt, old, new, said):
    text = TRAIN.replace(old, new)
    assert text != TRAIN
    with pytest.raises(ValueError, match=f"'data'.*{said}"):
        layer_dataset(prototxt(text), [(np.zeros((9, 9, 3), "uint8"), [])])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"emit": "middle"}, "'middle'"),
        ({"max_expand_ratio": float("inf")}, "finite"),
        (
            {"pixels": Transform(mean=np.zeros((4, 4, 3))), "expand_prob": 0.5},
            "mean of values",
        ),
    ],
)
def test_transforms_that_cannot_be_are_refused(told, said):
    with pytest.raises(ValueError, match=said):
        AnnotatedTransform(**told)


def test_a_canvas_that_would_be_too_large_is_refused():
    transform = AnnotatedTransform(expand_prob=1.0, max_expand_ratio=1e6)
    with pytest.raises(ValueError, match="pixels; received"):
        transform(np.zeros((9, 9, 3), "uint8"), np.zeros((0, 8), "float32"))


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="no dataset goes on with Keras on JAX"
)
def test_training_goes_on_where_it_was(tmp_path, prototxt):
    write_scenes(tmp_path / "db", 10)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((30, 30, 3)), keras.layers.Flatten()])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    path = prototxt(TRAIN)
    whole = batches(layer_dataset(path, tmp_path / "db", seed=3))
    data = layer_dataset(path, tmp_path / "db", seed=3, resume=model)
    model.optimizer.build([])
    model.optimizer.iterations.assign(1)
    resumed = batches(data)
    assert len(resumed) == len(whole) == 3
    for (image, rows), (seen, objects) in zip(whole[1:], resumed, strict=False):
        np.testing.assert_array_equal(image, seen)
        np.testing.assert_array_equal(rows, objects)
