"""SSD's layers in files: what is refused, and what comes back."""

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz

NET = """
input: "data" input_shape {{ dim: 1 dim: 3 dim: 20 dim: 30 }}
layer {{ name: "map" type: "Pooling" bottom: "data" top: "map"
  pooling_param {{ pool: AVE kernel_size: 4 stride: 4 }} }}
layer {{ name: "norm" type: "Normalize" bottom: "map" top: "norm"
  norm_param {{ across_spatial: false channel_shared: false eps: 0.01
    scale_filler {{ type: "constant" value: 20 }} }} }}
layer {{ name: "loc" type: "Convolution" bottom: "norm" top: "loc"
  convolution_param {{ num_output: 12 kernel_size: 1
    weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param {{ {permute} }} }}
layer {{ name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" }}
layer {{ name: "conf" type: "Convolution" bottom: "norm" top: "conf"
  convolution_param {{ num_output: 6 kernel_size: 1
    weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "conf_rows" type: "Reshape" bottom: "conf_perm" top: "conf_rows"
  reshape_param {{ shape {{ dim: 0 dim: -1 dim: 2 }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "conf_rows" top: "prob"
  softmax_param {{ axis: 2 }} }}
layer {{ name: "conf_flat" type: "Flatten" bottom: "prob" top: "conf_flat" }}
layer {{ name: "prior" type: "PriorBox" bottom: "map" bottom: "data" top: "prior"
  prior_box_param {{ {prior} }} }}
layer {{ name: "out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "prior" top: "out" detection_output_param {{ {out} }} }}
"""
GOOD = {
    "permute": "order: 0 order: 2 order: 3 order: 1",
    "prior": """min_size: 4 max_size: 8 aspect_ratio: 2 flip: false clip: true
        step: 4 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2""",
    "out": """num_classes: 2 code_type: CENTER_SIZE keep_top_k: 9
        nms_param { nms_threshold: 0.4 top_k: 40 eta: 0.9 }
        confidence_threshold: 0.45 visualize: true visualize_threshold: 0.6
        save_output_param { output_directory: "/x" resize_param { height: 3 } }""",
}


@pytest.fixture
def load(tmp_path):
    def load(options=None, **fields):
        path = tmp_path / "net.prototxt"
        path.write_text(NET.format(**{**GOOD, **fields}))
        keras.utils.set_random_seed(0)
        return kcz.from_caffe(path, **(options or {}))

    return load


def test_a_net_is_written_with_ssds_own_fields_and_comes_back(load, tmp_path):
    model = load()
    assert model.output_shape == (None, 9, 7)
    definition, weights = tmp_path / "again.prototxt", tmp_path / "again.caffemodel"
    kcz.to_caffe(model, definition, weights)
    again = kcz.from_caffe(definition, weights)
    x = np.random.default_rng(0).normal(0, 50, (2, 20, 30, 3)).astype("float32")
    y = model.predict(x, verbose=0)
    assert len(kcz.detections(y)) > 4
    np.testing.assert_array_equal(again.predict(x, verbose=0), y)
    binary = weights.read_bytes()
    for number in (202, 203, 204, 206):  # of SSD's messages in a layer
        tag = number << 3 | 2
        assert bytes([tag & 127 | 128, tag >> 7]) in binary


def test_opencvs_field_moves_corners_into_the_image(load, tmp_path):
    """Its face detector was published with it; SSD's Caffe does not know it."""
    model = load(out=GOOD["out"] + " clip: true")
    x = np.random.default_rng(0).normal(0, 50, (2, 20, 30, 3)).astype("float32")
    y = np.asarray(model(x))
    corners = kcz.detections(y)[:, 3:]
    assert corners.min() == 0
    assert corners.max() == 1
    assert not np.array_equal(load()(x), y)
    kcz.to_caffe(model, tmp_path / "again.prototxt", tmp_path / "again.caffemodel")
    again = kcz.from_caffe(tmp_path / "again.prototxt", tmp_path / "again.caffemodel")
    np.testing.assert_array_equal(again(x), y)


def test_priors_stay_in_single_precision_on_their_way(tmp_path):
    text = NET.format(**GOOD) + (
        'layer { name: "priors" type: "Concat" bottom: "prior" bottom: "prior" '
        'top: "priors" concat_param { axis: 2 } }'
    )
    (tmp_path / "net.prototxt").write_text(text)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = kcz.from_caffe(tmp_path / "net.prototxt")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("priors").output.dtype == "float32"
    assert model.get_layer("prob").output.dtype == "float16"


