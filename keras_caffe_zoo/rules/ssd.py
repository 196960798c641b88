"""Layers of SSD: boxes, and the detections among them."""

from keras_caffe_zoo.arithmetic.boxes import CODE_TYPES
from keras_caffe_zoo.arithmetic.detections import DetectionOptions
from keras_caffe_zoo.arithmetic.priors import (
    check_clusters,
    check_sizes,
    checked_variance,
    sizes_of,
)
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.detection_rows import detections
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.detection_output import detection_output
from keras_caffe_zoo.onnx.priors import prior_boxes
from keras_caffe_zoo.onnx.statistics import reduced
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, STORED, Rule, Traits
from keras_caffe_zoo.rules.ssd_training import RESIZE, SSD


@register
class Permute(Rule):
    types, fork = ("Permute",), SSD
    layers = ("CaffePermute",)
    precision = "kept"
    param = Param("permute_param", "1 order uint32*", (202, 148))

    def build(self, node, x):
        order = self._order(node, x)
        return layers.CaffePermute(order, name=node.name)(x)

    def onnx(self, node, x):
        order = self._order(node, x)
        others = [axis for axis in range(len(x.shape)) if axis not in order]
        return node.op("Transpose", x, perm=[*order, *others])

    @staticmethod
    def _order(node, x) -> list[int]:
        """Return the axes that are named, which become the first."""
        order, rank = list(node.param.order), len(x.shape)
        for axis in order:
            if not 0 <= axis < rank or order.count(axis) > 1:
                raise node.error(
                    f"Expected different axes of a blob with {rank}, from 0 on; "
                    f"received: {order}",
                    "permute_param.order",
                )
        if [*order, 0][0] != 0:  # items go elsewhere
            node.whole_batch(x)
        return order

    def encode(self, call):
        call.add("Permute", permute_param={"order": call.layer.order})

    def traits_of(self, layer):
        rank = len(layer.input.shape)
        if layer.axes(rank) == tuple(range(rank)):
            return Traits(places="kept", channels="kept", order="kept")
        return MIXED._replace(order="shuffled")


@register
class Normalize(Rule):
    types, fork = ("Normalize",), SSD
    layers = ("CaffeNormalize",)
    param = Param(
        "norm_param",
        """
        1 across_spatial bool=true; 2 scale_filler FillerParameter;
        3 channel_shared bool=true; 4 eps float=1e-10
        """,
        (206, 149),
    )
    codec = STORED
    fillers = ("scale_filler",)

    def build(self, node, x):
        param = node.param
        self._learn(node, x)
        options = (param.across_spatial, param.channel_shared, param.eps)
        return layers.CaffeNormalize(*options, name=node.name)(x)

    def onnx(self, node, x):
        param, rank = node.param, len(x.shape)
        self._learn(node, x)
        axes = list(range(1, rank)) if param.across_spatial else [1]
        squares = reduced(node, "ReduceSum", node.op("Mul", x, x), axes)
        norm = node.op("Sqrt", node.op("Add", squares, param.eps))
        ones = [1] * (rank - 2)
        scale = node.array(0).reshape(-1, *ones)
        name = f"{node.layer.name}/scale"
        return node.op("Mul", node.op("Div", x, norm), node.constant(scale, name))

    @staticmethod
    def _learn(node, x) -> None:
        channels = node.channels(x)
        node.learns(() if node.param.channel_shared else (channels,))

    def encode(self, call):
        layer = call.layer
        values = {
            "across_spatial": layer.across_spatial,
            "channel_shared": layer.channel_shared,
            "eps": layer.epsilon,
        }
        call.add("Normalize", norm_param=values)

    def blob_axes(self, layer):
        return (0 if layer.param.channel_shared else 1,)

    def traits_of(self, layer):
        places = "mixed" if layer.across_spatial else "kept"
        return Traits(places=places, channels="kept", order="kept")


