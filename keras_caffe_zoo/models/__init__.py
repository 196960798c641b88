"""The nets, one file a family, with the signature of `keras.applications`."""

from keras_caffe_zoo.lazy import register_classes
from keras_caffe_zoo.models._builder import list_models, model_info
from keras_caffe_zoo.models.age_gender import age_net, gender_net
from keras_caffe_zoo.models.caffenet import (
    alexnet,
    caffenet,
    flickr_style,
    hybrid_cnn,
    places205_alexnet,
    places365_alexnet,
    rcnn_ilsvrc13,
)
from keras_caffe_zoo.models.colorization import colorization
from keras_caffe_zoo.models.deeplab import deeplab_largefov
from keras_caffe_zoo.models.densenet import (
    densenet121,
    densenet161,
    densenet169,
    densenet201,
)
from keras_caffe_zoo.models.enet import enet
from keras_caffe_zoo.models.face_ssd import (
    face_detection_retail_0044,
    res10_face,
    res10_face_fp16,
)
from keras_caffe_zoo.models.faster_rcnn import (
    faster_rcnn_vgg16,
    faster_rcnn_zf,
    rfcn_resnet50,
)
from keras_caffe_zoo.models.fcn import fcn8s, fcn16s, fcn32s, fcn_alexnet
from keras_caffe_zoo.models.googlenet import (
    googlenet,
    places205_googlenet,
    places365_googlenet,
)
from keras_caffe_zoo.models.googlenet_bn import googlenet_bn, se_bn_inception
from keras_caffe_zoo.models.hed import hed
from keras_caffe_zoo.models.mobilenet import mobilenet_v1, mobilenet_v2
from keras_caffe_zoo.models.mobilenet_ssd import mobilenet_ssd
from keras_caffe_zoo.models.mtcnn import mtcnn_o, mtcnn_p, mtcnn_r
from keras_caffe_zoo.models.nin import nin
from keras_caffe_zoo.models.open_nsfw import open_nsfw
from keras_caffe_zoo.models.openpose import openpose_coco, openpose_mpi
from keras_caffe_zoo.models.pelee import pelee
from keras_caffe_zoo.models.pspnet import pspnet50, pspnet101, pspnet101_cityscapes
from keras_caffe_zoo.models.resnet import (
    places365_resnet152,
    resnet50,
    resnet101,
    resnet152,
)
from keras_caffe_zoo.models.se_resnet import (
    se_resnet50,
    se_resnet101,
    se_resnet152,
    se_resnext50,
    se_resnext101,
)
from keras_caffe_zoo.models.segnet import segnet, segnet_pascal
from keras_caffe_zoo.models.shufflenet import shufflenet_v2_x05
from keras_caffe_zoo.models.sphereface import sphereface
from keras_caffe_zoo.models.squeezenet import squeezenet_v1_0, squeezenet_v1_1
from keras_caffe_zoo.models.ssd import ssd300, ssd512
from keras_caffe_zoo.models.vgg import places365_vgg16, vgg16, vgg19, vgg_face
from keras_caffe_zoo.models.vgg_cnn import (
    vgg_cnn_f,
    vgg_cnn_m,
    vgg_cnn_m_128,
    vgg_cnn_m_1024,
    vgg_cnn_m_2048,
    vgg_cnn_s,
)

__all__ = [
    "age_net",
    "alexnet",
    "caffenet",
    "colorization",
    "deeplab_largefov",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "enet",
    "face_detection_retail_0044",
    "faster_rcnn_vgg16",
    "faster_rcnn_zf",
    "fcn16s",
    "fcn32s",
    "fcn8s",
    "fcn_alexnet",
    "flickr_style",
    "gender_net",
    "googlenet",
    "googlenet_bn",
    "hed",
    "hybrid_cnn",
    "list_models",
    "mobilenet_ssd",
    "mobilenet_v1",
    "mobilenet_v2",
    "model_info",
    "mtcnn_o",
    "mtcnn_p",
    "mtcnn_r",
    "nin",
    "open_nsfw",
    "openpose_coco",
    "openpose_mpi",
    "pelee",
    "places205_alexnet",
    "places205_googlenet",
    "places365_alexnet",
    "places365_googlenet",
    "places365_resnet152",
    "places365_vgg16",
    "pspnet101",
    "pspnet101_cityscapes",
    "pspnet50",
    "rcnn_ilsvrc13",
    "res10_face",
    "res10_face_fp16",
    "resnet101",
    "resnet152",
    "resnet50",
    "rfcn_resnet50",
    "se_bn_inception",
    "se_resnet101",
    "se_resnet152",
    "se_resnet50",
    "se_resnext101",
    "se_resnext50",
    "segnet",
    "segnet_pascal",
    "shufflenet_v2_x05",
    "sphereface",
    "squeezenet_v1_0",
    "squeezenet_v1_1",
    "ssd300",
    "ssd512",
    "vgg16",
    "vgg19",
    "vgg_cnn_f",
    "vgg_cnn_m",
    "vgg_cnn_m_1024",
    "vgg_cnn_m_128",
    "vgg_cnn_m_2048",
    "vgg_cnn_s",
    "vgg_face",
]

register_classes(__name__)
