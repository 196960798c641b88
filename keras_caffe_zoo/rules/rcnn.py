"""What the training nets of Fast R-CNN's family have, and nets that predict do not."""

from keras_caffe_zoo.caffe import Layer, Param
from keras_caffe_zoo.rules.activation import Softmax
from keras_caffe_zoo.rules.data import DataLayer
from keras_caffe_zoo.rules.loss import Loss
from keras_caffe_zoo.rules.merge import copy_layer
from keras_caffe_zoo.rules.python import PYTHON
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import Rule


@register
class RoIData(DataLayer):
    """Images, and what is to be found in them or a first guess of where it is."""

    types = ("roi_data_layer.layer.RoIDataLayer",)
    fork = "Fast R-CNN"
    param = PYTHON

    def data_shape(self, node, top, channels):
        """Return the shape of a top; names and number tell which of two lists it is.

        With a network that proposes regions: data, im_info, gt_boxes. Without: data,
        rois, labels and, if boxes are refined, three tops of targets for that.
        """
        tops = node.layer.tops
        if top == 0:
            return (None, channels or 3, None, None)
        if top > 1:
            return None
        given = len(tops) > 3 or "roi" in tops[1]
        return (None, 5) if given else (None, 3)


class Targets(Rule):
    """A layer that makes labels for losses of others.

    Attributes:
        passes: How many of the first bottoms go on as the first tops in a net that
            predicts; there are no others then.
    """

    role = "targets"
    bottoms, tops = (1, None), (1, None)
    passes = 0

    def pass_on(self, layer: Layer, tops: list[str]) -> list[Layer]:
        """Return the layers that give those bottoms the names of the tops needed."""
        pairs = zip(layer.bottoms[: self.passes], layer.tops, strict=False)
        found = [(bottom, top) for bottom, top in pairs if top in tops]
        return [copy_layer(layer.name, bottom, top) for bottom, top in found]


@register
class AnchorTarget(Targets):
    types = ("rpn.anchor_target_layer.AnchorTargetLayer",)
    fork = "Faster R-CNN"
    param = PYTHON


@register
class ProposalTarget(Targets):
    """Draws some of the proposals to learn from; all of them count in a prediction."""

    types = ("rpn.proposal_target_layer.ProposalTargetLayer",)
    fork = "Faster R-CNN"
    param = PYTHON
    passes = 1


@register
class BoxAnnotatorOHEM(Targets):
    """Keeps the labels of the regions with the largest losses."""

    types = ("BoxAnnotatorOHEM",)
    fork = "R-FCN"
    param = Param(
        "box_annotator_ohem_param",
        "1 roi_per_img uint32; 2 ignore_label int32=-1",
        (10000, 152),
    )
    bottoms, tops = (4, 4), (2, 2)


@register
class SmoothL1Loss(Loss):
    types = ("SmoothL1Loss",)
    fork = "Fast R-CNN"
    param = Param("smooth_l1_loss_param", "1 sigma float=1", (8266712, 148))
    bottoms = (2, 4)
    both_ways, more_labels = True, (0, 2)


# R-FCN's; what is more in it than in BVLC's has a number that is not confirmed.
_LOSS = Param(
    "loss_param",
    """
    1 ignore_label int32; 2 normalize bool; - normalization Mode=VALID;
    - pre_fixed_normalizer float=1
    enum Mode: FULL=0 VALID=1 BATCH_SIZE=2 PRE_FIXED=3 NONE=4
    """,
    101,
    message="HardLossParameter",
)


@register
class SmoothL1LossOHEM(Loss):
    """Its second top is the loss of each region."""

    types = ("SmoothL1LossOHEM",)
    fork = "R-FCN"
    param, also = SmoothL1Loss.param, (_LOSS,)
    bottoms, tops = (2, 3), (0, 2)


@register
class SoftmaxWithLossOHEM(Loss):
    """Its second top is the prediction, the third the loss of each region."""

    types = ("SoftmaxWithLossOHEM",)
    fork = "R-FCN"
    tops = (0, 3)
    param, also = Softmax.param, (_LOSS,)
    prediction = "Softmax"

    def predict(self, layer, tops):
        return super().predict(
            layer, [top for top in tops if top not in layer.tops[2:]]
        )
