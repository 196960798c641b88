"""Losses and Accuracy: what a net that predicts has in their places.

How a net is trained on them is in `training/`.
"""

from keras_caffe_zoo.caffe import Layer, Param
from keras_caffe_zoo.rules.activation import Softmax
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import Rule

LOSS = Param(
    "loss_param",
    """
    1 ignore_label int32; 2 normalize bool; 3 normalization NormalizationMode=VALID
    enum NormalizationMode: FULL=0 VALID=1 BATCH_SIZE=2 NONE=3
    """,
    101,
)


class Loss(Rule):
    """A loss.

    Attributes:
        labels_from: From which bottom on its bottoms are labels.
        either: Whether the first two bottoms may change places.
        both_ways: Whether labels have a gradient too, as predictions have.
        more_labels: How many bottoms there may be behind the first of the labels: the
            weights of these, or what else comes with them.
        prediction: Type of the layer that makes of its first bottom what the loss
            compares with the labels; none where that is the bottom itself.
    """

    role = "loss"
    bottoms, tops = (2, 3), (0, 1)
    also = (LOSS,)
    labels_from = 1
    either = False
    both_ways = False
    more_labels: tuple[int, ...] = (0,)
    prediction = ""

    def predict(self, layer: Layer, tops: list[str]) -> list[Layer]:
        """Return the layers that make a loss's prediction.

        Args:
            layer: The loss.
            tops: The blobs that are to hold it; Caffe's second top of a softmax's loss
                is the prediction itself.
        """
        if not self.prediction:
            return []
        made = Layer(layer.name, self.prediction, layer.bottoms[:1], tops[:1])
        made.message.raw.extend(layer.message.raw)
        made.source = layer.source
        copies = [
            Layer(f"{layer.name}_{top}", "Split", tops[:1], [top]) for top in tops
        ]
        return [made, *copies[1:]]


@register
class SoftmaxWithLoss(Loss):
    types = ("SoftmaxWithLoss",)
    tops = (0, 2)
    param = Softmax.param
    prediction = "Softmax"


@register
class SigmoidCrossEntropyLoss(Loss):
    types = ("SigmoidCrossEntropyLoss",)
    prediction = "Sigmoid"


@register
class EuclideanLoss(Loss):
    types = ("EuclideanLoss",)
    either = both_ways = True


@register
class HingeLoss(Loss):
    types = ("HingeLoss",)
    param = Param("hinge_loss_param", "1 norm Norm=L1\nenum Norm: L1=1 L2=2", 114)


@register
class InfogainLoss(Loss):
    """Its third bottom, if there is one, is the matrix."""

    types = ("InfogainLoss",)
    more_labels = (0, 1)
    param = Param("infogain_loss_param", "1 source string; 2 axis int32=1", 116)


@register
class MultinomialLogisticLoss(Loss):
    types = ("MultinomialLogisticLoss",)


@register
class ContrastiveLoss(Loss):
    types = ("ContrastiveLoss",)
    param = Param(
        "contrastive_loss_param", "1 margin float=1; 2 legacy_version bool=false", 105
    )
    labels_from = 2


@register
class Accuracy(Loss):
    """Its second top is the accuracy of each class."""

    types = ("Accuracy",)
    role = "metric"
    bottoms, tops = (2, 2), (0, 2)
    param = Param(
        "accuracy_param", "1 top_k uint32=1; 2 axis int32=1; 3 ignore_label int32", 102
    )
