"""Definitions of Faster R-CNN's family as people have them, training ones too."""

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor

PYTHON = "layer {{ name: '{}' type: 'Python' {} python_param {{ {} }} }}"


def python(name, bottoms, tops, code, words="'feat_stride': 4"):
    module, _, kind = code.rpartition(".")
    ends = [f"bottom: '{b}'" for b in bottoms] + [f"top: '{t}'" for t in tops]
    param = f"module: '{module}' layer: '{kind}' param_str: \"{words}\""
    return PYTHON.format(name, " ".join(ends), param)


ROI_DATA = "roi_data_layer.layer.RoIDataLayer"
DATA_WITH_RPN = python("input-data", [], ["data", "im_info", "gt_boxes"], ROI_DATA)
CONV = """
layer { name: "conv5" type: "Convolution" bottom: "data" top: "conv5"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 4 } }
"""
RPN = """
layer { name: "rpn_cls_score" type: "Convolution" bottom: "conv5" top: "rpn_cls_score"
  convolution_param { num_output: 18 kernel_size: 1 } }
layer { name: "rpn_bbox_pred" type: "Convolution" bottom: "conv5" top: "rpn_bbox_pred"
  convolution_param { num_output: 36 kernel_size: 1
    weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "rpn_cls_score_reshape" type: "Reshape" bottom: "rpn_cls_score"
  top: "rpn_cls_score_reshape"
  reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } } }
"""
TARGETS = ["rpn_labels"] + [
    f"rpn_bbox_{x}" for x in ("targets", "inside_weights", "outside_weights")
]
RPN_LOSSES = (
    python(
        "rpn-data",
        ["rpn_cls_score", "gt_boxes", "im_info", "data"],
        TARGETS,
        "rpn.anchor_target_layer.AnchorTargetLayer",
    )
    + """
layer { name: "rpn_loss_cls" type: "SoftmaxWithLoss" bottom: "rpn_cls_score_reshape"
  bottom: "rpn_labels" propagate_down: 1 propagate_down: 0 top: "rpn_cls_loss"
  loss_weight: 1 loss_param { ignore_label: -1 normalize: true } }
layer { name: "rpn_loss_bbox" type: "SmoothL1Loss" bottom: "rpn_bbox_pred"
  bottom: "rpn_bbox_targets" bottom: "rpn_bbox_inside_weights"
  bottom: "rpn_bbox_outside_weights" top: "rpn_loss_bbox" loss_weight: 1
  smooth_l1_loss_param { sigma: 3.0 } }
"""
)


def proposal(top):
    return """
layer { name: "rpn_cls_prob" type: "Softmax" bottom: "rpn_cls_score_reshape"
  top: "rpn_cls_prob" }
layer { name: "rpn_cls_prob_reshape" type: "Reshape" bottom: "rpn_cls_prob"
  top: "rpn_cls_prob_reshape"
  reshape_param { shape { dim: 0 dim: 18 dim: -1 dim: 0 } } }
""" + python(
        "proposal",
        ["rpn_cls_prob_reshape", "rpn_bbox_pred", "im_info"],
        [top],
        "rpn.proposal_layer.ProposalLayer",
    )


