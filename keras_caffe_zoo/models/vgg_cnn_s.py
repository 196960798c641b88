"""VGG-CNN-S, the slow and accurate net of "Return of the Devil in the Details"."""

from keras_caffe_zoo.models._builder import Plan, conv, lrn, max_pool


def vgg_cnn_s(
    include_top=True,
    weights="caffe",
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="vgg_cnn_s",
    *,
    fully_convolutional=False,
):
    """Build VGG-CNN-S (`VGG_CNN_S`).

    The model takes `(N, 224, 224, 3)` images in BGR with the mean subtracted (see
    `preprocess_input`) and gives the probabilities of 1000 classes. A layer's output is
    Caffe's blob of the same name: `fc7` is taken after its ReLU.

    Args:
        include_top: Whether to have fc6, fc7, fc8 and prob; else the model ends with
            pool5 and takes images of any size from 31 pixels.
        weights: `"caffe"` for the published weights, `None` for random ones, or the
            path of a `.caffemodel`, an `.h5` of `keras-caffe-zoo dump`, or a Keras
            `.weights.h5`.
        input_tensor: Keras tensor to use as the image.
        input_shape: `(H, W, 3)`; with the top it can only be `(224, 224, 3)`, or with
            `fully_convolutional` anything from there, `None` included.
        pooling: `None`, `"avg"` or `"max"` over pool5, without the top.
        classes: Number of classes. With weights for another number, fc8 is new and the
            rest is loaded, which a message says.
        classifier_activation: Activation of the last layer; `None` for fc8 itself.
        name: The model's name.
        fully_convolutional: Turn fc6, fc7 and fc8 into convolutions `fc6-conv`,
            `fc7-conv` and `fc8-conv` with the same weights. The model then takes images
            of any size from 224 pixels and gives a map of probabilities, one for each
            224 x 224 window at a stride of 36 pixels: 7 x 7 of them at 451 x 451.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: On arguments that do not go together, or weights that do not fit.
        WeightsDownloadError: If the published weights cannot be had.

    Reference:
        Chatfield et al., "Return of the Devil in the Details: Delving Deep into
        Convolutional Nets", BMVC 2014, arXiv:1405.3531. 15.4 % top-5 error on ILSVRC12
        (the authors' readme). Weights: for non-commercial use only.
    """
    plan = Plan(
        "vgg_cnn_s",
        size=224,
        smallest=31,
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
        fully_convolutional=fully_convolutional,
    )
    image = plan.image()
    x = conv(image, 96, 7, "conv1", strides=2)
    x = lrn(x, "norm1", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 3, "pool1")
    x = conv(x, 256, 5, "conv2")
    x = max_pool(x, 2, 2, "pool2")
    x = conv(x, 512, 3, "conv3", pad=1)
    x = conv(x, 512, 3, "conv4", pad=1)
    x = conv(x, 512, 3, "conv5", pad=1)
    x = max_pool(x, 3, 3, "pool5")
    return plan.finish(x, window=6)
