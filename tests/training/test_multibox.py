"""SSD's loss against what SSD computed, and against a reading of it box by box."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from multibox_reference import reference
from support import GOLDENS, examples, relative_error
from test_losses import layer_of, value_and_gradient
from test_solver import SGD, write

from keras_caffe_zoo import CaffeFormatError, from_caffe, to_caffe
from keras_caffe_zoo.layers import CaffeMultiBox
from keras_caffe_zoo.training import MultiBoxLoss, box_targets, from_solver
from keras_caffe_zoo.training.losses import loss_of

CODES = ("corner", "center_size", "corner_size")


def joined(offsets, scores, priors, variances):
    """Return predictions as CaffeMultiBox makes them, made by NumPy."""
    items, count, _ = scores.shape
    known = np.concatenate([priors, variances], axis=1)
    known = np.broadcast_to(known, (items, count, 8))
    parts = [offsets.reshape(items, count, -1), scores, known]
    return np.concatenate(parts, axis=2).astype("float32")


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("multibox_ssd", {}),
        (
            "multibox_hard",
            {
                "mining_type": "hard_example",
                "nms_threshold": 0.9,
                "nms_top_k": 40,
                "sample_size": 40,
            },
        ),
    ],
)
def test_loss_and_gradients_are_ssds(case, options):
    with np.load(GOLDENS / "forks" / f"{case}.npz") as arrays:
        arrays = dict(arrays)
    bottoms = [arrays[f"blob/{name}"] for name in ("locs", "confs", "prior")]
    y_pred = ops.convert_to_numpy(CaffeMultiBox(4)(bottoms))
    targets = box_targets(arrays["blob/gt"], 2)
    loss = MultiBoxLoss(4, code_type="center_size", **options)
    value, gradient = value_and_gradient(loss, targets, y_pred)
    assert value == pytest.approx(arrays["blob/y"].item(), rel=2e-5)
    gradient = gradient * arrays["top_diff/y"]
    for name, found in [("locs", gradient[..., :4]), ("confs", gradient[..., 4:8])]:
        wanted = arrays[f"diff/{name}"]
        assert relative_error(found.reshape(wanted.shape), wanted) <= 1e-4
    assert not gradient[..., 8:].any()


def boxes(rng, count, large=0.5):
    corner = rng.uniform(-0.1, 0.8, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0.1, large, (count, 2))], 1)


def problem(seed, classes=4, each=1, items=3, count=13, objects=4, background=0):
    """Return rows, offsets, scores, priors and variances, of float32."""
    rng = np.random.default_rng(seed)
    priors = boxes(rng, count)
    rows = np.full((items, objects, 8), -1.0)
    others = [c for c in range(classes) if c != background] or [1]
    for n in range(items):
        for j in range(rng.integers(0, objects + 1)):
            near = priors[rng.integers(count)] + rng.uniform(-0.1, 0.1, 4)
            box = near if rng.random() < 0.7 else boxes(rng, 1)[0]
            rows[n, j] = n, rng.choice(others), 0, *box, rng.random() < 0.3
    rows = rows[:, rng.permutation(objects)]
    offsets = rng.normal(0, 1.5, (items, count, each, 4))
    scores = rng.normal(0, 2, (items, count, classes))
    variances = rng.choice([0.1, 0.2, 0.5], (count, 4))
    found = (rows, offsets, scores, priors, variances)
    return tuple(x.astype("float32") for x in found)


def check(given_, options, classes=4):
    rows, *rest = given_
    loss = MultiBoxLoss(classes, **options)
    value, gradient = value_and_gradient(loss, rows, joined(*rest))
    wide = [x.astype("float64") for x in given_]
    expected, d_offsets, d_scores = reference(*wide, **options)
    assert value == pytest.approx(expected, rel=2e-5, abs=1e-6)
    size = d_offsets[0, 0].size
    shape = d_offsets.shape
    wanted = np.concatenate([d_offsets.reshape(*shape[:2], size), d_scores], axis=2)
    found = gradient[..., : size + classes]
    assert relative_error(found, wanted.astype("float32")) <= 1e-4
    assert not gradient[..., size + classes :].any()
    return value


OPTIONS = st.fixed_dictionaries(
    {
        "match_type": st.sampled_from(["per_prediction", "bipartite"]),
        "overlap_threshold": st.sampled_from([0.3, 0.5, 0.7]),
        "use_difficult_gt": st.booleans(),
        "code_type": st.sampled_from(CODES),
        "encode_variance_in_target": st.booleans(),
        "ignore_cross_boundary_bbox": st.booleans(),
        "bp_inside": st.booleans(),
        "use_prior_for_matching": st.booleans(),
        "background_label_id": st.sampled_from([0, 0, 2]),
        "loc_loss_type": st.sampled_from(["smooth_l1", "l2"]),
        "conf_loss_type": st.sampled_from(["softmax", "logistic"]),
        "loc_weight": st.sampled_from([1.0, 0.25]),
        "normalization": st.sampled_from(["valid", "full", "batch_size", "none"]),
    }
)
MINING = st.one_of(
    st.fixed_dictionaries({"mining_type": st.just("none")}),
    st.fixed_dictionaries(
        {
            "mining_type": st.just("max_negative"),
            "neg_pos_ratio": st.sampled_from([3.0, 0.7, 1.5]),
            "neg_overlap": st.sampled_from([0.5, 0.2]),
        }
    ),
    st.fixed_dictionaries(
        {
            "mining_type": st.just("hard_example"),
            "sample_size": st.sampled_from([2, 6, 64]),
        }
    ),
)
SUPPRESSION = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "nms_threshold": st.sampled_from([0.2, 0.5]),
            "nms_top_k": st.sampled_from([None, 0, 3, 8]),
            "use_prior_for_nms": st.booleans(),
        }
    ),
)


@examples(1)
@given(st.integers(0, 2**32), OPTIONS, MINING, SUPPRESSION)
def test_all_options_are_the_references(seed, options, mining, suppression):
    given_ = problem(seed, background=options["background_label_id"])
    check(given_, {**options, **mining, **suppression})


@pytest.mark.slow
@examples(4)
@given(st.integers(0, 2**32), OPTIONS, MINING, SUPPRESSION)
def test_all_options_are_the_references_in_many_cases(
    seed, options, mining, suppression
):
    given_ = problem(seed, background=options["background_label_id"])
    check(given_, {**options, **mining, **suppression})


@examples(1)
@given(st.integers(0, 2**32), OPTIONS)
def test_offsets_of_each_class_are_the_references(seed, options):
    given_ = problem(seed, each=4, background=options["background_label_id"])
    check(given_, {**options, "mining_type": "none", "share_location": False})


def test_ties_go_to_the_first_prior_and_the_first_object():
    priors = np.array([[0.1, 0.1, 0.5, 0.5]] * 3 + [[0.5, 0.5, 0.9, 0.9]])
    rows = np.full((1, 4, 8), -1.0)
    for j, label in enumerate([1, 2, 3]):
        rows[0, j] = 0, label, 0, 0.1, 0.1, 0.5, 0.5, 0
    _, offsets, scores, _, variances = problem(3, items=1, count=4)
    for match_type in ("per_prediction", "bipartite"):
        check((rows, offsets, scores, priors, variances), {"match_type": match_type})


def test_more_objects_than_priors():
    for seed in range(3):
        given_ = problem(seed, count=2, objects=7)
        check(given_, {"match_type": "bipartite"})
        check(given_, {"code_type": "center_size"})


def test_all_objects_are_of_one_class_where_only_that_is_learnt():
    for seed in range(2):
        given_ = problem(seed, classes=2)
        options = {"map_object_to_agnostic": True, "code_type": "center_size"}
        check(given_, options, classes=2)
        given_[0][..., 1] = np.where(given_[0][..., 1] > 0, 5, given_[0][..., 1])
        check(given_, {**options, "mining_type": "none"}, classes=2)


def test_images_without_objects_count_for_nothing_but_where_nothing_is_mined():
    rows, *rest = problem(1)
    for wrong in (np.full_like(rows, -1), np.zeros_like(rows), rows[:, :0]):
        loss = MultiBoxLoss(4)
        value, gradient = value_and_gradient(loss, wrong, joined(*rest))
        assert value == 0 and not gradient.any()
        value = check((wrong, *rest), {"mining_type": "none", "normalization": "full"})
        assert value > 0


@pytest.mark.parametrize(
    ("column", "value"), [(1, 4), (1, 1e9), (1, math.nan), (3, math.nan), (6, math.inf)]
)
def test_an_object_that_cannot_be_makes_the_loss_nan(column, value):
    rows, *rest = problem(2)
    rows[1, 0] = 1, 1, 0, 0.1, 0.1, 0.6, 0.6, 0
    loss = MultiBoxLoss(4)
    assert math.isfinite(value_and_gradient(loss, rows, joined(*rest))[0])
    rows[1, 0, column] = value
    assert math.isnan(value_and_gradient(loss, rows, joined(*rest))[0])


def test_priors_without_a_size_do_no_harm_where_they_have_no_object():
    rows, offsets, scores, priors, variances = problem(4)
    priors[3, 2:] = priors[3, :2]
    variances[3] = 0
    loss = MultiBoxLoss(4, code_type="center_size")
    value, gradient = value_and_gradient(
        loss, rows, joined(offsets, scores, priors, variances)
    )
    assert math.isfinite(value) and np.isfinite(gradient).all()


def test_sample_weights_multiply_the_share_of_an_image():
    rows, *rest = problem(5)
    y_pred, loss = joined(*rest), MultiBoxLoss(4, normalization="batch_size")
    shares = [
        value_and_gradient(loss, rows, y_pred, sample_weight=w) for w in np.eye(3)
    ]
    weights = np.array([2, 0, 0.5])
    value, _ = value_and_gradient(loss, rows, y_pred, sample_weight=weights)
    expected = sum(w * share for w, (share, _) in zip(weights, shares, strict=True))
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_classes": 0}, "`num_classes` of at least 1"),
        ({"match_type": "all"}, "`match_type` of .*'all'"),
        ({"code_type": "CORNER"}, "`code_type` of"),
        ({"normalization": "VALID"}, "`normalization` of"),
        ({"background_label_id": 4}, "one of 4 classes; received: 4"),
        ({"share_location": False}, "`share_location` with mining"),
        ({"sample_size": 0}, "`sample_size` of at least 1"),
        ({"overlap_threshold": math.nan}, "finite `overlap_threshold`"),
        ({"nms_threshold": -0.1}, "`nms_threshold` of at least 0"),
        ({"map_object_to_agnostic": True}, "Expected two classes"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        MultiBoxLoss(**{"num_classes": 4, **options})


def test_rows_and_predictions_of_another_shape_are_refused():
    rows, *rest = problem(6)
    y_pred, loss = joined(*rest), MultiBoxLoss(4)
    with pytest.raises(ValueError, match="box_targets.*"):
        loss(rows[None], y_pred)
    with pytest.raises(ValueError, match=r"\(N, priors, 16\)"):
        loss(rows, y_pred[..., 1:])


def test_boxes_are_sorted_by_image():
    blob = np.zeros((1, 1, 4, 8), "float32")
    blob[0, 0, :, 0] = 2, 0, -1, 2
    blob[0, 0, :, 1] = 5, 6, 7, 8
    found = box_targets(blob, 3, most=3)
    assert found.shape == (3, 3, 8)
    assert found[:, :, 1].tolist() == [[6, -1, -1], [-1, -1, -1], [5, 8, -1]]
    assert box_targets(blob, 3).shape == (3, 2, 8)
    assert box_targets(np.full((1, 1, 1, 8), -1), 2).shape == (2, 1, 8)
    with pytest.raises(ValueError, match="of 2 images.*received one of image 2"):
        box_targets(blob, 2)
    with pytest.raises(ValueError, match="at most 1 objects in an image; received: 2"):
        box_targets(blob, 3, most=1)
    with pytest.raises(ValueError, match="Expected a blob"):
        box_targets(np.zeros((2, 3, 8)), 2)


def test_a_layers_options_are_all_read():
    text = """loss_param { normalization: FULL } multibox_loss_param { num_classes: 3
        loc_loss_type: L2 conf_loss_type: LOGISTIC loc_weight: 0.5
        share_location: true match_type: BIPARTITE overlap_threshold: 0.25
        use_prior_for_matching: false background_label_id: 1 use_difficult_gt: false
        neg_pos_ratio: 2 neg_overlap: 0.75 code_type: CORNER_SIZE
        encode_variance_in_target: true ignore_cross_boundary_bbox: true
        bp_inside: true mining_type: HARD_EXAMPLE nms_param { nms_threshold: 0.5 }
        sample_size: 7 use_prior_for_nms: true }"""
    config = loss_of(layer_of("MultiBoxLoss", text)).get_config()
    assert config == {
        "name": "a>b",
        "num_classes": 3,
        "share_location": True,
        "match_type": "bipartite",
        "overlap_threshold": 0.25,
        "use_prior_for_matching": False,
        "background_label_id": 1,
        "use_difficult_gt": False,
        "mining_type": "hard_example",
        "neg_pos_ratio": 2,
        "neg_overlap": 0.75,
        "sample_size": 7,
        "nms_threshold": 0.5,
        "nms_top_k": 0,  # as in SSD, where nms_param without top_k takes none
        "use_prior_for_nms": True,
        "code_type": "corner_size",
        "encode_variance_in_target": True,
        "ignore_cross_boundary_bbox": True,
        "bp_inside": True,
        "map_object_to_agnostic": False,
        "loc_loss_type": "l2",
        "conf_loss_type": "logistic",
        "loc_weight": 0.5,
        "normalization": "full",
    }


def test_a_layer_that_says_little_has_ssds_defaults():
    given_ = "multibox_loss_param { num_classes: 3 }"
    config = loss_of(layer_of("MultiBoxLoss", given_)).get_config()
    assert config == MultiBoxLoss(3, name="a>b").get_config()
    only = "propagate_down: false propagate_down: true "
    assert loss_of(layer_of("MultiBoxLoss", only + given_)).loc_weight == 0
    nms = "nms_param { nms_threshold: 0 top_k: 3 }"
    param = f"multibox_loss_param {{ num_classes: 3 {nms} }}"
    assert loss_of(layer_of("MultiBoxLoss", param)).nms_threshold is None
    nms = "nms_param { nms_threshold: 0.3 top_k: -1 }"
    param = f"multibox_loss_param {{ num_classes: 3 {nms} }}"
    assert loss_of(layer_of("MultiBoxLoss", param)).nms_top_k is None


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("", "`num_classes` of at least 1"),
        ("num_classes: 2 do_neg_mining: false", "do_neg_mining to agree"),
        ("num_classes: 2 share_location: false", "`share_location` with mining"),
        ("num_classes: 2 neg_overlap: nan", "finite `neg_overlap`"),
        ("num_classes: 2 background_label_id: 9", "one of 2 classes"),
    ],
)
def test_what_ssd_refuses_is_refused_by_the_layers_name(param, said):
    with pytest.raises(CaffeFormatError, match=f"layer 'a/b'.*{said}"):
        loss_of(layer_of("MultiBoxLoss", f"multibox_loss_param {{ {param} }}"))


NET = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { resize_param { height: 12 width: 16 } }
  data_param { batch_size: 4 } annotated_data_param { label_map_file: "x" } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 4 stride: 4
    weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "loc" type: "Convolution" bottom: "conv" top: "loc"
  convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat"
  flatten_param { axis: 1 } }
layer { name: "conf" type: "Convolution" bottom: "conv" top: "conf"
  convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_perm" top: "conf_flat"
  flatten_param { axis: 1 } }
layer { name: "prior" type: "PriorBox" bottom: "conv" bottom: "data" top: "prior"
  prior_box_param { min_size: 5 max_size: 9 clip: false
    variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }
layer { name: "mbox_loss" type: "MultiBoxLoss" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "prior" bottom: "label" top: "mbox_loss" include { phase: TRAIN }
  propagate_down: true propagate_down: true propagate_down: false
  propagate_down: false loss_param { normalization: VALID }
  multibox_loss_param { num_classes: %d code_type: CENTER_SIZE } }
"""


