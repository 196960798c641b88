"""Normalizations, maps of other sizes, flows and sequences as ONNX."""

import numpy as np
import onnx
import pytest
import test_flownet_and_yolo as flownet
import test_importer_layers as importer
from one_layer import assert_close, normal
from onnx_layer import OnnxRunner
from support import every, seeds
from test_flownet_and_yolo import (  # noqa: F401
    test_accum,
    test_correlation,
    test_ctc_greedy_decoder,
    test_downsample_with_holes,
    test_flow_warp,
    test_mean_of_several_blobs,
    test_resample,
    test_reverse,
    test_the_nearest_pixel_is_that_of_caffes_float32,
)
from test_importer_layers import (  # noqa: F401
    test_batch_norm,
    test_batch_norm_of_the_batch_itself,
    test_mvn,
    test_recurrent,
    test_scale_and_bias_of_two_bottoms,
)
from test_segmentation_layers import (  # noqa: F401
    fields,
    interp,
    interp_case,
    test_a_bn_that_caffe_refuses,
    test_a_bn_that_says_not_which_fork_it_is_of_is_told_by_its_blobs,
    test_a_side_of_twice_the_size_may_be_one_less,
    test_a_spatial_dropout_that_says_nothing,
    test_an_interp_that_caffe_refuses,
    test_an_upsample_that_caffe_refuses,
    test_interp_on_no_image,
    test_nearest_neighbours,
    test_segnets_bn_gives_the_batchs_statistics,
    unpool,
)

import keras_caffe_zoo as kcz
from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph
from keras_caffe_zoo.onnx.file import model_proto


class Net(OnnxRunner):
    """Runs one layer as the tests of FlowNet2's layers have it."""

    def load(self, kind, inputs, param="", tops=("y",), input_shape=None):
        return self.model(kind, inputs, param, (), tops, input_shape)

    def __call__(self, kind, inputs, param="", tops=("y",), again=True, **options):
        model = self.load(kind, inputs, param, tops, **options)
        found = self._computed(model, inputs, tops)
        return found if len(found) > 1 else found[0]


@pytest.fixture
def net(tmp_path):
    return Net(tmp_path)


OURS = set(flownet.BAD) - {"Reorg", "YoloDetectionOutput", "Yolov3DetectionOutput"}


@pytest.mark.parametrize("kind", sorted(OURS))
def test_what_the_forks_refuse_too_names_the_layer(net, kind):
    flownet.test_what_the_forks_refuse_too_names_the_layer(net, kind)


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("shape", every(4, importer.SHAPES[1:]))
@pytest.mark.parametrize("kind", ["Scale", "Bias"])
def test_scale_and_bias(run, rng, shape, kind):
    importer.test_scale_and_bias(run, rng, shape, kind)


@pytest.mark.parametrize("seed", seeds(3, 40))
def test_interp(run, rng):
    x, values, kept, new = interp_case(rng)
    text = fields("interp_param", values)
    assert_close(run("Interp", {"x": x}, text), interp(kept, *new), 1e-5)


@pytest.mark.parametrize("seed", seeds(3, 30))
def test_unpooling_by_any_mask(run, rng):
    sizes = rng.integers(1, 6, 2)
    new = rng.integers(1, 12, 2)
    values = {"upsample_h": new[0], "upsample_w": new[1]}
    x = normal(rng, 2, 3, *sizes)
    mask = rng.integers(-2, new.prod() + 3, x.shape).astype("f4")
    y = run("Upsample", {"x": x, "mask": mask}, fields("upsample_param", values))
    np.testing.assert_array_equal(y, unpool(x, mask, *new))


def test_an_lstm_of_a_known_beginning_is_one_operation(tmp_path):
    """`cont` as the nets have it that make it of a constant."""
    rng = np.random.default_rng(0)
    params = [normal(rng, 8, 3), normal(rng, 8), normal(rng, 8, 2)]
    head = """input: "x" input_shape { dim: 4 dim: 2 dim: 3 }
        layer { name: "y" type: "LSTM" bottom: "x" bottom: "cont" top: "y"
                recurrent_param { num_output: 2 } } """
    given = 'input: "cont" input_shape { dim: 4 dim: 2 } '
    made = """layer { name: "c" type: "DummyData" top: "cont" dummy_data_param {
        shape { dim: 4 dim: 2 } data_filler { value: 1 } } } """
    path, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    kcz.write_caffemodel(weights, {"y": params})
    inputs = {"x": normal(rng, 4, 2, 3), "cont": np.ones((4, 2))}
    found = []
    for text in (given + head, made + head):
        path.write_text(text)
        proto = model_proto(net_graph(prepared_net(path, weights)))
        onnx.checker.check_model(proto, full_check=True)
        found += Net._computed(proto, inputs, ("y",))
        found.append([node.op_type for node in proto.graph.node])
    steps, _, whole, types = found
    np.testing.assert_allclose(whole, steps, 1e-6, 1e-6)
    assert types.count("LSTM") == 1
    assert len(types) < 5


NORM = """
    input: "x" input_shape { dim: 2 dim: 3 dim: 2 dim: 2 }
    layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" }
    layer { name: "s" type: "Scale" bottom: "bn" top: "s"
            scale_param { bias_term: true } }
"""


@pytest.mark.parametrize(
    ("more", "outputs", "count"),
    [
        ("", None, 1),
        ("", ["bn", "s"], 3),
        ('layer { name: "t" type: "TanH" bottom: "bn" top: "t" }', None, 4),
    ],
)
def test_a_scale_behind_a_batch_norm_is_a_part_of_it(tmp_path, more, outputs, count):
    """Unless something else reads what it scales, or asks for it."""
    rng = np.random.default_rng(0)
    blobs = {
        "bn": [normal(rng, 3), 1 + normal(rng, 3) ** 2, np.ones(1, "f4")],
        "s": [normal(rng, 3), normal(rng, 3)],
    }
    path, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    path.write_text(NORM + more)
    kcz.write_caffemodel(weights, blobs)
    graph = net_graph(prepared_net(path, weights), outputs=outputs)
    assert len(graph.ops) == count
    x = normal(rng, 2, 3, 2, 2)
    (found,) = Net._computed(model_proto(graph), {"x": x}, ["s"])
    (mean, variance, _), (factor, offset) = (
        [p.reshape(-1, 1, 1) for p in blobs[name]] for name in ("bn", "s")
    )
    expected = (x - mean) / np.sqrt(variance + 1e-5) * factor + offset
    assert_close(found, expected)
