"""Training data as Caffe reads and transforms it, as `tf.data` for Keras' `fit`."""

from keras_caffe_zoo.training.data.annotated import annotated_dataset
from keras_caffe_zoo.training.data.annotated_transform import AnnotatedTransform
from keras_caffe_zoo.training.data.annotations import (
    AnnotatedPictures,
    COCOPictures,
    LabelMap,
    VOCPictures,
    read_label_map,
)
from keras_caffe_zoo.training.data.database import leveldb_dataset, lmdb_dataset
from keras_caffe_zoo.training.data.distortion import Distortion
from keras_caffe_zoo.training.data.fitting import Fitting
from keras_caffe_zoo.training.data.hdf5 import hdf5_dataset
from keras_caffe_zoo.training.data.images import image_dataset
from keras_caffe_zoo.training.data.layer import layer_dataset
from keras_caffe_zoo.training.data.pictures import dataset_classes
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.sampling import BatchSampler
from keras_caffe_zoo.training.data.segmentation import segmentation_dataset
from keras_caffe_zoo.training.data.transform import Transform
from keras_caffe_zoo.training.data.windows import window_dataset

__all__ = [
    "AnnotatedPictures",
    "AnnotatedTransform",
    "BadRecords",
    "BatchSampler",
    "COCOPictures",
    "Distortion",
    "Fitting",
    "LabelMap",
    "Transform",
    "VOCPictures",
    "annotated_dataset",
    "dataset_classes",
    "hdf5_dataset",
    "image_dataset",
    "layer_dataset",
    "leveldb_dataset",
    "lmdb_dataset",
    "segmentation_dataset",
    "window_dataset",
    "read_label_map",
]
