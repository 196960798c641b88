"""AlexNet, CaffeNet, and the nets that are CaffeNet trained on something else."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=39)
def alexnet(design):
    """Build AlexNet (`bvlc_alexnet`): LRN before pooling, as in the paper.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    x = conv(design.image(), 96, 11, "conv1", strides=4)
    x = lrn(x, "norm1", alpha=1e-4)
    x = max_pool(x, 3, 2, "pool1")
    x = conv(x, 256, 5, "conv2", pad=2, groups=2)
    x = lrn(x, "norm2", alpha=1e-4)
    x = max_pool(x, 3, 2, "pool2")
    x = conv(x, 384, 3, "conv3", pad=1)
    x = conv(x, 384, 3, "conv4", pad=1, groups=2)
    x = conv(x, 256, 3, "conv5", pad=1, groups=2)
    x = max_pool(x, 3, 2, "pool5")
    return design.classifier(x, window=6)


@classifier(smallest=39)
def caffenet(design):
    """Build CaffeNet (`bvlc_reference_caffenet`): AlexNet with pooling before LRN.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    return design.classifier(caffenet_features(design.image()), window=6)


@classifier(smallest=39, activation=None)
def rcnn_ilsvrc13(design):
    """Build the net of R-CNN (`bvlc_reference_rcnn_ilsvrc13`): CaffeNet with SVMs.

    Its last layer `fc-rcnn` holds one SVM for each class and gives their raw scores;
    a region of an image belongs to the classes with scores above zero, none or several.
    There is no softmax, unless `classifier_activation` asks for one.

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    x = caffenet_features(design.image())
    return design.classifier(x, window=6, head="fc-rcnn")


@classifier(smallest=39)
def flickr_style(design):
    """Build CaffeNet for the 20 styles of Flickr Style (`finetune_flickr_style`).

    Its last layer is `fc8_flickr`. Fully convolutional, its windows have a stride of 32
    pixels.
    """
    x = caffenet_features(design.image())
    return design.classifier(x, window=6, head="fc8_flickr")


@classifier(smallest=39)
def places205_alexnet(design):
    """Build Places-CNN for the 205 scenes of Places205 (`places205CNN`).

    By the name it goes by it is an AlexNet; by its deploy definition it is CaffeNet,
    with pooling before LRN. Fully convolutional, its windows have a stride of 32
    pixels.
    """
    return design.classifier(caffenet_features(design.image()), window=6)


@classifier(smallest=39)
def places365_alexnet(design):
    """Build Places365-CNN (`alexnet_places365`) for the 365 scenes of Places365.

    By the name it goes by it is an AlexNet; by its deploy definition it is CaffeNet,
    with pooling before LRN. Fully convolutional, its windows have a stride of 32
    pixels.
    """
    return design.classifier(caffenet_features(design.image()), window=6)


@classifier(smallest=39)
def hybrid_cnn(design):
    """Build Hybrid-CNN for 1183 objects and scenes (`hybridCNN`).

    Of its authors' own deploy definition only copies with another number of classes
    are at hand. They have pooling before LRN, as CaffeNet and Places205-CNN do, and so
    does this. Fully convolutional, its windows have a stride of 32 pixels.
    """
    return design.classifier(caffenet_features(design.image()), window=6)


def caffenet_features(image, pad=0):
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