def pictures(rng, items=8):
    """Return images with a bright box each, and what is in them."""
    x = rng.normal(0, 0.1, (items, 12, 16, 3)).astype("float32")
    rows = np.full((items, 2, 8), -1, "float32")
    for n in range(items):
        top, left, label = rng.integers(0, 7), rng.integers(0, 10), rng.integers(1, 3)
        x[n, top : top + 5, left : left + 6, label] += 1
        corners = (left / 16, top / 12, (left + 6) / 16, (top + 5) / 12)
        rows[n, 0] = n, label, 0, *corners, 0
    return x, rows


def test_an_ssd_trains_from_its_solver(tmp_path):
    training = from_solver(write(tmp_path, NET % 3, SGD))
    model = training.model
    assert training.optimizer.multipliers == {"conv/bias": (2, 1)}
    assert isinstance(model.loss, MultiBoxLoss) and model.loss.name == "mbox_loss"
    assert model.labels == {"mbox_loss": ("label",)}
    assert model.output_shape == (None, 24, 4 + 3 + 8)
    x, rows = pictures(np.random.default_rng(0))
    y_pred = model.predict(x, verbose=0).astype("float64")
    offsets, scores, known = np.split(y_pred, [4, 7], axis=2)
    expected, _, _ = reference(
        rows.astype("float64"),
        offsets[:, :, None],
        scores,
        known[0, :, :4],
        known[0, :, 4:],
        code_type="center_size",
    )
    fit = {"epochs": 8, "batch_size": 8, "shuffle": False, "verbose": 0}
    losses = model.fit(x, rows, **fit).history["loss"]
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    last = model.evaluate(x, {"label": rows}, batch_size=8, verbose=0)
    assert again.evaluate(x, rows, batch_size=8, verbose=0) == pytest.approx(last)


