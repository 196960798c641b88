"""What Keras' builder refuses the ONNX writer refuses, and the other way round.

But for fillers, which no file of weights needs, and layers that go through time: their
steps are as free as items in Keras, and as many as the prototxt says in ONNX.
"""

import random
import warnings

import keras
import onnx
import pytest
from conversion import test_fork_fuzz as forks
from conversion import test_importer_fuzz as own
from mutations import mutated

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph
from keras_caffe_zoo.onnx.file import model_proto


def refusal(build, *paths):
    """Return what a function says of files; None if it takes them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            build(*paths)
    except CaffeFormatError as error:
        return str(error)
    return None


def written(prototxt, caffemodel):
    proto = model_proto(net_graph(prepared_net(prototxt, caffemodel)))
    onnx.checker.check_model(proto, full_check=True)


def own_files(seed, count, folder):
    texts = own.texts()
    prototxt, caffemodel = folder / "net.prototxt", folder / "net.caffemodel"
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        name = rng.choice(own.CASES)
        prototxt.write_text(mutated(texts[name], list(texts.values()), rng))
        caffemodel.write_bytes(own.weights(name, rng))
        yield prototxt, caffemodel if rng.random() < 0.5 else None


def apart(ours, theirs):
    """Tell whether answers may differ."""
    if ours is None:
        return any(f"({type_})" in (theirs or "") for type_ in ("LSTM", "RNN"))
    return theirs is None and "filler" in ours


def compare(pairs):
    taken = 0
    for i, paths in enumerate(pairs):
        ours, theirs = refusal(from_caffe, *paths), refusal(written, *paths)
        text = paths[0].read_text()
        if not apart(ours, theirs):
            assert (ours is None) == (theirs is None), (ours, theirs, text)
        taken += ours is None
        if i % 100 == 99:
            keras.backend.clear_session()
    assert taken


def test_mutated_files_have_one_answer(tmp_path):
    compare(own_files("onnx", 30, tmp_path))
    compare(forks.files("onnx", 15, tmp_path))


@pytest.mark.slow
def test_many_mutated_files_have_one_answer(tmp_path, run_seed):
    compare(own_files(f"onnx many {run_seed}", 700, tmp_path))
    compare(forks.files(f"onnx many {run_seed}", 300, tmp_path))
