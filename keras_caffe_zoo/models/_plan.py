"""A builder's arguments: checked first, then used for input, head and weights."""

import os
from dataclasses import dataclass
from typing import Any

import keras

from keras_caffe_zoo.convert.names import conv_name
from keras_caffe_zoo.layers import CaffeConv2D
from keras_caffe_zoo.models._blocks import CHANNELS_LAST
from keras_caffe_zoo.weights import ModelEntry, load_published, load_weights

FC_UNITS = 4096  # width of fc6 and fc7


@dataclass(frozen=True)
class Plan:
    """The arguments of one call of a builder, checked.

    Attributes:
        entry: What the manifest knows of the net.
        smallest: Least height and width from which every layer has an output.
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

    entry: ModelEntry
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
        size = None if free else self.entry.input_size
        default = (size, size, 3)
        shape = default if self.input_shape is None else tuple(self.input_shape)
        self._check_shape(shape)
        return shape

    def _check_shape(self, shape: tuple) -> None:
        size = self.entry.input_size
        exact = (size, size, 3)
        if self.include_top and not self.fully_convolutional:
            if shape != exact:
                raise ValueError(
                    f"Expected `input_shape` to be {exact} with include_top=True; "
                    f"received: {shape}. For images of any size, pass "
                    "fully_convolutional=True or include_top=False."
                )
            return
        least = size if self.fully_convolutional else self.smallest
        if (
            len(shape) != 3
            or shape[2] != 3
            or any(side is not None and side < least for side in shape[:2])
        ):
            raise ValueError(
                f"Expected `input_shape` to be (height, width, 3), each side at least "
                f"{least} or None; received: {shape}"
            )

    def model(self, x) -> keras.Model:
        """Return the model that ends with `x`, its weights loaded."""
        if not self.include_top and self.pooling == "avg":
            x = keras.layers.GlobalAveragePooling2D(name="avg_pool", **CHANNELS_LAST)(x)
        elif not self.include_top and self.pooling == "max":
            x = keras.layers.GlobalMaxPooling2D(name="max_pool", **CHANNELS_LAST)(x)
        model = keras.Model(self._source(x), x, name=self.name)
        self._load(model)
        return model

    def _source(self, x):
        start = x if self.input_tensor is None else self.input_tensor
        inputs = keras.utils.get_source_inputs(start)
        return inputs[0] if len(inputs) == 1 else inputs

    def classifier(self, x, window: int, fc7_units: int | None = None, head="fc8"):
        """Apply fc6, fc7, the head and prob, if the net is to have its top.

        Args:
            x: Output of the last pooling, `pool5`.
            window: Its height and width for an image of the training size, which is
                the window of `fc6-conv`.
            fc7_units: Width of fc7 where it differs from that of fc6.
            head: Name of the last layer with weights.
        """
        if not self.include_top:
            return x
        if not self.fully_convolutional:
            x = keras.layers.Flatten(name="flatten", **CHANNELS_LAST)(x)
        x = self._inner_product(x, FC_UNITS, "fc6", window, activation="relu")
        x = keras.layers.Dropout(0.5, name="drop6")(x)
        x = self._inner_product(x, fc7_units or FC_UNITS, "fc7", 1, activation="relu")
        x = keras.layers.Dropout(0.5, name="drop7")(x)
        x = self._inner_product(x, self.classes, head, 1)
        return self.activation(x)

    def activation(self, x):
        """Apply the activation of the classifier, as the layer `prob`."""
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
        heads = self._heads if self.classes != self.entry.classes else ()
        if self.weights == "caffe":
            load_published(model, self.entry.name, may_differ=heads)
        else:
            load_weights(model, self.weights, may_differ=heads)

    @property
    def _heads(self) -> list[str]:
        """Names of the layers that have one output for each published class."""
        return [
            name
            for name, (weight, *_) in self.entry.blobs.items()
            if weight[0] == self.entry.classes
        ]
