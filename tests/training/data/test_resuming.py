"""Training that was interrupted sees the batches that it would have seen."""

import keras
import numpy as np
import pytest
from data_files import batches, write_pictures

from keras_caffe_zoo.training.data import image_dataset

EPOCHS, PICTURES, BATCH = 3, 14, 4  # four batches an epoch, the last of two


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, PICTURES, size=(12, 12))
    return folder


def net(**options):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9, **options), loss)
    return model


def data(folder, model, resume=True, **options):
    resume = model if resume else None
    return image_dataset(
        folder, model, mean=0, resize=10, batch_size=BATCH, resume=resume, **options
    )


class DieAt(keras.callbacks.Callback):
    """Ends training after so many batches as if the process had died."""

    def __init__(self, stop):
        super().__init__()
        self.left = stop

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class StopAt(keras.callbacks.Callback):
    """Stops training at a number of iterations, as a Caffe solver does."""

    def __init__(self, iterations):
        super().__init__()
        self.iterations = iterations

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) >= self.iterations:
            self.model.stop_training = True


def interrupted(train, backup, stop, save_freq, **options):
    """Train in a process that dies, and again in another that goes on."""

    def restore():
        return keras.callbacks.BackupAndRestore(backup, save_freq=save_freq)

    with pytest.raises(KeyboardInterrupt):
        train(net(**options), restore(), DieAt(stop))
    return train(net(**options), restore())


def assert_same(model, other):
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, two)
    assert int(model.optimizer.iterations) == int(other.optimizer.iterations)


@pytest.mark.parametrize("stop", [pytest.param(6, marks=pytest.mark.slow), 7])
@pytest.mark.slow
def test_a_run_that_is_saved_each_epoch_ends_with_the_same_weights(
    folder, tmp_path, stop
):
    def train(model, *callbacks):
        dataset = data(folder, model)
        model.fit(
            dataset, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[*callbacks]
        )
        return model

    model = train(net())
    assert_same(interrupted(train, tmp_path / "backup", stop, "epoch"), model)
    assert int(model.optimizer.iterations) == 12


@pytest.mark.parametrize(
    "save_freq, stop, endless",
    [
        (1, 6, None),
        pytest.param(3, 8, {}, marks=pytest.mark.slow),
        pytest.param(1, 6, {}, marks=pytest.mark.slow),
        pytest.param(3, 8, None, marks=pytest.mark.slow),
        pytest.param(1, 6, {"repeat": True}, marks=pytest.mark.slow),
        pytest.param(3, 8, {"repeat": True}, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_saved_in_the_middle_of_an_epoch_does_too(
    folder, tmp_path, save_freq, stop, endless
):
    def train(model, *callbacks):
        dataset, options = data(folder, model, **(endless or {})), {}
        if endless is not None:
            options["steps_per_epoch"] = 5
        if endless == {}:
            dataset = dataset.repeat()
        callbacks = [*callbacks, StopAt(10)]
        model.fit(
            dataset, epochs=9, shuffle=False, verbose=0, callbacks=callbacks, **options
        )
        return model

    model = train(net())
    resumed = interrupted(train, tmp_path / "backup", stop, save_freq)
    assert_same(resumed, model)
    assert int(model.optimizer.iterations) == 10


@pytest.mark.slow
@pytest.mark.parametrize("stop", [6, 5])
def test_accumulated_gradients_count_batches(folder, tmp_path, stop):
    def train(model, *callbacks):
        callbacks = [*callbacks, StopAt(4)]
        model.fit(
            data(folder, model), epochs=9, shuffle=False, verbose=0, callbacks=callbacks
        )
        return model

    options = {"gradient_accumulation_steps": 3}  # five batches: two thirds of a step
    model = train(net(**options))
    resumed = interrupted(train, tmp_path / "backup", stop, 1, **options)
    assert_same(resumed, model)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="with others Keras looks into a dataset before it trains, which counts",
)
def test_resume_from_the_start_is_the_run_without_it(folder):
    model, other = net(), net()
    model.fit(data(folder, model), epochs=EPOCHS, shuffle=False, verbose=0)
    other.fit(
        data(folder, other, resume=False), epochs=EPOCHS, shuffle=False, verbose=0
    )
    assert_same(model, other)


def test_a_pass_starts_where_the_optimizer_is_and_is_an_epoch_long(folder):
    model = net()
    whole = batches(data(folder, model))
    model.optimizer.iterations.assign(4)
    whole += batches(data(folder, model))
    model.optimizer.iterations.assign(2)
    middle = batches(data(folder, model))
    assert [len(y) for _, y in middle] == [4, 2, 4, 4]
    for (x, y), (images, labels) in zip(middle, whole[2:6], strict=True):
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(y, labels)
    assert int(data(folder, model).cardinality()) == 4


def test_a_repeat_that_would_start_too_early_is_refused(folder):
    with pytest.raises(ValueError, match="count=2"):
        data(folder, net()).repeat(2)


def test_a_dataset_made_of_it_does_not_guess_where_to_start(folder):
    with pytest.raises(Exception, match="Leave out `resume`"):
        next(iter(data(folder, net()).take(1)))


def test_jax_which_hides_the_optimizer_is_refused(folder, monkeypatch):
    model = net()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="JAX"):
        data(folder, model)


def test_a_model_that_is_not_compiled_is_refused(folder):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="compiled"):
        image_dataset(folder, model, mean=0, resume=model)
