"""Layers that go through time."""

import math

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.recurrent import MOST_STEPS, lstm, rnn
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, STORED, Rule


def _may_agree(shape, wanted) -> bool:
    return len(shape) == len(wanted) and all(
        a == b or None in (a, b) for a, b in zip(shape, wanted, strict=True)
    )


class _Recurrent(Rule):
    param = Param(
        "recurrent_param",
        """
        1 num_output uint32=0; 2 weight_filler FillerParameter;
        3 bias_filler FillerParameter; 4 debug_info bool=false;
        5 expose_hidden bool=false
        """,
        146,
    )
    codec = STORED
    keeps_tops = True
    traits = MIXED._replace(order="new")
    states = 1  # blobs of hidden state
    blobs = 5

    def encode(self, call):
        layer = call.layer
        param = {"num_output": layer.units, "expose_hidden": layer.expose_hidden}
        call.add(self.types[0], recurrent_param=param)

    def blob_axes(self, layer):
        exposed = self.states * layer.param.expose_hidden
        static = len(layer.bottoms) > 2 + exposed
        return (None,) * (self.blobs + static)

    def timed_inputs(self, layer):
        return 2 + layer.static

    def filler_fields(self, node):
        names = ("weight_filler", "bias_filler")
        return [names[len(shape) == 1] for shape in node.shapes]

    def _sizes(self, node, bottoms):
        """Return units, whether there is a static input, and the inputs' sizes."""
        units = node.count(node.param.num_output, "recurrent_param.num_output")
        hidden = self.states * node.param.expose_hidden
        static = len(bottoms) - 2 - hidden
        if static not in (0, 1) or len(node.layer.tops) != 1 + hidden:
            raise node.error(
                f"Expected {2 + hidden} bottoms, or one more for a static input, and "
                f"{1 + hidden} tops; received: {len(bottoms)} and "
                f"{len(node.layer.tops)}",
                "bottom",
            )
        shapes = [caffe_shape(x) for x in bottoms]
        self._check_shapes(node, shapes, units, static)
        flat = [shapes[0][2:], shapes[2][1:] if static else ()]
        if len(shapes[0]) < 2 or None in flat[0] + flat[1]:
            raise node.error(
                f"Expected time, items and known sizes; received shapes: {shapes}",
                "bottom",
            )
        return units, bool(static), [math.prod(sizes) for sizes in flat]

    def _check_shapes(self, node, shapes, units, static) -> None:
        (x, cont), states = shapes[:2], shapes[2 + static :]
        wanted = [x[:2], *[(1, x[1], units)] * len(states)]
        pairs = list(zip([cont, *states], wanted, strict=True))
        if static:
            pairs.append((shapes[2][:1], x[1:2]))
        if not all(map(_may_agree, *zip(*pairs, strict=True))):
            raise node.error(
                "Expected bottoms (T, N, …) and (T, N), a static input (N, …) if there "
                f"is one, first states (1, N, {units}) if there are any; received "
                f"shapes: {shapes}",
                "bottom",
            )

    def _timed(self, node, bottoms, static) -> tuple:
        """Return what an ONNX graph reads: x, cont, the static input or None, states.

        The number of steps is known.
        """
        x, cont, *others = bottoms
        node.whole_batch(x)
        if x.shape[0] > MOST_STEPS:
            raise node.error(
                f"Expected at most {MOST_STEPS} steps, each of which is written as "
                f"operations; received: {x.shape[0]}",
                "bottom",
            )
        return x, cont, others.pop(0) if static else None, others


@register
class LSTM(_Recurrent):
    types = ("LSTM",)
    layers = ("CaffeLSTM",)
    bottoms, tops = (2, 5), (1, 3)
    states, blobs = 2, 3

    def build(self, node, *bottoms):
        units, static = self._learn(node, bottoms)
        expose = node.param.expose_hidden
        return layers.CaffeLSTM(units, static, expose, name=node.name)(list(bottoms))

    def onnx(self, node, *bottoms):
        units, static = self._learn(node, bottoms)
        tops = lstm(node, *self._timed(node, bottoms, static), units)
        return tops[: len(node.layer.tops)]

    def _learn(self, node, bottoms) -> tuple[int, bool]:
        units, static, sizes = self._sizes(node, bottoms)
        node.learns(
            (4 * units, sizes[0]),
            (4 * units,),
            *([(4 * units, sizes[1])] if static else []),
            (4 * units, units),
        )
        return units, static


@register
class RNN(_Recurrent):
    types = ("RNN",)
    layers = ("CaffeRNN",)
    bottoms, tops = (2, 4), (1, 2)

    def build(self, node, *bottoms):
        units, static = self._learn(node, bottoms)
        expose = node.param.expose_hidden
        return layers.CaffeRNN(units, static, expose, name=node.name)(list(bottoms))

    def onnx(self, node, *bottoms):
        _, static = self._learn(node, bottoms)
        tops = rnn(node, *self._timed(node, bottoms, static))
        return tops[: len(node.layer.tops)]

    def _learn(self, node, bottoms) -> tuple[int, bool]:
        units, static, sizes = self._sizes(node, bottoms)
        node.learns(
            (units, sizes[0]),
            (units,),
            *([(units, sizes[1])] if static else []),
            (units, units),
            (units, units),
            (units,),
        )
        return units, static
