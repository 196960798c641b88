"""Every builder against the published deploy definition of its net."""

import math

import keras
import numpy as np
import pytest
from definitions import NETS, define, formula_params
from families import each_family, each_net, every
from support import nchw, nhwc, pattern, relative_error

from keras_caffe_zoo import models
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.rules.names import keras_name


def build(name, definition, **options):
    """The whole net that the file was saved of, for the definition's image."""
    _, height, width = definition.blobs["data"]
    if name == "googlenet":
        options["auxiliary_heads"] = True
    shape = (height, width, 3)
    return getattr(models, name)(input_shape=shape, **options)


@each_net
def test_the_definition_is_that_of_the_published_file(name):
    definition, entry = define(name), models.model_info(name)
    count = sum(math.prod(s) for shapes in definition.params.values() for s in shapes)
    assert definition.params == dict(entry.blobs)
    assert count == NETS[name][3] == entry.parameters


@each_net
def test_it_is_said_where_the_answer_has_another_shape_than_the_files(name):
    classes, *sides = list(define(name).blobs.values())[-1]
    said = " ".join(getattr(models, name).__doc__.split())
    told = f"gives `(N, 1, 1, {classes})` through `from_caffe`"
    assert (told in said) == (sides == [1, 1])


@pytest.mark.usefixtures("zeros")
@each_family
def test_parameters_and_shapes_are_those_of_the_definition(name):
    definition = define(name)
    model = build(name, definition, weights=None)
    assert model.count_params() == NETS[name][3]
    with_weights = {layer.name for layer in model.layers if layer.count_params()}
    assert with_weights == set(map(keras_name, definition.params))
    for layer, shapes in definition.params.items():
        found = [math.prod(w.shape) for w in model.get_layer(keras_name(layer)).weights]
        assert found == [math.prod(shape) for shape in shapes], layer
    for blob, (channels, *sides) in definition.blobs.items():
        one_answer = not sides or (blob == "prob" and sides == [1, 1])
        expected = (channels,) if one_answer else (*sides, channels)
        assert blob_tensor(model, blob).shape[1:] == expected, blob


@pytest.mark.usefixtures("narrow")
@every("caffenet", "vgg_cnn_s", "nin", "squeezenet_v1_1")
def test_every_blob_equals_the_imported_definition(name, tmp_path):
    """With fc6 and fc7 narrowed, and both nets' weights from one caffemodel."""
    definition = define(name, fc=16)
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(definition.prototxt)
    net = parse_prototxt(definition.prototxt)
    write_caffemodel(caffemodel, formula_params(definition), net)
    ours = build(name, definition, weights=caffemodel)
    theirs = from_caffe(prototxt, caffemodel)
    caffemodel.unlink()
    x = nhwc(pattern((1, *definition.blobs["data"]), 7, 240.0))
    found, expected = (values(model, definition.blobs, x) for model in (ours, theirs))
    for blob, value in expected.items():
        assert value.any(), blob
        if found[blob].ndim == 2:
            value = value.reshape(len(value), -1)
        assert relative_error(found[blob], value) <= 1e-5, blob


def values(model, blobs, x):
    tapped = keras.Model(model.inputs, {b: blob_tensor(model, b) for b in blobs})
    return {name: nchw(np.asarray(value)) for name, value in tapped([x]).items()}
