"""Layers that propose regions of an image: Faster R-CNN's and its successors'."""

import math
import warnings

import numpy as np

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.proposals import proposals
from keras_caffe_zoo.rules.python import PYTHON, add_python, param_dict
from keras_caffe_zoo.rules.regions import as_rows
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule

_MOST = 1 << 20  # rows that anybody can want, and memory holds
_PYTHON_LAYER = "rpn.proposal_layer.ProposalLayer"
# What py-faster-rcnn's code takes from its configuration, for TEST.
_CONFIG = {
    "RPN_PRE_NMS_TOP_N": 6000,
    "RPN_POST_NMS_TOP_N": 300,
    "RPN_NMS_THRESH": 0.7,
    "RPN_MIN_SIZE": 16,
}
_RATIOS = (0.5, 1.0, 2.0)
_SETTINGS = ("pre_nms_topn", "post_nms_topn", "nms_thresh", "min_size")


@register
class Proposal(Rule):
    """The layer of C++."""

    types = ("Proposal",)
    fork = "PVANet"
    layers = ("CaffeProposal",)
    param = Param(
        "proposal_param",
        """
        1 feat_stride uint32=16; 2 base_size uint32=16; 3 min_size uint32=16;
        4 ratio float*; 5 scale float*; 6 pre_nms_topn uint32=6000;
        7 post_nms_topn uint32=300; 8 nms_thresh float=0.7
        """,
        (201, 202),
    )
    bottoms, tops = (3, 3), (1, 2)
    traits = MIXED._replace(order="new")
    rows = "of all items"
    spare_rows = True
    drop_small = False

    def build(self, node, scores, moves, info):
        values = self._values(node, scores, moves)
        info = as_rows(node, info)
        return layers.CaffeProposal(name=node.name, **values)([scores, moves, info])

    def onnx(self, node, scores, moves, info):
        """Return Caffe's rows: as many as are found, and no others."""
        values = self._values(node, scores, moves)
        info = as_rows(node, info)
        if len(info.shape) == 2 and info.shape[1] is None:
            raise node.error(
                f"Expected sizes (N, 3), (N, 4) or (N, 6); received: {info.shape}",
                "bottom",
            )
        return proposals(node, scores, moves, info, values)

    def _values(self, node, scores, moves) -> dict:
        """Return the arguments of the Keras layer, if the bottoms fit them."""
        values = self.arguments(node)
        kinds = len(values["ratios"]) * len(values["scales"])
        found = node.channels(scores), node.channels(moves)
        if found != (2 * kinds, 4 * kinds):
            raise node.error(
                f"Expected bottoms of {2 * kinds} and {4 * kinds} channels for "
                f"{len(values['ratios'])} ratios and {len(values['scales'])} scales; "
                f"received: {found}",
                "bottom",
            )
        values["drop_small"] = self.drop_small
        values["with_scores"] = len(node.layer.tops) > 1
        return values

    def arguments(self, node) -> dict:
        """Return the arguments of the Keras layer that a file tells."""
        param = node.param
        values = {
            "feat_stride": _whole(node, param.feat_stride, "feat_stride"),
            "base_size": _whole(node, param.base_size, "base_size"),
            "ratios": _positive(node, list(param.ratio), "ratio"),
            "scales": _positive(node, list(param.scale), "scale"),
        }
        for name in _SETTINGS:
            values[name] = _setting(node, getattr(param, name), name)
        return values

    def encode(self, call):
        layer = call.layer
        if layer.drop_small:
            self._encode_python(call)
            return
        param = {
            "feat_stride": layer.feat_stride,
            "base_size": layer.base_size,
            "min_size": int(layer.min_size),
            "ratio": layer.ratios,
            "scale": layer.scales,
            **{name: getattr(layer, name) for name in _SETTINGS[:3]},
        }
        if layer.min_size != param["min_size"]:
            raise call.error(f"its min_size is {layer.min_size}, no integer")
        call.add("Proposal", proposal_param=param)

    def unwritten(self, layer):
        if not layer.drop_small:
            return {}
        values = (getattr(layer, name) for name in _SETTINGS)
        return {"python_config": dict(zip(_CONFIG, values, strict=True))}

    def _encode_python(self, call):
        layer = call.layer
        settings = self.unwritten(layer)["python_config"]
        if layer.base_size != 16:
            raise call.error(
                "the Python layer has base_size=16. With drop_small=False it is one of "
                "C++, which has any"
            )
        if settings != _CONFIG:
            warnings.warn(
                f"The settings of '{layer.name}' are in no file, but in the "
                "configuration of the code: read it with from_caffe(…, python_config="
                f"{settings}).",
                stacklevel=2,
            )
        scales = [int(s) if s.is_integer() else s for s in layer.scales]
        words = f"'feat_stride': {layer.feat_stride}, 'scales': {scales}"
        if layer.ratios != _RATIOS:
            words += f", 'ratios': {list(layer.ratios)}"
        add_python(call, _PYTHON_LAYER, f"{{{words}}}")

    def blob(self, layer, array):
        """Return Caffe's rows: those of an item. A C++ layer's scores have one axis."""
        used = array if array.ndim == 1 else array[:, 0]
        return array[used != -1]


