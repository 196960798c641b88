"""Training data as Caffe reads and transforms it, as `tf.data` for Keras' `fit`."""

from keras_caffe_zoo.training.data.database import leveldb_dataset, lmdb_dataset
from keras_caffe_zoo.training.data.hdf5 import hdf5_dataset
from keras_caffe_zoo.training.data.images import image_dataset
from keras_caffe_zoo.training.data.layer import layer_dataset
from keras_caffe_zoo.training.data.pictures import dataset_classes
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.transform import Transform

__all__ = [
    "BadRecords",
    "Transform",
    "dataset_classes",
    "hdf5_dataset",
    "image_dataset",
    "layer_dataset",
    "leveldb_dataset",
    "lmdb_dataset",
]
