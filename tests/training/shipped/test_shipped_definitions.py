"""The solvers of Caffe's examples and models are all here, and say what they should."""

from math import prod

import keras
import pytest
import shipped_solvers
from shipped_solvers import SOLVERS

from keras_caffe_zoo import caffe_params
from keras_caffe_zoo.caffe import read_prototxt, read_solver
from keras_caffe_zoo.training import from_solver

# Learned numbers of each net, by arithmetic.
NUMBERS = {
    "lenet": 431_080,
    "autoencoder": 2_837_314,
    "siamese": 431_102,
    "cifar10_quick": 145_578,
    "cifar10_full": 89_578,
    "cifar10_full_sigmoid": 89_578,
    "cifar10_full_sigmoid_bn": 89_450,
    "hdf5_logistic": 10,
    "hdf5_nonlinear": 282,
    "caffenet": 60_965_224,
    "alexnet": 60_965_224,
    "googlenet": 13_378_280,
    "flickr_style": 56_950_164,
    "pascal": 56_954_261,
}
BIG = ("caffenet", "alexnet", "googlenet", "flickr_style", "pascal")
QUICK = ("lenet", "hdf5_nonlinear", "cifar10_full_sigmoid_bn")


def kind(name):
    """Return the first example of the same net."""
    tails = ("_lr1", "_lr2", "_quick" if name.startswith("google") else "_none")
    for tail in tails:
        name = name.removesuffix(tail)
    family = name.split("_")[0]
    return family if family in ("lenet", "autoencoder") else name


def test_all_are_here():
    paths = [shipped.path for shipped in SOLVERS.values()]
    assert len(SOLVERS) == len(set(paths)) == 27
    counts = {}
    for path in paths:
        folder = path.split("/")[1]
        counts[folder] = counts.get(folder, 0) + 1
    assert counts == {
        **{"mnist": 11, "siamese": 1, "cifar10": 7, "hdf5_classification": 2},
        **{"bvlc_reference_caffenet": 1, "bvlc_alexnet": 1, "bvlc_googlenet": 2},
        **{"finetune_flickr_style": 1, "finetune_pascal_detection": 1},
    }


@pytest.mark.parametrize("name", SOLVERS)
def test_files_are_read_and_nothing_in_them_is_unknown(name, tmp_path):
    solver = SOLVERS[name].write(tmp_path)
    message = read_solver(solver)
    assert message.max_iter > 0 and message.test_iter and message.snapshot
    for path in tmp_path.glob("*.prototxt"):
        if path != solver:
            net = read_prototxt(path)
            assert not net.unknown_fields
            for phase in ("TRAIN", "TEST"):
                data = [one for one in net.filter(phase).layers if not one.bottoms]
                assert len(data) == (
                    0 if "autoencoder" in name and phase == "TEST" else 1
                )


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SOLVERS],
)
def test_the_model_learns_as_many_numbers_as_the_net(name, tmp_path):
    shipped = SOLVERS[name]
    channels, *sides = shipped.seen
    shape = (*sides, channels)
    training = from_solver(shipped.write(tmp_path), input_shape=shape)
    keys = {kind(name)} & set(NUMBERS)
    (key,) = keys
    learned = sum(prod(w.shape) for w in training.model.trainable_weights)
    assert learned == NUMBERS[key]
    assert training.iterations == shipped.fields["max_iter"]
    assert isinstance(training.optimizer, keras.optimizers.Optimizer)
    if key not in ("siamese", *BIG):
        assert set(caffe_params(training.model)) <= {
            one.name for one in training.net.layers
        }


def test_a_net_inside_its_solver_may_be_in_the_older_form(tmp_path):
    newer, older = (
        from_solver(shipped.write(tmp_path), input_shape=(28, 28, 1))
        for shipped in (
            SOLVERS["lenet_consolidated"],
            shipped_solvers.lenet_consolidated(v1=True),
        )
    )
    assert older.net.to_prototxt() == newer.net.to_prototxt()
    assert older.optimizer.multipliers == newer.optimizer.multipliers
