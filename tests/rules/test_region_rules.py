"""What files may say of regions: what is refused, and what comes back."""

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo import CaffeFormatError, compare, from_caffe
from keras_caffe_zoo.caffe import read_net

MAPS = """
input: "x" input_shape { dim: 2 dim: 8 dim: 6 dim: 7 }
input: "rois" input_shape { dim: 3 dim: 5 }
layer { name: "y" type: "%s" bottom: "x" bottom: "rois" top: "y" %s }
"""
RPN = """
input: "prob" input_shape { dim: 1 dim: 4 dim: 3 dim: 5 }
input: "delta" input_shape { dim: 1 dim: 8 dim: 3 dim: 5 }
input: "info" input_shape { dim: 1 dim: 3 }
layer { name: "y" type: "%s" bottom: "prob" bottom: "delta" bottom: "info" top: "y" %s }
"""
CPP = "proposal_param { ratio: 1 scale: 1 scale: 2 %s }"
PYTHON = """python_param { module: 'rpn.proposal_layer' layer: 'ProposalLayer'
    param_str: "%s" }"""


def imported(tmp_path, text, **options):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return from_caffe(path, **options)


def proposal_of(tmp_path, words, channels="dim: 6", **options):
    text = RPN % ("Python", PYTHON % words)
    text = text.replace("dim: 4 ", "dim: 18 ").replace("dim: 8 ", "dim: 36 ")
    return imported(tmp_path, text, **options).get_layer("y")


@pytest.mark.parametrize(
    ("type_", "param", "message"),
    [
        ("ROIPooling", "", "roi_pooling_param.pooled_h.*positive.*0"),
        ("ROIPooling", "roi_pooling_param { pooled_h: 2 }", "pooled_w"),
        (
            "ROIPooling",
            "roi_pooling_param { pooled_h: 4000000000 pooled_w: 9 }",
            "bins",
        ),
        ("ROIPooling", "roi_pooling_param { pooled_size: [1, 2, 3] }", "one size"),
        (
            "ROIPooling",
            "roi_pooling_param { pooled_h: 1 pooled_w: 1 spatial_scale: nan }",
            "spatial_scale",
        ),
        ("PSROIPooling", "psroi_pooling_param { group_size: 2 }", "required field"),
        (
            "PSROIPooling",
            "psroi_pooling_param { group_size: 2 output_dim: 3 spatial_scale: 1 }",
            "12 channels; received: 8",
        ),
        (
            "PSROIPooling",
            "psroi_pooling_param { group_size: -2 output_dim: 2 spatial_scale: 1 }",
            "group_size.*positive",
        ),
        (
            "ROIAlign",
            "roi_align_param { sampling_ratio: 2147483647 }",
            "sampling_ratio",
        ),
        ("ROIAlign", "roi_align_param { pooled_h: 0 }", "pooled_h"),
        ("ROIAlign", "roi_align_param { spatial_scale: -1 }", "spatial_scale"),
    ],
)
def test_poolings_that_make_no_sense_are_refused(tmp_path, type_, param, message):
    with pytest.raises(CaffeFormatError, match=f"(?s)'y'.*{message}"):
        imported(tmp_path, MAPS % (type_, param))


@pytest.mark.parametrize(
    ("type_", "param"),
    [
        ("ROIPooling", "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"),
        ("ROIAlign", "roi_align_param { pooled_h: 2 pooled_w: 2 }"),
        (
            "PSROIPooling",
            "psroi_pooling_param { group_size: 2 output_dim: 2 spatial_scale: 1 }",
        ),
    ],
)
def test_regions_may_have_the_four_axes_of_input_dim(tmp_path, type_, param):
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 8)).astype("f4")
    rois = np.array([[0, 0, 0, 3, 3], [1, 2, 1, 6, 5]], "f4")
    expected = imported(tmp_path, MAPS % (type_, param))([x, rois])
    old = "input_dim: [3, 5, 1, 1]"
    text = MAPS.replace("input_shape { dim: 3 dim: 5 }", old)
    text = text.replace(
        "input_shape { dim: 2 dim: 8 dim: 6 dim: 7 }", "input_dim: [2, 8, 6, 7]"
    )
    found = imported(tmp_path, text % (type_, param))([x, rois[:, None, None]])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("proposal_param { scale: 1 }", "ratio.*1000 positive numbers"),
        ("proposal_param { ratio: -1 scale: 1 }", "ratio"),
        ("proposal_param { ratio: 1 scale: nan }", "scale"),
        ("proposal_param { ratio: 1 scale: 1 }", "2 and 4 channels.*(4, 8)"),
        (CPP % "feat_stride: 0", "feat_stride"),
        (CPP % "base_size: 4294967295", "base_size"),
        (CPP % "post_nms_topn: 4294967295", "post_nms_topn.*at most"),
        (CPP % "pre_nms_topn: 4294967295", "pre_nms_topn.*at most"),
        (CPP % "nms_thresh: nan", "nms_thresh"),
    ],
)
def test_proposals_that_make_no_sense_are_refused(tmp_path, param, message):
    with pytest.raises(CaffeFormatError, match=f"(?s)'y'.*{message}"):
        imported(tmp_path, RPN % ("Proposal", param))


