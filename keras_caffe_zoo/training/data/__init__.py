"""Training data as Caffe reads and transforms it, as `tf.data` for Keras' `fit`."""

from .database import lmdb_dataset
from .hdf5 import hdf5_dataset
from .images import image_dataset
from .layer import layer_dataset
from .pictures import dataset_classes
from .records import BadRecords
from .transform import Transform

__all__ = [
    "BadRecords",
    "Transform",
    "dataset_classes",
    "hdf5_dataset",
    "image_dataset",
    "layer_dataset",
    "lmdb_dataset",
]