BOX_TARGETS = [f"bbox_{x}" for x in ("targets", "inside_weights", "outside_weights")]
ROI_TARGETS = python(
    "roi-data",
    ["rpn_rois", "gt_boxes"],
    ["rois", "labels", *BOX_TARGETS],
    "rpn.proposal_target_layer.ProposalTargetLayer",
    "'num_classes': 3",
)
RCNN = """
layer { name: "roi_pool" type: "ROIPooling" bottom: "conv5" bottom: "rois"
  top: "roi_pool"
  roi_pooling_param { pooled_w: 3 pooled_h: 2 spatial_scale: 0.25 } }
layer { name: "cls_score" type: "InnerProduct" bottom: "roi_pool" top: "cls_score"
  inner_product_param { num_output: 3 } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "roi_pool" top: "bbox_pred"
  inner_product_param { num_output: 12 } }
"""
RCNN_LOSSES = """
layer { name: "loss_cls" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "labels"
  propagate_down: 1 propagate_down: 0 top: "cls_loss" loss_weight: 1
  loss_param { ignore_label: -1 normalize: true } }
layer { name: "loss_bbox" type: "SmoothL1Loss" bottom: "bbox_pred"
  bottom: "bbox_targets" bottom: "bbox_inside_weights" bottom: "bbox_outside_weights"
  top: "bbox_loss" loss_weight: 1 }
"""
END_TO_END = (
    DATA_WITH_RPN + CONV + RPN + RPN_LOSSES + proposal("rpn_rois") + ROI_TARGETS
)
DEPLOY = """
input: "data"
input_shape { dim: 1 dim: 3 dim: 48 dim: 64 }
input: "im_info"
input_shape { dim: 1 dim: 3 }
"""
FAST = python("data", [], ["data", "rois", "labels", *BOX_TARGETS], ROI_DATA)
RFCN = """
layer { name: "rfcn_cls" type: "Convolution" bottom: "conv5" top: "rfcn_cls"
  convolution_param { num_output: 12 kernel_size: 1 } }
layer { name: "rfcn_bbox" type: "Convolution" bottom: "conv5" top: "rfcn_bbox"
  convolution_param { num_output: 32 kernel_size: 1 } }
layer { name: "psroipooled_cls_rois" type: "PSROIPooling" bottom: "rfcn_cls"
  bottom: "rois" top: "psroipooled_cls_rois"
  psroi_pooling_param { spatial_scale: 0.25 output_dim: 3 group_size: 2 } }
layer { name: "ave_cls_score_rois" type: "Pooling" bottom: "psroipooled_cls_rois"
  top: "cls_score" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "psroipooled_loc_rois" type: "PSROIPooling" bottom: "rfcn_bbox"
  bottom: "rois" top: "psroipooled_loc_rois"
  psroi_pooling_param { spatial_scale: 0.25 output_dim: 8 group_size: 2 } }
layer { name: "ave_bbox_pred_rois" type: "Pooling" bottom: "psroipooled_loc_rois"
  top: "bbox_pred" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
"""
RFCN_TEST = """
layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob_pre" }
layer { name: "cls_prob_reshape" type: "Reshape" bottom: "cls_prob_pre"
  top: "cls_prob" reshape_param { shape { dim: -1 dim: 3 } } }
layer { name: "bbox_pred_reshape" type: "Reshape" bottom: "bbox_pred"
  top: "bbox" reshape_param { shape { dim: -1 dim: 8 } } }
"""
OHEM = """
layer { name: "per_roi_loss_cls" type: "SoftmaxWithLossOHEM" bottom: "cls_score"
  bottom: "labels" top: "temp_loss_cls" top: "temp_prob_cls" top: "per_roi_loss_cls"
  loss_weight: 0 loss_weight: 0 loss_weight: 0
  propagate_down: false propagate_down: false }
layer { name: "per_roi_loss_bbox" type: "SmoothL1LossOHEM" bottom: "bbox_pred"
  bottom: "bbox_targets" bottom: "bbox_inside_weights" top: "temp_loss_bbox"
  top: "per_roi_loss_bbox" loss_weight: 0 loss_weight: 0 }
layer { name: "per_roi_loss" type: "Eltwise" bottom: "per_roi_loss_cls"
  bottom: "per_roi_loss_bbox" top: "per_roi_loss" }
layer { name: "annotator_detector" type: "BoxAnnotatorOHEM" bottom: "rois"
  bottom: "per_roi_loss" bottom: "labels" bottom: "bbox_inside_weights"
  top: "labels_ohem" top: "bbox_loss_weights_ohem"
  box_annotator_ohem_param { roi_per_img: 128 ignore_label: -1 } }
layer { name: "silence" type: "Silence" bottom: "bbox_outside_weights"
  bottom: "temp_loss_cls" bottom: "temp_prob_cls" bottom: "temp_loss_bbox" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "labels_ohem"
  top: "loss_cls" loss_weight: 1 loss_param { ignore_label: -1 } }
layer { name: "accuarcy" type: "Accuracy" bottom: "cls_score" bottom: "labels_ohem"
  top: "accuarcy" accuracy_param { ignore_label: -1 } }
layer { name: "loss_bbox" type: "SmoothL1LossOHEM" bottom: "bbox_pred"
  bottom: "bbox_targets" bottom: "bbox_loss_weights_ohem" top: "loss_bbox"
  loss_weight: 1
  loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 128 } }
"""
CONFIG = {"RPN_POST_NMS_TOP_N": 8, "RPN_MIN_SIZE": 4}


def imported(tmp_path, text, **options):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return from_caffe(path, **options)


def names(model):
    return [x.name for x in model.inputs], set(model.output)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    image = rng.normal(0, 9, (1, 48, 64, 3)).astype("float32")
    return [image, np.float32([[48, 64, 1]])]


