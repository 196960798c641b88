"""What every builder is: in the list, in the package, by signature, by docstring."""

import importlib
import inspect
import pkgutil
import sys
import types
from collections import Counter

import keras
import pytest
from definitions import NETS
from families import CONTRACT, FIRST, LONG, POOLED, RAW, each_net
from other_nets import OTHERS

import keras_caffe_zoo
from keras_caffe_zoo import models
from keras_caffe_zoo.weights.manifest import load_manifest


def test_the_list_has_every_net_of_the_manifest_in_its_order():
    assert models.list_models() == list(load_manifest()) == [*CONTRACT, *OTHERS]
    assert {*models.list_models(), "list_models", "model_info"} == set(models.__all__)


def test_nets_are_listed_by_what_they_do_and_who_may_use_them():
    assert set(models.list_models(task="segmentation")) == {
        *("fcn_alexnet", "fcn32s", "fcn16s", "fcn8s", "deeplab_largefov", "enet"),
        *("segnet", "segnet_pascal", "pspnet50", "pspnet101", "pspnet101_cityscapes"),
    }
    assert models.list_models("vgg1?") == ["vgg16", "vgg19"]
    assert models.list_models("vgg*", task="embedding") == []
    with pytest.raises(ValueError, match="say task=.pose."):
        models.list_models("pose")
    with pytest.raises(ValueError, match="Did you mean 'vgg16'"):
        models.list_models("vg16")
    assert models.list_models(task="embedding") == ["sphereface"]
    classifiers = models.list_models(task="classification")
    assert len(classifiers) == len(CONTRACT) - 5
    free = models.list_models(task="classification", license="commercial")
    assert {"caffenet", "se_resnet50"} <= set(free) < set(classifiers)
    assert not {"vgg_cnn_s", "vgg_face"} & set(free)  # one may not, one is unknown
    assert "vgg_cnn_s" in models.list_models(license="Non-Commercial")
    assert models.list_models(task="classification", license="apache") == [
        name for name in CONTRACT if name.startswith("se_")
    ]
    assert "pelee" in models.list_models(task="detection", license="apache")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"task": "clasification"}, "'clasification'. Did you mean 'classification'"),
        ({"license": "GPL"}, "like 'GPL'. There are: 'commercial', 'unrestricted"),
    ],
)
def test_a_task_or_licence_that_no_net_has_is_an_error(wanted, message):
    with pytest.raises(ValueError, match=message):
        models.list_models(**wanted)


def test_facts_of_a_net_are_frozen_and_errors_name_the_known_ones():
    info = models.model_info("resnet50")
    assert (info.name, info.input_size) == ("resnet50", (224, 224))
    assert info.file.size == 102462397
    with pytest.raises(AttributeError):
        info.name = "mine"
    with pytest.raises(ValueError, match="no net 'resnet51'. Did you mean 'resnet50'"):
        models.model_info("resnet51")


def test_a_name_is_the_builder_and_not_the_family_of_that_name():
    """`models.googlenet` is both a module and the function that it holds."""
    families = [module.name for module in pkgutil.iter_modules(models.__path__)]
    assert {"caffenet", "googlenet", "nin"} <= set(families) & set(CONTRACT)
    for family in families:
        importlib.import_module(f"keras_caffe_zoo.models.{family}")
    for name in CONTRACT:
        build = getattr(models, name)
        assert isinstance(build, types.FunctionType)
        assert build is getattr(keras_caffe_zoo, name)
        assert build is getattr(sys.modules[build.__module__], name)


def test_one_net_of_each_family_but_the_long_is_in_the_run_without_the_slow_tests():
    families = {getattr(models, name).__module__ for name in CONTRACT}
    assert LONG <= FIRST
    first = Counter(getattr(models, name).__module__ for name in FIRST)
    assert first == dict.fromkeys(families, 1)


@each_net
def test_the_signature_is_that_of_keras_applications(name):
    ours = dict(inspect.signature(getattr(models, name)).parameters)
    theirs = inspect.signature(keras.applications.VGG16).parameters
    options = {n: p.default for n, p in ours.items() if p.kind is p.KEYWORD_ONLY}
    assert options == {
        "fully_convolutional": False,
        "dtype": None,
        **({"auxiliary_heads": False} if name == "googlenet" else {}),
    }
    shared = {n: p.default for n, p in ours.items() if n not in options}
    assert list(shared) == list(theirs)
    own = {"weights": "caffe", "classes": NETS[name][2], "name": name}
    own["classifier_activation"] = None if name in RAW else "softmax"
    assert shared == {**{n: p.default for n, p in theirs.items()}, **own}


@each_net
def test_the_docstring_tells_facts_sizes_and_names(name):
    size, least, features, *_ = CONTRACT[name]
    height, width = CONTRACT[name].sides
    text = inspect.getdoc(getattr(models, name))
    info = models.model_info(name)
    assert (
        f"ends with `{features}`" in text and f"from {least} x {least} pixels" in text
    )
    assert f"(N, {height or 'H'}, {width or 'W'}, 3)" in text
    assert f"images, {info.channel_order} with the mean" in text
    assert info.file.name in text and f"Licence: {info.licence.text or 'unkn'}" in text
    assert "by nature" in text or size and name not in POOLED
    assert max(map(len, text.split("\nFacts:")[0].splitlines())) <= 88
