"""ONNX files that take pictures as they are, against what Keras makes of ours."""

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from support import nchw, relative_error

from keras_caffe_zoo import from_caffe, preprocess_input
from keras_caffe_zoo.caffe import write_caffemodel, write_mean
from keras_caffe_zoo.conversion.openvino_core import openvino_core
from keras_caffe_zoo.onnx.api import to_onnx
from keras_caffe_zoo.training.data import Transform

MEAN = (104.0, 117.0, 123.0)  # BGR
CONV = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
"""
LOSS = (
    """layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool1" bottom: "label" }"""
)
RNG = np.random.default_rng(5)


def inputs(channels=3, height=12, width=10):
    dims = "".join(f"dim: {n} " for n in (1, channels, height, width))
    return f'input: "data" input_shape {{ {dims} }}'


def data_layer(transform, type="Data", more="data_param { batch_size: 2 }"):
    return (
        f'layer {{ name: "images" type: "{type}" top: "data" top: "label" {more}'
        f" transform_param {{ {transform} }} }}"
    )


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a net as ONNX, and tells its Keras model too."""

    def run(head, channels=3, shape=None, **options):
        text = f"{head}{CONV}{LOSS if 'label' in head else ''}"
        (tmp_path / "net.prototxt").write_text(text)
        weights = RNG.standard_normal((4, channels, 3, 3), "float32")
        bias = RNG.standard_normal(4, "float32")
        write_caffemodel(tmp_path / "net.caffemodel", {"conv1": [weights, bias]})
        files = (tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
        path = tmp_path / "net.onnx"
        to_onnx(*files, path, input_shape=shape, **options)
        return path, from_caffe(*files, input_shape=shape)

    return run


def pictures(items, height, width, channels=3):
    shape = (items, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def answers(path, images):
    """Yield what each engine makes of images."""
    session = onnxruntime.InferenceSession(path)
    assert [x.type for x in session.get_inputs()] == ["tensor(uint8)"]
    yield session.run(None, {"data": images})[0]
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    yield openvino_core().compile_model(path, "CPU", exact)(images)[0]
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(images)
    yield net.forward()


def check(path, model, images, prepared):
    wanted = nchw(model.predict_on_batch(prepared))
    for found in answers(path, images):
        assert relative_error(found, wanted) < 1e-6


def test_a_net_of_the_zoo_is_given_what_preprocess_input_makes(write):
    images = pictures(3, 12, 10)
    path, model = write(inputs(), preprocessing="squeezenet_v1_0")
    check(path, model, images, preprocess_input(images, "squeezenet_v1_0"))


@pytest.mark.parametrize("type", ["Data", "ImageData", "AnnotatedData"])
def test_the_data_layer_tells(write, type):
    fields = "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.017"
    more = "image_data_param { batch_size: 2 }" if type == "ImageData" else ""
    head = data_layer(f"crop_size: 12 mirror: true {fields}", type, more)
    path, model = write(head, preprocessing=True)
    images = pictures(2, 12, 12)
    transform = Transform(mean=MEAN, scale=0.017)
    prepared = transform.batch(images[..., ::-1], range(2))
    check(path, model, images, prepared)


def test_what_is_given_goes_before_what_the_layer_tells(write):
    head = data_layer("crop_size: 12 mean_value: 5 scale: 2")
    path, model = write(head, preprocessing=True, mean=MEAN, scale=0.5)
    images = pictures(2, 12, 12)
    prepared = (images[..., ::-1].astype("float32") - MEAN) / 2
    check(path, model, images, prepared)


def test_height_and_width_stay_free(write):
    path, model = write(inputs(), shape=(None, None, 3), preprocessing=True, mean=MEAN)
    for height, width in ((12, 10), (17, 23)):
        images = pictures(2, height, width)
        prepared = images[..., ::-1].astype("float32") - np.float32(MEAN)
        check(path, model, images, prepared)


def test_of_a_mean_image_the_centre_is_subtracted(write, tmp_path):
    mean = np.random.default_rng(1).uniform(80, 160, (3, 16, 16)).astype("float32")
    write_mean(tmp_path / "mean.binaryproto", mean)
    head = data_layer('crop_size: 12 mean_file: "/data/mean.binaryproto"')
    path, model = write(head, preprocessing=True, mean=tmp_path / "mean.binaryproto")
    images = pictures(2, 12, 12)
    wide = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))[..., ::-1]
    transform = Transform(12, mean=mean.transpose(1, 2, 0), phase="TEST")
    check(path, model, images, transform.batch(wide, range(2)))


def test_gray_nets_take_gray_pictures(write):
    path, model = write(
        inputs(1), channels=1, preprocessing=True, mean=0, scale=1 / 256
    )
    images = pictures(2, 12, 10, 1)
    check(path, model, images, images.astype("float32") / 256)


def test_there_are_as_few_operations_as_can_be(write):
    made = {}
    for scale in (1, 0.5):
        path, _ = write(inputs(), preprocessing=True, mean=MEAN, scale=scale)
        made[scale] = [node.op_type for node in onnx.load(path).graph.node]
    before = ["Transpose", "Gather", "Cast", "Sub"]
    assert made[1] == [*before, "Conv", "MaxPool"]
    assert made[0.5] == [*before, "Mul", "Conv", "MaxPool"]


IMAGE = np.zeros((8, 8, 3))
REFUSED = [
    ({"preprocessing": True}, "what the net subtracts"),
    ({"preprocessing": True, "scale": 0.5}, "what the net subtracts"),
    ({"mean": MEAN}, "together with `preprocessing`"),
    ({"scale": 1.0}, "together with `preprocessing`"),
    ({"preprocessing": "no_net"}, "no net 'no_net'"),
    ({"preprocessing": "nin"}, "never published"),
    ({"preprocessing": True, "mean": (1, 2)}, "3 numbers"),
    ({"preprocessing": True, "mean": IMAGE[..., :1]}, "3 numbers"),
    ({"preprocessing": True, "mean": IMAGE}, "no smaller than the input"),
    ({"preprocessing": True, "mean": float("nan")}, "finite"),
    ({"preprocessing": True, "mean": MEAN, "scale": 0}, "scale other than 0"),
    (
        {"preprocessing": True, "mean": IMAGE, "shape": (None, None, 3)},
        "height and width are free",
    ),
]


@pytest.mark.parametrize(("options", "why"), REFUSED)
def test_what_nobody_tells_is_never_guessed(write, options, why):
    with pytest.raises(ValueError, match=why):
        write(inputs(), **options)


MEMORY = """layer { name: "memory" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 1 channels: 3 height: 12 width: 12 } }"""


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (data_layer('crop_size: 12 mean_file: "/d/m.binaryproto"'), "/d/m.binaryproto"),
        (data_layer('crop_size: 12 mean_file: "m" mean_value: 1'), "both"),
        (data_layer("crop_size: 12 mean_value: 1 mean_value: 2"), "3 numbers"),
        (MEMORY, "what the net subtracts"),
    ],
)
def test_a_data_layer_that_does_not_tell_all(write, head, why):
    with pytest.raises(ValueError, match=why):
        write(head, preprocessing=True)


def test_nets_of_other_inputs_are_refused(write):
    with pytest.raises(ValueError, match="3 channels, or 1 for gray"):
        write(inputs(6), channels=6, preprocessing=True, mean=0)
    two = 'input: "other" input_shape { dim: 1 dim: 3 dim: 5 dim: 5 }'
    with pytest.raises(ValueError, match="a net of one image"):
        write(f"{inputs()} {two}", preprocessing=True, mean=0)
