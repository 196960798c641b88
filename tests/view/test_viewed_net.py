"""What is told of a net: figures that were published, and as much as can be known."""

import json

import numpy as np
import pytest
from support import GOLDENS
from viewed_nets import alexnet, inception, resnet

from keras_caffe_zoo.caffe import CaffeFormatError, parse_prototxt, write_caffemodel
from keras_caffe_zoo.view.folding import folded
from keras_caffe_zoo.view.net import MAX_DRAWN, viewed_file, viewed_net

DATA = 'input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8 '


@pytest.fixture
def view(tmp_path):
    def viewed(text, **options):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return viewed_file(path, **options)

    return viewed


def test_alexnet_has_its_published_figures(view):
    net = view(alexnet())
    assert net.parameters == 60_965_224
    # 11 x 11 x 3 x 96 x 55 x 55 and so on; two groups see half of the channels each.
    assert net.multiply_adds == sum(
        [
            11 * 11 * 3 * 96 * 55 * 55,
            5 * 5 * 48 * 256 * 27 * 27,
            3 * 3 * 256 * 384 * 13 * 13,
            3 * 3 * 192 * 384 * 13 * 13,
            3 * 3 * 192 * 256 * 13 * 13,
            256 * 6 * 6 * 4096 + 4096 * 4096 + 4096 * 1000,
        ]
    )
    assert not net.notes and not net.unsized
    assert net.items == 10  # the file's batch; figures are those of one item


def test_memory_is_that_of_blobs_and_not_of_layers_in_place(view):
    net = view(
        DATA + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 5 kernel_size: 1 } } "
        'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }'
    )
    assert [x.memory for x in net.layers] == [4 * 2 * 3 * 64, 4 * 2 * 5 * 64, 0]
    assert net.memory == 4 * (3 + 5) * 64


@pytest.mark.slow
def test_resnet_152_has_its_published_figures(view):
    net = view(resnet())
    # 60,192,808 weights, as every framework counts them. Caffe's layers have a mean
    # and a variance for each channel, too, and one number for each normalization.
    channels = sum(x.tops[0][1] for x in net.layers if x.type == "BatchNorm")
    count = sum(x.type == "BatchNorm" for x in net.layers)
    assert count == 155
    assert net.parameters == 60_192_808 + 2 * channels + count
    assert 11.2e9 < net.multiply_adds < 11.4e9  # "11.3 billion" in the paper


def test_a_layer_that_nobody_knows_is_there_without_a_shape(view):
    net = view(
        DATA + 'layer { name: "odd" type: "Nobodys" bottom: "data" top: "odd" } '
        'layer { name: "after" type: "ReLU" bottom: "odd" top: "after" } '
        'layer { name: "beside" type: "ReLU" bottom: "data" top: "beside" }'
    )
    _, odd, after, beside = net.layers
    assert odd.kind == "unknown" and odd.tops == [None]
    assert "'Nobodys'" in odd.sizes.problem
    assert "'odd'" in after.sizes.problem
    assert beside.tops == [(2, 3, 8, 8)]
    (note,) = net.notes
    assert "shapes of 2 layers are unknown" in note


def test_layers_that_do_not_fit_say_why(view):
    net = view(
        DATA + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 4 kernel_size: 90 } }"
    )
    assert net.layers[1].tops == [None] and net.layers[1].sizes.problem


def test_training_nets_have_losses_labels_and_phases():
    path = GOLDENS / "train_val.prototxt"
    tests, training = viewed_file(path), viewed_file(path, phase="TRAIN")
    assert tests.layers[0].tops == [(4, 3, 8, 8), (4,)]
    assert {x.type: x.kind for x in tests.layers}["Accuracy"] == "loss"
    assert tests.layers[-1].tops == [()]
    assert "Accuracy" not in {x.type for x in training.layers}
    assert tests.parameters == training.parameters > 0


def test_the_size_of_an_image_can_be_given(view):
    text = DATA + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
    assert view(text, input_shape=(5, 6)).layers[1].tops == [(2, 3, 5, 6)]
    assert view(text, input_shape=(5, 6, 1)).layers[1].tops == [(2, 1, 5, 6)]
    named = view(text, input_shape={"data": (4, 4, 3)})
    assert named.layers[1].tops == [(2, 3, 4, 4)]
    with pytest.raises(ValueError, match="no data blob"):
        view(text, input_shape={"image": (4, 4, 3)})


def test_a_caffemodel_shows_its_own_net(tmp_path):
    path = GOLDENS / "net_alexnet_eighth.caffemodel"
    alone = viewed_file(path)
    both = viewed_file(path.with_suffix(".prototxt"), path)
    assert alone.parameters == both.parameters > 0
    assert alone.kernel.shape == both.kernel.shape == (12, 3, 11, 11)
    assert both.kernel_of == "conv1"
    weights = tmp_path / "weights.caffemodel"
    write_caffemodel(weights, {"fc": [np.zeros((2, 3), "float32")]})
    assert viewed_file(weights).parameters == 6


