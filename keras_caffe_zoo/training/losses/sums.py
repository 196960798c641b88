"""What is minimized where Caffe has a `loss_weight` on an ordinary layer."""

import keras
from keras import ops

from keras_caffe_zoo.training.losses._base import CaffeLoss
from keras_caffe_zoo.training.losses.softmax import with_rows


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class SumLoss(CaffeLoss):
    """The sum of all predictions of a batch; labels do not matter.

    Args:
        name: Its name.

    Inputs:
        Anything for labels; predictions of any shape.

    Reference:
        Caffe 1.0's `Layer::SetLossWeights`: a top with a `loss_weight` adds the sum of
        its values, times the weight, to the net's loss.

    Example:
        >>> y = np.array([[1.0, -2.0], [0.5, 4.0]])
        >>> float(kcz.training.SumLoss()(np.zeros(2), y))  # of the batch too: no mean
        3.5
    """

    per_channel = True

    def call(self, y_true, y_pred):
        return ops.reshape(y_pred, (1,)) if len(y_pred.shape) == 0 else y_pred


def joined_labels(labels: list):
    """Return the one tensor that a loss takes for its labels.

    Args:
        labels: The label; or labels and the matrix of an InfogainLoss; or the targets
            of a SmoothL1Loss, its inside and its outside weights.

    Returns:
        The label itself; (N, …, 1 + C), labels and their rows of the matrix; or
        (…, 3), targets and weights. Only labels and targets have a gradient.

    Example:
        >>> matrix = np.array([[1.0, 0.0], [0.25, 0.75]])
        >>> np.asarray(kcz.training.joined_labels([np.array([1, 0]), matrix])).tolist()
        [[1.0, 0.25, 0.75], [0.0, 1.0, 0.0]]
    """
    if len(labels) == 1:
        return labels[0]
    first, *others = (ops.convert_to_tensor(x) for x in labels)
    others = [ops.stop_gradient(x) for x in others]
    if len(others) == 1:
        return with_rows(first, others[0])
    first, *others = (ops.cast(x, "float32") for x in (first, *others))
    return ops.stack([first, *others], axis=-1)
