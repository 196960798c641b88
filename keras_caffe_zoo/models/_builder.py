"""What the builders share: checks of the arguments, the head, the weights.

A builder reads as its list of layers:

    plan = Plan("caffenet", 227, …)
    x = plan.image()
    x = conv(x, 96, 11, "conv1", strides=4)
    …
    return plan.finish(x)
"""

import os
from dataclasses import dataclass
from typing import Any

import keras

from keras_caffe_zoo.convert.names import conv_name
from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D
from keras_caffe_zoo.weights import load_published, load_weights

FC_UNITS = 4096  # width of fc6 and fc7
CHANNELS_LAST = {"data_format": "channels_last"}  # whatever Keras' setting is


def conv(x, filters: int, kernel_size: int, name: str, strides=1, pad=0, groups=1):
    """Apply a convolution with its ReLU, which Caffe's nets take in place."""
    return CaffeConv2D(
        filters,
        kernel_size,
        strides=strides,
        pad=pad,
        groups=groups,
        activation="relu",
        name=name,
        **CHANNELS_LAST,
    )(x)


def max_pool(x, kernel_size: int, strides: int, name: str, pad=0):
    """Apply a max pooling with Caffe's round-up output size."""
    return CaffePool2D("max", kernel_size, strides, pad, name=name, **CHANNELS_LAST)(x)


def lrn(x, name: str, alpha: float, k: float = 1.0):
    """Apply LRN across five channels with beta 0.75, as all nets of the time did."""
    return CaffeLRN(5, alpha, 0.75, k, name=name, **CHANNELS_LAST)(x)


