"""SSD on MobileNet 1.0, small enough for a processor."""

from keras_caffe_zoo.models._blocks import conv
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._ssd import boxes, detect
from keras_caffe_zoo.models.ssd import extra


@builder()
def mobilenet_ssd(design):
    """Build MobileNet-SSD for the 20 classes of PASCAL VOC (`MobileNetSSD_deploy`).

    The output `detection_out` lists 100 detections of each image at most: item, class,
    score, which is above 0.3, and the box's corners as fractions of the image; class 0
    is the background and never among them. `keras_caffe_zoo.detections` leaves out the
    rows that stand for none.

    Its normalizations are part of its convolutions, as in the published deploy files.

    Example:
        >>> model = kcz.mobilenet_ssd(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 300, 300, 3), (None, 100, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 7668)
    """
    image = design.image()
    x = conv(image, 32, 3, "conv0", strides=2, pad=1)
    x = separable(x, 64, "conv1")
    x = separable(x, 128, "conv2", strides=2)
    x = separable(x, 128, "conv3")
    x = separable(x, 256, "conv4", strides=2)
    x = separable(x, 256, "conv5")
    x = separable(x, 512, "conv6", strides=2)
    for number in range(7, 12):
        x = separable(x, 512, f"conv{number}")
    conv11 = x
    x = separable(x, 1024, "conv12", strides=2)
    conv13 = separable(x, 1024, "conv13")
    conv14_2 = extra(conv13, 14, 256, 512, strides=2, pad=1)
    conv15_2 = extra(conv14_2, 15, 128, 256, strides=2, pad=1)
    conv16_2 = extra(conv15_2, 16, 128, 256, strides=2, pad=1)
    conv17_2 = extra(conv16_2, 17, 64, 128, strides=2, pad=1)
    maps = {
        "conv11": (conv11, boxes(60, ratios=(2,))),
        "conv13": (conv13, boxes(105, 150)),
        "conv14_2": (conv14_2, boxes(150, 195)),
        "conv15_2": (conv15_2, boxes(195, 240)),
        "conv16_2": (conv16_2, boxes(240, 285)),
        "conv17_2": (conv17_2, boxes(285, 300)),
    }
    limits = {"top_k": 100, "keep_top_k": 100, "confidence_threshold": 0.3}
    return detect(image, maps, design.classes, kernel_size=1, **limits)


def separable(x, filters: int, name: str, strides=1):
    """Apply a convolution on each channel alone and one across the channels."""
    channels, single = x.shape[-1], f"{name}/dw"
    x = conv(x, channels, 3, single, strides=strides, pad=1, groups=channels)
    return conv(x, filters, 1, name)
