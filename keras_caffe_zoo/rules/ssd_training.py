"""What trains SSD: its data, its loss, and what is measured meanwhile."""

from keras_caffe_zoo.caffe import DATA, Param
from keras_caffe_zoo.rules.data import PictureLayer
from keras_caffe_zoo.rules.loss import Loss
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule

SSD = "SSD"

RESIZE = """
    message ResizeParameter
    1 prob float=1; 2 resize_mode ResizeMode=WARP; 3 height uint32=0; 4 width uint32=0;
    5 pad_mode PadMode=CONSTANT; 6 pad_value float*; 7 interp_mode InterpMode*;
    8 height_scale uint32=0; 9 width_scale uint32=0
    enum ResizeMode: WARP=1 FIT_SMALL_SIZE=2 FIT_LARGE_SIZE_AND_PAD=3
    enum PadMode: CONSTANT=1 MIRRORED=2 REPEAT_NEAREST=3
    enum InterpMode: LINEAR=1 AREA=2 NEAREST=3 CUBIC=4 LANCZOS4=5"""


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
class MultiBox(Rule):
    """What that loss reads is one tensor in Keras, and three blobs in Caffe."""

    layers = ("CaffeMultiBox",)
    traits = MIXED._replace(order="new")

    def encode(self, call):
        """Add nothing: the net that is written ends with the three blobs."""


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
        {RESIZE}
        """,
        205,
    )


TRANSFORM = Param(
    "transform_param",
    f"""
    1 scale float=1; 2 mirror bool=false; 3 crop_size uint32=0; 4 mean_file string;
    5 mean_value float*; 6 force_color bool=false; 7 force_gray bool=false;
    8 resize_param ResizeParameter*; 9 noise_param NoiseParameter;
    10 emit_constraint EmitConstraint; 11 crop_h uint32=0; 12 crop_w uint32=0;
    13 distort_param DistortionParameter; 14 expand_param ExpansionParameter
    {RESIZE}
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


class _Annotated(PictureLayer):
    """Data of pictures that are resized as `transform_param` says."""

    fork = SSD

    def _image_shape(self, node, param, channels):
        transform, settings = node.read(TRANSFORM), node.read(DATA)
        height, width = self._resized(transform)
        height = transform.crop_h or transform.crop_size or height
        width = transform.crop_w or transform.crop_size or width
        channels = channels or (1 if transform.force_gray else 3)
        return (settings.batch_size or None, channels, height, width)

    @staticmethod
    def _resized(transform) -> tuple[int | None, int | None]:
        """Return the size of all pictures; YOLO's fork draws one of several sizes."""
        sizes = {(x.height or None, x.width or None) for x in transform.resize_param}
        return sizes.pop() if len(sizes) == 1 else (None, None)

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