_PRIOR_BOX = Param(
    "prior_box_param",
    """
    1 min_size float*; 2 max_size float*; 3 aspect_ratio float*; 4 flip bool=true;
    5 clip bool=false; 6 variance float*; 7 img_size uint32; 8 img_h uint32;
    9 img_w uint32; 10 step float; 11 step_h float; 12 step_w float;
    13 offset float=0.5; 16 width float*; 17 height float*
    """,
    (203, 150),
)


class _Priors(Rule):
    fork = SSD
    param = _PRIOR_BOX
    bottoms = (2, 2)
    traits = MIXED._replace(order="new")

    def onnx(self, node, features, image):
        options = self._options(node)
        options["variance"] = checked_variance(options["variance"])
        return prior_boxes(node, features, image, self._sizes(node), **options)

    def _sizes(self, node):
        """Return the boxes' widths and heights, in pixels."""
        raise NotImplementedError

    def _options(self, node) -> dict:
        param = node.param
        return {
            "clip": param.clip,
            "variance": list(param.variance),
            "image_size": _sides(node, "img", "img_size"),
            "step": _sides(node, "step", "step"),
            "offset": param.offset,
        }

    def _values(self, layer) -> dict:
        """Return the fields that both types have."""
        values = {
            "clip": layer.clip,
            "variance": layer.variance,
            "offset": layer.offset,
        }
        for stem, sides in (("img", layer.image_size), ("step", layer.step)):
            values.update(zip((f"{stem}_h", f"{stem}_w"), sides or (), strict=False))
        return values


def _sides(node, stem: str, both: str):
    """Return (height, width) of a prior box's image or step; `None` if not given."""
    param, names = node.param, (f"{stem}_h", f"{stem}_w")
    given = [name for name in (both, *names) if param.HasField(name)]
    if given not in ([], [both], list(names)):
        raise node.error(
            f"Expected {both}, or {stem}_h and {stem}_w; received: {given}",
            f"prior_box_param.{given[0]}",
        )
    values = [getattr(param, name) for name in given] * (2 if len(given) == 1 else 1)
    if len(param.width) and not any(values):
        return None  # as OpenVINO's operation has it
    if any(value <= 0 for value in values):
        raise node.error(
            f"Expected positive numbers; received: {values}",
            f"prior_box_param.{given[0]}",
        )
    return tuple(values) or None


@register
class PriorBox(_Priors):
    types = ("PriorBox",)
    layers = ("CaffePriorBox",)

    def build(self, node, features, image):
        if self._is_clustered(node):
            return _clustered(node, features, image, self._options(node))
        options = {**self._given(node), **self._options(node)}
        return layers.CaffePriorBox(**options, name=node.name)([features, image])

    def _sizes(self, node):
        if self._is_clustered(node):
            return _clusters(node)
        given = self._given(node)
        check_sizes(given["min_sizes"], given["max_sizes"], given["aspect_ratios"])
        return sizes_of(**given)

    @staticmethod
    def _is_clustered(node) -> bool:
        return bool(node.param.width or node.param.height)

    @staticmethod
    def _given(node) -> dict:
        param = node.param
        return {
            "min_sizes": list(param.min_size),
            "max_sizes": list(param.max_size),
            "aspect_ratios": list(param.aspect_ratio),
            "flip": param.flip,
        }

    def encode(self, call):
        layer = call.layer
        values = {
            "min_size": layer.min_sizes,
            "max_size": layer.max_sizes,
            "aspect_ratio": layer.aspect_ratios,
            "flip": layer.flip,
            **self._values(layer),
        }
        call.add("PriorBox", prior_box_param=values)


@register
class PriorBoxClustered(_Priors):
    types, fork = ("PriorBoxClustered",), "Intel Caffe"
    layers = ("CaffePriorBoxClustered",)

    def build(self, node, features, image):
        return _clustered(node, features, image, self._options(node))

    def _sizes(self, node):
        return _clusters(node)

    def encode(self, call):
        sizes = {"width": call.layer.widths, "height": call.layer.heights}
        values = {**sizes, **self._values(call.layer)}
        call.add("PriorBoxClustered", prior_box_param=values)


