"""The nets of "Return of the Devil in the Details": fast, medium and slow."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=39)
def vgg_cnn_f(design):
    """Build VGG-CNN-F (`VGG_CNN_F`): AlexNet without groups, in thinner layers.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    x = conv(design.image(), 64, 11, "conv1", strides=4)
    x = lrn(x, "norm1", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 2, "pool1")
    x = conv(x, 256, 5, "conv2", pad=2)
    x = lrn(x, "norm2", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 2, "pool2")
    x = conv(x, 256, 3, "conv3", pad=1)
    x = conv(x, 256, 3, "conv4", pad=1)
    x = conv(x, 256, 3, "conv5", pad=1)
    x = max_pool(x, 3, 2, "pool5")
    return design.classifier(x, window=6)


@classifier(smallest=41)
def vgg_cnn_m(design):
    """Build VGG-CNN-M (`VGG_CNN_M`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    return design.classifier(medium_features(design.image()), window=6)


@classifier(smallest=31)
def vgg_cnn_s(design):
    """Build VGG-CNN-S (`VGG_CNN_S`).

    Fully convolutional, its windows have a stride of 36 pixels: a map of 7 x 7 for an
    image of 451 x 451.
    """
    x = conv(design.image(), 96, 7, "conv1", strides=2)
    x = lrn(x, "norm1", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 3, "pool1")
    x = conv(x, 256, 5, "conv2")
    x = max_pool(x, 2, 2, "pool2")
    x = conv(x, 512, 3, "conv3", pad=1)
    x = conv(x, 512, 3, "conv4", pad=1)
    x = conv(x, 512, 3, "conv5", pad=1)
    x = max_pool(x, 3, 3, "pool5")
    return design.classifier(x, window=6)


@classifier(smallest=41)
def vgg_cnn_m_128(design):
    """Build VGG-CNN-M-128 (`VGG_CNN_M_128`): VGG-CNN-M with 128 units in fc7.

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return design.classifier(medium_features(design.image()), window=6, fc7_units=128)


@classifier(smallest=41)
def vgg_cnn_m_1024(design):
    """Build VGG-CNN-M-1024 (`VGG_CNN_M_1024`): VGG-CNN-M with 1024 units in fc7.

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return design.classifier(medium_features(design.image()), window=6, fc7_units=1024)


@classifier(smallest=41)
def vgg_cnn_m_2048(design):
    """Build VGG-CNN-M-2048 (`VGG_CNN_M_2048`): VGG-CNN-M with 2048 units in fc7.

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return design.classifier(medium_features(design.image()), window=6, fc7_units=2048)


def medium_features(image):
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