@pytest.mark.parametrize(
    ("words", "scales"),
    [
        ("'feat_stride': 16", (8, 16, 32)),
        ("feat_stride: 16\\nscales: [4, 8, 16]", (4, 8, 16)),
        ("{'feat_stride': 16, 'scales': !!python/tuple [1, 2, 4]}", (1, 2, 4)),
        ("{'feat_stride': 16, 'scales': (1, 2.5, 4)}", (1, 2.5, 4)),
    ],
)
def test_settings_of_python_layers(tmp_path, words, scales):
    layer = proposal_of(tmp_path, words)
    assert (layer.feat_stride, layer.scales) == (16, scales)
    assert (layer.pre_nms_topn, layer.post_nms_topn) == (6000, 300)
    assert (layer.nms_thresh, layer.min_size) == (0.7, 16)


def test_pvanets_ratios_of_python_layers(tmp_path):
    words = "'feat_stride': 16\\n'scales': [3, 6, 9]\\n'ratios': [0.5, 1.0, 1.5]"
    assert proposal_of(tmp_path, words).ratios == (0.5, 1, 1.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "names with values"),
        ("16", "names with values"),
        ("'scales': [1, 2, 4]", "feat_stride"),
        ("'feat_stride': 16\\n'sizes': [1]", "scales, ratios; received: sizes"),
        ("'feat_stride': many", "feat_stride.*'many'"),
        ("'feat_stride': 16.5", "feat_stride"),
        ("'feat_stride': true", "feat_stride"),
        ("'feat_stride': 16, 'scales': [", "YAML"),
        ("!!python/object/apply:os.system ['true']", "YAML"),
        ("'feat_stride': 16\\n'scales': .inf", "scales"),
        ("[" * 1500, "YAML"),
        ("{[]: 1}", "YAML"),
        ("&a [1], *a", "YAML"),
        ("'feat_stride': &a 16\\n'scales': [*a]", "YAML.*alias"),
        ("'feat_stride': 1" + "0" * 400, "feat_stride"),
        ("'feat_stride': 16 #" + "x" * 2000, "2,000 characters; received: 2,019"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, words, message):
    with pytest.raises(CaffeFormatError, match=f"(?s)'y'.*{message}"):
        proposal_of(tmp_path, words)


