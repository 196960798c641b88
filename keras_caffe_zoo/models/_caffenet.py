"""What CaffeNet and the nets that were trained from it or like it share."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool


def features(image, pad=0):
    """Return CaffeNet's pool5: AlexNet with each pooling before its LRN.

    Args:
        image: The net's input.
        pad: Zeros around the image.
    """
    x = conv(image, 96, 11, "conv1", strides=4, pad=pad)
    x = max_pool(x, 3, 2, "pool1")
    x = lrn(x, "norm1", alpha=1e-4)
    x = conv(x, 256, 5, "conv2", pad=2, groups=2)
    x = max_pool(x, 3, 2, "pool2")
    x = lrn(x, "norm2", alpha=1e-4)
    x = conv(x, 384, 3, "conv3", pad=1)
    x = conv(x, 384, 3, "conv4", pad=1, groups=2)
    x = conv(x, 256, 3, "conv5", pad=1, groups=2)
    return max_pool(x, 3, 2, "pool5")
