"""What a call of a classifier's builder asks for: its head, or none, or a map of it."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from keras_caffe_zoo.models._blocks import (
    CHANNELS_LAST,
    conv,
    dropout,
    inner_product,
    softmax,
)
from keras_caffe_zoo.models._design import Design
from keras_caffe_zoo.rules.names import conv_name, keras_name


@dataclass(frozen=True, kw_only=True)
class ClassifierDesign(Design):
    """A net that ends with classes, as one call of its builder asks for it.

    Attributes:
        FC_UNITS: Width of fc6 and fc7.
        looks_at_all: Whether layers before the head look at the whole image.
        include_top: As in `keras.applications`, like the rest.
        pooling: `"avg"`, `"max"` or `None`.
        classifier_activation: Activation of the last layer.
        fully_convolutional: Whether the dense layers become convolutions.

    Raises:
        ValueError: On arguments that do not go together.
    """

    FC_UNITS: ClassVar[int] = 4096
    ONE_SIZE: ClassVar[str] = (
        "Expected `input_shape` to be {exact} with include_top=True; received: "
        "{shape}. For images of any size, pass fully_convolutional=True or "
        "include_top=False."
    )

    looks_at_all: bool
    include_top: bool
    pooling: str | None
    classifier_activation: Any
    fully_convolutional: bool

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in (None, "avg", "max"):
            raise ValueError(
                "Expected `pooling` to be None, 'avg' or 'max'; received: "
                f"pooling={self.pooling!r}"
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

    @property
    def _default_sides(self):
        return self._exact_sides or (None, None)

    @property
    def _exact_sides(self):
        free = self.fully_convolutional or not self.include_top
        return None if free else self.entry.input_size

    @property
    def _least_sides(self):
        # A map of answers has a cell from the training size on.
        if self.fully_convolutional and self.entry.input_size:
            return self.entry.input_size
        return super()._least_sides

    def model(self, outputs) -> keras.Model:
        """Return the model that ends with `outputs`, its weights loaded."""
        if not self.include_top and self.pooling == "avg":
            pool = keras.layers.GlobalAveragePooling2D(name="avg_pool", **CHANNELS_LAST)
            outputs = pool(outputs)
        elif not self.include_top and self.pooling == "max":
            pool = keras.layers.GlobalMaxPooling2D(name="max_pool", **CHANNELS_LAST)
            outputs = pool(outputs)
        return super().model(outputs)

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
        return inner_product(x, units, name, activation)

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
        if self.classifier_activation in (None, "linear"):
            return x
        if self.classifier_activation == "softmax":
            return softmax(x, name)
        last = keras.layers.Activation
        return last(self.classifier_activation, name=keras_name(name))(x)

    def _heads(self, model):
        return [
            name
            for name, (weight, *_) in self.entry.blobs.items()
            if weight[0] == self.entry.classes
        ]