def test_files_that_are_no_net_are_refused(view, tmp_path):
    with pytest.raises(CaffeFormatError, match="received none"):
        view('name: "nothing"')
    with pytest.raises(ValueError, match="Expected phase"):
        view(DATA, phase="BOTH")
    with pytest.raises(FileNotFoundError):
        viewed_file(tmp_path / "none.prototxt")


def test_what_is_found_is_told_as_json():
    path = GOLDENS / "forks" / "net_faster_rcnn_mini.prototxt"
    net = viewed_file(path)
    told = json.loads(json.dumps(net.as_dict()))
    assert len(told["layers"]) == len(net.layers)
    assert any(x["multiply_adds"] is None for x in told["layers"])  # of found regions


def kinds(text):
    layers = parse_prototxt(text).layers
    graph = folded(layers)
    return [[layers[at].name for at in node] for node in graph.nodes], graph


def test_layers_in_place_are_folded_until_another_reads_the_blob():
    names, graph = kinds(
        DATA + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" } '
        'layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" } '
        'layer { name: "s" type: "Scale" bottom: "c" top: "c" } '
        'layer { name: "p" type: "Pooling" bottom: "c" top: "p" } '
        'layer { name: "r" type: "ReLU" bottom: "c" top: "c" } '
        'layer { name: "e" type: "Eltwise" bottom: "c" bottom: "p" top: "e" }'
    )
    assert names == [["input"], ["c", "bn", "s"], ["p"], ["r"], ["e"]]
    assert graph.edges == {
        (0, 1): ["data"],
        (1, 2): ["c"],
        (1, 3): ["c"],
        (3, 4): ["c"],
        (2, 4): ["p"],
    }


def test_circles_and_names_that_come_twice_are_shown_as_they_run(view):
    net = view(
        DATA + 'layer { name: "a" type: "ReLU" bottom: "b" top: "a" } '
        'layer { name: "b" type: "ReLU" bottom: "a" top: "b" } '
        'layer { name: "b" type: "TanH" bottom: "data" top: "b" }'
    )
    graph = folded([x.layer for x in net.layers])
    assert all(start < end for start, end in graph.edges)
    assert "'b'" in net.layers[1].sizes.problem


def test_the_largest_sizes_cost_nothing(view):
    largest = 2**31 - 1
    net = view(
        f'input: "data" input_dim: 1 input_dim: 3 input_dim: {largest} '
        f'input_dim: {largest} layer {{ name: "c" type: "Convolution" bottom: "data" '
        'top: "c" convolution_param { num_output: 7 kernel_size: 1 bias_term: false } }'
        'layer { name: "d" type: "Convolution" bottom: "c" top: "d" '
        f"convolution_param {{ num_output: {largest} kernel_h: 99999 kernel_w: 9 }} }}"
    )
    assert net.layers[1].tops == [(1, 7, largest, largest)]
    assert net.multiply_adds == 3 * 7 * largest**2
    assert net.layers[2].tops == [None] and net.layers[2].sizes.problem


def test_sizes_below_zero_are_no_sizes(view):
    net = view(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: -1 '
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
    )
    assert net.layers[1].tops == [None]
    assert "No data blob has the sizes of 'data'" in net.notes[0]


def test_very_many_layers_are_listed(view):
    lines = [DATA]
    for at in range(MAX_DRAWN + 1):
        lines.append(
            f'layer {{ name: "r{at}" type: "ReLU" bottom: "data" top: "r{at}" }}'
        )
    net = view("\n".join(lines))
    assert not net.is_drawn and f"at most {MAX_DRAWN:,}" in net.notes[0]
    assert net.as_dict()["layers"][-1]["shapes"] == [None]


def test_nets_of_keras_are_viewed_as_they_are_written(view):
    net = viewed_net(parse_prototxt(inception(1)))
    assert net.layers[-1].tops == [(10, 256, 28, 28)]


def test_very_many_inputs_and_inputs_of_nothing_are_quick(view):
    text = "".join(
        f'input: "i{i}" input_shape {{ dim: {i + 1} }} ' for i in range(1500)
    )
    net = view(text + 'layer { name: "none" type: "Input" }')
    assert net.layers[0].tops[-1] == (1500,)
    assert net.layers[1].tops == [] and not net.layers[1].sizes.problem


def test_data_of_known_shape_stays_where_labels_have_none(view):
    net = view(
        'layer { name: "d" type: "HDF5Data" top: "data" top: "label" } '
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }',
        input_shape={"data": (4, 5, 3)},
    )
    assert [x.tops for x in net.layers] == [[(1, 3, 4, 5), None], [(1, 3, 4, 5)]]
    assert net.layers[0].sizes.multiply_adds is None
