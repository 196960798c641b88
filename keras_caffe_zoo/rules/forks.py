"""Which fork of Caffe a type of layer or a field is from, also where nobody imports it.

A rule says the fork of its types. Here stand the other types that published files have,
and the fields that forks gave to Caffe's own types: they tell where to look further.
"""

from collections.abc import Iterator

from keras_caffe_zoo.caffe import Layer
from keras_caffe_zoo.rules.registry import rule_of

_TYPES = {
    "C3D": "Convolution3D Deconvolution3D Pooling3D VIDEO_DATA",
    "CRF-RNN": "MultiStageMeanfield",
    "Deformable ConvNets": "DeformableConvolution DeformablePSROIPooling",
    "DeepLab": """AdaptiveBiasChannel BiasChannel DenseCRF DomainTransform MatRead
        UniqueLabel""",
    "FlowNet2": """BlackAugmentation FLOReader FlowAugmentation
        GenerateAugmentationParameters""",
    "HED": "AutoCrop",
    "Intel Caffe": "MnActivation MnParamGradCompress",
    "NVCaffe": "DetectNetTransformation",
    "OpenPose": "CPMData ImResize Nms",
    "Ristretto": """ConvolutionRistretto DeconvolutionRistretto FcRistretto
        LRNRistretto""",
    "SphereFace": "LabelSpecificAdd MarginInnerProduct",
    "Spatial transformer networks": "SpatialTransformer",
    "TSN": "BatchReduction SegmentConsensus",
    "YOLO": "DetectionEvaluateYolo YoloSeg",
    "face recognition": "CenterLoss LargeMarginInnerProduct",
    "speech recognition": "CTCLoss CtcLoss WarpCTC",
}
_MODULES = {  # of Python layers, up to their first dot
    "nyud_layers": "FCN",
    "pascalcontext_layers": "FCN",
    "roi_data_layer": "Fast R-CNN",
    "rpn": "Faster R-CNN",
    "siftflow_layers": "FCN",
    "spatial_dropout": "ENet",
    "voc_layers": "FCN",
}
_FIELDS = {
    "BVLC after 1.0": "pooling_param.round_mode",
    "BVLC PR 3057": "pooling_param.ceil_mode",
    "DeepLab": """convolution_param.hole convolution_param.hole_h
        convolution_param.hole_w""",
    "Fast R-CNN": "dropout_param.scale_train",
    "FlowNet2": "augmentation_param coeff_schedule_param reshape_every_iter",
    "Intel Caffe": """batch_norm_param.bias_term batch_norm_param.use_weight_bias
        bn_stats_batch_size compile_net_state convolution_param.negative_slope
        convolution_param.relu mn_activation_param mn_grad_compress_param multinode
        pooling_param.avg_include_pad""",
    "Intel Caffe, Ristretto": "quantization_param",
    "NVCaffe": """backward_math backward_type batch_norm_param.scale_bias
        default_backward_math default_backward_type default_forward_math
        default_forward_type forward_math forward_type""",
    "SegNet": "dropout_param.sample_weights_test loss_param.weight_by_label_freqs",
    "SSD": """annotated_data_param transform_param.distort_param
        transform_param.emit_constraint transform_param.expand_param
        transform_param.noise_param transform_param.resize_param""",
}
_FORK_OF_TYPE = {name: fork for fork, text in _TYPES.items() for name in text.split()}
_FORK_OF_FIELD = {name: fork for fork, text in _FIELDS.items() for name in text.split()}


def fork_of_type(type_: str) -> str:
    """Return the fork that a type of layer is from.

    Args:
        type_: The type; of a Python layer also its module and class.

    Returns:
        The fork's name; `""` for Caffe 1.0's own types, and where it is not known.
    """
    rule = rule_of(type_)
    if rule is not None:
        return rule.fork
    module = type_.partition(".")
    return _FORK_OF_TYPE.get(type_) or (
        _MODULES.get(module[0], "") if module[1] else ""
    )


def fork_of_field(path: str) -> str:
    """Return the fork that a field of Caffe's own types is from.

    Args:
        path: Its dotted path in a layer, or in the net.

    Returns:
        The fork's name; `""` for Caffe 1.0's own fields, and where it is not known.
    """
    parts = path.split(".")
    paths = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next((_FORK_OF_FIELD[x] for x in paths if x in _FORK_OF_FIELD), "")


def known_fields(layer: Layer) -> Iterator[str]:
    """Yield the paths of a layer's fields that are declared, though a fork's."""
    for param in layer.params:
        for field, _ in layer.decode(param).message.ListFields():
            path = f"{param.name}.{field.name}"
            if fork_of_field(path):
                yield path
