"""From training nets to deploy nets: which bottoms are labels, which layers data."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo.caffe import CaffeFormatError, parse_prototxt
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.roles import label_bottoms
from keras_caffe_zoo.training import from_solver

PAIR = """
layer { name: "data" type: "HDF5Data" top: "data" top: "target"
        hdf5_data_param { source: "x" batch_size: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 3 } }
"""


def loss(kind, *bottoms):
    ends = " ".join(f'bottom: "{blob}"' for blob in bottoms)
    return f'layer {{ name: "loss" type: "{kind}" {ends} top: "loss" }}\n'


@pytest.fixture
def load(tmp_path):
    def load(text, **options):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return from_caffe(path, **options)

    return load


@pytest.mark.parametrize("bottoms", [("fc", "target"), ("target", "fc")])
def test_a_euclidean_loss_keeps_what_is_learned_wherever_it_stands(load, bottoms):
    model = load(PAIR + loss("EuclideanLoss", *bottoms), input_shape=(4,))
    assert [x.name for x in model.inputs] == ["data"]
    assert [layer.name for layer in model.layers] == ["data", "fc"]
    assert model.output_shape == (None, 3)


def test_a_euclidean_loss_of_two_learned_paths_keeps_both(load):
    text = PAIR + PAIR[PAIR.index("layer", 10) :].replace('"fc"', '"fd"').replace(
        '"data"', '"target"'
    )
    model = load(
        text + loss("EuclideanLoss", "fc", "fd"),
        input_shape={"data": (4,), "target": (3,)},
    )
    assert set(model.output) == {"fc", "fd"}


def test_a_target_that_is_made_of_data_is_the_label(load):
    power = (
        'layer { name: "twice" type: "Power" bottom: "target" top: "twice" '
        "power_param { scale: 2 } }"
    )
    text = PAIR + power + loss("EuclideanLoss", "twice", "fc")
    model = load(text, input_shape=(4,))
    assert [layer.name for layer in model.layers] == ["data", "fc"]


@pytest.mark.parametrize(
    ("kind", "bottoms", "labels"),
    [
        ("EuclideanLoss", ("fc", "target"), {1}),
        ("EuclideanLoss", ("target", "fc"), {0}),
        ("EuclideanLoss", ("data", "target"), {1}),
        ("SoftmaxWithLoss", ("fc", "target"), {1}),
        ("SoftmaxWithLoss", ("target", "fc"), {1}),  # Caffe knows no other way
        ("ContrastiveLoss", ("fc", "fc", "target"), {2}),
        ("Accuracy", ("fc", "target"), {1}),
    ],
)
def test_which_bottoms_are_labels(kind, bottoms, labels):
    net = parse_prototxt(PAIR + loss(kind, *bottoms))
    assert label_bottoms(net, 2) == labels


def test_a_solver_trains_the_learned_path_of_a_turned_loss(tmp_path):
    text = PAIR.replace("batch_size: 2", "batch_size: 8")
    fill = 'inner_product_param { num_output: 3 weight_filler { type: "xavier" } }'
    text = text.replace("inner_product_param { num_output: 3 }", fill)
    (tmp_path / "net.prototxt").write_text(text + loss("EuclideanLoss", "target", "fc"))
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 50'
    )
    keras.utils.set_random_seed(0)
    training = from_solver(tmp_path / "solver.prototxt", input_shape={"data": (4,)})
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4)).astype("float32")
    y = x @ rng.normal(size=(4, 3)).astype("float32")
    losses = [training.model.train_on_batch(x, y) for _ in range(60)]
    assert losses[-1] < 0.05 * losses[0]
    expected = ((training.model.predict(x, verbose=0) - y) ** 2).sum() / 16
    assert training.model.evaluate(x, y, verbose=0) == pytest.approx(expected, 1e-4)


STAGED = """
input: "data" input_shape { dim: 1 dim: 3 }
layer { name: "a" type: "Power" bottom: "data" top: "a"
        include { stage: "deploy" } }
layer { name: "b" type: "Power" bottom: "data" top: "b"
        exclude { stage: "deploy" } }
layer { name: "c" type: "Power" bottom: "data" top: "c" include { min_level: 2 } }
"""


@pytest.mark.parametrize(
    ("options", "outputs"),
    [
        ({}, ["b"]),
        ({"stages": ("deploy",)}, ["a"]),
        ({"stages": ["deploy", "more"], "level": 2}, ["a", "c"]),
        ({"level": 2}, ["b", "c"]),
        ({"level": 1}, ["b"]),
    ],
)
def test_stages_and_level_choose_layers(load, options, outputs):
    model = load(STAGED, **options)
    assert [layer.name for layer in model.layers[1:]] == outputs


FCN_TRAIN = """
layer { name: "data" type: "Python" top: "data" top: "label"
        python_param { module: "my_layers" layer: "SegDataLayer"
                       param_str: "{'split': 'train'}" } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 21 kernel_size: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label"
        top: "loss" loss_param { ignore_label: 255 normalize: false } }
"""


@pytest.mark.parametrize(
    "given", [(None, None, 3), {"data": (32, 40, 3)}, {"data": (None, 8, 3)}]
)
def test_a_python_data_layer_is_an_input_if_its_shape_is_given(load, given):
    model = load(FCN_TRAIN, input_shape=given)
    assert [x.name for x in model.inputs] == ["data"]
    assert model.output_shape[-1] == 21


def test_data_of_an_unknown_type_is_an_input_too(load):
    model = load(FCN_TRAIN.replace('"Python"', '"MyData"'), input_shape=(5, 6, 3))
    assert model.input_shape == (None, 5, 6, 3)


def test_a_python_data_layer_without_its_shape_is_refused_with_the_way_out(load):
    with pytest.raises(CaffeFormatError) as info:
        load(FCN_TRAIN)
    assert "what reads them, 'data' (my_layers.SegDataLayer)" in str(info.value)
    assert "input_shape={'data': shape of one item}" in str(info.value)


def test_a_python_layer_that_reads_blobs_stays_refused(load):
    text = FCN_TRAIN.replace('"Convolution"', '"Python"')
    with pytest.raises(CaffeFormatError, match=r"'Python' \('score'"):
        load(text, input_shape=(5, 6, 3))


def test_labels_that_the_net_reads_itself_need_a_shape(load):
    text = FCN_TRAIN + (
        'layer { name: "sum" type: "Reduction" bottom: "label" top: "sum" '
        "reduction_param { axis: 1 } }"
    )
    with pytest.raises(CaffeFormatError, match=r"none for \['label'\]"):
        load(text, input_shape={"data": (5, 6, 3)})
    shapes = {"data": (5, 6, 3), "label": (5, 6, 1)}
    assert len(load(text, input_shape=shapes).inputs) == 2


def test_dropout_of_ratio_0_is_the_identity(load):
    text = STAGED[: STAGED.index("layer")] + (
        'layer { name: "drop" type: "Dropout" bottom: "data" top: "drop" '
        "dropout_param { dropout_ratio: 0 } }"
    )
    model = load(text)
    x = np.array([[1, 2, 3]], "float32")
    np.testing.assert_array_equal(model(x, training=True), x)


def test_the_layers_that_were_replaced_are_named():
    part = deploy_net(parse_prototxt(PAIR + loss("EuclideanLoss", "target", "fc")))
    assert part.changed == {"data", "loss"}
    assert [layer.type for layer in part.net.layers] == ["Input", "InnerProduct"]