def test_faster_rcnn_trained_end_to_end_predicts_as_its_test_net(tmp_path, data):
    model = imported(tmp_path, END_TO_END + RCNN + RCNN_LOSSES, python_config=CONFIG)
    assert names(model) == (
        ["data", "im_info"],
        {"rpn_cls_loss", "cls_loss", "bbox_pred"},
    )
    test = DEPLOY + CONV + RPN + proposal("rois") + RCNN
    test += 'layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "p" }'
    deploy = imported(tmp_path, test, python_config=CONFIG)
    deploy.set_weights(model.get_weights())
    found, wanted = model(data), deploy(data)
    assert tuple(wanted["p"].shape) == (8, 3)
    for one, other in (("cls_loss", "p"), ("bbox_pred", "bbox_pred")):
        np.testing.assert_array_equal(*map(numpy, (found[one], wanted[other])))


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_fast_rcnn_takes_regions(tmp_path):
    model = imported(tmp_path, FAST + CONV + RCNN + RCNN_LOSSES)
    assert names(model) == (["data", "rois"], {"cls_loss", "bbox_pred"})
    rois = np.float32([[0, 3, 4, 30, 20], [1, 0, 0, 63, 47], [0, 9, 9, 9, 9]])
    images = np.ones((2, 48, 64, 3), "float32")
    assert model.predict([images, rois], verbose=0)["bbox_pred"].shape == (3, 12)


def test_regions_are_of_the_whole_batch_even_where_they_are_as_many(tmp_path):
    model = imported(tmp_path, FAST + CONV + RCNN + RCNN_LOSSES)
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    rois = np.float32([[i, 0, 0, 15, 15] for i in (3, 2, 1, 0)])
    found = model.predict([images, rois], batch_size=2, verbose=0)["cls_loss"]
    np.testing.assert_array_equal(found, numpy(model([images, rois])["cls_loss"]))


def test_the_stages_of_alternating_training(tmp_path):
    dummy = """
layer { name: "dummy" type: "DummyData" top: "dummy"
  dummy_data_param { shape { dim: 1 dim: 8 } data_filler { type: "constant" } } }
layer { name: "fc6" type: "InnerProduct" bottom: "dummy" top: "fc6"
  inner_product_param { num_output: 3 } }
layer { name: "silence_fc6" type: "Silence" bottom: "fc6" }
"""
    model = imported(tmp_path, DATA_WITH_RPN + CONV + RPN + RPN_LOSSES + dummy)
    assert names(model) == (["data"], {"rpn_cls_loss", "rpn_bbox_pred"})
    model = imported(tmp_path, FAST + CONV + RCNN + RCNN_LOSSES)
    assert "rois" in names(model)[0]


def test_rfcn_with_and_without_hard_examples(tmp_path, data):
    start = END_TO_END + RFCN
    hard = imported(tmp_path, start + OHEM, python_config=CONFIG)
    assert names(hard) == (
        ["data", "im_info"],
        {"rpn_cls_loss", "loss_cls", "bbox_pred"},
    )
    assert not [x.name for x in hard.layers if "silence" in x.name or "temp" in x.name]
    plain = imported(tmp_path, start + RCNN_LOSSES, python_config=CONFIG)
    assert names(plain)[1] == {"rpn_cls_loss", "cls_loss", "bbox_pred"}
    test = DEPLOY + CONV + RPN + proposal("rois") + RFCN + RFCN_TEST
    deploy = imported(tmp_path, test, python_config=CONFIG)
    deploy.set_weights(hard.get_weights())
    plain.set_weights(hard.get_weights())
    wanted = numpy(deploy(data)["cls_prob"])
    assert wanted.shape == (8, 3)
    for found in (hard(data)["loss_cls"], plain(data)["cls_loss"]):
        np.testing.assert_array_equal(numpy(found)[:, 0, 0], wanted)


def test_the_losses_of_hard_examples_leave_their_prediction(tmp_path):
    text = """
input: "x" input_shape { dim: 2 dim: 3 }
input: "label" input_shape { dim: 2 }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLossOHEM" bottom: "fc" bottom: "label"
  top: "loss" top: "prob" top: "each" }
"""
    model = imported(tmp_path, text)
    assert model.caffe_blobs.keys() == {"x", "fc", "loss", "prob"}


# `pytest.warns` lets through what pyproject.toml says to pass over.
@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_written_definitions_are_read_back(tmp_path, data):
    test = DEPLOY + CONV + RPN + proposal("rois") + RFCN + RFCN_TEST
    model = imported(tmp_path, test, python_config=CONFIG)
    paths = tmp_path / "out.prototxt", tmp_path / "out.caffemodel"
    with pytest.warns(UserWarning, match="RPN_POST_NMS_TOP_N': 8"):
        kcz.to_caffe(model, *paths)
    again = from_caffe(*paths, python_config=CONFIG)
    wanted = model(data)
    for name, found in again(data).items():
        np.testing.assert_array_equal(numpy(found), numpy(wanted[name]))
    assert tuple(blob_tensor(again, "rois").shape) == (None, 5)
