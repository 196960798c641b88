"""The contract of all nets that are no classifiers, and their published definitions."""

import inspect
import math

import keras
import numpy as np
import pytest
from definition import formula_params
from other_nets import OTHERS, define, each_kind, each_other, one_of_a_kind
from support import nchw, nhwc, pattern, relative_error

from keras_caffe_zoo import models
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.rules.names import keras_name

AT_ONCE = 2e8  # numbers of all blobs that are compared
ARGUMENTS = ["weights", "input_tensor", "input_shape", "name", "dtype"]


def build(name, **options):
    net = OTHERS[name]
    shape = (*net.sides, net.channels)
    return getattr(models, name)(**{"weights": None, "input_shape": shape} | options)


def inputs_of(definition, batch=1):
    """One array for each input of a definition, the image first."""
    shapes = [(batch, *definition.blobs[name]) for name in definition.given]
    return [
        np.tile(np.float32(definition.values[name]), (batch, 1))
        if name in definition.values
        else pattern(shape, 7 + i, 240.0)
        for i, (name, shape) in enumerate(zip(definition.given, shapes, strict=True))
    ]


def fed(definition):
    """What a model of a definition takes, as Keras takes it."""
    arrays = [nhwc(x) if x.ndim == 4 else x for x in inputs_of(definition)]
    return arrays[0] if len(arrays) == 1 else arrays


def outputs_of(model):
    found = model.output
    return found if isinstance(found, dict) else {model.layers[-1].name: found}


@each_other
def test_its_arguments_are_those_of_all_builders_and_its_docstring_names_them(name):
    build_net = getattr(models, name)
    arguments = list(inspect.signature(build_net).parameters)
    has_classes = OTHERS[name].classes is not None
    assert arguments[: len(ARGUMENTS)] == ARGUMENTS
    assert ("classes" in arguments) == has_classes
    assert build_net.__doc__.startswith("Build ")
    for argument in arguments:
        assert f"    {argument}: " in build_net.__doc__


@each_other
def test_the_definition_is_that_of_the_published_file(name):
    definition, entry = define(name), models.model_info(name)
    count = sum(math.prod(s) for shapes in definition.params.values() for s in shapes)
    assert definition.params == dict(entry.blobs)
    assert count == OTHERS[name].parameters == entry.parameters


@pytest.mark.usefixtures("zeros")
@each_kind
def test_parameters_and_shapes_are_those_of_the_definition(name):
    definition, model = define(name), build(name)
    assert model.count_params() == OTHERS[name].parameters
    assert tuple(outputs_of(model)) == OTHERS[name].outputs
    for layer, shapes in definition.params.items():
        found = [math.prod(w.shape) for w in model.get_layer(keras_name(layer)).weights]
        assert found == [math.prod(shape) for shape in shapes], layer
    for blob, shape in definition.blobs.items():
        tensor = blob_tensor(model, blob)
        if len(shape) == 3:
            shape = (*shape[1:], shape[0])  # channels last
        assert tensor.shape[1:] == shape, blob


@each_kind
def test_every_blob_equals_the_imported_definition(name, tmp_path):
    definition = define(name)
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(definition.prototxt)
    # No number of a caffemodel's is known for what DeepLab calls a dilation.
    net = parse_prototxt(definition.prototxt.replace("hole:", "dilation:"))
    write_caffemodel(caffemodel, formula_params(definition), net)
    ours = build(name, weights=caffemodel)
    theirs = from_caffe(prototxt, caffemodel)
    x, blobs = fed(definition), compared(definition)
    found, expected = (values(model, blobs, x) for model in (ours, theirs))
    for blob, value in expected.items():
        assert relative_error(found[blob], value) <= 1e-5, blob


def compared(definition):
    """Names of blobs: all, or of those of the largest nets as many as have room."""
    numbers = sum(map(math.prod, definition.blobs.values()))
    step = math.ceil(numbers / AT_ONCE)
    return list(definition.blobs)[::-1][::step]  # the last one always


def values(model, blobs, x):
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    tapped = keras.Model(inputs, {blob: blob_tensor(model, blob) for blob in blobs})
    found = tapped.predict_on_batch(x)
    return {name: nchw(value) for name, value in found.items()}


@one_of_a_kind
def test_it_saves_loads_and_clones(name, tmp_path):
    definition, model = define(name), build(name)
    x = fed(definition)
    expected = model.predict_on_batch(x)
    model.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    for other in (loaded, cloned):
        assert keras.tree.map_structure(np.shape, other.predict_on_batch(x)) == (
            keras.tree.map_structure(np.shape, expected)
        )
        keras.tree.map_structure(
            np.testing.assert_array_equal, other.predict_on_batch(x), expected
        )


@each_kind
def test_it_takes_images_of_other_sizes_or_says_that_it_does_not(name):
    net = OTHERS[name]
    for sides in net.other_sizes:
        model = build(name, input_shape=(*sides, net.channels))
        assert model.inputs[0].shape[1:] == (*sides, net.channels)
    if not net.other_sizes:
        with pytest.raises(ValueError, match="the only size that this net takes"):
            build(name, input_shape=(999, 999, net.channels))
    with pytest.raises(ValueError, match="Expected `input_shape`"):
        build(name, input_shape=(*net.sides, 7))
