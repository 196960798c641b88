"""What a Caffe solver's prototxt says: its net, its optimizer, its training."""

from keras_caffe_zoo.training.solver.log import SolverLog, read_log
from keras_caffe_zoo.training.solver.model import CaffeTrainingModel
from keras_caffe_zoo.training.solver.net_data import net_dataset
from keras_caffe_zoo.training.solver.optimizers import (
    CaffeAdaDelta,
    CaffeAdaGrad,
    CaffeAdam,
    CaffeRMSProp,
    CaffeSGD,
    Multipliers,
)
from keras_caffe_zoo.training.solver.policies import LearningRatePolicy
from keras_caffe_zoo.training.solver.run import Training, from_solver
from keras_caffe_zoo.training.solver.snapshots import CaffeSnapshot
from keras_caffe_zoo.training.solver.testing import TestNet

__all__ = [
    "CaffeAdaDelta",
    "CaffeAdaGrad",
    "CaffeAdam",
    "CaffeRMSProp",
    "CaffeSGD",
    "CaffeSnapshot",
    "CaffeTrainingModel",
    "LearningRatePolicy",
    "Multipliers",
    "SolverLog",
    "TestNet",
    "Training",
    "from_solver",
    "net_dataset",
    "read_log",
]