def test_items_of_many_batches_are_counted_through(load):
    model = load()
    x = np.random.default_rng(1).normal(0, 50, (5, 20, 30, 3)).astype("float32")
    y = model.predict(x, batch_size=2, verbose=0)
    assert y[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.slow
def test_images_of_any_size(load):
    model = load({"input_shape": (None, None, 3)})
    assert model.output_shape == (None, 9, 7)
    for sizes in ((20, 30), (24, 28)):
        x = np.random.default_rng(2).normal(0, 50, (1, *sizes, 3)).astype("float32")
        fixed = load({"input_shape": (*sizes, 3)})
        fixed.set_weights(model.get_weights())
        y = model.predict(x, verbose=0)
        np.testing.assert_allclose(y, fixed.predict(x, verbose=0), atol=1e-5)


def test_the_caller_bounds_what_the_net_does_not(load):
    out = "num_classes: 2 nms_param { top_k: 30 }"
    assert load(out=out).output_shape == (None, 30, 7)
    assert load({"max_detections": 5}, out=out).output_shape == (None, 5, 7)
    assert load({"max_detections": 5}).output_shape == (None, 9, 7)
    with pytest.raises(ValueError, match="max_detections=0"):
        load({"max_detections": 0})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"permute": "order: 0 order: 4"}, "'loc_perm'.*permute_param.order"),
        ({"permute": "order: 0 order: 0"}, "'loc_perm'.*different axes"),
        ({"prior": ""}, "'prior'.*min_sizes"),
        ({"prior": "min_size: 4 max_size: 3"}, "'prior'.*max_sizes"),
        ({"prior": "min_size: 4 step: 0"}, "'prior'.*prior_box_param.step"),
        ({"prior": "min_size: 4 step_h: 3"}, "'prior'.*step_h and step_w"),
        ({"prior": "min_size: 4 img_size: 3 img_h: 3"}, "'prior'.*img_size"),
        ({"prior": "min_size: 4 variance: 1 variance: 2"}, "'prior'.*variance"),
        ({"prior": "min_size: 4 " * 60_000}, "'prior'.*at most 2,097,152 boxes"),
        ({"prior": "width: 4 height: 4 min_size: 4"}, "'prior'.*prior_box_param.min"),
        ({"prior": "width: 4"}, "'prior'.*as many `heights`"),
        ({"out": ""}, "'out'.*num_classes"),
        ({"out": "num_classes: 3"}, "'out'.*Expected offsets"),
        ({"out": "num_classes: 2 share_location: false"}, "'out'.*Expected offsets"),
        ({"out": "num_classes: 2 objectness: 1"}, "detection_output_param.objectness"),
    ],
)
def test_what_is_wrong_is_said_of_the_layer(load, fields, said):
    with pytest.raises(kcz.CaffeFormatError, match=said):
        load(**fields)


@pytest.mark.parametrize("out", ["keep_top_k: 0", "nms_param { top_k: 0 }"])
def test_no_detections_are_a_number_of_them(load, out):
    assert load(out=f"num_classes: 2 {out}").output_shape == (None, 0, 7)


def test_any_number_of_detections_to_keep_takes_no_memory(load):
    model = load(out="num_classes: 2 keep_top_k: 2147483647")
    assert model.output_shape == (None, 120, 7)  # as many as there are priors


@pytest.mark.parametrize("kind", ["PriorBox", "PriorBoxClustered"])
def test_clustered_boxes_come_back(load, tmp_path, kind):
    sizes = "width: 4.5 height: 3 width: 9 height: 8 width: 3 height: 3"
    prior = f"{sizes} step_h: 4 step_w: 5 img_h: 0 img_w: 0"
    text = NET.format(**{**GOOD, "prior": prior})
    path = tmp_path / "clustered.prototxt"
    path.write_text(text.replace('"PriorBox"', f'"{kind}"'))
    model = kcz.from_caffe(path)
    kcz.to_caffe(model, tmp_path / "b.prototxt", tmp_path / "b.caffemodel")
    again = kcz.from_caffe(tmp_path / "b.prototxt", tmp_path / "b.caffemodel")
    x = np.random.default_rng(0).normal(0, 50, (2, 20, 30, 3)).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))


TRAINING = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  transform_param { mirror: true mean_value: 104 mean_value: 117 mean_value: 123
    resize_param { prob: 1 resize_mode: WARP height: 20 width: 30 interp_mode: LINEAR }
    emit_constraint { emit_type: CENTER } distort_param { brightness_prob: 0.5 } }
  data_param { source: "x_lmdb" batch_size: 8 backend: LMDB }
  annotated_data_param { batch_sampler { max_sample: 1 } label_map_file: "map" } }
layer { name: "loc" type: "InnerProduct" bottom: "data" top: "loc"
  inner_product_param { num_output: 8 } }
layer { name: "conf" type: "InnerProduct" bottom: "data" top: "conf"
  inner_product_param { num_output: 4 } }
layer { name: "prior" type: "PriorBox" bottom: "conf4" bottom: "data" top: "prior"
  prior_box_param { min_size: 4 } }
layer { name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "prior"
  bottom: "label" top: "loss" include { phase: TRAIN }
  propagate_down: true propagate_down: true propagate_down: false propagate_down: false
  loss_param { normalization: VALID } multibox_loss_param { num_classes: 2
    loc_loss_type: SMOOTH_L1 conf_loss_type: SOFTMAX mining_type: MAX_NEGATIVE } }
layer { name: "evaluated" type: "DetectionEvaluate" bottom: "conf" bottom: "label"
  top: "evaluated" include { phase: TEST }
  detection_evaluate_param { num_classes: 2 evaluate_difficult_gt: false } }
"""


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_training_definition_takes_pictures_of_the_size_it_resizes_to(
    tmp_path, phase
):
    path = tmp_path / "train.prototxt"
    path.write_text(TRAINING.replace('"conf4"', '"data"'))
    model = kcz.from_caffe(path, phase=phase)
    assert [x.name for x in model.inputs] == ["data"]
    assert model.input_shape == (None, 20, 30, 3)
    assert set(model.output) == {"loc", "conf", "prior"}


@pytest.mark.parametrize(
    ("second", "expected"), [((20, 30), (20, 30)), ((8, 9), (None, None))]
)
def test_pictures_drawn_in_several_sizes_have_none(tmp_path, second, expected):
    size = "resize_param {{ prob: 1 resize_mode: WARP height: {} width: {} }}"
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "AnnotatedData" top: "data" top: "label" '
        f"transform_param {{ {(size * 2).format(20, 30, *second)} }} }} "
        'layer { name: "y" type: "ReLU" bottom: "data" top: "y" }'
    )
    assert kcz.from_caffe(tmp_path / "net.prototxt").input_shape[1:3] == expected
