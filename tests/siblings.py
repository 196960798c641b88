"""Nets for which another of the same making stands: the same layers, more of them."""

SIBLINGS = {
    *("rcnn_ilsvrc13", "flickr_style", "places205_alexnet", "places365_alexnet"),
    *("hybrid_cnn", "gender_net", "vgg_cnn_m_128", "vgg_cnn_m_1024", "vgg_cnn_m_2048"),
    *("vgg19", "places365_vgg16", "vgg_face", "places205_googlenet"),
    *("places365_googlenet", "squeezenet_v1_0", "resnet101", "resnet152"),
    *("places365_resnet152", "se_resnet101", "se_resnet152", "se_resnext101"),
    *("densenet161", "densenet169", "densenet201", "fcn32s", "fcn16s"),
    *("segnet_pascal", "pspnet101", "pspnet101_cityscapes", "ssd512"),
    *("res10_face_fp16", "faster_rcnn_vgg16", "openpose_mpi"),
}
