"""The nets' published definitions: which layers, image and number of parameters."""

import later_definitions as later
import older_definitions as older
from definition import Definition, formula_params

__all__ = ["NETS", "define", "formula_params"]

# name: layers, sides of the image, classes, parameters of the definition
NETS = {
    "alexnet": (older.alexnet, 227, 1000, 60_965_224),
    "caffenet": (older.caffenet, 227, 1000, 60_965_224),
    "rcnn_ilsvrc13": (older.rcnn_ilsvrc13, 227, 200, 57_687_624),
    "flickr_style": (older.flickr_style, 227, 20, 56_950_164),
    "places205_alexnet": (older.caffenet, 227, 205, 57_708_109),
    "places365_alexnet": (older.caffenet, 227, 365, 58_363_629),
    "hybrid_cnn": (older.caffenet, 227, 1183, 61_714_975),
    "age_net": (later.age_gender, 227, 8, 11_415_048),
    "gender_net": (later.age_gender, 227, 2, 11_411_970),
    "vgg_cnn_f": (older.vgg_cnn_f, 224, 1000, 60_834_536),
    "vgg_cnn_m": (older.vgg_cnn_m, 224, 1000, 102_908_520),
    "vgg_cnn_s": (older.vgg_cnn_s, 224, 1000, 102_908_520),
    "vgg_cnn_m_128": (older.vgg_cnn_m_128, 224, 1000, 82_683_624),
    "vgg_cnn_m_1024": (older.vgg_cnn_m_1024, 224, 1000, 87_250_536),
    "vgg_cnn_m_2048": (older.vgg_cnn_m_2048, 224, 1000, 92_469_864),
    "vgg16": (older.vgg16, 224, 1000, 138_357_544),
    "vgg19": (older.vgg19, 224, 1000, 143_667_240),
    "places365_vgg16": (later.places365_vgg16, 224, 365, 135_755_949),
    "vgg_face": (older.vgg16, 224, 2622, 145_002_878),
    "googlenet": (older.googlenet, 224, 1000, 13_378_280),
    "places205_googlenet": (later.places_googlenet, 224, 205, 6_183_677),
    "places365_googlenet": (later.places_googlenet, 224, 365, 6_347_677),
    "googlenet_bn": (later.googlenet_bn, 224, 1000, 11_214_957),
    "se_bn_inception": (later.se_bn_inception, 224, 1000, 11_951_723),
    "nin": (older.nin, 224, 1000, 7_595_176),
    "squeezenet_v1_0": (older.squeezenet_v1_0, 227, 1000, 1_248_424),
    "squeezenet_v1_1": (older.squeezenet_v1_1, 227, 1000, 1_235_496),
    "resnet50": (older.resnet50, 224, 1000, 25_610_269),
    "resnet101": (older.resnet101, 224, 1000, 44_654_608),
    "resnet152": (older.resnet152, 224, 1000, 60_344_387),
    "places365_resnet152": (later.places365_resnet152, 224, 365, 59_043_272),
    "open_nsfw": (later.open_nsfw, 224, 2, 5_944_567),
    "se_resnet50": (later.se_resnet50, 224, 1000, 28_141_197),
    "se_resnet101": (later.se_resnet101, 224, 1000, 49_432_320),
    "se_resnet152": (later.se_resnet152, 224, 1000, 66_973_427),
    "se_resnext50": (later.se_resnext50, 224, 1000, 27_628_173),
    "se_resnext101": (later.se_resnext101, 224, 1000, 49_093_376),
    "densenet121": (later.densenet121, 224, 1000, 8_062_625),
    "densenet161": (later.densenet161, 224, 1000, 28_901_097),
    "densenet169": (later.densenet169, 224, 1000, 14_308_049),
    "densenet201": (later.densenet201, 224, 1000, 20_243_185),
    "mobilenet_v1": (later.mobilenet_v1, 224, 1000, 4_253_891),
    "mobilenet_v2": (later.mobilenet_v2, 224, 1000, 3_540_189),
    "shufflenet_v2_x05": (later.shufflenet_v2_x05, 224, 1000, 1_374_813),
    "sphereface": (later.sphereface, (112, 96), 512, 22_670_656),
    "fcn_alexnet": (older.fcn_alexnet, (60, 40), 21, 58_704_590),
    "fcn32s": (older.fcn32s, (60, 40), 21, 136_152_917),
    "fcn16s": (older.fcn16s, (60, 40), 21, 134_815_994),
    "fcn8s": (older.fcn8s, (60, 40), 21, 134_489_759),
}


def define(name, fc=4096):
    """Return a net's published definition, with fc6 and fc7 of `fc` units."""
    layers, size, classes, _ = NETS[name]
    definition = Definition(name, size, fc, classes)
    layers(definition)
    return definition
