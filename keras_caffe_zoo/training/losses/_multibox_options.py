"""What the options of SSD's loss can be."""

import numpy as np

from keras_caffe_zoo.arithmetic.boxes import CODE_TYPES
from keras_caffe_zoo.training.losses._base import checked_normalization

_CHOICES = {
    "match_type": ("per_prediction", "bipartite"),
    "mining_type": ("max_negative", "hard_example", "none"),
    "code_type": CODE_TYPES,
    "loc_loss_type": ("smooth_l1", "l2"),
    "conf_loss_type": ("softmax", "logistic"),
}
_LEAST = {
    "num_classes": 1,
    "background_label_id": 0,
    "sample_size": 1,
    "nms_threshold": 0,
    "nms_top_k": 0,
}


def check_options(loss, names) -> None:
    """Check the options of a MultiBoxLoss.

    Args:
        loss: The loss, whose attributes they are.
        names: Their names.

    Raises:
        ValueError: If one is not what it must be; names it.
    """
    for option, choices in _CHOICES.items():
        if getattr(loss, option) not in choices:
            raise ValueError(
                f"Expected `{option}` of {choices}; received: "
                f"{getattr(loss, option)!r}."
            )
    checked_normalization(loss.normalization)
    for option in names:
        value = getattr(loss, option)
        if isinstance(value, float) and not np.isfinite(value):
            raise ValueError(f"Expected a finite `{option}`; received: {value}.")
    mined = loss.mining_type != "none"
    if mined and not loss.share_location:
        raise ValueError(
            "Expected `share_location` with mining, as in the fork; received: "
            f"mining_type={loss.mining_type!r}."
        )
    for option, low in _LEAST.items():
        value = getattr(loss, option)
        if value is not None and not value >= low:
            raise ValueError(
                f"Expected `{option}` of at least {low}; received: {value}."
            )
    needed = mined or loss.conf_loss_type == "softmax"
    if needed and loss.background_label_id >= loss.num_classes:
        raise ValueError(
            f"Expected `background_label_id` to be one of {loss.num_classes} "
            f"classes; received: {loss.background_label_id}."
        )
    agnostic = (loss.num_classes, loss.background_label_id) == (2, 0)
    if loss.map_object_to_agnostic and not agnostic:
        raise ValueError(
            "Expected two classes, the first the background, for "
            f"`map_object_to_agnostic`; received: {loss.num_classes}, "
            f"{loss.background_label_id}."
        )
