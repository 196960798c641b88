"""Every layer class of the package on a map: its geometry is right, or it is refused.

Right means: the map has the shape that the grid tells, a pixel outside of a cell's
field does not change the cell, and tiles make the map of the whole image.
"""

import keras
import numpy as np
import pytest
from keras.layers import Add, Conv2D, GlobalAveragePooling2D
from support import every

from keras_caffe_zoo import layers
from keras_caffe_zoo.dense import output_grid, predict_dense, to_fully_convolutional

LAST = {"data_format": "channels_last"}
C = 4

ANSWERED = {
    "CaffeAbs": lambda x: layers.CaffeAbs()(x),
    "CaffeArgMax of channels": lambda x: layers.CaffeArgMax(True, 2, 1)(x),
    "CaffeBatchNorm": lambda x: layers.CaffeBatchNorm(None, 0.9, 0.1)(x),
    "CaffeBias": lambda x: layers.CaffeBias(1)(x),
    "CaffeBias of two maps": lambda x: layers.CaffeBias(0)([x, x]),
    "CaffeChannelNorm": lambda x: layers.CaffeChannelNorm()(x),
    "CaffeClip": lambda x: layers.CaffeClip(0.5, 1.5)(x),
    "CaffeConv2D": lambda x: layers.CaffeConv2D(6, (3, 2), 2, 1, groups=2, **LAST)(x),
    "CaffeDropout": lambda x: layers.CaffeDropout(0.3)(x),
    "CaffeExp": lambda x: layers.CaffeExp(2, 0.5, 1)(x),
    "CaffeHardSigmoid": lambda x: layers.CaffeHardSigmoid()(x),
    "CaffeReLU6": lambda x: layers.CaffeReLU6(0.5)(x),
    "CaffeIm2col": lambda x: layers.CaffeIm2col((3, 2), 2, 1, 1)(x),
    "CaffeLRN": lambda x: layers.CaffeLRN(3, 1, 0.5, 2, **LAST)(x),
    "CaffeLRN within": lambda x: layers.CaffeLRN(
        3, norm_region="within_channel", **LAST
    )(x),
    "CaffeLeakyReLU": lambda x: layers.CaffeLeakyReLU(-0.5)(x),
    "CaffeLog": lambda x: layers.CaffeLog(2, 0.1, 9)(x),
    "CaffeNegReLU": lambda x: layers.CaffeNegReLU(0.5)(x),
    "CaffePSPNetBN": lambda x: layers.CaffePSPNetBN()(x),
    "CaffeNormalize": lambda x: layers.CaffeNormalize(False)(x),
    "CaffePermute to the same": lambda x: layers.CaffePermute((0, 1))(x),
    "CaffeMean": lambda x: layers.CaffeMean((0.5, -1))(x),
    "CaffePool2D": lambda x: layers.CaffePool2D("ave", 3, 2, 1, **LAST)(x),
    "CaffePool2D floor": lambda x: layers.CaffePool2D(
        "ave", 3, 2, round_mode="floor", **LAST
    )(x),
    "CaffePower": lambda x: layers.CaffePower(2, 0.5, 1)(x),
    "CaffeSELU": lambda x: layers.CaffeSELU()(x),
    "CaffeScale": lambda x: layers.CaffeScale(1, 1, True)(x),
    "CaffeSegNetBN": lambda x: layers.CaffeSegNetBN("inference")(x),
    "CaffeShuffleChannel": lambda x: layers.CaffeShuffleChannel(2)(x),
    "CaffeSilence": lambda x: layers.CaffeSilence()([x, GlobalAveragePooling2D()(x)]),
    "CaffeSlice": lambda x: layers.CaffeSlice((1, 3), -1)(x)[1],
    "CaffeStochasticPool2D": lambda x: layers.CaffeStochasticPool2D(
        3, strides=2, **LAST
    )(x),
    "CaffeSubtractMean": lambda x: layers.CaffeSubtractMean()(x),
    "CaffeSwish": lambda x: layers.CaffeSwish(1.5)(x),
    "CaffeThreshold": lambda x: layers.CaffeThreshold(1.0)(x),
    "CaffeTile of channels": lambda x: layers.CaffeTile(3, -1)(x),
    "CaffeWeightedSum": lambda x: layers.CaffeWeightedSum((1, -0.5))([x, x]),
    "keras Softmax": lambda x: keras.layers.Softmax()(x),
    "keras PReLU": lambda x: keras.layers.PReLU(shared_axes=[1, 2])(x),
    "keras GaussianNoise": lambda x: keras.layers.GaussianNoise(0.1)(x),
    "keras ZeroPadding2D": lambda x: keras.layers.ZeroPadding2D(((1, 2), (0, 3)))(x),
    "keras DepthwiseConv2D": lambda x: keras.layers.DepthwiseConv2D(3, 2)(x),
}
REFUSED = {
    "CaffeDetectionOutput": lambda x: layers.CaffeDetectionOutput(2, top_k=9)(
        [
            layers.CaffeFlatten()(x),
            layers.CaffeFlatten()(x[..., :2]),
            layers.CaffePriorBox([3])([x, x]),
        ]
    ),
    "CaffeMultiBox": lambda x: layers.CaffeMultiBox(2)(
        [
            layers.CaffeFlatten()(x),
            layers.CaffeFlatten()(x[..., :2]),
            layers.CaffePriorBox([3])([x, x]),
        ]
    ),
    "CaffeNormalize of all": lambda x: layers.CaffeNormalize()(x),
    "CaffePermute": lambda x: layers.CaffePermute((0, 2, 3, 1))(x),
    "CaffePriorBox": lambda x: layers.CaffePriorBox([3])([x, x]),
    "CaffePriorBoxClustered": lambda x: layers.CaffePriorBoxClustered([3], [4])([x, x]),
    "CaffePSROIPooling": lambda x: layers.CaffePSROIPooling(1, 2, 1)(
        [x, layers.CaffeConstant((3, 5))(x)]
    ),
    "CaffeProposal": lambda x: layers.CaffeProposal(scales=[1], ratios=[1, 2])(
        [x, Conv2D(8, 1)(x), layers.CaffeConstant((1, 3))(x)]
    ),
    "CaffeROIAlign": lambda x: layers.CaffeROIAlign(2, 2)(
        [x, layers.CaffeConstant((3, 5))(x)]
    ),
    "CaffeROIPooling": lambda x: layers.CaffeROIPooling(2, 2)(
        [x, layers.CaffeConstant((3, 5))(x)]
    ),
    "CaffeAccum": lambda x: layers.CaffeAccum()([x, Conv2D(C, 5)(x)]),
    "CaffeArgMax": lambda x: layers.CaffeArgMax()(x),
    "CaffeArgMax of rows": lambda x: layers.CaffeArgMax(False, 1, 2)(x),
    "CaffeAxpy": lambda x: layers.CaffeAxpy()([GlobalAveragePooling2D()(x), x, x]),
    "CaffeBatchNorm of the batch": lambda x: layers.CaffeBatchNorm(False)(x),
    "CaffeBatchReindex": lambda x: layers.CaffeBatchReindex()(
        [x, keras.ops.zeros_like(x[:, 0, 0, 0])]
    ),
    "CaffeBias of places": lambda x: layers.CaffeBias(1, -1)(x),
    "CaffeCTCGreedyDecoder": lambda x: layers.CaffeCTCGreedyDecoder()(
        [layers.CaffeReshape((0, 0, -1))(x), x[:, 0, 0]]
    ),
    "CaffeConstant": lambda x: layers.CaffeConstant((1, 2, 3, 4), 0.5)(x),
    "CaffeConvND": lambda x: layers.CaffeConvND(6, [3], [2], [1], [2], 2)(
        layers.CaffeReshape((0, 0, -1))(x)
    ),
    "CaffeCorrelation": lambda x: layers.CaffeCorrelation(1, 2, 2)([x, x]),
    "CaffeCrop": lambda x: layers.CaffeCrop(2, (1, 2))([x, Conv2D(C, 5)(x)]),
    "CaffeDeconv2D": lambda x: layers.CaffeDeconv2D(6, 3, 2, 1, 2, 2, **LAST)(x),
    "CaffeDownsample": lambda x: layers.CaffeDownsample(9, 9)(x),
    "CaffeEmbed": lambda x: layers.CaffeEmbed(5, 3)(layers.CaffeArgMax()(x)),
    "CaffeFlatten": lambda x: layers.CaffeFlatten()(x),
    "CaffeFlowWarp": lambda x: layers.CaffeFlowWarp()([x, x[..., :2]]),
    "CaffeInnerProduct": lambda x: layers.CaffeInnerProduct(3, 3)(x),
    "CaffeInterp": lambda x: layers.CaffeInterp(zoom_factor=2)(x),
    "CaffeLSTM": lambda x: layers.CaffeLSTM(3)(
        [layers.CaffeReshape((0, 0, -1))(x), x[:, 0, 0]]
    ),
    "CaffeMVN": lambda x: layers.CaffeMVN()(x),
    "CaffeMaxPool2DWithMask": lambda x: layers.CaffeMaxPool2DWithMask(
        3, strides=2, **LAST
    )(x)[1],
    "CaffeParameter": lambda x: layers.CaffeParameter((1, 2, 3, 4))(x),
    "CaffePool2D of all": lambda x: layers.CaffePool2D(
        "ave", global_pooling=True, **LAST
    )(x),
    "CaffeRNN": lambda x: layers.CaffeRNN(3)(
        [layers.CaffeReshape((0, 0, -1))(x), x[:, 0, 0]]
    ),
    "CaffeReduction": lambda x: layers.CaffeReduction("mean", 2)(x),
    "CaffeReorg": lambda x: layers.CaffeReorg(1)(x),
    "CaffeResample": lambda x: layers.CaffeResample(30, 30)(x),
    "CaffeReshape": lambda x: layers.CaffeReshape((0, 0, -1, 3))(x),
    "CaffeReverse": lambda x: layers.CaffeReverse(2)(x),
    "CaffeSPP": lambda x: layers.CaffeSPP(2, "ave")(x),
    "CaffeScale of places": lambda x: layers.CaffeScale(2, 2)(x),
    "CaffeScale by channel": lambda x: layers.CaffeScale(0)(
        [x, GlobalAveragePooling2D()(x)]
    ),
    "CaffeSegNetBN of the batch": lambda x: layers.CaffeSegNetBN("learn")(x),
    "CaffeSlice of rows": lambda x: layers.CaffeSlice((10, 13), 1)(x)[1],
    "CaffeTile": lambda x: layers.CaffeTile(3, 1)(x),
    "CaffeUnpool": lambda x: layers.CaffeUnpool(1)([x, x]),
    "CaffeSubtractMean of places": lambda x: layers.CaffeSubtractMean(True)(x),
    "CaffeYoloDetections": lambda x: layers.CaffeYoloDetections(1, (1, 2), 1)(
        Conv2D(6, 1)(x[:, :20, :20])
    ),
    "CaffeYolov3Detections": lambda x: layers.CaffeYolov3Detections(
        1, (1, 2), [[0]], [8]
    )(Conv2D(6, 1)(x)),
    "keras Softmax of rows": lambda x: keras.layers.Softmax(axis=1)(x),
    "keras PReLU of places": lambda x: keras.layers.PReLU()(x),
    "keras broadcasting": lambda x: Add()(
        [x, GlobalAveragePooling2D(keepdims=True)(x)]
    ),
    "keras UpSampling2D": lambda x: keras.layers.UpSampling2D()(x),
    "keras LayerNormalization": lambda x: keras.layers.LayerNormalization()(x),
}


