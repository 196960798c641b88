"""Caffe's losses as Keras losses: divided as Caffe divides, with Caffe's gradients."""

from keras_caffe_zoo.training.losses._objects import box_targets
from keras_caffe_zoo.training.losses.from_layer import (
    LOSS_LAYERS,
    loss_of,
    prediction_of,
)
from keras_caffe_zoo.training.losses.margins import ContrastiveLoss, HingeLoss
from keras_caffe_zoo.training.losses.multibox import MultiBoxLoss
from keras_caffe_zoo.training.losses.ohem import box_annotator_ohem
from keras_caffe_zoo.training.losses.softmax import (
    InfogainLoss,
    MultinomialLogisticLoss,
    SoftmaxWithLoss,
)
from keras_caffe_zoo.training.losses.sums import SumLoss, joined_labels
from keras_caffe_zoo.training.losses.targets import (
    EuclideanLoss,
    SigmoidCrossEntropyLoss,
    SmoothL1Loss,
)

__all__ = [
    "LOSS_LAYERS",
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultiBoxLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SmoothL1Loss",
    "SoftmaxWithLoss",
    "SumLoss",
    "box_annotator_ohem",
    "box_targets",
    "joined_labels",
    "loss_of",
    "prediction_of",
]
