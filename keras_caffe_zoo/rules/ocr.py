"""Layers of nets that read text."""

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.sequence import decoded, turned
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule

_FORK = "OpenVINO training toolbox"
_MOST_TIMES = 4096


@register
class Reverse(Rule):
    types = ("Reverse",)
    fork = _FORK
    layers = ("CaffeReverse",)
    param = Param("reverse_param", "1 axis int32=0", 147)
    traits = MIXED._replace(channels="kept")

    def build(self, node, x):
        self._axis(node, x)
        return layers.CaffeReverse(node.param.axis, name=node.name)(x)

    def onnx(self, node, x):
        return turned(node, x, self._axis(node, x))

    @staticmethod
    def _axis(node, x) -> int:
        axis = node.param.axis
        if axis < 0:  # as the fork has it
            raise node.error(f"Expected 0 or more; received: {axis}", "axis")
        if node.caffe_axis(axis, len(x.shape), "reverse_param.axis") == 0:
            node.whole_batch(x)
        return axis

    def encode(self, call):
        axis = call.layer.axis % len(call.inputs[0].shape)
        call.add("Reverse", reverse_param={"axis": axis})


@register
class CTCGreedyDecoder(Rule):
    types = ("CTCGreedyDecoder",)
    fork = _FORK
    layers = ("CaffeCTCGreedyDecoder",)
    param = Param(
        "ctc_decoder_param",
        "1 blank_index int32=-1; 2 ctc_merge_repeated bool=true",
        149,
        message="CTCDecoderParameter",
    )
    bottoms, tops = (2, 2), (1, 2)
    traits = MIXED._replace(order="new")

    def build(self, node, values, begins):
        node.whole_batch(values, begins)
        param, scores = node.param, len(node.layer.tops) > 1
        layer = layers.CaffeCTCGreedyDecoder(
            param.blank_index, param.ctc_merge_repeated, scores, name=node.name
        )
        return layer([values, begins])

    def onnx(self, node, values, begins):
        node.whole_batch(values, begins)
        pairs = zip(values.shape, begins.shape, strict=False)
        if (len(values.shape), len(begins.shape)) != (3, 2) or any(
            a != b and None not in (a, b) for a, b in pairs
        ):
            raise node.error(
                f"Expected blobs (T, N, C) and (T, N); received: {values.shape} and "
                f"{begins.shape}",
                "bottom",
            )
        if values.shape[0] > _MOST_TIMES:
            raise node.error(
                f"Expected at most {_MOST_TIMES} times, each of which is compared with "
                f"all; received: {values.shape[0]}",
                "bottom",
            )
        blank = node.param.blank_index
        if blank < 0:
            blank = values.shape[2] - 1
        found = decoded(node, values, begins, blank, node.param.ctc_merge_repeated)
        return found[: len(node.layer.tops)]

    def encode(self, call):
        layer = call.layer
        values = {
            "blank_index": layer.blank_index,
            "ctc_merge_repeated": layer.merge_repeated,
        }
        call.add("CTCGreedyDecoder", ctc_decoder_param=values)