def net(make, size=(24, 22)):
    """Return a net of windows around the layer."""
    inputs = keras.Input((*size, C))
    x = layers.CaffePool2D("ave", 2, 1, **LAST)(inputs)
    model = keras.Model(inputs, make(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1, w.shape) for w in model.get_weights()])
    return model


def test_no_class_is_forgotten():
    cases = {name.split()[0] for name in (*ANSWERED, *REFUSED)} - {"keras"}
    assert cases == set(layers.__all__)


@pytest.mark.parametrize("name", every(2, ANSWERED))
def test_cells_depend_on_their_fields_only(name):
    model = net(ANSWERED[name])
    image = np.random.default_rng(1).uniform(1, 2, (24, 22, C)).astype("float32")
    grid = output_grid(model, image.shape)
    pixels = [(0, 0), (23, 21), (11, 10), (12, 0), (5, 21)]
    batch = np.stack([image] * (1 + len(pixels)))
    for i, pixel in enumerate(pixels):
        batch[(i + 1, *pixel)] = -100
    whole, *changed = model.predict(batch, verbose=0)
    assert whole.shape[:2] == grid.shape
    for pixel, other in zip(pixels, changed, strict=True):
        cells = np.argwhere(np.any(other != whole, axis=-1))
        assert len(cells) or "Slice" in name or "Threshold" in name or "Clip" in name
        for row, column in cells:
            top, left, bottom, right = grid.field_box(row, column)
            assert top <= pixel[0] < bottom and left <= pixel[1] < right


