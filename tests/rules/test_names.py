import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import examples

from keras_caffe_zoo.rules.names import caffe_name, conv_name, keras_name, twin_name

NAMES = st.text(st.sampled_from("ab1x_/\\>_.- :é\n\U0001f600"), max_size=8)


@pytest.mark.parametrize(
    ("caffe", "keras_form"),
    [
        ("conv1", "conv1"),
        ("fc6-conv", "fc6-conv"),
        ("inception_3a/1x1", "inception_3a>1x1"),
        ("a b", "a_x20_b"),
        ("_hidden", "._hidden"),
        ("a//b/", "a_x2f_>b_x2f_"),
        ("a>b", "a_x3e_b"),
        ("conv_x1", "conv_x1"),
        ("a_x20_b", "a_x5f_x20_b"),
    ],
)
def test_names_of_old_nets_and_odd_ones(caffe, keras_form):
    assert keras_name(caffe) == keras_form
    assert caffe_name(keras_form) == caffe


@examples(10)
@given(NAMES)
def test_every_name_comes_back(name):
    assert caffe_name(keras_name(name)) == name


@examples(10)
@given(st.tuples(NAMES, NAMES))
def test_two_names_never_become_one(names):
    assert len(set(map(keras_name, names))) == len(set(names))


@given(NAMES)
def test_keras_and_tensorflow_accept_every_name(name):
    inputs = keras.Input((4,))
    layer = keras.layers.Dense(2, name=keras_name(name))
    model = keras.Model(inputs, layer(inputs))
    assert model.predict_on_batch(keras.ops.ones((1, 4))).shape == (1, 2)
    assert model.layers[-1].name == keras_name(name)


def test_twins_are_each_others():
    assert conv_name("fc6") == "fc6-conv"
    assert twin_name("fc6") == "fc6-conv"
    assert twin_name("fc6-conv") == "fc6"
