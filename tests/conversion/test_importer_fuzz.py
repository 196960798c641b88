"""Mutated files: each makes a model or a CaffeFormatError, soon, in little memory."""

import random
import warnings

import keras
import pytest
from mutations import mutated, with_other_bytes
from support import GOLDENS

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion.importer import from_caffe

CASES = sorted(
    path.stem for path in GOLDENS.glob("*.prototxt") if "eighth" not in path.stem
)


def texts():
    return {name: (GOLDENS / f"{name}.prototxt").read_text() for name in CASES}


def weights(name, rng):
    """Return the bytes of a caffemodel: the case's, another's, or damaged ones."""
    own = GOLDENS / f"{name}.caffemodel"
    others = sorted(p for p in GOLDENS.glob("*.caffemodel") if "eighth" not in p.stem)
    path = own if own.exists() and rng.random() < 0.8 else rng.choice(others)
    data = path.read_bytes()
    return with_other_bytes(data, rng) if rng.random() < 0.5 else data


def outcome(prototxt, caffemodel):
    """Return the model's class or the error; anything but these is the failure."""
    options = {"fully_convolutional": prototxt.stat().st_size % 4 == 0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = from_caffe(prototxt, caffemodel, **options)
    except CaffeFormatError as error:
        return error
    assert isinstance(model, keras.Model)
    return model


def fuzz(seed, count, folder):
    all_texts, made, refused = texts(), 0, 0
    others = list(all_texts.values())
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        name = rng.choice(CASES)
        prototxt, caffemodel = folder / "net.prototxt", folder / "net.caffemodel"
        prototxt.write_text(mutated(all_texts[name], others, rng))
        caffemodel.write_bytes(weights(name, rng))
        given = caffemodel if rng.random() < 0.5 else None
        if isinstance(outcome(prototxt, given), CaffeFormatError):
            refused += 1
        else:
            made += 1
        if i % 100 == 99:
            keras.backend.clear_session()
    assert made > count / 20 and refused > count / 20, (made, refused)


def test_mutated_files_make_a_model_or_a_format_error(tmp_path):
    fuzz("import", 150, tmp_path)


@pytest.mark.slow
def test_many_mutated_files_make_a_model_or_a_format_error(tmp_path, run_seed):
    fuzz(f"many {run_seed}", 2000, tmp_path)
