"""What one call of a builder asks for: checked, then made input, head and weights."""

import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras

from keras_caffe_zoo.conversion.model import CaffeModel
from keras_caffe_zoo.conversion.precision import check_dtype, in_precision
from keras_caffe_zoo.models._blocks import (
    CHANNELS_LAST,
    batch_norm,
    conv,
    dropout,
    relu,
    scale,
)
from keras_caffe_zoo.rules.names import conv_name, keras_name
from keras_caffe_zoo.weights import ModelEntry, load_published, load_weights


@dataclass(frozen=True)
class Design:
    """A net as one call of a builder asks for it: the call's arguments, checked.

    It makes what goes around a builder's layers: the input, the head, the weights.

    Attributes:
        FC_UNITS: Width of fc6 and fc7.
        entry: What the manifest knows of the net.
        smallest: Least height and width from which every layer has an output.
        looks_at_all: Whether layers before the head look at the whole image.
        include_top: As in `keras.applications`, like the rest.
        weights: `"caffe"`, `None` or a path.
        input_tensor: Tensor to use as the image.
        input_shape: Shape of one image, `(H, W, 3)`.
        pooling: `"avg"`, `"max"` or `None`.
        classes: Number of outputs.
        classifier_activation: Activation of the last layer.
        name: The Keras model's name.
        fully_convolutional: Whether the dense layers become convolutions.
        dtype: The name of a dtype policy, or `None` for Keras' own setting.
        blobs: Caffe's blobs that are not the outputs of the layers of their names, as
            `CaffeModel.caffe_blobs` has them.
        inputs: The model's inputs, once `image` was asked for.

    Raises:
        ValueError: On arguments that do not go together.
    """

    FC_UNITS: ClassVar[int] = 4096

    entry: ModelEntry
    smallest: int
    looks_at_all: bool
    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: tuple | None
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str
    fully_convolutional: bool
    dtype: str | None
    blobs: dict = field(default_factory=dict, init=False)
    inputs: list = field(default_factory=list, init=False)

    def __post_init__(self):
        self._check_weights()
        check_dtype(self.dtype)
        if self.dtype is not None and self.input_tensor is not None:
            raise ValueError(
                "Expected no `input_tensor` together with `dtype`: a net of another "
                "precision has inputs of its own. Call the net on the tensor."
            )
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
        if self.fully_convolutional and self.looks_at_all:
            raise ValueError(
                f"Expected fully_convolutional=False for {self.entry.name}: its layers "
                "weigh channels by their means over the whole image, so that the cells "
                "of a map would not be the classifier's answers. Cut windows out "
                "instead, or build it with include_top=False."
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
        tensor = self.input_tensor
        if tensor is None:
            tensor = keras.Input(self._image_shape(), name="data")
            self.inputs.append(tensor)  # a search from the end takes 2 ** blocks steps
            return tensor
        if self.input_shape is not None:
            self._image_shape()
        if not keras.backend.is_keras_tensor(tensor):
            tensor = keras.Input(tensor=tensor, name="data")
        self._check_shape(tuple(tensor.shape[1:]))
        self.inputs.extend(keras.utils.get_source_inputs(tensor))
        return tensor

    @property
    def _exact_sides(self) -> tuple[int, int] | None:
        """The one height and width that images can have, if there is only one."""
        free = self.fully_convolutional or not self.include_top
        return None if free else self.entry.input_size

    @property
    def _least_sides(self) -> tuple[int, int]:
        # A map of answers has a cell from the training size on.
        if self.fully_convolutional and self.entry.input_size:
            return self.entry.input_size
        return self.smallest, self.smallest

    def _image_shape(self) -> tuple:
        default = (*(self._exact_sides or (None, None)), 3)
        shape = default if self.input_shape is None else tuple(self.input_shape)
        self._check_shape(shape)
        return shape

    def _check_shape(self, shape: tuple) -> None:
        if self._exact_sides:
            exact = (*self._exact_sides, 3)
            if shape != exact:
                raise ValueError(
                    f"Expected `input_shape` to be {exact} with include_top=True; "
                    f"received: {shape}. For images of any size, pass "
                    "fully_convolutional=True or include_top=False."
                )
        elif (
            len(shape) != 3
            or shape[2] != 3
            or any(
                side is not None and side < least
                for side, least in zip(shape, self._least_sides, strict=False)
            )
        ):
            height, width = self._least_sides
            least = height if height == width else f"{height} and {width}"
            raise ValueError(
                f"Expected `input_shape` to be (height, width, 3), each side at least "
                f"{least} or None; received: {shape}"
            )

    def model(self, outputs) -> keras.Model:
        """Return the model that ends with `outputs`, its weights loaded."""
        if not self.include_top and self.pooling == "avg":
            pool = keras.layers.GlobalAveragePooling2D(name="avg_pool", **CHANNELS_LAST)
            outputs = pool(outputs)
        elif not self.include_top and self.pooling == "max":
            pool = keras.layers.GlobalMaxPooling2D(name="max_pool", **CHANNELS_LAST)
            outputs = pool(outputs)
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        kind = CaffeModel if self.blobs else keras.Model
        model = kind(inputs, outputs, name=self.name)
        if self.blobs:
            model.caffe_blobs = self.blobs
        model = in_precision(model, self.dtype)
        self._load(model)
        return model

    def classifier(
        self,
        x,
        window: int,
        fc6_units: int | None = None,
        fc7_units: int | None = None,
        head="fc8",
    ):
        """Apply fc6, fc7, the head and prob, if the net is to have its top.

        Args:
            x: Output of the last pooling, `pool5`.
            window: Its height and width for an image of the training size, which is
                the window of `fc6-conv`.
            fc6_units: Width of fc6; that of most nets if None.
            fc7_units: Width of fc7; that of most nets if None.
            head: Name of the last layer with weights.
        """
        if not self.include_top:
            return x
        fc6_units, fc7_units = fc6_units or self.FC_UNITS, fc7_units or self.FC_UNITS
        x = self.inner_product(x, fc6_units, "fc6", window, activation="relu")
        x = dropout(x, "drop6")
        x = self.inner_product(x, fc7_units, "fc7", activation="relu")
        x = dropout(x, "drop7")
        x = self.inner_product(x, self.classes, head)
        return self.activation(x)

    def inner_product(self, x, units: int, name: str, window=1, activation=None):
        """Apply a dense layer, or the convolution that does the same everywhere.

        Args:
            x: A map, or the output of another inner product.
            units: Number of outputs.
            name: Caffe's name of the layer.
            window: Height and width of the map for an image of the training size, a
                number if they are the same.
            activation: As in `keras.layers.Dense`.
        """
        if self.fully_convolutional:
            return conv(x, units, window, conv_name(name), activation=activation)
        x = self.flat(x, f"{name}_flatten")
        name = keras_name(name)
        return keras.layers.Dense(units, activation=activation, name=name)(x)

    def scores(self, x, name: str):
        """Apply the 1x1 convolution that some nets have for a last inner product."""
        x = conv(x, self.classes, 1, name, activation=None)
        return self.activation(self.flat(x, f"{name}_flatten"))

    def flat(self, x, name: str):
        """Flatten a map that is to become one answer; a map of answers it leaves."""
        if self.fully_convolutional or len(x.shape) == 2:
            return x
        return keras.layers.Flatten(name=keras_name(name), **CHANNELS_LAST)(x)

    def activation(self, x, name: str = "prob"):
        """Apply the activation of the classifier."""
        name = keras_name(name)
        if self.classifier_activation in (None, "linear"):
            return x
        if self.classifier_activation == "softmax":
            return keras.layers.Softmax(axis=-1, name=name)(x)
        return keras.layers.Activation(self.classifier_activation, name=name)(x)

    def wrote(self, blob: str, x):
        """Note that a tensor holds one of Caffe's blobs now, and return the tensor."""
        history = x._keras_history
        self.blobs[blob] = [history.operation.name, history.tensor_index]
        return x

    def normalized(self, x, blob: str, norm: str, factors: str, active: str = ""):
        """Apply BatchNorm, Scale and perhaps ReLU, all of which wrote one blob.

        Args:
            x: A map.
            blob: Caffe's blob that the last of them wrote.
            norm: Name of the BatchNorm.
            factors: Name of the Scale.
            active: Name of the ReLU, if there is one.
        """
        x = scale(batch_norm(x, norm), factors)
        return self.wrote(blob, relu(x, active) if active else x)

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