def _clustered(node, features, image, options):
    sizes = _clusters(node)
    layer = layers.CaffePriorBoxClustered(*sizes, **options, name=node.name)
    return layer([features, image])


def _clusters(node):
    """Return the widths and heights of boxes that are given by these."""
    param = node.param
    others = ("min_size", "max_size", "aspect_ratio")
    given = [name for name in others if len(getattr(param, name))]
    if given:
        raise node.error(
            f"Expected boxes by width and height, or by min_size; received: {given}",
            f"prior_box_param.{given[0]}",
        )
    sizes = (list(param.width), list(param.height))
    check_clusters(*sizes)
    return sizes


@register
class DetectionOutput(Rule):
    """What it saves and shows meanwhile is left to whoever has the detections."""

    types, fork = ("DetectionOutput",), SSD
    layers = ("CaffeDetectionOutput",)
    param = Param(
        "detection_output_param",
        f"""
        1 num_classes uint32; 2 share_location bool=true;
        3 background_label_id int32=0; 4 nms_param NonMaximumSuppressionParameter;
        5 save_output_param SaveOutputParameter; 6 code_type CodeType=CORNER;
        7 keep_top_k int32=-1; 8 variance_encoded_in_target bool=false;
        9 confidence_threshold float; 10 visualize bool=false;
        11 visualize_threshold float; 12 save_file string; - clip bool
        enum CodeType: CORNER=1 CENTER_SIZE=2 CORNER_SIZE=3
        message NonMaximumSuppressionParameter
        1 nms_threshold float=0.3; 2 top_k int32; 3 eta float=1
        message SaveOutputParameter
        1 output_directory string; 2 output_name_prefix string; 3 output_format string;
        4 label_map_file string; 5 name_size_file string; 6 num_test_image uint32;
        7 resize_param ResizeParameter
        {RESIZE}
        """,
        (204, 147),
    )
    bottoms = (3, 3)
    traits = MIXED._replace(order="new")
    rows = "of one item"

    def build(self, node, offsets, scores, priors):
        layer = layers.CaffeDetectionOutput(**self._options(node), name=node.name)
        return layer([offsets, scores, priors])

    def onnx(self, node, offsets, scores, priors):
        """Return Caffe's blob, (1, 1, K, 7): as many rows as there are detections."""
        options = DetectionOptions(**self._options(node))
        return detection_output(node, offsets, scores, priors, options)

    def _options(self, node) -> dict:
        param, nms = node.param, node.param.nms_param
        most = node.max_detections if param.keep_top_k < 0 else param.keep_top_k
        least = param.confidence_threshold
        return {
            "num_classes": node.count(
                param.num_classes, "detection_output_param.num_classes"
            ),
            "share_location": param.share_location,
            "background_label_id": param.background_label_id,
            "nms_threshold": nms.nms_threshold,
            "top_k": nms.top_k if nms.HasField("top_k") and nms.top_k >= 0 else None,
            "eta": nms.eta,
            "code_type": CODE_TYPES[param.code_type - 1],
            "keep_top_k": most,
            "variance_encoded_in_target": param.variance_encoded_in_target,
            "confidence_threshold": (
                least if param.HasField("confidence_threshold") else None
            ),
            "clip": param.clip,
        }

    def encode(self, call):
        layer = call.layer
        nms = {"nms_threshold": layer.nms_threshold, "eta": layer.eta}
        values = {
            "num_classes": layer.num_classes,
            "share_location": layer.share_location,
            "background_label_id": layer.background_label_id,
            "code_type": layer.code_type.upper(),
            "variance_encoded_in_target": layer.variance_encoded_in_target,
        }
        if layer.top_k is not None:
            nms["top_k"] = layer.top_k
        for name in ("keep_top_k", "confidence_threshold"):
            if getattr(layer, name) is not None:
                values[name] = getattr(layer, name)
        if layer.clip:  # SSD's Caffe does not know the field, OpenCV does
            values["clip"] = True
        call.add("DetectionOutput", detection_output_param={**values, "nms_param": nms})

    def blob(self, layer, array):
        return detections(array)[None, None]
