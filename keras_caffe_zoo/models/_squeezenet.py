"""What both versions of SqueezeNet share."""

from keras_caffe_zoo.models._blocks import ave_pool, concat, conv, dropout


def fire(x, number: int, squeeze: int, expand: int):
    """Apply a fire module: few 1x1 filters, then many of 1x1 and as many of 3x3."""
    name = f"fire{number}"
    x = conv(x, squeeze, 1, f"{name}/squeeze1x1")
    small = conv(x, expand, 1, f"{name}/expand1x1")
    large = conv(x, expand, 3, f"{name}/expand3x3", pad=1)
    return concat([small, large], f"{name}/concat")


def classifier(plan, x, window: int, pad=0):
    """Apply conv10, pool10 and prob, if the net is to have its top.

    Args:
        plan: The builder's arguments.
        x: Output of the last fire module.
        window: Height and width of conv10 for an image of the training size, all of
            which pool10 takes.
        pad: Zeros around the input of conv10.
    """
    if not plan.include_top:
        return x
    x = dropout(x, "drop9")
    x = conv(x, plan.classes, 1, "conv10", pad=pad)
    x = ave_pool(x, window, 1, "pool10")
    return plan.activation(plan.flat(x, "pool10_flatten"))
