"""The nets, one builder a file, with the signature of `keras.applications`."""

from keras_caffe_zoo.models._list import list_models, model_info
from keras_caffe_zoo.models.alexnet import alexnet
from keras_caffe_zoo.models.caffenet import caffenet
from keras_caffe_zoo.models.fcn8s import fcn8s
from keras_caffe_zoo.models.fcn16s import fcn16s
from keras_caffe_zoo.models.fcn32s import fcn32s
from keras_caffe_zoo.models.fcn_alexnet import fcn_alexnet
from keras_caffe_zoo.models.flickr_style import flickr_style
from keras_caffe_zoo.models.googlenet import googlenet
from keras_caffe_zoo.models.hybrid_cnn import hybrid_cnn
from keras_caffe_zoo.models.nin import nin
from keras_caffe_zoo.models.places205_alexnet import places205_alexnet
from keras_caffe_zoo.models.rcnn_ilsvrc13 import rcnn_ilsvrc13
from keras_caffe_zoo.models.resnet50 import resnet50
from keras_caffe_zoo.models.resnet101 import resnet101
from keras_caffe_zoo.models.resnet152 import resnet152
from keras_caffe_zoo.models.squeezenet_v1_0 import squeezenet_v1_0
from keras_caffe_zoo.models.squeezenet_v1_1 import squeezenet_v1_1
from keras_caffe_zoo.models.vgg16 import vgg16
from keras_caffe_zoo.models.vgg19 import vgg19
from keras_caffe_zoo.models.vgg_cnn_f import vgg_cnn_f
from keras_caffe_zoo.models.vgg_cnn_m import vgg_cnn_m
from keras_caffe_zoo.models.vgg_cnn_m_128 import vgg_cnn_m_128
from keras_caffe_zoo.models.vgg_cnn_m_1024 import vgg_cnn_m_1024
from keras_caffe_zoo.models.vgg_cnn_m_2048 import vgg_cnn_m_2048
from keras_caffe_zoo.models.vgg_cnn_s import vgg_cnn_s

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
