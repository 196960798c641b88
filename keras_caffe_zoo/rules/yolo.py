"""Layers of YOLO: MobileNet-YOLO's, and Intel's."""

import math

from keras_caffe_zoo.arithmetic.yolo import (
    YoloOptions,
    candidates,
    check_anchors,
    check_masks,
    check_options,
    reorged_shape,
)
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.detection_rows import detections
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.yolo import reorg, yolo_detections
from keras_caffe_zoo.rules.loss import Loss
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule
from keras_caffe_zoo.rules.window import check_image

_FORK = "YOLO"
_MOST_ROWS = 100_000  # of an item, where nobody asked for so many


@register
class Reorg(Rule):
    types = ("Reorg",)
    fork = _FORK
    layers = ("CaffeReorg",)
    param = Param("reorg_param", "1 stride uint32; 2 reverse bool=false", (149, 159))
    traits = MIXED

    def build(self, node, x):
        stride, reverse = self._options(node, x)
        return layers.CaffeReorg(stride, reverse, name=node.name)(x)

    def onnx(self, node, x):
        return reorg(node, x, *self._options(node, x))

    def _options(self, node, x) -> tuple[int, bool]:
        check_image(node, x)
        stride = node.count(node.param.stride, "reorg_param.stride")
        reorged_shape(caffe_shape(x), stride, node.param.reverse)
        return stride, node.param.reverse

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


class _Detections(Rule):
    """A layer that finds boxes.

    A bound that `max_detections` gave is not written to Caffe, which has none.
    """

    fork = _FORK
    traits = MIXED._replace(order="new")
    same_items = True
    rows = "of one item"

    def build(self, node, *bottoms):
        given = self._given(node, bottoms)
        layer = getattr(layers, self.layers[0])(**given, name=node.name)
        return layer(list(bottoms) if len(bottoms) > 1 else bottoms[0])

    def onnx(self, node, *bottoms):
        """Return Caffe's blob, (1, 1, K, 7): as many rows as there are detections."""
        return yolo_detections(node, bottoms, _options(self._given(node, bottoms)))

    def _given(self, node, bottoms) -> dict:
        """Return the arguments of the Keras layer, checked."""
        param = node.param
        self._check(node, param)
        given = {
            "num_classes": param.num_classes,
            "biases": list(param.biases),
            "confidence_threshold": param.confidence_threshold,
            "nms_threshold": param.nms_threshold,
            "max_detections": node.max_detections,
            **self._boxes(node, bottoms),
        }
        rows = candidates(_options(given), [caffe_shape(x) for x in bottoms])
        if node.max_detections is None and rows > _MOST_ROWS:
            raise node.error(
                f"Expected at most {_MOST_ROWS:,} detections of one image, as no other "
                f"number is given; received maps that can make {rows:,}. Say how many "
                "to keep (max_detections)"
            )
        return given

    def _boxes(self, node, bottoms) -> dict:
        """Return the arguments that tell the boxes of a cell."""
        raise NotImplementedError

    def _check(self, node, param) -> None:
        name = self.param.name
        for field in ("confidence_threshold", "nms_threshold"):
            if math.isnan(getattr(param, field)):
                raise node.error("Expected a number; received: nan", f"{name}.{field}")
        if not all(map(math.isfinite, param.biases)):
            raise node.error("Expected finite numbers", f"{name}.biases")

    def unwritten(self, layer):
        return {"max_detections": layer.max_detections}

    def _fields(self, layer) -> dict:
        return {
            "num_classes": layer.num_classes,
            "num_box": layer.num_box,
            "biases": layer.biases,
            "confidence_threshold": layer.confidence_threshold,
            "nms_threshold": layer.nms_threshold,
        }

    def blob(self, layer, array):
        return detections(array)[None, None]


def _options(given: dict) -> YoloOptions:
    """Return the options that the arguments of a Keras layer are, checked."""
    masks = given.get("mask", ())
    options = YoloOptions(**{"num_box": len(masks[0]) if masks else 0, **given})
    check_options(options)
    if masks:
        check_masks(options)
    else:
        check_anchors(options)
    return options


