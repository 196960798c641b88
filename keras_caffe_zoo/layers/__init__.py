"""Keras layers with Caffe's arithmetic."""

from keras_caffe_zoo.layers.accum import CaffeAccum
from keras_caffe_zoo.layers.batch_norm import CaffeBatchNorm
from keras_caffe_zoo.layers.channels import CaffeAxpy, CaffeShuffleChannel
from keras_caffe_zoo.layers.constant import (
    CaffeBatchReindex,
    CaffeConstant,
    CaffeParameter,
    CaffeSilence,
)
from keras_caffe_zoo.layers.convolution import CaffeConv2D
from keras_caffe_zoo.layers.convolution_nd import CaffeConvND
from keras_caffe_zoo.layers.correlation import CaffeCorrelation
from keras_caffe_zoo.layers.deconvolution import CaffeDeconv2D
from keras_caffe_zoo.layers.detection_output import CaffeDetectionOutput
from keras_caffe_zoo.layers.dropout import CaffeDropout
from keras_caffe_zoo.layers.elementwise import (
    CaffeAbs,
    CaffeClip,
    CaffeExp,
    CaffeLeakyReLU,
    CaffeLog,
    CaffePower,
    CaffeSwish,
    CaffeThreshold,
)
from keras_caffe_zoo.layers.eltwise import CaffeWeightedSum
from keras_caffe_zoo.layers.embed import CaffeEmbed
from keras_caffe_zoo.layers.flow import CaffeChannelNorm, CaffeFlowWarp
from keras_caffe_zoo.layers.fork_activations import (
    CaffeHardSigmoid,
    CaffeNegReLU,
    CaffeReLU6,
    CaffeSELU,
)
from keras_caffe_zoo.layers.fork_batch_norm import CaffePSPNetBN, CaffeSegNetBN
from keras_caffe_zoo.layers.im2col import CaffeIm2col
from keras_caffe_zoo.layers.inner_product import CaffeInnerProduct
from keras_caffe_zoo.layers.interp import CaffeInterp
from keras_caffe_zoo.layers.lrn import CaffeLRN
from keras_caffe_zoo.layers.mean import CaffeMean, CaffeSubtractMean
from keras_caffe_zoo.layers.multibox import CaffeMultiBox
from keras_caffe_zoo.layers.mvn import CaffeMVN
from keras_caffe_zoo.layers.normalize import CaffeNormalize
from keras_caffe_zoo.layers.permute import CaffePermute
from keras_caffe_zoo.layers.pooling import CaffePool2D
from keras_caffe_zoo.layers.pooling_mask import CaffeMaxPool2DWithMask
from keras_caffe_zoo.layers.prior_box import CaffePriorBox, CaffePriorBoxClustered
from keras_caffe_zoo.layers.proposal import CaffeProposal
from keras_caffe_zoo.layers.psroi_pooling import CaffePSROIPooling
from keras_caffe_zoo.layers.recurrent import CaffeLSTM, CaffeRNN
from keras_caffe_zoo.layers.reduction import CaffeArgMax, CaffeReduction
from keras_caffe_zoo.layers.reorg import CaffeReorg
from keras_caffe_zoo.layers.resample import CaffeDownsample, CaffeResample
from keras_caffe_zoo.layers.roi_align import CaffeROIAlign
from keras_caffe_zoo.layers.roi_pooling import CaffeROIPooling
from keras_caffe_zoo.layers.scale import CaffeBias, CaffeScale
from keras_caffe_zoo.layers.sequence import CaffeCTCGreedyDecoder, CaffeReverse
from keras_caffe_zoo.layers.shape import (
    CaffeCrop,
    CaffeFlatten,
    CaffeReshape,
    CaffeSlice,
    CaffeTile,
)
from keras_caffe_zoo.layers.spp import CaffeSPP
from keras_caffe_zoo.layers.stochastic_pooling import CaffeStochasticPool2D
from keras_caffe_zoo.layers.unpooling import CaffeUnpool
from keras_caffe_zoo.layers.yolo import CaffeYoloDetections, CaffeYolov3Detections
from keras_caffe_zoo.lazy import register_classes

__all__ = [
    "CaffeAbs",
    "CaffeAccum",
    "CaffeArgMax",
    "CaffeAxpy",
    "CaffeBatchNorm",
    "CaffeBatchReindex",
    "CaffeBias",
    "CaffeCTCGreedyDecoder",
    "CaffeChannelNorm",
    "CaffeClip",
    "CaffeConstant",
    "CaffeConv2D",
    "CaffeConvND",
    "CaffeCorrelation",
    "CaffeCrop",
    "CaffeDeconv2D",
    "CaffeDetectionOutput",
    "CaffeDownsample",
    "CaffeDropout",
    "CaffeEmbed",
    "CaffeExp",
    "CaffeFlatten",
    "CaffeFlowWarp",
    "CaffeHardSigmoid",
    "CaffeIm2col",
    "CaffeInnerProduct",
    "CaffeInterp",
    "CaffeLRN",
    "CaffeLSTM",
    "CaffeLeakyReLU",
    "CaffeLog",
    "CaffeMVN",
    "CaffeMaxPool2DWithMask",
    "CaffeMean",
    "CaffeMultiBox",
    "CaffeNegReLU",
    "CaffeNormalize",
    "CaffePSPNetBN",
    "CaffePSROIPooling",
    "CaffeParameter",
    "CaffePermute",
    "CaffePool2D",
    "CaffePower",
    "CaffePriorBox",
    "CaffePriorBoxClustered",
    "CaffeProposal",
    "CaffeRNN",
    "CaffeROIAlign",
    "CaffeROIPooling",
    "CaffeReLU6",
    "CaffeReduction",
    "CaffeReorg",
    "CaffeResample",
    "CaffeReshape",
    "CaffeReverse",
    "CaffeSELU",
    "CaffeSPP",
    "CaffeScale",
    "CaffeSegNetBN",
    "CaffeShuffleChannel",
    "CaffeSilence",
    "CaffeSlice",
    "CaffeStochasticPool2D",
    "CaffeSubtractMean",
    "CaffeSwish",
    "CaffeThreshold",
    "CaffeTile",
    "CaffeUnpool",
    "CaffeWeightedSum",
    "CaffeYoloDetections",
    "CaffeYolov3Detections",
]


def __dir__() -> list[str]:
    return __all__


register_classes(__name__)
