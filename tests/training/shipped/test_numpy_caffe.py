"""The NumPy reference of Caffe is held against real Caffe before it holds others."""

import numpy as np
import numpy_caffe
import pytest
from support import GOLDENS, every, golden, golden_names, pattern, relative_error

from keras_caffe_zoo.caffe import read_net, read_prototxt, read_solver

SOLVERS = GOLDENS / "solvers"
CASES = sorted(p.stem for p in SOLVERS.glob("*.npz") if p.stem != "data")
KINDS = ("conv_", "pool_", "lrn_", "ip_", "act_relu", "act_sigmoid", "act_softmax")
KINDS += ("flatten", "concat_channel", "slice_", "scale_channel", "net_")
OTHERS = ("conv_dilation", "ip_axis2", "ip_transpose", "flatten_axis2", "_axis2")


def layer_cases():
    names = [name for name in golden_names(*KINDS) if not name.endswith(OTHERS)]
    known = {*numpy_caffe.LAYERS, "Input", "Dropout"}
    return [n for n in names if {x.type for x in read(n).layers} <= known]


def read(name):
    return read_prototxt(GOLDENS / f"{name}.prototxt").filter("TEST")


def network(name):
    weights = GOLDENS / f"{name}.caffemodel"
    params = read_net(weights).params if weights.exists() else {}
    options = {"dropout": False, "train": False, "at_data": True}
    return numpy_caffe.Network(read(name), params, **options)


LAYER_CASES = layer_cases()


@pytest.mark.parametrize("name", every(4, LAYER_CASES))
def test_blobs_and_gradients_are_caffes(name):
    answers, net = golden(name), network(name)
    inputs = {
        top for one in read(name).layers if one.type == "Input" for top in one.tops
    }
    if "pattern/data" in answers:
        *shape, seed, scale = answers.pop("pattern/data")
        answers["blob/data"] = pattern(tuple(map(int, shape)), int(seed), scale)
    net.forward({blob: answers[f"blob/{blob}"] for blob in inputs})
    for key, expected in answers.items():
        kind, _, blob = key.partition("/")
        if kind == "blob" and "_split_" not in blob:
            # Scores of some hundreds have a float32's error of 1e-5 behind their exp.
            bound = 5e-5 if blob == "prob" else 1e-5
            assert relative_error(net.blobs[blob], expected) <= bound, key
    tops = {
        k.partition("/")[2]: v for k, v in answers.items() if k.startswith("top_diff")
    }
    if not tops:
        return
    net.seed([net.version(blob) for blob in tops], lambda: list(tops.values()))
    params = net.backward()
    for key, expected in answers.items():
        kind, _, rest = key.partition("/")
        if kind == "param_diff":
            layer, i = rest.rsplit("/", 1)
            assert relative_error(params[layer, int(i)], expected) <= 1e-5, key
        elif kind == "diff" and rest in inputs:
            assert relative_error(net.at_inputs[rest], expected) <= 1e-5, key


def test_enough_kinds_of_layers_are_held():
    found = {one.type for name in LAYER_CASES for one in read(name).layers}
    wanted = {"Convolution", "InnerProduct", "Pooling", "LRN", "ReLU", "Sigmoid"}
    assert wanted | {"Softmax", "Flatten", "Concat", "Slice", "Scale"} <= found


@pytest.mark.parametrize("case", every(5, CASES))
@pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)]
)
def test_trajectories_are_caffes(case, dtype):
    with np.load(SOLVERS / "data.npz") as arrays:
        data = dict(arrays)
    start = {}
    for key, value in data.items():
        if key.startswith("init/"):
            start.setdefault(key.split("/")[1], []).append(value)
    message = read_solver(SOLVERS / f"{case}.prototxt")
    net = read_prototxt(SOLVERS / "solver_net.prototxt").filter("TRAIN")
    network = numpy_caffe.Network(net, start, dtype)
    solver = numpy_caffe.Solver(message, network)
    with np.load(SOLVERS / f"{case}.npz") as arrays:
        expected = dict(arrays)
    losses = []
    for images, labels in zip(data["data"], data["label"], strict=True):
        losses.append(solver.step({"data": images, "label": labels}))
        if f"iter{solver.iteration}/fc/0" in expected:
            for (layer, i), value in network.params.items():
                wanted = expected[f"iter{solver.iteration}/{layer}/{i}"]
                assert relative_error(value, wanted) <= 1e-4, (layer, i)
    np.testing.assert_allclose(losses, expected["loss"], rtol=1e-5)
