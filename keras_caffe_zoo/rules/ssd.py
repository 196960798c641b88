"""Layers of SSD: boxes, and the detections among them."""

from keras_caffe_zoo.caffe import DATA, Param
from keras_caffe_zoo.detections import detections
from keras_caffe_zoo.layers import (
    CaffeDetectionOutput,
    CaffeNormalize,
    CaffePermute,
    CaffePriorBox,
    CaffePriorBoxClustered,
)
from keras_caffe_zoo.rules.data import DataLayer
from keras_caffe_zoo.rules.loss import Loss
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, STORED, Rule, Traits

SSD = "SSD"


@register
class Permute(Rule):
    types, fork = ("Permute",), SSD
    layers = (CaffePermute,)
    param = Param("permute_param", "1 order uint32*", (202, 148))

    def build(self, node, x):
        order, rank = list(node.param.order), len(x.shape)
        for axis in order:
            node.caffe_axis(axis, rank, "permute_param.order")
        if [*order, 0][0] != 0:  # items go elsewhere
            node.whole_batch(x)
        return CaffePermute(order, name=node.name)(x)

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
    layers = (CaffeNormalize,)
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
        param, channels = node.param, node.channels(x)
        node.learns(() if param.channel_shared else (channels,))
        options = (param.across_spatial, param.channel_shared, param.eps)
        return CaffeNormalize(*options, name=node.name)(x)

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

    def _options(self, node) -> dict:
        param = node.param
        return {
            "clip": param.clip,
            "variance": list(param.variance),
            "image_size": _sides(node, "img", "img_size"),
            "step": _sides(node, "step", "step"),
            "offset": param.offset,
            "name": node.name,
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
    if any(value <= 0 for value in values):
        raise node.error(
            f"Expected positive numbers; received: {values}",
            f"prior_box_param.{given[0]}",
        )
    return tuple(values) or None


@register
class PriorBox(_Priors):
    types = ("PriorBox",)
    layers = (CaffePriorBox,)

    def build(self, node, features, image):
        param = node.param
        if param.width or param.height:
            raise node.error(
                "Expected min_size and max_size; received: width or height",
                "prior_box_param.width",
            )
        sizes = (list(param.min_size), list(param.max_size), list(param.aspect_ratio))
        options = self._options(node)
        return CaffePriorBox(*sizes, flip=param.flip, **options)([features, image])

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
    types, fork = ("PriorBoxClustered",), "Intel"
    layers = (CaffePriorBoxClustered,)

    def build(self, node, features, image):
        sizes = (list(node.param.width), list(node.param.height))
        options = self._options(node)
        return CaffePriorBoxClustered(*sizes, **options)([features, image])

    def encode(self, call):
        sizes = {"width": call.layer.widths, "height": call.layer.heights}
        values = {**sizes, **self._values(call.layer)}
        call.add("PriorBoxClustered", prior_box_param=values)


_RESIZE = """
    message ResizeParameter
    1 prob float=1; 2 resize_mode ResizeMode=WARP; 3 height uint32=0; 4 width uint32=0;
    5 pad_mode PadMode=CONSTANT; 6 pad_value float*; 7 interp_mode InterpMode*;
    8 height_scale uint32=0; 9 width_scale uint32=0
    enum ResizeMode: WARP=1 FIT_SMALL_SIZE=2 FIT_LARGE_SIZE_AND_PAD=3
    enum PadMode: CONSTANT=1 MIRRORED=2 REPEAT_NEAREST=3
    enum InterpMode: LINEAR=1 AREA=2 NEAREST=3 CUBIC=4 LANCZOS4=5"""
_CODES = ("corner", "center_size", "corner_size")


@register
class DetectionOutput(Rule):
    """What it saves and shows meanwhile is left to whoever has the detections."""

    types, fork = ("DetectionOutput",), SSD
    layers = (CaffeDetectionOutput,)
    param = Param(
        "detection_output_param",
        f"""
        1 num_classes uint32; 2 share_location bool=true;
        3 background_label_id int32=0; 4 nms_param NonMaximumSuppressionParameter;
        5 save_output_param SaveOutputParameter; 6 code_type CodeType=CORNER;
        7 keep_top_k int32=-1; 8 variance_encoded_in_target bool=false;
        9 confidence_threshold float; 10 visualize bool=false;
        11 visualize_threshold float; 12 save_file string
        enum CodeType: CORNER=1 CENTER_SIZE=2 CORNER_SIZE=3
        message NonMaximumSuppressionParameter
        1 nms_threshold float=0.3; 2 top_k int32; 3 eta float=1
        message SaveOutputParameter
        1 output_directory string; 2 output_name_prefix string; 3 output_format string;
        4 label_map_file string; 5 name_size_file string; 6 num_test_image uint32;
        7 resize_param ResizeParameter
        {_RESIZE}
        """,
        (204, 147),
    )
    bottoms = (3, 3)
    traits = MIXED._replace(order="new")
    rows = "of one item"

    def build(self, node, offsets, scores, priors):
        param, nms = node.param, node.param.nms_param
        layer = CaffeDetectionOutput(
            node.count(param.num_classes, "detection_output_param.num_classes"),
            share_location=param.share_location,
            background_label_id=param.background_label_id,
            nms_threshold=nms.nms_threshold,
            top_k=nms.top_k if nms.HasField("top_k") and nms.top_k >= 0 else None,
            eta=nms.eta,
            code_type=_CODES[param.code_type - 1],
            keep_top_k=(
                node.max_detections if param.keep_top_k < 0 else param.keep_top_k
            ),
            variance_encoded_in_target=param.variance_encoded_in_target,
            confidence_threshold=(
                param.confidence_threshold
                if param.HasField("confidence_threshold")
                else None
            ),
            name=node.name,
        )
        return layer([offsets, scores, priors])

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
        call.add("DetectionOutput", detection_output_param={**values, "nms_param": nms})

    def blob(self, layer, array):
        return detections(array)[None, None]


@register
class MultiBoxLoss(Loss):
    types, fork = ("MultiBoxLoss",), SSD
    bottoms, tops = (4, 4), (0, 1)
    labels_from = 3
    param = Param(
        "multibox_loss_param",
        """
        1 loc_loss_type LocLossType=SMOOTH_L1; 2 conf_loss_type ConfLossType=SOFTMAX;
        3 loc_weight float=1; 4 num_classes uint32; 5 share_location bool=true;
        6 match_type MatchType=PER_PREDICTION; 7 overlap_threshold float=0.5;
        8 use_prior_for_matching bool=true; 9 background_label_id uint32=0;
        10 use_difficult_gt bool=true; 11 do_neg_mining bool; 12 neg_pos_ratio float=3;
        13 neg_overlap float=0.5; 14 code_type CodeType=CORNER;
        16 encode_variance_in_target bool=false; 17 map_object_to_agnostic bool=false;
        18 ignore_cross_boundary_bbox bool=false; 19 bp_inside bool=false;
        20 mining_type MiningType=MAX_NEGATIVE; 21 nms_param NmsParameter;
        22 sample_size int32=64; 23 use_prior_for_nms bool=false
        enum LocLossType: L2=0 SMOOTH_L1=1
        enum ConfLossType: SOFTMAX=0 LOGISTIC=1
        enum MatchType: BIPARTITE=0 PER_PREDICTION=1
        enum CodeType: CORNER=1 CENTER_SIZE=2 CORNER_SIZE=3
        enum MiningType: NONE=0 MAX_NEGATIVE=1 HARD_EXAMPLE=2
        message NmsParameter
        1 nms_threshold float=0.3; 2 top_k int32; 3 eta float=1
        """,
        201,
    )


@register
class DetectionEvaluate(Loss):
    types, fork = ("DetectionEvaluate",), SSD
    role = "metric"
    bottoms, tops = (2, 2), (0, 1)
    param = Param(
        "detection_evaluate_param",
        f"""
        1 num_classes uint32; 2 background_label_id uint32=0;
        3 overlap_threshold float=0.5; 4 evaluate_difficult_gt bool=true;
        5 name_size_file string; 6 resize_param ResizeParameter
        {_RESIZE}
        """,
        205,
    )


TRANSFORM = Param(
    "transform_param",
    f"""
    1 scale float=1; 2 mirror bool=false; 3 crop_size uint32=0; 4 mean_file string;
    5 mean_value float*; 6 force_color bool=false; 7 force_gray bool=false;
    8 resize_param ResizeParameter; 9 noise_param NoiseParameter;
    10 emit_constraint EmitConstraint; 11 crop_h uint32=0; 12 crop_w uint32=0;
    13 distort_param DistortionParameter; 14 expand_param ExpansionParameter
    {_RESIZE}
    message NoiseParameter
    1 prob float=0; 2 hist_eq bool=false; 3 inverse bool=false;
    4 decolorize bool=false; 5 gauss_blur bool=false; 6 jpeg float=-1;
    7 posterize bool=false; 8 erode bool=false; 9 saltpepper bool=false;
    10 saltpepper_param SaltPepperParameter; 11 clahe bool=false;
    12 convert_to_hsv bool=false; 13 convert_to_lab bool=false
    message SaltPepperParameter
    1 fraction float=0; 2 value float*
    message EmitConstraint
    1 emit_type EmitType=CENTER; 2 emit_overlap float
    enum EmitType: CENTER=0 MIN_OVERLAP=1
    message DistortionParameter
    1 brightness_prob float=0; 2 brightness_delta float=0; 3 contrast_prob float=0;
    4 contrast_lower float=0; 5 contrast_upper float=0; 6 hue_prob float=0;
    7 hue_delta float=0; 8 saturation_prob float=0; 9 saturation_lower float=0;
    10 saturation_upper float=0; 11 random_order_prob float=0
    message ExpansionParameter
    1 max_expand_ratio float=1; 2 prob float=0
    """,
    100,
)


class _Annotated(DataLayer):
    """Data of pictures that are resized as `transform_param` says."""

    fork = SSD

    def _image_shape(self, node, param, channels):
        transform, settings = node.read(TRANSFORM), node.read(DATA)
        resize, crop = transform.resize_param, transform.crop_size
        height = transform.crop_h or crop or resize.height or None
        width = transform.crop_w or crop or resize.width or None
        channels = channels or (1 if transform.force_gray else 3)
        return (settings.batch_size or None, channels, height, width)

    def data_shape(self, node, top, channels):
        # The second top has a row for each object, (item, class, …, corners, …).
        return (1, 1, None, 8) if top else self._image_shape(node, None, channels)


@register
class AnnotatedData(_Annotated):
    types = ("AnnotatedData",)
    param = Param(
        "annotated_data_param",
        """
        1 batch_sampler BatchSampler*; 2 label_map_file string; 3 anno_type AnnoType
        enum AnnoType: BBOX=0
        message BatchSampler
        1 use_original_image bool=true; 2 sampler Sampler;
        3 sample_constraint SampleConstraint; 4 max_sample uint32;
        5 max_trials uint32=100
        message Sampler
        1 min_scale float=1; 2 max_scale float=1; 3 min_aspect_ratio float=1;
        4 max_aspect_ratio float=1
        message SampleConstraint
        1 min_jaccard_overlap float; 2 max_jaccard_overlap float;
        3 min_sample_coverage float; 4 max_sample_coverage float;
        5 min_object_coverage float; 6 max_object_coverage float
        """,
        200,
    )
    also = (DATA, TRANSFORM)


@register
class VideoData(_Annotated):
    types = ("VideoData",)
    param = Param(
        "video_data_param",
        """
        1 video_type VideoType=WEBCAM; 2 device_id int32=0; 3 video_file string;
        4 skip_frames uint32=0
        enum VideoType: WEBCAM=0 VIDEO=1
        """,
        207,
    )
    also = (DATA, TRANSFORM)
