"""What layers of types that nobody knows are to the net that predicts."""

import warnings

import numpy as np
import pytest
from short_nets import model_of, prototxt

from keras_caffe_zoo.caffe import CaffeFormatError, write_caffemodel
from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.training import from_solver

DATA = "data ImageData -> data label; image_data_param { batch_size: 2 }"
FC = "fc Convolution data -> fc; convolution_param { num_output: 3 kernel_size: 1 }"
PYTHON = "python_param { module: 'm' layer: '%s' }"


def outputs(folder, *lines, **options):
    return model_of(folder, FC, *lines, data=DATA, **options)


@pytest.mark.parametrize(
    "line",
    [
        "loss CenterLoss fc label -> loss; center_loss_param { num_output: 3 }",
        "loss CtcLoss fc label -> loss",
        "loss YoloSeg fc label -> loss; loss_weight: 1",
        "loss Python fc label -> loss; loss_weight: 0.5 " + PYTHON % "Regression",
        "loss Python fc -> loss; " + PYTHON % "TripletLossLayer",
        "measure MeanIoU fc label -> measure; include { phase: TEST }",
        "writer Shower fc",
    ],
)
def test_losses_and_measures_that_nobody_knows_are_left_out(tmp_path, line):
    name, kind = line.split()[:2]
    kind = kind if kind != "Python" else "m."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = outputs(tmp_path, line)
    assert f"left out '{name}' ({kind}" in str(caught[0].message)
    assert [x.name for x in model.inputs] == ["data"]
    assert model.output_shape[-1] == 3


@pytest.mark.parametrize(
    "lines",
    [
        ["y Whiten fc -> y"],  # may be the prediction
        ["y Python fc -> y; " + PYTHON % "Cluster"],
        ["y MyLoss fc label -> y", "z ReLU y -> z"],  # somebody reads it
        ["y MyLoss fc -> fc", "z ReLU fc -> z"],
        ["y Margin fc label -> y", "p Softmax y -> p"],
    ],
)
def test_what_may_be_a_part_of_the_prediction_is_refused(tmp_path, lines):
    with pytest.raises(CaffeFormatError, match="No rule for layers of the type"):
        outputs(tmp_path, *lines)


def test_the_error_says_where_the_net_could_end(tmp_path):
    line = "boxes Python fc -> boxes; " + PYTHON % "Cluster"
    with pytest.raises(CaffeFormatError) as error:
        outputs(tmp_path, line)
    assert "('boxes' = m.Cluster: its code" in str(error.value)
    assert "Or end the net before 'boxes', which no layer reads, with 'fc'" in str(
        error.value
    )


def test_a_loss_of_a_type_of_ones_own_stays(tmp_path):
    rule = {"MyLoss": lambda node, x, label: x - label}
    (tmp_path / "net.prototxt").write_text(
        prototxt(FC, "y MyLoss fc fc -> y", data=DATA)
    )
    model = from_caffe(tmp_path / "net.prototxt", custom_layers=rule)
    assert np.all(model.predict(np.ones((1, 2, 2, 3)), verbose=0) == 0)


def test_nobody_trains_on_a_loss_that_is_not_known(tmp_path):
    line = "y MyLoss fc label -> y; loss_weight: 1"
    (tmp_path / "net.prototxt").write_text(prototxt(FC, line, data=DATA))
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 5'
    )
    with pytest.raises(CaffeFormatError, match="MyLoss"):
        from_solver(tmp_path / "solver.prototxt")


def test_weights_tell_the_channels_of_data_that_nobody_knows(tmp_path):
    data = "data Python -> data label; " + PYTHON % "Reader"
    lines = [FC, "loss SoftmaxWithLoss fc label -> loss"]
    (tmp_path / "net.prototxt").write_text(prototxt(*lines, data=data))
    blobs = {"fc": [np.ones((3, 5, 1, 1), "f4"), np.zeros(3, "f4")]}
    write_caffemodel(tmp_path / "net.caffemodel", blobs)
    model = from_caffe(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert model.input_shape == (None, None, None, 5)


@pytest.mark.parametrize("phase", ["TEST", "TRAIN"])
@pytest.mark.parametrize("fed", ["TEST", "TRAIN"])
def test_data_may_stand_in_the_other_phase_only(tmp_path, phase, fed):
    data = f"{DATA} include {{ phase: {fed} }}"
    loss = "loss SoftmaxWithLoss fc label -> loss; include { phase: TRAIN }"
    (tmp_path / "net.prototxt").write_text(prototxt(FC, loss, data=data))
    model = from_caffe(tmp_path / "net.prototxt", phase=phase)
    assert [x.name for x in model.inputs] == ["data"]


def test_the_phase_keeps_its_own_data(tmp_path):
    crop = "transform_param {{ crop_size: {} }} include {{ phase: {} }}"
    train, test = (f"{DATA} {crop.format(*x)}" for x in ((8, "TRAIN"), (9, "TEST")))
    (tmp_path / "net.prototxt").write_text(prototxt(test, FC, data=train))
    assert from_caffe(tmp_path / "net.prototxt").input_shape[1] == 9
    model = from_caffe(tmp_path / "net.prototxt", phase="TRAIN")
    assert model.input_shape[1] == 8


@pytest.mark.parametrize(
    "data",
    [
        "data Python -> data label; "
        "python_param { module: 'voc_layers' layer: 'VOCSegDataLayer' }",
        "data ImageLabelmapData -> data label; image_data_param { batch_size: 1 }",
    ],
)
def test_what_feeds_fcn_and_hed(tmp_path, data):
    model = model_of(tmp_path, FC, "l SoftmaxWithLoss fc label -> l", data=data)
    assert model.input_shape == (None, None, None, 3)


def test_what_feeds_fcn_with_depths(tmp_path):
    data = (
        "data Python -> colour depth label; python_param { module: 'nyud_layers' "
        """layer: 'NYUDSegDataLayer' param_str: "{'tops': ['color', 'depth', """
        """'label']}" }"""
    )
    join = "data2 Concat colour depth -> data"
    model = model_of(tmp_path, join, FC, "l SoftmaxWithLoss fc label -> l", data=data)
    assert model.input_shape == [(None, None, None, 3), (None, None, None, 1)]


def test_a_net_that_shows_its_answers_itself_ends_with_them(tmp_path):
    video = "data VideoData -> data; transform_param { crop_size: 4 }"
    ends = "y ReLU fc -> y", "s Silence y fc"
    model = model_of(tmp_path, FC, *ends, data=video)
    assert set(model.output) == {"y", "fc"}