@register
class YoloDetectionOutput(_Detections):
    types = ("YoloDetectionOutput",)
    layers = ("CaffeYoloDetections",)
    param = Param(
        "yolo_detection_output_param",
        """
        1 side uint32=13; 2 num_classes uint32=20; 3 num_box uint32=5;
        4 coords uint32=4; 5 confidence_threshold float=0.01;
        6 nms_threshold float=0.45; 7 biases float*; 8 label_map_file string
        """,
        601,
    )
    bottoms = (1, 2)

    def _boxes(self, node, bottoms):
        if node.param.coords != 4:
            raise node.error(
                f"Expected 4; received: {node.param.coords}",
                "yolo_detection_output_param.coords",
            )
        return {"num_box": node.param.num_box}

    def encode(self, call):
        values = {**self._fields(call.layer), "side": call.inputs[0].shape[1]}
        call.add("YoloDetectionOutput", yolo_detection_output_param=values)


@register
class Yolov3DetectionOutput(_Detections):
    types = ("Yolov3DetectionOutput",)
    layers = ("CaffeYolov3Detections",)
    param = Param(
        "yolov3_detection_output_param",
        """
        1 num_classes uint32=20; 2 num_box uint32=3; 3 confidence_threshold float=0.01;
        4 nms_threshold float=0.45; 5 biases float*; 6 anchors_scale uint32*;
        7 mask_group_num uint32=2; 8 mask uint32*; 9 gaussian_box bool=false
        """,
        602,
    )
    bottoms = (1, None)

    def _boxes(self, node, bottoms):
        param, name = node.param, self.param.name
        if param.gaussian_box:
            raise node.error(
                "Expected false: boxes that tell how sure they are cannot be built",
                f"{name}.gaussian_box",
            )
        if param.mask_group_num != len(bottoms):
            raise node.error(
                f"Expected the number of bottoms, {len(bottoms)}; received: "
                f"{param.mask_group_num}",
                f"{name}.mask_group_num",
            )
        boxes = node.count(param.num_box, f"{name}.num_box")
        each = len(param.mask) // len(bottoms)
        starts = [at * each for at in range(len(bottoms))]
        if starts[-1] + boxes > len(param.mask):
            raise node.error(
                f"Expected {boxes} anchors for each of {len(bottoms)} bottoms; "
                f"received: {list(param.mask)}",
                f"{name}.mask",
            )
        return {
            "mask": [list(param.mask[start : start + boxes]) for start in starts],
            "anchors_scale": list(param.anchors_scale)[: len(bottoms)],
        }

    def encode(self, call):
        layer = call.layer
        values = {
            **self._fields(layer),
            "anchors_scale": layer.anchors_scale,
            "mask_group_num": len(layer.mask),
            "mask": [anchor for mask in layer.mask for anchor in mask],
        }
        call.add("Yolov3DetectionOutput", yolov3_detection_output_param=values)


@register
class RegionLoss(Loss):
    types = ("RegionLoss",)
    fork = _FORK
    bottoms = (2, 2)
    param = Param(
        "region_loss_param",
        """
        1 side uint32=13; 2 num_class uint32=20; 3 bias_match uint32=1;
        4 coords uint32=4; 5 num uint32=5; 6 softmax uint32=1; 7 jitter float=0.2;
        8 rescore uint32=1; 9 object_scale float=1; 10 class_scale float=1;
        11 noobject_scale float=0.5; 12 coord_scale float=5; 13 absolute uint32=1;
        14 thresh float=0.2; 15 random uint32=1; 16 biases float*;
        17 softmax_tree string; 18 class_map string
        """,
        (600, 209),
    )


@register
class Yolov3Loss(Loss):
    types = ("Yolov3",)
    fork = _FORK
    param = Param(
        "yolov3_param",
        """
        1 side uint32=13; 2 num_class uint32=20; 3 num uint32=5;
        4 object_scale float=1; 5 class_scale float=1; 6 noobject_scale float=0.5;
        7 coord_scale float=5; 8 thresh float=0.2; 10 anchors_scale uint32=32;
        11 biases float*; 12 mask uint32*; 13 use_logic_gradient bool=false
        """,
        603,
    )


@register
class EvalDetection(Loss):
    types = ("EvalDetection",)
    fork = _FORK
    role = "metric"
    param = Param(
        "eval_detection_param",
        """
        1 side uint32=7; 2 num_class uint32=20; 3 num_object uint32=2;
        4 threshold float=0.5; 5 sqrt bool=true; 6 constriant bool=true;
        7 score_type ScoreType=MULTIPLY; 8 nms float=-1; 9 biases float*
        enum ScoreType: OBJ=0 PROB=1 MULTIPLY=2
        """,
    )
