"""Training data as Caffe reads and transforms it, as `tf.data` for Keras' `fit`."""

from keras_caffe_zoo.training.data.database import lmdb_dataset
from keras_caffe_zoo.training.data.hdf5 import hdf5_dataset
from keras_caffe_zoo.training.data.images import image_dataset
from keras_caffe_zoo.training.data.layer import layer_dataset
from keras_caffe_zoo.training.data.pictures import dataset_classes
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.segmentation import segmentation_dataset
from keras_caffe_zoo.training.data.transform import Transform
from keras_caffe_zoo.training.data.windows import window_dataset

__all__ = [
    "BadRecords",
    "Transform",
    "dataset_classes",
    "hdf5_dataset",
    "image_dataset",
    "layer_dataset",
    "lmdb_dataset",
    "segmentation_dataset",
    "window_dataset",
]