@dataclass(frozen=True)
class Plan:
    """The arguments of one call of a builder, checked.

    Attributes:
        model: The builder's name, which is the net's in the manifest.
        size: Height and width of the images the net was trained on.
        smallest: Least height and width from which every layer has an output.
        classes_published: Classes of the published weights.
        include_top: As in `keras.applications`, like the rest.
        weights: `"caffe"`, `None` or a path.
        input_tensor: Tensor to use as the image.
        input_shape: Shape of one image, `(H, W, 3)`.
        pooling: `"avg"`, `"max"` or `None`.
        classes: Number of outputs.
        classifier_activation: Activation of the last layer.
        name: The Keras model's name.
        fully_convolutional: Whether the dense layers become convolutions.

    Raises:
        ValueError: On arguments that do not go together.
    """

    model: str
    size: int
    smallest: int
    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: tuple | None
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str
    fully_convolutional: bool
    classes_published: int = 1000

    def __post_init__(self):
        self._check_weights()
        if self.pooling not in (None, "avg", "max"):
            raise ValueError(
                "Expected `pooling` to be None, 'avg' or 'max'; received: "
                f"pooling={self.pooling!r}"
            )
        if not isinstance(self.classes, int) or self.classes < 1:
            raise ValueError(
                "Expected `classes` to be a positive integer; received: "
                f"classes={self.classes!r}"
            )
        if self.fully_convolutional and not self.include_top:
            raise ValueError(
                "Expected include_top=True with fully_convolutional=True: without the "
                "top the net is fully convolutional as it is. "
                f"Received: include_top={self.include_top!r}"
            )
        if (
            self.weights is not None
            and self.include_top
            and self.classifier_activation not in (None, "softmax")
        ):
            raise ValueError(
                "Expected `classifier_activation` to be None or 'softmax' with "
                "pretrained weights; received: "
                f"classifier_activation={self.classifier_activation!r}"
            )

    def _check_weights(self):
        if self.weights is None or self.weights == "caffe":
            return
        if not isinstance(self.weights, str | os.PathLike):
            received = repr(self.weights)
        elif os.path.isfile(self.weights):
            return
        else:
            received = f"{os.fspath(self.weights)!r}, where there is no file"
        raise ValueError(
            "Expected `weights` to be 'caffe' (the published ones), None (random), or "
            "the path of a .caffemodel, of an .h5 that `keras-caffe-zoo dump` wrote, "
            f"or of a Keras .weights.h5; received: weights={received}"
        )

    def image(self):
        """Return the net's input tensor."""
        if self.input_tensor is None:
            return keras.Input(self._image_shape(), name="data")
        if self.input_shape is not None:
            self._image_shape()
        tensor = self.input_tensor
        if not keras.backend.is_keras_tensor(tensor):
            tensor = keras.Input(tensor=tensor, name="data")
        self._check_shape(tuple(tensor.shape[1:]))
        return tensor

    def _image_shape(self) -> tuple:
        free = self.fully_convolutional or not self.include_top
        default = (None, None, 3) if free else (self.size, self.size, 3)
        shape = default if self.input_shape is None else tuple(self.input_shape)
        self._check_shape(shape)
        return shape

    def _check_shape(self, shape: tuple) -> None:
        exact = (self.size, self.size, 3)
        if self.include_top and not self.fully_convolutional:
            if shape != exact:
                raise ValueError(
                    f"Expected `input_shape` to be {exact} with include_top=True; "
                    f"received: {shape}. For images of any size, pass "
                    "fully_convolutional=True or include_top=False."
                )
            return
        least = self.size if self.fully_convolutional else self.smallest
        if (
            len(shape) != 3
            or shape[2] != 3
            or any(side is not None and side < least for side in shape[:2])
        ):
            raise ValueError(
                f"Expected `input_shape` to be (height, width, 3), each side at least "
                f"{least} or None; received: {shape}"
            )

    def finish(self, x, window: int) -> keras.Model:
        """Return the model: the head on `x`, the weights loaded.

        Args:
            x: Output of the last pooling, `pool5`.
            window: Its height and width for an image of the training size, which is
                the window of `fc6-conv`.
        """
        if self.include_top:
            x = self._classifier(x, window)
        elif self.pooling == "avg":
            x = keras.layers.GlobalAveragePooling2D(name="avg_pool", **CHANNELS_LAST)(x)
        elif self.pooling == "max":
            x = keras.layers.GlobalMaxPooling2D(name="max_pool", **CHANNELS_LAST)(x)
        model = keras.Model(self._source(x), x, name=self.name)
        self._load(model)
        return model

    def _source(self, x):
        start = x if self.input_tensor is None else self.input_tensor
        inputs = keras.utils.get_source_inputs(start)
        return inputs[0] if len(inputs) == 1 else inputs

    def _classifier(self, x, window):
        if not self.fully_convolutional:
            x = keras.layers.Flatten(name="flatten", **CHANNELS_LAST)(x)
        x = self._inner_product(x, FC_UNITS, "fc6", window, activation="relu")
        x = keras.layers.Dropout(0.5, name="drop6")(x)
        x = self._inner_product(x, FC_UNITS, "fc7", 1, activation="relu")
        x = keras.layers.Dropout(0.5, name="drop7")(x)
        x = self._inner_product(x, self.classes, "fc8", 1)
        if self.classifier_activation in (None, "linear"):
            return x
        if self.classifier_activation == "softmax":
            return keras.layers.Softmax(axis=-1, name="prob")(x)
        return keras.layers.Activation(self.classifier_activation, name="prob")(x)

    def _inner_product(self, x, units, name, window, activation=None):
        if not self.fully_convolutional:
            return keras.layers.Dense(units, activation=activation, name=name)(x)
        name = conv_name(name)
        options = {"activation": activation, "name": name, **CHANNELS_LAST}
        return CaffeConv2D(units, window, **options)(x)

    def _load(self, model: keras.Model) -> None:
        if self.weights is None:
            return
        new_head = ()
        if self.include_top and self.classes != self.classes_published:
            new_head = ("fc8",)
        if self.weights == "caffe":
            load_published(model, self.model, may_differ=new_head)
        else:
            load_weights(model, self.weights, may_differ=new_head)
