"""What holds for every layer class: its config makes its twin, its shapes are true."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import layers

LAST = {"data_format": "channels_last"}
IMAGE = (2, 7, 6, 4)
# Class: (a layer, shapes of its inputs)
CASES = {
    "CaffeAbs": (layers.CaffeAbs(), [IMAGE]),
    "CaffeAccum": (layers.CaffeAccum(), [IMAGE, (2, 3, 3, 1), (1, 5, 8, 1)]),
    "CaffeArgMax": (layers.CaffeArgMax(True, 2, 1), [IMAGE]),
    "CaffeAxpy": (layers.CaffeAxpy(), [(2, 4), IMAGE, IMAGE]),
    "CaffeBatchNorm": (layers.CaffeBatchNorm(None, 0.9, 0.1), [IMAGE]),
    "CaffeBatchReindex": (layers.CaffeBatchReindex(), [IMAGE, (3,)]),
    "CaffeBias": (layers.CaffeBias(1), [IMAGE]),
    "CaffeCTCGreedyDecoder": (
        layers.CaffeCTCGreedyDecoder(1, False, True),
        [(2, 7, 6), (2, 7)],
    ),
    "CaffeChannelNorm": (layers.CaffeChannelNorm(), [IMAGE]),
    "CaffeClip": (layers.CaffeClip(-0.5, 0.5), [IMAGE]),
    "CaffeConstant": (layers.CaffeConstant((1, 2, 3, 4), 0.5), [IMAGE]),
    "CaffeConv2D": (layers.CaffeConv2D(6, 3, 2, 1, groups=2, **LAST), [IMAGE]),
    "CaffeConvND": (layers.CaffeConvND(6, [3], [2], [1], [2], 2), [(2, 4, 9)]),
    "CaffeCorrelation": (
        layers.CaffeCorrelation(3, 2, 3, 2, 2),
        [IMAGE, IMAGE],
    ),
    "CaffeCrop": (layers.CaffeCrop(2, (1, 2)), [IMAGE, (2, 3, 4, 4)]),
    "CaffeDeconv2D": (layers.CaffeDeconv2D(6, 3, 2, 1, 2, 2, **LAST), [IMAGE]),
    "CaffeDetectionOutput": (
        layers.CaffeDetectionOutput(3, top_k=4, keep_top_k=5, code_type="center_size"),
        [(2, 24), (2, 18), (1, 2, 24)],
    ),
    "CaffeDownsample": (layers.CaffeDownsample(3, 4), [IMAGE]),
    "CaffeDropout": (layers.CaffeDropout(0.3), [IMAGE]),
    "CaffeEmbed": (layers.CaffeEmbed(5, 3), [(2, 3)]),
    "CaffeExp": (layers.CaffeExp(2, 0.5, 1), [IMAGE]),
    "CaffeFlatten": (layers.CaffeFlatten(1, 2), [IMAGE]),
    "CaffeFlowWarp": (layers.CaffeFlowWarp(0.5), [IMAGE, (2, 7, 6, 2)]),
    "CaffeHardSigmoid": (layers.CaffeHardSigmoid(), [IMAGE]),
    "CaffeReLU6": (layers.CaffeReLU6(0.5), [IMAGE]),
    "CaffeIm2col": (layers.CaffeIm2col((3, 2), 2, 1, 1), [IMAGE]),
    "CaffeInnerProduct": (layers.CaffeInnerProduct(3, 2, True, True), [IMAGE]),
    "CaffeInterp": (layers.CaffeInterp(None, None, 3, 2, -1, -2), [IMAGE]),
    "CaffeLRN": (layers.CaffeLRN(3, 1, 0.5, 2, **LAST), [IMAGE]),
    "CaffeLSTM": (layers.CaffeLSTM(3, True), [(5, 2, 4), (5, 2), (2, 3)]),
    "CaffeLeakyReLU": (layers.CaffeLeakyReLU(-0.5), [IMAGE]),
    "CaffeLog": (layers.CaffeLog(2, 0.1, 9), [IMAGE]),
    "CaffeMVN": (layers.CaffeMVN(True, True, 0.1), [IMAGE]),
    "CaffeMaxPool2DWithMask": (
        layers.CaffeMaxPool2DWithMask(3, strides=2, pad=1, **LAST),
        [IMAGE],
    ),
    "CaffeMean": (layers.CaffeMean((0.5, -1), 2, 3), [IMAGE]),
    "CaffeMultiBox": (layers.CaffeMultiBox(3), [(2, 24), (2, 18), (1, 2, 24)]),
    "CaffeNegReLU": (layers.CaffeNegReLU(0.5), [IMAGE]),
    "CaffeNormalize": (layers.CaffeNormalize(False, False, 0.1), [IMAGE]),
    "CaffePSPNetBN": (layers.CaffePSPNetBN(0.8, 0.1, True), [IMAGE]),
    "CaffePSROIPooling": (
        layers.CaffePSROIPooling(4, 1, 0.5),
        [IMAGE, (3, 5)],
    ),
    "CaffeParameter": (layers.CaffeParameter((1, 2, 3, 4)), [IMAGE]),
    "CaffePermute": (layers.CaffePermute((0, 2, 3, 1)), [IMAGE]),
    "CaffePool2D": (
        layers.CaffePool2D("ave", 3, 2, 1, round_mode="floor", **LAST),
        [IMAGE],
    ),
    "CaffePower": (layers.CaffePower(2, 0.5, 1), [IMAGE]),
    "CaffePriorBox": (
        layers.CaffePriorBox([3, 5.5], [4, 9], [2], variance=(0.1, 0.1, 0.2, 0.2)),
        [IMAGE, (2, 20, 30, 3)],
    ),
    "CaffePriorBoxClustered": (
        layers.CaffePriorBoxClustered([3, 5.5], [4, 9], True, step=(3, 4)),
        [IMAGE, (2, 20, 30, 3)],
    ),
    "CaffeProposal": (
        layers.CaffeProposal(
            ratios=[1], scales=[1, 2], post_nms_topn=5, min_size=0, with_scores=True
        ),
        [IMAGE, (2, 7, 6, 8), (2, 3)],
    ),
    "CaffeRNN": (layers.CaffeRNN(3), [(5, 2, 4), (5, 2)]),
    "CaffeROIAlign": (layers.CaffeROIAlign(2, 3, 0.5), [IMAGE, (3, 5)]),
    "CaffeROIPooling": (layers.CaffeROIPooling(2, 3, 0.5), [IMAGE, (3, 5)]),
    "CaffeReduction": (layers.CaffeReduction("mean", 2, 0.5), [IMAGE]),
    "CaffeReorg": (layers.CaffeReorg(2), [(2, 4, 6, 8)]),
    "CaffeResample": (
        layers.CaffeResample(9, 4, "cubic"),
        [IMAGE],
    ),
    "CaffeReshape": (layers.CaffeReshape((0, 2, -1, 0), 0), [(2, 6, 4, 6)]),
    "CaffeReverse": (layers.CaffeReverse(2), [IMAGE]),
    "CaffeSELU": (layers.CaffeSELU(1.1, 1.5), [IMAGE]),
    "CaffeSPP": (layers.CaffeSPP(2, "ave"), [IMAGE]),
    "CaffeScale": (layers.CaffeScale(1, 1, True), [IMAGE]),
    "CaffeSegNetBN": (layers.CaffeSegNetBN("learn"), [IMAGE]),
    "CaffeShuffleChannel": (layers.CaffeShuffleChannel(2), [IMAGE]),
    "CaffeSilence": (layers.CaffeSilence(), [IMAGE, (2, 3)]),
    "CaffeSlice": (layers.CaffeSlice((1, 3), -1), [IMAGE]),
    "CaffeStochasticPool2D": (
        layers.CaffeStochasticPool2D(3, strides=2, **LAST),
        [IMAGE],
    ),
    "CaffeSubtractMean": (layers.CaffeSubtractMean(images=3), [IMAGE]),
    "CaffeSwish": (layers.CaffeSwish(1.5), [IMAGE]),
    "CaffeThreshold": (layers.CaffeThreshold(0.3), [IMAGE]),
    "CaffeTile": (layers.CaffeTile(3, -1), [IMAGE]),
    "CaffeUnpool": (layers.CaffeUnpool(2, None, (True, False)), [IMAGE, IMAGE]),
    "CaffeWeightedSum": (layers.CaffeWeightedSum((1, -0.5)), [IMAGE, IMAGE]),
    "CaffeYoloDetections": (
        layers.CaffeYoloDetections(3, (1, 2, 3, 1), 2, confidence_threshold=0.3),
        [(2, 3, 3, 16)],
    ),
    "CaffeYolov3Detections": (
        layers.CaffeYolov3Detections(
            3, (9, 8, 7, 6), [[1], [0]], [8, 4], max_detections=9
        ),
        [(2, 2, 1, 8), (2, 4, 2, 8)],
    ),
}
# Those that slide over rows and columns of any number.
ANY_SIZE = """CaffeConv2D CaffeCrop CaffeDeconv2D CaffeIm2col CaffeLRN CaffeMVN
    CaffeMaxPool2DWithMask CaffePool2D CaffeReshape CaffeFlatten CaffeScale CaffeSlice
    CaffeBatchNorm CaffeArgMax CaffeReduction CaffeTile CaffeAxpy CaffeInterp
    CaffePSPNetBN CaffeSegNetBN CaffeShuffleChannel CaffeUnpool CaffeHardSigmoid
    CaffeNegReLU CaffeReLU6 CaffeSELU CaffePermute CaffeNormalize
    CaffePSROIPooling CaffeProposal CaffeROIAlign CaffeROIPooling
    CaffeBatchNorm CaffeArgMax CaffeReduction CaffeTile CaffeAccum CaffeChannelNorm
    CaffeCorrelation CaffeDownsample CaffeFlowWarp CaffeMean CaffeReorg CaffeResample
    CaffeReverse CaffeSubtractMean CaffePermute CaffeNormalize
    CaffePriorBox CaffePriorBoxClustered""".split()  # noqa: SIM905


def fresh(layer):
    return type(layer).from_config(layer.get_config())


def numpy(outputs):
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]


def inputs_of(shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0, 2, shape).astype("float32") for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]


def test_no_class_is_forgotten():
    assert set(CASES) == set(layers.__all__)


@pytest.mark.parametrize("name", CASES)
def test_a_config_makes_a_layer_that_computes_the_same(name):
    layer, shapes = CASES[name]
    layer, twin, x = fresh(layer), fresh(layer), inputs_of(shapes)
    y = numpy(layer(x))
    twin(x)
    twin.set_weights(layer.get_weights())
    assert twin.get_config() == layer.get_config()
    for a, b in zip(numpy(twin(x)), y, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("unknown", [(), (0,), (0, 1, 2)])
def test_shapes_are_told_before_values_are_known(name, unknown):
    layer, shapes = CASES[name]
    if 1 in unknown and name not in ANY_SIZE:
        pytest.skip("needs sizes")
    symbols = [
        keras.Input(batch_shape=[None if i in unknown else n for i, n in enumerate(s)])
        for s in shapes
    ]
    given = symbols if len(symbols) > 1 else symbols[0]
    outputs = fresh(layer)(given)
    model = keras.Model(symbols, outputs)
    x = inputs_of(shapes)
    found = numpy(model(x if isinstance(x, list) else [x]))
    for symbol, y in zip(keras.tree.flatten(outputs), found, strict=True):
        assert len(symbol.shape) == y.ndim
        for told, size in zip(symbol.shape, y.shape, strict=True):
            assert told in (None, size)
        if not unknown:
            assert None not in symbol.shape
