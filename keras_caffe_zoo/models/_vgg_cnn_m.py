"""What VGG-CNN-M and its variants with a narrower fc7 share."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool


def features(image):
    """Return the pool5 of VGG-CNN-M."""
    x = conv(image, 96, 7, "conv1", strides=2)
    x = lrn(x, "norm1", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 2, "pool1")
    x = conv(x, 256, 5, "conv2", strides=2, pad=1)
    x = lrn(x, "norm2", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 2, "pool2")
    x = conv(x, 512, 3, "conv3", pad=1)
    x = conv(x, 512, 3, "conv4", pad=1)
    x = conv(x, 512, 3, "conv5", pad=1)
    return max_pool(x, 3, 2, "pool5")
