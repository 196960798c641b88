"""Layers of YOLO: MobileNet-YOLO's, and Intel's."""

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.layers import CaffeReorg
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule

_FORK = "MobileNet-YOLO"


@register
class Reorg(Rule):
    types = ("Reorg",)
    fork = _FORK
    layers = (CaffeReorg,)
    param = Param("reorg_param", "1 stride uint32; 2 reverse bool=false", (149, 159))
    traits = MIXED

    def build(self, node, x):
        if len(x.shape) != 4:
            raise node.error(
                f"Expected a blob (N, C, H, W); received shape: {caffe_shape(x)}"
            )
        stride = node.count(node.param.stride, "reorg_param.stride")
        try:
            return CaffeReorg(stride, node.param.reverse, name=node.name)(x)
        except ValueError as error:
            problem = str(error).removesuffix(".")
            raise node.error(problem, "reorg_param.stride") from error

    def encode(self, call):
        layer = call.layer
        values = {"stride": layer.stride, "reverse": layer.reverse}
        call.add("Reorg", reorg_param=values)

    def channels(self, layer, bottoms):
        param, known = layer.param, bottoms[0]
        if not known or not param.stride:
            return None
        block = param.stride**2
        return known // block if param.reverse else known * block
