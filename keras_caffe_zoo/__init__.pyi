from . import (plots, training)
from .caffe import (CaffeFormatError, Param, SolverState, read_caffemodel, read_mean, read_solverstate, write_caffemodel, write_solverstate)
from .cards import (model_card)
from .conversion import (caffe_params, compare, convert, fold, from_caffe, inspect_file, set_caffe_params, to_caffe)
from .dense import (output_grid, predict_dense, to_fully_convolutional, top_boxes)
from .detection_rows import (detections)
from .extraction import (extract_features)
from .features import (feature_extractor)
from .labels import (decode_predictions)
from .layers import (CaffeConv2D, CaffeLRN, CaffePool2D)
from .models import (age_net, alexnet, caffenet, colorization, deeplab_largefov, densenet121, densenet161, densenet169, densenet201, enet, face_detection_retail_0044, faster_rcnn_vgg16, faster_rcnn_zf, fcn16s, fcn32s, fcn8s, fcn_alexnet, flickr_style, gender_net, googlenet, googlenet_bn, hed, hybrid_cnn, list_models, mobilenet_ssd, mobilenet_v1, mobilenet_v2, model_info, mtcnn_o, mtcnn_p, mtcnn_r, nin, open_nsfw, openpose_coco, openpose_mpi, pelee, places205_alexnet, places205_googlenet, places365_alexnet, places365_googlenet, places365_resnet152, places365_vgg16, pspnet101, pspnet101_cityscapes, pspnet50, rcnn_ilsvrc13, res10_face, res10_face_fp16, resnet101, resnet152, resnet50, rfcn_resnet50, se_bn_inception, se_resnet101, se_resnet152, se_resnet50, se_resnext101, se_resnext50, segnet, segnet_pascal, shufflenet_v2_x05, sphereface, squeezenet_v1_0, squeezenet_v1_1, ssd300, ssd512, vgg16, vgg19, vgg_cnn_f, vgg_cnn_m, vgg_cnn_m_1024, vgg_cnn_m_128, vgg_cnn_m_2048, vgg_cnn_s, vgg_face)
from .onnx.api import (to_onnx)
from .preprocessing import (load_image, preprocess_input)
from .rules import (Codec, Rule, STORED, Traits, Window, register)
from .rules.registry import (supported_layers)
from .serving import (demo_app, serve)
from .tasks.boxes import (Detections)
from .tasks.classification import (classify)
from .tasks.colorization import (colorize)
from .tasks.detection import (detect)
from .tasks.edges import (find_edges)
from .tasks.faces import (find_faces)
from .tasks.found_faces import (Faces)
from .tasks.pose import (estimate_pose)
from .tasks.poses import (Poses)
from .tasks.segmentation import (segment)
from .training import (CaffeSnapshot, finetune)
from .version import (__version__)
from .weights import (WeightsDownloadError, dump_caffe_weights)

__all__ = [
    "CaffeConv2D",
    "CaffeFormatError",
    "CaffeLRN",
    "CaffePool2D",
    "CaffeSnapshot",
    "Codec",
    "Detections",
    "Faces",
    "Param",
    "Poses",
    "Rule",
    "STORED",
    "SolverState",
    "Traits",
    "WeightsDownloadError",
    "Window",
    "__version__",
    "age_net",
    "alexnet",
    "caffe_params",
    "caffenet",
    "classify",
    "colorization",
    "colorize",
    "compare",
    "convert",
    "decode_predictions",
    "deeplab_largefov",
    "demo_app",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "detect",
    "detections",
    "dump_caffe_weights",
    "enet",
    "estimate_pose",
    "extract_features",
    "face_detection_retail_0044",
    "faster_rcnn_vgg16",
    "faster_rcnn_zf",
    "fcn16s",
    "fcn32s",
    "fcn8s",
    "fcn_alexnet",
    "feature_extractor",
    "find_edges",
    "find_faces",
    "finetune",
    "flickr_style",
    "fold",
    "from_caffe",
    "gender_net",
    "googlenet",
    "googlenet_bn",
    "hed",
    "hybrid_cnn",
    "inspect_file",
    "list_models",
    "load_image",
    "mobilenet_ssd",
    "mobilenet_v1",
    "mobilenet_v2",
    "model_card",
    "model_info",
    "mtcnn_o",
    "mtcnn_p",
    "mtcnn_r",
    "nin",
    "open_nsfw",
    "openpose_coco",
    "openpose_mpi",
    "output_grid",
    "pelee",
    "places205_alexnet",
    "places205_googlenet",
    "places365_alexnet",
    "places365_googlenet",
    "places365_resnet152",
    "places365_vgg16",
    "plots",
    "predict_dense",
    "preprocess_input",
    "pspnet101",
    "pspnet101_cityscapes",
    "pspnet50",
    "rcnn_ilsvrc13",
    "read_caffemodel",
    "read_mean",
    "read_solverstate",
    "register",
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
    "segment",
    "segnet",
    "segnet_pascal",
    "serve",
    "set_caffe_params",
    "shufflenet_v2_x05",
    "sphereface",
    "squeezenet_v1_0",
    "squeezenet_v1_1",
    "ssd300",
    "ssd512",
    "supported_layers",
    "to_caffe",
    "to_fully_convolutional",
    "to_onnx",
    "top_boxes",
    "training",
    "vgg16",
    "vgg19",
    "vgg_cnn_f",
    "vgg_cnn_m",
    "vgg_cnn_m_1024",
    "vgg_cnn_m_128",
    "vgg_cnn_m_2048",
    "vgg_cnn_s",
    "vgg_face",
    "write_caffemodel",
    "write_solverstate",
]