@pytest.mark.parametrize("name", every(2, ANSWERED))
def test_tiles_make_the_map_of_the_whole(name):
    model = net(ANSWERED[name], (None, None))
    image = np.random.default_rng(1).uniform(1, 2, (45, 38, C)).astype("float32")
    whole = model.predict(image[None], verbose=0)[0]
    tiled = predict_dense(model, image, tile=16, progress=False)
    np.testing.assert_allclose(tiled, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_keeps_no_places_is_refused_by_name(name):
    make = REFUSED[name]
    model = net(make)
    with pytest.raises(ValueError, match=r"[Ll]ayer '[\w-]+'|No rule declares"):
        output_grid(model, (24, 22))


class Blur(keras.layers.Layer):
    """A layer that no rule knows."""

    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, (1, 2), keepdims=True)


class Elsewhere(keras.layers.ReLU):
    """A layer that computes something else than the class it derives from."""

    def call(self, inputs):
        return keras.ops.flip(inputs, 1)


class Named(keras.layers.ReLU):
    """A layer that computes what the class it derives from does."""


@pytest.mark.parametrize("kind", [Blur, Elsewhere])
def test_a_layer_that_no_rule_declares_is_refused(kind):
    model = net(lambda x: kind(name="mine")(x))
    with pytest.raises(ValueError, match="No rule declares .* 'mine' .*register"):
        output_grid(model, (24, 22))
    with pytest.raises(ValueError, match=r"Layer 'mine'.*no rule declares"):
        to_fully_convolutional(model)


def test_a_class_that_only_derives_is_what_its_base_is():
    assert output_grid(net(lambda x: Named()(x)), (24, 22)).shape == (23, 21)
