"""Every golden, of Caffe and of the forks, as an ONNX file in ONNX Runtime."""

import onnx
import onnxruntime
import pytest
from conversion import test_fork_goldens as forks
from conversion import test_golden_layers_import as layers
from support import GOLDENS, relative_error

from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph
from keras_caffe_zoo.onnx.file import model_proto
from keras_caffe_zoo.onnx.opsets import OPSET


def computed(folder, case, blobs, opset=OPSET, **options):
    """Return what ONNX Runtime computes of a golden's blobs, all that were stored."""
    weights = folder / f"{case}.caffemodel"
    net = prepared_net(
        folder / f"{case}.prototxt", weights if weights.exists() else None, **options
    )
    names = [name for name in blobs if name not in net.part.inputs]
    proto = model_proto(net_graph(net, outputs=names), opset)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    data = {x.name: blobs[x.name].astype("float32") for x in session.get_inputs()}
    return dict(zip(names, session.run(names, data), strict=True))


@pytest.mark.parametrize("case", layers.CASES)
def test_every_blob_equals_caffe(case):
    tolerance = 1e-5 if case.startswith(layers.LOOSE) else 2e-6
    blobs = layers.stored(case)
    for name, value in computed(GOLDENS, case, blobs).items():
        assert value.shape == blobs[name].shape
        assert relative_error(value, blobs[name]) <= tolerance, name


@pytest.mark.parametrize("case", forks.CASES)
def test_every_blob_equals_the_forks(case):
    tolerance = 5e-5 if case.startswith("net_") else 2e-5
    arrays = forks.golden(case)
    blobs = forks.under(arrays, "blob/")
    found = computed(
        forks.FORKS, case, blobs, python_config=forks.python_config(arrays)
    )
    for name, value in found.items():
        assert relative_error(value, blobs[name]) <= tolerance, name