@register
class ProposalLayer(Proposal):
    """The layer of Python; of the same Keras class. PVANet's has ratios of its own."""

    types = (_PYTHON_LAYER,)
    fork = "Faster R-CNN"
    param = PYTHON
    config = tuple(_CONFIG)
    drop_small = True

    def arguments(self, node) -> dict:
        given = param_dict(node)
        names = ("feat_stride", "scales", "ratios")
        unknown = [name for name in given if name not in names]
        if unknown:
            raise node.error(
                f"Expected nothing but {', '.join(names)}; received: "
                f"{', '.join(map(str, unknown))}",
                "python_param.param_str",
            )
        if "feat_stride" not in given:
            raise node.error(
                f"Expected feat_stride; received: {given}", "python_param.param_str"
            )
        values = {
            "feat_stride": _whole(node, given["feat_stride"], "feat_stride"),
            "ratios": _positive(node, given.get("ratios", _RATIOS), "ratios"),
            "scales": _positive(node, given.get("scales", (8, 16, 32)), "scales"),
        }
        for name, (key, default) in zip(_SETTINGS, _CONFIG.items(), strict=True):
            value = node.python_config.get(key, default)
            values[name] = _setting(node, value, key)
        return values


def _is_number(value) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    # A comparison, since an integer of many digits overflows `math.isfinite`.
    return number and not isinstance(value, bool) and abs(value) < math.inf


def _whole(node, value, name) -> int:
    if not _is_number(value) or value != int(value) or not 0 < value < 2**20:
        raise node.error(
            f"Expected a positive integer below {2**20}; received: {value!r}", name
        )
    return int(value)


def _positive(node, values, name) -> tuple[float, ...]:
    """Return numbers of anchors, if they are such and not too many."""
    values = values if isinstance(values, (list, tuple)) else [values]
    fits = all(_is_number(value) and 0 < value < 2**20 for value in values)
    if not values or len(values) > 1000 or not fits:
        raise node.error(
            f"Expected up to 1000 positive numbers; received: {str(values)[:200]}", name
        )
    return tuple(float(value) for value in values)


def _setting(node, value, name):
    """Return a count, where 0 or less is no cut, a threshold or a least size."""
    is_count = name.lower().endswith(("topn", "top_n"))
    least = -math.inf if is_count else 0
    fits = _is_number(value) and least <= value <= _MOST
    if not fits or (is_count and value != int(value)):
        kind = "an integer" if is_count else "a number that is not negative,"
        raise node.error(
            f"Expected {kind} of at most {_MOST}; received: {value!r}", name
        )
    return max(int(value), 0) if is_count else float(value)
