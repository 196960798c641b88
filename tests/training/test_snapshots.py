"""Snapshots, and trainings that go on after an interruption."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import caffe_params, demo, from_caffe, read_caffemodel, to_caffe
from keras_caffe_zoo.caffe import read_net
from keras_caffe_zoo.training import CaffeSnapshot, finetune

X = demo.windows(demo.held_out_digits()[0][:48])
Y = demo.held_out_digits()[1][:48] % 3


def fit(model, callbacks=(), **options):
    options = {"batch_size": 8, "epochs": 4, **options}  # 6 iterations an epoch
    model.fit(X, Y, shuffle=False, verbose=0, callbacks=list(callbacks), **options)
    return model


def start():
    keras.utils.set_random_seed(11)
    return finetune(demo.load(), 3)


def test_snapshots_come_when_they_should(tmp_path):
    prefix = tmp_path / "new" / "tiny"
    fit(start(), [CaffeSnapshot(prefix, 10)])
    names = {p.name for p in prefix.parent.iterdir()}
    kinds = ("caffemodel", "solverstate")
    assert names == {f"tiny_iter_{n}.{kind}" for n in (10, 20, 24) for kind in kinds}


@pytest.mark.slow
def test_the_last_is_not_written_twice_or_if_not_wanted(tmp_path):
    fit(start(), [CaffeSnapshot(tmp_path / "a", 12), CaffeSnapshot(tmp_path / "b", 0)])
    fit(start(), [CaffeSnapshot(tmp_path / "c", 0, at_end=False)])
    names = sorted(p.name for p in tmp_path.glob("*.caffemodel"))
    assert names == [
        "a_iter_12.caffemodel",
        "a_iter_24.caffemodel",
        "b_iter_24.caffemodel",
    ]


@pytest.mark.slow
def test_accumulated_passes_count_as_one_iteration(tmp_path):
    model = start()
    model.optimizer.gradient_accumulation_steps = 2
    fit(model, [CaffeSnapshot(tmp_path / "s", 5, at_end=False)])
    names = sorted(p.name for p in tmp_path.glob("*.caffemodel"))
    assert names == ["s_iter_10.caffemodel", "s_iter_5.caffemodel"]


def test_a_snapshot_is_the_model_in_caffes_terms(tmp_path):
    model = fit(start(), [CaffeSnapshot(tmp_path / "s")])
    path = tmp_path / "s_iter_24.caffemodel"
    params = read_caffemodel(path)
    for name, blobs in caffe_params(model).items():
        for a, b in zip(blobs, params[name], strict=True):
            np.testing.assert_array_equal(a, b)
    types = {layer.name: layer.type for layer in read_net(path).layers}
    assert types["conv1"] == "Convolution" and types["fc5"] == "InnerProduct"
    to_caffe(model, tmp_path / "d.prototxt", tmp_path / "d.caffemodel")
    twin = from_caffe(tmp_path / "d.prototxt", path)
    np.testing.assert_allclose(
        twin.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6
    )


def test_a_model_that_caffe_cannot_have_is_told_before_the_training(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.LayerNormalization()])
    model.compile("sgd", "mse")
    seen = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *a: seen.append(a))
    with pytest.raises(ValueError, match="layer_normalization"):
        model.fit(
            np.zeros((4, 4)),
            np.zeros((4, 4)),
            verbose=0,
            callbacks=[count, CaffeSnapshot(tmp_path / "s", 1)],
        )
    assert not seen and not list(tmp_path.iterdir())


@pytest.mark.parametrize("every", [-1, 2.5])
def test_intervals_are_whole_numbers(every):
    with pytest.raises(ValueError, match="every"):
        CaffeSnapshot("s", every)


class Interrupted(Exception):
    """What somebody's Ctrl-C stands for."""


class Interrupt(keras.callbacks.Callback):
    """Raises at the start of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise Interrupted


@pytest.mark.slow
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path):
    """Dropout's masks, the momentum and the iteration are what they would have been."""
    assert any(type(x).__name__ == "CaffeDropout" for x in start().layers)
    whole = fit(start())
    backup = tmp_path / "backup"
    with pytest.raises(Interrupted):
        fit(start(), [keras.callbacks.BackupAndRestore(backup), Interrupt()])
    keras.utils.set_random_seed(99)
    resumed = finetune(demo.load(), 3)
    snapshot = CaffeSnapshot(tmp_path / "s", 5)
    fit(resumed, [snapshot, keras.callbacks.BackupAndRestore(backup)])
    assert int(resumed.optimizer.iterations) == 24
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    written = sorted(p.name for p in tmp_path.glob("s_*.caffemodel"))
    assert written == [f"s_iter_{n}.caffemodel" for n in (15, 20, 24)]
