"""Fast R-CNN's loss of boxes, SSD's too; and R-FCN's choice of hard examples."""

import keras
import numpy as np
import pytest
from keras import ops
from support import GOLDENS, nhwc, relative_error
from test_losses import layer_of, value_and_gradient
from test_solver import SGD, write

from keras_caffe_zoo import CaffeFormatError
from keras_caffe_zoo.training import SmoothL1Loss, box_annotator_ohem, from_solver
from keras_caffe_zoo.training.losses import loss_of

RNG = np.random.default_rng(0)


def golden(name):
    with np.load(GOLDENS / "forks" / f"{name}.npz") as arrays:
        return {key: nhwc(value) for key, value in arrays.items()}


@pytest.mark.parametrize(
    ("case", "sigma", "weights"),
    [("smoothl1_ssd", 1, ()), ("smoothl1_frcnn", 3, ("win", "wout"))],
)
def test_loss_and_gradients_are_the_forks(case, sigma, weights):
    arrays = golden(case)
    target = arrays["blob/b"]
    if weights:
        parts = [target, *(arrays[f"blob/{name}"] for name in weights)]
        target = np.stack(parts, axis=-1)
    value, gradient = value_and_gradient(SmoothL1Loss(sigma), target, arrays["blob/a"])
    assert value == pytest.approx(arrays["blob/y"].item(), rel=2e-5)
    gradient = gradient * arrays["top_diff/y"]
    assert relative_error(gradient, arrays["diff/a"]) <= 1e-4
    assert relative_error(-gradient, arrays["diff/b"]) <= 1e-4


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_each_value_is_a_square_or_a_line(sigma):
    a, b = RNG.normal(0, 3, (2, 3, 2, 2, 4)).astype("float32")
    inside, outside = RNG.choice([0, 0.5, 1, 2], (2, *a.shape)).astype("float32")
    a[0, 0, 0, 0], b[0, 0, 0, 0] = 1e30, -1e30
    total, slope = 0.0, np.zeros(a.shape)
    for at in np.ndindex(a.shape):
        d = float(inside[at]) * (float(a[at]) - float(b[at]))
        if abs(d) < 1 / sigma**2:
            loss, gradient = 0.5 * sigma**2 * d * d, sigma**2 * d
        else:
            loss, gradient = abs(d) - 0.5 / sigma**2, np.sign(d)
        total += float(outside[at]) * loss / 3
        slope[at] = float(outside[at] * inside[at]) * gradient / 3
    target = np.stack([b, inside, outside], axis=-1)
    value, gradient = value_and_gradient(SmoothL1Loss(sigma), target, a)
    assert value == pytest.approx(total, rel=2e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-5)


def test_targets_of_another_shape_and_a_wrong_sigma_are_refused():
    for shape in [(4, 3), (4, 2, 2), (3, 2)]:
        with pytest.raises(ValueError, match="Expected targets"):
            SmoothL1Loss()(np.ones(shape), np.zeros((4, 2)))
    for sigma in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive `sigma`"):
            SmoothL1Loss(sigma)


def test_a_layer_tells_its_sigma():
    layer = layer_of("SmoothL1Loss", "smooth_l1_loss_param { sigma: 3 }")
    assert loss_of(layer).sigma == 3 and loss_of(layer).name == "a>b"
    assert loss_of(layer_of("SmoothL1Loss")).sigma == 1
    wrong = layer_of("SmoothL1Loss", "smooth_l1_loss_param { sigma: 0 }")
    with pytest.raises(CaffeFormatError, match="'a/b'.*positive `sigma`"):
        loss_of(wrong)


def test_hard_examples_are_refused_with_what_to_do():
    for kind in ("SmoothL1LossOHEM", "SoftmaxWithLossOHEM"):
        with pytest.raises(CaffeFormatError, match=f"{kind}.*box_annotator_ohem"):
            loss_of(layer_of(kind))


