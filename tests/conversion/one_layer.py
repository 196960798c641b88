"""Nets of one layer, run on Caffe's blobs."""

import keras
import numpy as np
import pytest
from support import GOLDENS, nchw, nhwc, relative_error

from keras_caffe_zoo.caffe import CaffeFormatError, read_net, write_caffemodel
from keras_caffe_zoo.conversion.exporter import to_caffe
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.conversion.params import caffe_params


def dims(shape):
    return " ".join(f"dim: {size}" for size in shape)


def declared(inputs):
    return "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {dims(x.shape)} }} }} }}\n"
        for name, x in inputs.items()
    )


class Runner:
    """Runs one layer, `y`, of a type on blobs."""

    def __init__(self, folder):
        self.prototxt = folder / "net.prototxt"
        self.caffemodel = folder / "net.caffemodel"

    def write(self, kind, inputs, param="", params=(), tops=("y",)):
        """Write the net's files; return the caffemodel if it has one."""
        ends = [f'bottom: "{name}"' for name in inputs]
        ends += [f'top: "{name}"' for name in tops]
        self.prototxt.write_text(
            declared(inputs)
            + f'layer {{ name: "y" type: "{kind}" {" ".join(ends)} {param} }}'
        )
        if params:
            blobs = {"y": [np.asarray(p, "f4") for p in params]}
            write_caffemodel(self.caffemodel, blobs, net=self.prototxt)
        return self.caffemodel if params else None

    def model(self, kind, inputs, param="", params=(), tops=("y",)):
        caffemodel = self.write(kind, inputs, param, params, tops)
        return from_caffe(self.prototxt, caffemodel)

    def __call__(self, kind, inputs, param="", params=(), tops=("y",)):
        model = self.model(kind, inputs, param, params, tops)
        given = caffe_params(model)
        for ours, theirs in zip(given.get("y", []), params, strict=True):
            if "transpose" not in param:
                np.testing.assert_array_equal(ours, np.asarray(theirs, "f4"))
        read = keras.Model(model.inputs, [blob_tensor(model, name) for name in tops])
        found = read([nhwc(inputs[x.name]) for x in model.inputs])
        found = found if isinstance(found, (list, tuple)) else [found]
        found = [nchw(keras.ops.convert_to_numpy(y)) for y in found]
        return found[0] if len(found) == 1 else found


def normal(rng, *shape):
    return rng.standard_normal(shape).astype("f4")


def assert_close(found, expected, tolerance=3e-6):
    assert relative_error(found, np.asarray(expected)) <= tolerance


def check_refused(runner, kind, inputs, param, *said):
    """Check that a layer is refused by its name, and for a reason."""
    with pytest.raises(CaffeFormatError) as info:
        runner.model(kind, inputs, param)
    for words in ("'y'", *said):
        assert words in str(info.value)


def check_written_again(folder, name, number=None):
    """Check that a fork's golden is the same net when written and read again.

    Args:
        folder: Where to write it.
        name: The golden.
        number: That of a field which some layer must have in the caffemodel.
    """
    files = [GOLDENS / "forks" / f"{name}.{end}" for end in ("prototxt", "caffemodel")]
    model = from_caffe(*(path for path in files if path.exists()))
    paths = folder / "again.prototxt", folder / "again.caffemodel"
    to_caffe(model, *paths)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(2, *x.shape[1:])).astype("f4") for x in model.inputs]
    x = x if len(x) > 1 else x[0]
    for one, other in zip(
        outputs(model, x), outputs(from_caffe(*paths), x), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    raws = [raw for layer in read_net(paths[1]).layers for raw in layer.message.raw]
    assert number is None or number in [raw.number for raw in raws]


def outputs(model, x):
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(x))]
