"""Caffe's Accuracy against a loop over its definition."""

import math

import keras
import numpy as np
import pytest

from keras_caffe_zoo.caffe import CaffeFormatError, parse_prototxt
from keras_caffe_zoo.training.metrics import (
    Accuracy,
    AccuracyPerClass,
    accuracy_of,
)

RNG = np.random.default_rng(0)


def reference(labels, scores, top_k=1, ignore=None):
    right = counted = 0
    for at in np.ndindex(labels.shape):
        label = int(labels[at])
        if label == ignore:
            continue
        counted += 1
        others = [s for k, s in enumerate(scores[at]) if k != label]
        right += sum(s >= scores[at][label] for s in others) < top_k
    return right / counted if counted else 0.0


def accuracy(labels, scores, **options):
    metric = Accuracy(**options)
    metric.update_state(labels, scores)
    return float(metric.result())


@pytest.mark.parametrize("ignore", [None, 2])
@pytest.mark.parametrize("top_k", [1, 2, 5])
@pytest.mark.parametrize("shape", [(40,), (3, 4, 5)])
def test_labels_among_the_best_are_right(shape, top_k, ignore):
    scores = RNG.integers(0, 6, (*shape, 5)).astype("float32")  # with many ties
    labels = RNG.integers(0, 5, shape).astype("float32")
    expected = reference(labels, scores, top_k, ignore)
    options = {"top_k": top_k, "ignore_label": ignore}
    assert accuracy(labels, scores, **options) == pytest.approx(expected)
    assert accuracy(labels[..., None], scores, **options) == pytest.approx(expected)
    integers = labels.astype("int64")
    assert accuracy(integers, scores, **options) == pytest.approx(expected)


@pytest.mark.parametrize("ignore", [None, 2])
@pytest.mark.parametrize("top_k", [1, 2])
def test_each_class_has_an_accuracy_along_any_axis(top_k, ignore):
    scores = RNG.integers(0, 6, (4, 5, 7)).astype("float32")
    labels = RNG.integers(0, 4, (4, 7))  # none is of the last class
    by_class = np.moveaxis(scores, 1, -1)
    options = {"top_k": top_k, "ignore_label": ignore, "axis": 1}
    metric, whole = AccuracyPerClass(5, **options), Accuracy(**options)
    for one in (metric, whole):
        one.update_state(labels[:1], scores[:1])
        one.update_state(labels[1:], scores[1:])
    assert float(whole.result()) == pytest.approx(
        reference(labels, by_class, top_k, ignore)
    )
    for k, found in enumerate(np.asarray(keras.ops.convert_to_numpy(metric.result()))):
        mine = np.where(labels == k, labels, -1)
        wanted = 0.0 if k == ignore else reference(mine, by_class, top_k, -1)
        assert found == pytest.approx(wanted)
    twin = AccuracyPerClass.from_config(metric.get_config())
    assert (twin.classes, twin.axis, twin.top_k) == (5, 1, top_k)


def test_a_tie_counts_against_the_label():
    scores = np.array([[1, 1, 0]], "float32")
    assert accuracy([0], scores) == accuracy([1], scores) == 0
    assert accuracy([0], scores, top_k=2) == accuracy([1], scores, top_k=2) == 1


def test_nan_is_never_right():
    scores = np.array([[math.nan, 1], [1, 0]], "float32")
    assert accuracy(np.array([0, 0]), scores) == 0.5
    assert accuracy(np.array([0, 0]), scores * math.nan) == 0


def test_no_label_that_counts_gives_zero():
    assert accuracy(np.array([3, 3]), np.eye(2), ignore_label=3) == 0
    assert float(Accuracy().result()) == 0


@pytest.mark.parametrize("wrong", [2, -1, 255, math.nan])
def test_a_label_that_is_no_class_makes_the_result_nan(wrong):
    assert math.isnan(accuracy(np.array([0.0, wrong]), np.eye(2)))


def test_batches_add_up_weights_multiply_and_reset_forgets():
    scores, labels = RNG.normal(size=(10, 3)), RNG.integers(0, 3, 10)
    metric = Accuracy()
    for part in (slice(0, 7), slice(7, 10)):
        metric.update_state(labels[part], scores[part])
    assert float(metric.result()) == pytest.approx(reference(labels, scores))
    metric.reset_state()
    metric.update_state([0, 0], np.eye(2), sample_weight=[3, 1])
    assert float(metric.result()) == 0.75
    with pytest.raises(ValueError, match="Expected weights"):
        metric.update_state([0, 0], np.eye(2), sample_weight=[1, 1, 1])


def test_top_k_must_suit_the_classes():
    with pytest.raises(ValueError, match="at least 1; received: 0"):
        Accuracy(0)
    with pytest.raises(ValueError, match="at most 2 classes; received: 3"):
        accuracy([0], np.eye(2)[:1], top_k=3)


def test_one_hot_labels_are_refused():
    with pytest.raises(ValueError, match="argmax"):
        accuracy(np.eye(3), np.eye(3))


def test_a_compiled_model_reports_it_and_is_loaded_again(tmp_path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = [Accuracy(), Accuracy(2, 3, name="top2")]
    model.compile("sgd", loss, metrics=metrics)
    x, labels = RNG.normal(size=(20, 6)), RNG.integers(0, 4, 20)
    model.fit(x, labels, epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    scores = model.predict(x, verbose=0)
    for one in (model, again):
        result = one.evaluate(x, labels, batch_size=8, verbose=0, return_dict=True)
        assert result["accuracy"] == pytest.approx(reference(labels, scores))
        assert result["top2"] == pytest.approx(reference(labels, scores, 2, 3))


def layer_of(kind, param=""):
    ends = 'bottom: "x" bottom: "y" top: "z"'
    text = f'layer {{ name: "loss3/top-5" type: "{kind}" {ends} {param} }}'
    return parse_prototxt(text).layers[0]


def test_an_accuracy_layer_becomes_its_metric():
    metric = accuracy_of(layer_of("Accuracy"))
    assert (metric.top_k, metric.ignore_label) == (1, None)
    assert metric.name == "loss3>top-5"
    param = "accuracy_param { top_k: 5 ignore_label: 0 }"
    metric = accuracy_of(layer_of("Accuracy", param))
    assert (metric.top_k, metric.ignore_label) == (5, 0)
    assert accuracy_of(layer_of("Accuracy", "accuracy_param { axis: -1 }")).axis == -1
    metric.update_state([1], np.eye(6)[:1])
    assert float(metric.result()) == 0


def test_another_layer_or_top_k_is_refused_by_name():
    with pytest.raises(CaffeFormatError, match="layer 'loss3/top-5'.*of the type Acc"):
        accuracy_of(layer_of("Softmax"))
    with pytest.raises(CaffeFormatError, match="accuracy_param.top_k.*received: 0"):
        accuracy_of(layer_of("Accuracy", "accuracy_param { top_k: 0 }"))
