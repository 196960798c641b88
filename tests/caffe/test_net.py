import bvlc
import numpy as np
import pytest
from caffe_bytes import GOLDENS

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net, parse_prototxt, read_net


def names(net):
    return [layer.name for layer in net.layers]


def with_rules(rules, state=""):
    return parse_prototxt(f'{state} layer {{ name: "x" type: "ReLU" {rules} }}')


@pytest.mark.parametrize(
    "rules, state, kept",
    [
        ("", ("TEST", 0, ()), True),
        ("include { phase: TRAIN }", ("TEST", 0, ()), False),
        ("include { phase: TRAIN }", ("TRAIN", 0, ()), True),
        ("include { phase: TRAIN } include { phase: TEST }", ("TEST", 0, ()), True),
        ("include { }", ("TEST", 0, ()), True),
        ("exclude { }", ("TEST", 0, ()), False),
        ("exclude { phase: TRAIN }", ("TEST", 0, ()), True),
        ("exclude { phase: TRAIN } exclude { phase: TEST }", ("TEST", 0, ()), False),
        ("include { min_level: 1 }", ("TEST", 0, ()), False),
        ("include { min_level: 1 }", ("TEST", 1, ()), True),
        ("include { max_level: 1 }", ("TEST", 2, ()), False),
        ("include { max_level: 1 }", ("TEST", 1, ()), True),
        ("include { max_level: -1 }", ("TEST", 0, ()), False),
        ("include { stage: 'a' stage: 'b' }", ("TEST", 0, ("a",)), False),
        ("include { stage: 'a' stage: 'b' }", ("TEST", 0, ("a", "b", "c")), True),
        ("include { not_stage: 'a' }", ("TEST", 0, ("a",)), False),
        ("include { not_stage: 'a' }", ("TEST", 0, ("b",)), True),
        ("include { phase: TEST stage: 'a' }", ("TEST", 0, ()), False),
        ("exclude { phase: TEST stage: 'a' }", ("TEST", 0, ()), True),
    ],
)
def test_filter_follows_caffes_rules(rules, state, kept):
    assert bool(with_rules(rules).filter(*state).layers) is kept


def test_filter_adds_the_nets_own_stages_and_overrides_its_phase_and_level():
    own = "state { phase: TRAIN level: 5 stage: 'deploy' }"
    assert with_rules("include { stage: 'deploy' }", own).filter().layers
    assert not with_rules("include { phase: TRAIN }", own).filter().layers
    assert not with_rules("include { min_level: 5 }", own).filter().layers


def test_filter_refuses_include_with_exclude():
    net = with_rules("include { phase: TEST } exclude { phase: TRAIN }")
    with pytest.raises(CaffeFormatError, match="layer 'x'.*received: both"):
        net.filter()


def test_filter_refuses_unknown_phases():
    with pytest.raises(ValueError, match="received: 'test'"):
        Net().filter("test")


def test_filter_of_a_training_definition():
    net = read_net(GOLDENS / "train_val.prototxt")
    middle = ["conv1", "relu1", "pool1", "fc"]
    assert names(net) == ["data", "data", *middle, "accuracy", "loss"]
    train, test = net.filter("TRAIN"), net.filter("TEST")
    assert names(train) == ["data", *middle, "loss"]
    assert names(test) == ["data", *middle, "accuracy", "loss"]
    assert train.layers[0].read("transform_param").mirror
    assert not test.layers[0].read("transform_param").mirror


SPLIT = """
layer { name: "r" type: "ReLU" bottom: "d" top: "r" }
layer { name: "r_r_0_split" type: "Split" bottom: "r"
        top: "r_r_0_split_0" top: "r_r_0_split_1" }
layer { name: "a" type: "Power" bottom: "r_r_0_split_0" top: "a" }
layer { name: "b" type: "Eltwise" bottom: "r_r_0_split_1" bottom: "a" top: "b" }
"""


def test_inserted_splits_fold():
    net = parse_prototxt(SPLIT).fold_splits()
    assert names(net) == ["r", "a", "b"]
    assert [x.bottoms for x in net.layers] == [["d"], ["r"], ["r", "a"]]
    assert list(net.layers[2].message.bottom) == ["r", "a"]


def test_folding_makes_a_layer_in_place_again():
    text = SPLIT + ('layer { name: "c" type: "ReLU" bottom: "r_r_0_split_1" top: "r" }')
    net = parse_prototxt(text).fold_splits()
    assert (net.layers[-1].bottoms, net.layers[-1].tops) == (["r"], ["r"])


def test_a_split_whose_blob_is_overwritten_before_a_reader_stays():
    text = SPLIT.replace(
        'layer { name: "a"', 'layer { name: "w" type: "TanH" bottom: "r" top: "r" }\n'
        'layer { name: "a"'
    )  # fmt: skip
    assert "r_r_0_split" in names(parse_prototxt(text).fold_splits())


def test_a_split_of_another_name_stays_even_when_folding():
    text = SPLIT.replace("r_r_0_split", "mine")
    assert names(parse_prototxt(text).fold_splits()) == ["r", "mine", "a", "b"]


def test_a_prototxt_keeps_its_splits():
    assert "r_r_0_split" in names(parse_prototxt(SPLIT))


def test_inputs_of_every_way_to_declare_them():
    v2 = 'layer { name: "d" type: "Input" top: "a" input_param { shape { dim: 2 } } }'
    dims = 'input: "a" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 5'
    shapes = (
        'input: "a" input: "b" input_shape { dim: 1 } input_shape { dim: 2 dim: 3 }'
    )
    both = v2.replace('top: "a"', 'top: "a" top: "b"')
    assert parse_prototxt(v2).inputs == {"a": (2,)}
    assert parse_prototxt(dims).inputs == {"a": (1, 3, 4, 5)}
    assert parse_prototxt(shapes).inputs == {"a": (1,), "b": (2, 3)}
    assert parse_prototxt(both).inputs == {"a": (2,), "b": (2,)}
    assert parse_prototxt('input: "a"').inputs == {}


def test_params_keep_the_last_of_a_name():
    one, two = np.zeros(1, "f4"), np.ones(1, "f4")
    net = Net(layers=[Layer("c", "X", blobs=[one]), Layer("d", "X"),
                      Layer("c", "X", blobs=[two])])  # fmt: skip
    assert list(net.params) == ["c"] and net.params["c"][0] is two


def test_to_prototxt_prints_the_attributes_and_reads_back():
    net = read_net(GOLDENS / "net_googlenet_mini.prototxt")
    net.layers[1].bottoms = ["other"]
    again = parse_prototxt(net.to_prototxt())
    assert again.layers[1].bottoms == ["other"]
    assert bvlc.from_bytes(again) == bvlc.from_text(net) == bvlc.from_text(again)
    assert (again.name, again.message) == (net.name, net.message)


def test_a_layer_made_by_hand_has_a_message():
    layer = Layer("relu", "ReLU", ["a"], ["b"])
    assert (layer.message.name, layer.message.type) == ("relu", "ReLU")
    for made in (bvlc.from_bytes, bvlc.from_text):
        net = made(Net("n", [layer]))
        assert (net.name, net.layer[0].bottom[:]) == ("n", ["a"])
