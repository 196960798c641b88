"""The nets, one file a family, with the signature of `keras.applications`."""

from keras_caffe_zoo.lazy import register_classes
from keras_caffe_zoo.models._builder import list_models, model_info
from keras_caffe_zoo.models.caffenet import (
    alexnet,
    caffenet,
    flickr_style,
    hybrid_cnn,
    places205_alexnet,
    rcnn_ilsvrc13,
)
from keras_caffe_zoo.models.fcn import fcn8s, fcn16s, fcn32s, fcn_alexnet
from keras_caffe_zoo.models.googlenet import googlenet
from keras_caffe_zoo.models.nin import nin
from keras_caffe_zoo.models.resnet import resnet50, resnet101, resnet152
from keras_caffe_zoo.models.squeezenet import squeezenet_v1_0, squeezenet_v1_1
from keras_caffe_zoo.models.vgg import vgg16, vgg19
from keras_caffe_zoo.models.vgg_cnn import (
    vgg_cnn_f,
    vgg_cnn_m,
    vgg_cnn_m_128,
    vgg_cnn_m_1024,
    vgg_cnn_m_2048,
    vgg_cnn_s,
)

__all__ = [
    "alexnet",
    "caffenet",
    "fcn16s",
    "fcn32s",
    "fcn8s",
    "fcn_alexnet",
    "flickr_style",
    "googlenet",
    "hybrid_cnn",
    "list_models",
    "model_info",
    "nin",
    "places205_alexnet",
    "rcnn_ilsvrc13",
    "resnet101",
    "resnet152",
    "resnet50",
    "squeezenet_v1_0",
    "squeezenet_v1_1",
    "vgg16",
    "vgg19",
    "vgg_cnn_f",
    "vgg_cnn_m",
    "vgg_cnn_m_1024",
    "vgg_cnn_m_128",
    "vgg_cnn_m_2048",
    "vgg_cnn_s",
]

register_classes(__name__)