def test_the_configuration_of_python_layers(tmp_path):
    config = {"RPN_PRE_NMS_TOP_N": 0, "RPN_POST_NMS_TOP_N": -1, "RPN_MIN_SIZE": 2.5}
    layer = proposal_of(tmp_path, "'feat_stride': 16", python_config=config)
    assert (layer.pre_nms_topn, layer.post_nms_topn, layer.min_size) == (0, 0, 2.5)
    assert layer.output.shape == (None, 5)
    for wrong, message in (
        ({"RPN_NMS_THRESH": "high"}, "RPN_NMS_THRESH.*'high'"),
        ({"RPN_POST_NMS_TOP_N": 2**31}, "RPN_POST_NMS_TOP_N.*at most"),
    ):
        with pytest.raises(CaffeFormatError, match=f"(?s)'y'.*{message}"):
            proposal_of(tmp_path, "'feat_stride': 16", python_config=wrong)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"RPN_NMS_TRESH": 0.5}, "names 'RPN_NMS_TRESH'.*mean 'RPN_NMS_THRESH'"),
        ({7: 0.5}, "names 7, which no layer of the net takes"),
        (["RPN_NMS_THRESH"], "values by their names; received: .'RPN"),
    ],
)
def test_a_configuration_that_no_layer_takes_is_refused(tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        proposal_of(tmp_path, "'feat_stride': 16", python_config=config)


def test_nets_of_other_layers_take_no_configuration(tmp_path):
    text = RPN % ("Proposal", CPP % "")
    with pytest.raises(ValueError, match="'RPN_MIN_SIZE'.*There are: none"):
        imported(tmp_path, text, python_config={"RPN_MIN_SIZE": 1})


@pytest.mark.parametrize("most", [0, -3, 2.5, True, "5", 2**31])
def test_the_most_detections_are_a_positive_integer(tmp_path, most):
    text = RPN % ("Proposal", CPP % "")
    with pytest.raises(ValueError, match="`max_detections` to be a positive integer"):
        imported(tmp_path, text, max_detections=most)


ROIS = np.float32([[0, 1, 2, 9, 7], [1, 0, 0, 3, 3], [1, 5, 5, 30, 30]])
PARAMS = {
    "ROIPooling": ("roi_pooling_param { pooled_size: 3 spatial_scale: 0.5 }", 8266711),
    "PSROIPooling": (
        "psroi_pooling_param { spatial_scale: 0.5 output_dim: 2 group_size: 2 }",
        10001,
    ),
    "ROIAlign": ("roi_align_param { pooled_h: 2 sampling_ratio: 2 }", 2154),
    "Proposal": (
        CPP % "pre_nms_topn: 30 post_nms_topn: 7 nms_thresh: 0.5 min_size: 8",
        201,
    ),
}


@pytest.mark.parametrize("type_", PARAMS)
def test_files_come_back_with_their_forks_numbers(tmp_path, type_):
    rng = np.random.default_rng(0)
    if type_ == "Proposal":
        shapes = (1, 3, 5, 4), (1, 3, 5, 8)
        data = [rng.uniform(size=shape).astype("float32") for shape in shapes]
        data.append(np.float32([[48, 80, 1]]))
        text = RPN
    else:
        data = [rng.normal(size=(2, 6, 7, 8)).astype("float32"), ROIS]
        text = MAPS
    param, number = PARAMS[type_]
    model = imported(tmp_path, text % (type_, param))
    paths = tmp_path / "out.prototxt", tmp_path / "out.caffemodel"
    kcz.to_caffe(model, *paths)
    again = from_caffe(*paths)
    for one, other in zip(
        keras.tree.flatten(model(data)), keras.tree.flatten(again(data)), strict=True
    ):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))
    layer = next(x for x in read_net(paths[1]).layers if x.name == "y")
    assert [raw.number for raw in layer.message.raw] == [number]


def test_compare_leaves_out_rows_that_caffe_does_not_have(tmp_path):
    text = RPN % ("Proposal", CPP % "post_nms_topn: 30 nms_thresh: 0.1")
    text += """
input: "x" input_shape { dim: 1 dim: 2 dim: 6 dim: 10 }
layer { name: "p" type: "ROIPooling" bottom: "x" bottom: "y" top: "p"
  roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.125 } }
layer { name: "q" type: "Softmax" bottom: "p" top: "q" }
"""
    model = imported(tmp_path, text)
    rng = np.random.default_rng(0)
    shapes = (1, 3, 5, 4), (1, 3, 5, 8), None, (1, 6, 10, 2)
    data = [s and rng.normal(size=s).astype("float32") for s in shapes]
    data[2] = np.float32([[48, 80, 1]])
    outputs = [model.get_layer(name).output for name in "ypq"]
    y, p, q = map(keras.ops.convert_to_numpy, keras.Model(model.inputs, outputs)(data))
    used = y[:, 0] >= 0
    assert 0 < used.sum() < 30
    assert not p[~used].any()
    blobs = {
        "prob": data[0],
        "delta": data[1],
        "x": data[3],
        "p": p[used],
        "q": q[used],
    }
    blobs = {name: np.moveaxis(blob, -1, 1) for name, blob in blobs.items()}
    blobs.update(info=data[2], y=y[used])
    assert compare(model, blobs).first_departure is None
    blobs["p"] = blobs["p"][1:]
    assert compare(model, blobs).first_departure.blob == "p"
