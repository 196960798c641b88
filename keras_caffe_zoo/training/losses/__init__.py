"""Caffe's losses as Keras losses: divided as Caffe divides, with Caffe's gradients."""

from keras_caffe_zoo.training.losses.from_layer import LOSS_LAYERS, loss_of
from keras_caffe_zoo.training.losses.margins import ContrastiveLoss, HingeLoss
from keras_caffe_zoo.training.losses.softmax import (
    InfogainLoss,
    MultinomialLogisticLoss,
    SoftmaxWithLoss,
)
from keras_caffe_zoo.training.losses.targets import (
    EuclideanLoss,
    SigmoidCrossEntropyLoss,
)

__all__ = [
    "LOSS_LAYERS",
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
    "loss_of",
]
