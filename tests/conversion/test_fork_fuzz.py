"""Mutated files of the forks: a net or a CaffeFormatError, soon, in little memory."""

import random
import time
import tracemalloc
import warnings

import keras
import pytest
from mutations import mutated, with_other_bytes
from support import GOLDENS

from keras_caffe_zoo.caffe import CaffeFormatError, declared, read_net, read_prototxt
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.unknown import check_unknown_fields
from keras_caffe_zoo.rules.python import name_python_layers

FORKS = GOLDENS / "forks"
CASES = sorted(path.stem for path in FORKS.glob("*.prototxt"))
SECONDS = 5  # for a file of a few kilobytes, on a busy machine
SECONDS_TO_BUILD = 30
MEMORY = 8 << 20


def looked_at(prototxt, caffemodel):
    """Do all that comes before Keras: read, deploy, decode, print, refuse fields."""
    for path in (prototxt, caffemodel):
        net = name_python_layers(read_net(path).fold_splits())
        for layer in net.layers:
            for param in declared(layer.type).params:
                layer.decode(param)
            layer.to_bytes()
        assert isinstance(net.to_prototxt(), str)
    net = name_python_layers(read_prototxt(prototxt).fold_splits().filter())
    part = deploy_net(net, read_net(caffemodel))
    check_unknown_fields(net, part.changed)


def built(prototxt, caffemodel):
    assert isinstance(from_caffe(prototxt, caffemodel), keras.Model)


def survives(do, paths, seconds):
    """Tell whether a file was taken; any error but CaffeFormatError is the failure."""
    begin, taken = time.perf_counter(), True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            do(*paths)
    except CaffeFormatError:
        taken = False
    assert time.perf_counter() - begin < seconds, paths[0].read_text()
    return taken


def files(seed, count, folder):
    """Yield mutated prototxts and caffemodels, each time under the same names."""
    texts = {name: (FORKS / f"{name}.prototxt").read_text() for name in CASES}
    weights = {p.stem: p.read_bytes() for p in sorted(FORKS.glob("*.caffemodel"))}
    others = list(texts.values())
    paths = folder / "net.prototxt", folder / "net.caffemodel"
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        name = rng.choice(CASES)
        text = texts[name]
        paths[0].write_text(mutated(text, others, rng) if rng.random() < 0.9 else text)
        data = weights.get(name) or rng.choice(list(weights.values()))
        paths[1].write_bytes(
            with_other_bytes(data, rng) if rng.random() < 0.6 else data
        )
        yield paths


def fuzz_reading(seed, count, folder):
    taken = 0
    for i, paths in enumerate(files(seed, count, folder)):
        if i % 10:  # to watch the memory takes ten times as long
            taken += survives(looked_at, paths, SECONDS)
            continue
        tracemalloc.start()
        taken += survives(looked_at, paths, 10 * SECONDS)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
        tracemalloc.stop()
    assert count / 20 < taken < 19 * count / 20, taken


def fuzz_building(seed, count, folder):
    taken = 0
    for i, paths in enumerate(files(seed, count, folder)):
        taken += survives(built, paths, SECONDS_TO_BUILD)
        if i % 100 == 99:
            keras.backend.clear_session()
    return taken


def test_mutated_files_of_the_forks_are_read_or_refused(tmp_path):
    fuzz_reading("read", 200, tmp_path)


def test_mutated_files_of_the_forks_make_a_model_or_are_refused(tmp_path):
    fuzz_building("build", 20, tmp_path)


@pytest.mark.slow
def test_many_mutated_files_of_the_forks_are_read_or_refused(tmp_path, run_seed):
    fuzz_reading(f"read many {run_seed}", 9_000, tmp_path)


@pytest.mark.slow
def test_many_mutated_files_of_the_forks_make_a_model_or_are_refused(
    tmp_path, run_seed
):
    assert 0 < fuzz_building(f"build many {run_seed}", 1_000, tmp_path) < 950