FAST = """
layer { name: "data" type: "Python" top: "data" top: "rois" top: "labels"
  top: "bbox_targets" top: "bbox_inside_weights" top: "bbox_outside_weights"
  python_param { module: "roi_data_layer.layer" layer: "RoIDataLayer"
    param_str: "'num_classes': 2" } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3
    weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "roi_pool" type: "ROIPooling" bottom: "conv" bottom: "rois"
  top: "roi_pool"
  roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 } }
layer { name: "cls_score" type: "InnerProduct" bottom: "roi_pool" top: "cls_score"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "roi_pool" top: "bbox_pred"
  inner_product_param { num_output: 8 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss_cls" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "labels"
  top: "loss_cls" loss_weight: 1 }
layer { name: "loss_bbox" type: "SmoothL1Loss" bottom: "bbox_pred"
  bottom: "bbox_targets" bottom: "bbox_inside_weights" %s
  top: "loss_bbox" loss_weight: 0.5 }
"""
OUTSIDE = 'bottom: "bbox_outside_weights"'


@pytest.mark.slow
def test_a_fast_rcnn_trains_from_its_solver(tmp_path):
    training = from_solver(write(tmp_path, FAST % OUTSIDE, SGD))
    model = training.model
    x = {
        "data": RNG.normal(size=(1, 12, 14, 3)).astype("float32"),
        "rois": np.array([[0, 0, 0, 9, 9], [0, 4, 2, 20, 11]], "float32"),
    }
    labels = np.array([1, 0], "float32")
    targets, inside, outside = RNG.uniform(0, 1, (3, 2, 8)).astype("float32")
    y = {
        "labels": labels,
        "bbox_targets": targets,
        "bbox_inside_weights": inside,
        "bbox_outside_weights": outside,
    }
    parts = model(x)
    d = np.abs(inside * (ops.convert_to_numpy(parts["loss_bbox"]) - targets))
    of_boxes = (outside * np.where(d < 1, d * d / 2, d - 0.5)).sum() / 2
    scores = ops.convert_to_numpy(parts["loss_cls"])
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    of_classes = -np.log(chances[[0, 1], [1, 0]]).mean()
    found = [float(model.train_on_batch(x, y)[0]) for _ in range(4)]
    assert found[0] == pytest.approx(of_classes + 0.5 * of_boxes, rel=1e-5)
    assert found[3] < found[0]
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.labels == model.labels


def test_weights_of_one_kind_only_are_refused(tmp_path):
    with pytest.raises(CaffeFormatError, match="'loss_bbox'.*2 more behind them"):
        from_solver(write(tmp_path, FAST % "", SGD))


def test_the_regions_with_the_largest_losses_are_r_fcns():
    arrays = golden("box_annotator_ohem")
    rois, loss, labels, weights = (
        arrays[f"blob/{name}"].reshape(6, -1)
        for name in ("rois", "loss", "labels", "w")
    )
    found = box_annotator_ohem(rois, loss[:, 0], labels[:, 0], weights, 2)
    for value, name in zip(found, ("lab", "ww"), strict=True):
        wanted = arrays[f"blob/{name}"].reshape(value.shape)
        np.testing.assert_array_equal(ops.convert_to_numpy(value), wanted)


def test_places_of_regions_are_chosen_each_by_itself():
    rois = np.array([[0], [1], [0]], "float32")
    loss = RNG.choice([0.0, 1.0, 2.0], (3, 2, 2)).astype("float32")
    labels = RNG.integers(0, 9, (3, 2, 2)).astype("float32")
    weights = RNG.uniform(1, 2, (3, 2, 2, 8)).astype("float32")
    found = box_annotator_ohem(rois, loss, labels, weights, 3, ignore_label=-7)
    left = {0: 3, 1: 3}
    wanted, kept = np.full(labels.shape, -7.0), np.zeros(weights.shape)
    for at in sorted(np.ndindex(loss.shape), key=lambda at: -loss[at]):
        image = int(rois[at[0], 0])
        if left[image]:
            left[image] -= 1
            wanted[at], kept[at] = labels[at], weights[at]
    for value, expected in zip(found, (wanted, kept), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(value), expected)
    with pytest.raises(ValueError, match="Expected rois"):
        box_annotator_ohem(rois, loss[:2], labels, weights, 3)
