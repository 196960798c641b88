"""Training the Caffe way, with Keras' `fit`."""

from keras_caffe_zoo.layers.initializers import (
    MSRA,
    Bilinear,
    Gaussian,
    PositiveUnitball,
    Xavier,
)
from keras_caffe_zoo.lazy import register_classes
from keras_caffe_zoo.training.data import (
    BadRecords,
    Transform,
    dataset_classes,
    hdf5_dataset,
    image_dataset,
    layer_dataset,
    leveldb_dataset,
    lmdb_dataset,
)
from keras_caffe_zoo.training.finetuning import finetune
from keras_caffe_zoo.training.losses import (
    ContrastiveLoss,
    EuclideanLoss,
    HingeLoss,
    InfogainLoss,
    MultiBoxLoss,
    MultinomialLogisticLoss,
    SigmoidCrossEntropyLoss,
    SmoothL1Loss,
    SoftmaxWithLoss,
    box_annotator_ohem,
    box_targets,
)
from keras_caffe_zoo.training.metrics import Accuracy
from keras_caffe_zoo.training.solver import (
    CaffeAdaDelta,
    CaffeAdaGrad,
    CaffeAdam,
    CaffeRMSProp,
    CaffeSGD,
    CaffeSnapshot,
    CaffeTrainingModel,
    LearningRatePolicy,
    Multipliers,
    Training,
    from_solver,
)

__all__ = [
    "MSRA",
    "Accuracy",
    "BadRecords",
    "Bilinear",
    "CaffeAdaDelta",
    "CaffeAdaGrad",
    "CaffeAdam",
    "CaffeRMSProp",
    "CaffeSGD",
    "CaffeSnapshot",
    "CaffeTrainingModel",
    "ContrastiveLoss",
    "EuclideanLoss",
    "Gaussian",
    "HingeLoss",
    "InfogainLoss",
    "LearningRatePolicy",
    "MultiBoxLoss",
    "MultinomialLogisticLoss",
    "Multipliers",
    "PositiveUnitball",
    "SigmoidCrossEntropyLoss",
    "SmoothL1Loss",
    "SoftmaxWithLoss",
    "Training",
    "Transform",
    "Xavier",
    "box_annotator_ohem",
    "box_targets",
    "dataset_classes",
    "finetune",
    "from_solver",
    "hdf5_dataset",
    "image_dataset",
    "layer_dataset",
    "leveldb_dataset",
    "lmdb_dataset",
]

register_classes(__name__)
