"""A solver, its net, its data: trained as Caffe would, interrupted and resumed."""

import keras
import numpy as np
import pytest
from data_files import DROPOUT_BODY
from PIL import Image

from keras_caffe_zoo.training import from_solver, layer_dataset

DATA = """
name: "tiny"
layer { name: "data" type: "ImageData" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { crop_size: 6 mirror: true mean_value: 100 scale: 0.02 }
  image_data_param { source: "/data/list.txt" batch_size: 4 shuffle: true } }
layer { name: "data" type: "ImageData" top: "data" top: "label"
  include { phase: TEST }
  transform_param { crop_size: 6 mean_value: 100 scale: 0.02 }
  image_data_param { source: "/data/list.txt" batch_size: 5 } }
"""
SOLVER = """
net: "models/tiny/net.prototxt" test_iter: 2 test_interval: 5 random_seed: 1
base_lr: 0.01 lr_policy: "step" gamma: 0.5 stepsize: 6 momentum: 0.9
weight_decay: 0.001 max_iter: 13 snapshot: 6 snapshot_prefix: "tiny" iter_size: ITER
"""


@pytest.fixture
def files(tmp_path):
    """Eleven pictures, bright and dark ones, their list, the net."""
    rng, lines = np.random.default_rng(0), []
    for i in range(11):
        pixels = rng.integers(0, 120, (8, 9, 3), "uint8") + np.uint8(130 * (i % 2))
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png {i % 2}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    (tmp_path / "net.prototxt").write_text(DATA + DROPOUT_BODY)
    return tmp_path


def train(files, iter_size, callbacks=()):
    keras.utils.set_random_seed(3)
    (files / "solver.prototxt").write_text(SOLVER.replace("ITER", str(iter_size)))
    training = from_solver(files / "solver.prototxt")
    net, pictures = files / "net.prototxt", files / "list.txt"
    data = layer_dataset(net, pictures, resume=training.model, seed=5)
    tests = layer_dataset(net, pictures, phase="TEST")
    callbacks = [*callbacks, training.snapshots(files / "out")]
    history = training.fit(data, tests, callbacks=callbacks, verbose=0)
    return training, history.history


class Interrupted(Exception):
    """What somebody's Ctrl-C stands for."""


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Interrupted


@pytest.mark.slow
@pytest.mark.parametrize("iter_size", [1, 2])
def test_files_of_a_paper_train_and_resume(files, iter_size):
    whole, history = train(files, iter_size)
    assert int(whole.optimizer.iterations) == 13
    assert len(history["val_loss"]) == 3  # after 5, 10 and 13 iterations
    assert history["val_accuracy"][-1] > 0.7
    names = sorted(path.name for path in (files / "out").glob("*.caffemodel"))
    assert names == [f"tiny_iter_{n}.caffemodel" for n in (12, 13, 6)]

    backup = files / "backup"
    with pytest.raises(Interrupted):
        keep = keras.callbacks.BackupAndRestore(backup)
        train(files, iter_size, [keep, Interrupt(1, 2)])
    resumed, _ = train(files, iter_size, [keras.callbacks.BackupAndRestore(backup)])
    assert int(resumed.optimizer.iterations) == 13
    for a, b in zip(
        whole.model.get_weights(), resumed.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)