def test_an_ssd_in_training_is_written_as_the_net_that_ends_with_its_three_blobs(
    tmp_path,
):
    model = from_solver(write(tmp_path, NET % 3, SGD)).model
    to_caffe(model, tmp_path / "a.prototxt", tmp_path / "a.caffemodel")
    again = from_caffe(tmp_path / "a.prototxt", tmp_path / "a.caffemodel")
    x, _ = pictures(np.random.default_rng(1))
    blobs = again.predict(x[:1], verbose=0)
    joined_ = CaffeMultiBox(3)([blobs[k] for k in ("loc_flat", "conf_flat", "prior")])
    found = model.predict(x[:1], verbose=0)
    np.testing.assert_allclose(ops.convert_to_numpy(joined_), found, atol=1e-6)


def test_blobs_that_do_not_fit_the_loss_are_refused(tmp_path):
    with pytest.raises(CaffeFormatError, match="'mbox_loss'.*Expected offsets"):
        from_solver(write(tmp_path, NET % 5, SGD))


TESTED = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TEST } data_param { batch_size: 1 }
  transform_param { resize_param { height: 12 width: 16 } } }
layer { name: "out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "prior" top: "out" include { phase: TEST }
  detection_output_param { num_classes: 3 keep_top_k: 9 nms_param { top_k: 9 } } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "out" bottom: "label"
  top: "eval" include { phase: TEST } detection_evaluate_param { num_classes: 3 } }
"""


# Keras' own in PyTorch, which `pytest.warns` gives back as if it were ours.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_what_ssd_measures_in_its_tests_is_left_out_and_said(tmp_path):
    solver = (
        SGD
        + """ test_iter: 5 test_interval: 10 test_initialization: false
        eval_type: "detection" ap_version: "11point" show_per_class_result: true"""
    )
    with pytest.warns(UserWarning, match="left out the metric 'eval'"):
        training = from_solver(write(tmp_path, NET % 3 + TESTED, solver))
    assert isinstance(training.model.loss, MultiBoxLoss)
    with pytest.raises(CaffeFormatError, match="plateau_winsize"):
        from_solver(write(tmp_path, NET % 3, SGD + " plateau_winsize: 3"))
