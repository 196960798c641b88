"""Faster R-CNN and R-FCN: a network proposes regions, and a head looks at each."""

from keras_caffe_zoo.layers import (
    CaffeLRN,
    CaffeProposal,
    CaffePSROIPooling,
    CaffeReshape,
    CaffeROIPooling,
)
from keras_caffe_zoo.models._blocks import (
    CHANNELS_LAST,
    ave_pool,
    conv,
    dropout,
    inner_product,
    max_pool,
    softmax,
)
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models.resnet import stage as resnet_stage
from keras_caffe_zoo.models.resnet import stem as resnet_stem
from keras_caffe_zoo.models.vgg import convolutions as vgg_convolutions
from keras_caffe_zoo.models.vgg import stage as vgg_stage

ANCHORS = 9  # at each place: three ratios in three scales
PIXELS = 16  # of the image from one place of the map to the next


@builder()
def faster_rcnn_vgg16(design):
    """Build Faster R-CNN on VGG-16 (`VGG16_faster_rcnn_final`).

    Besides the image it takes `im_info`, for each item the height and width of the
    image and by how much it was enlarged. Its outputs are those of the proposals, 300
    for an item: `rois`, the item and the corners in pixels of the image, -1 and zeros
    where there are fewer; `cls_prob`, the chances of the classes, the first of which is
    the background; and `bbox_pred`, by how much the corners are to be moved for each
    class. `detect` makes boxes of them.

    Example:
        >>> model = kcz.faster_rcnn_vgg16(weights=None)
        >>> [x.name for x in model.inputs]
        ['data', 'im_info']
        >>> {name: y.shape for name, y in model.output.items()}
        {'cls_prob': (None, 21), 'bbox_pred': (None, 84), 'rois': (None, 5)}
    """
    x = vgg_stage(design.image(), 1, 64, 2)
    x = vgg_stage(x, 2, 128, 2)
    x = vgg_stage(x, 3, 256, 3)
    x = vgg_stage(x, 4, 512, 3)
    x = vgg_convolutions(x, 5, 512, 3)
    rois = proposals(design, x, 512, "rpn_conv/3x3", "rpn/output")
    x = _regions(design, x, rois, 7, "roi_pool5", "pool5")
    x = inner_product(x, 4096, "fc6", activation="relu")
    x = inner_product(x, 4096, "fc7", activation="relu")
    return _answers(design, x, rois)


@builder()
def faster_rcnn_zf(design):
    """Build Faster R-CNN on the net of Zeiler and Fergus (`ZF_faster_rcnn_final`).

    Besides the image it takes `im_info`, for each item the height and width of the
    image and by how much it was enlarged. Its outputs are those of the proposals, 300
    for an item: `rois`, the item and the corners in pixels of the image, -1 and zeros
    where there are fewer; `cls_prob`, the chances of the classes, the first of which is
    the background; and `bbox_pred`, by how much the corners are to be moved for each
    class. `detect` makes boxes of them.

    LRN is within channels; after fc6 and fc7 all is halved, since the dropout of its
    training did not scale.

    Example:
        >>> model = kcz.faster_rcnn_zf(weights=None)
        >>> [x.name for x in model.inputs]
        ['data', 'im_info']
        >>> {name: y.shape for name, y in model.output.items()}
        {'cls_prob': (None, 21), 'bbox_pred': (None, 84), 'rois': (None, 5)}
    """
    x = conv(design.image(), 96, 7, "conv1", strides=2, pad=3)
    x = max_pool(_lrn(x, "norm1"), 3, 2, "pool1", pad=1)
    x = conv(x, 256, 5, "conv2", strides=2, pad=2)
    x = max_pool(_lrn(x, "norm2"), 3, 2, "pool2", pad=1)
    x = conv(x, 384, 3, "conv3", pad=1)
    x = conv(x, 384, 3, "conv4", pad=1)
    x = conv(x, 256, 3, "conv5", pad=1)
    rois = proposals(design, x, 256, "rpn_conv1", "rpn_conv1")
    x = _regions(design, x, rois, 6, "roi_pool_conv5", "roi_pool_conv5")
    for i in (6, 7):
        x = inner_product(x, 4096, f"fc{i}", activation="relu")
        x = design.wrote(f"fc{i}", dropout(x, f"drop{i}", scale_train=False))
    return _answers(design, x, rois)


@builder(smallest=3)
def rfcn_resnet50(design):
    """Build R-FCN on ResNet-50 (`resnet50_rfcn_final`), which knows boxes of any class.

    Besides the image it takes `im_info`, for each item the height and width of the
    image and by how much it was enlarged. Its outputs are those of the proposals, 300
    for an item: `rois`, the item and the corners in pixels of the image, -1 and zeros
    where there are fewer; `cls_prob`, the chances of the classes, the first of which is
    the background; and `bbox_pred`, by how much the corners are to be moved, for a
    background and for anything else. `detect` makes boxes of them.

    The fifth stage keeps the size of the fourth's maps: its windows are dilated.

    Example:
        >>> model = kcz.rfcn_resnet50(weights=None)
        >>> [x.name for x in model.inputs]
        ['data', 'im_info']
        >>> {name: y.shape for name, y in model.output.items()}
        {'cls_prob': (None, 21), 'bbox_pred': (None, 8), 'rois': (None, 5)}
    """
    x = resnet_stem(design, use_bias=True)
    x = resnet_stage(design, x, 2, "abc", 64, strides=1)
    x = resnet_stage(design, x, 3, "abcd", 128)
    x = res4f = resnet_stage(design, x, 4, "abcdef", 256)
    x = resnet_stage(design, x, 5, "abc", 512, strides=1, dilation=2)
    rois = proposals(design, res4f, 512, "rpn_conv/3x3", "rpn/output")
    x = conv(x, 1024, 1, "conv_new_1")
    names = "rfcn_cls", "psroipooled_cls_rois", "ave_cls_score_rois"
    scores = _voted(design, x, rois, design.classes, names, "cls_score")
    names = "rfcn_bbox", "psroipooled_loc_rois", "ave_bbox_pred_rois"
    offsets = _voted(design, x, rois, 2 * 4, names, "bbox_pred_pre")
    chances = design.wrote("cls_prob_pre", softmax(scores, "cls_prob"))
    return {
        "cls_prob": _as_rows(design, chances, "cls_prob", design.classes),
        "bbox_pred": _as_rows(design, offsets, "bbox_pred", 2 * 4),
        "rois": rois,
    }


def proposals(design, x, filters: int, name: str, blob: str):
    """Return the regions that a network sees in a map: (300 N, 5).

    Args:
        design: What the builder's call asks for; its next input becomes `im_info`.
        x: The map.
        filters: Channels of the network's first layer.
        name: That layer's name.
        blob: What Caffe calls its output.
    """
    x = design.wrote(blob, conv(x, filters, 3, name, pad=1))
    scores = conv(x, 2 * ANCHORS, 1, "rpn_cls_score", activation=None)
    offsets = conv(x, 4 * ANCHORS, 1, "rpn_bbox_pred", activation=None)
    # A softmax over the two scores of each anchor, which stand in two halves.
    chances = CaffeReshape((0, 2, -1, 0), name="rpn_cls_score_reshape")(scores)
    chances = softmax(chances, "rpn_cls_prob")
    shape = (0, 2 * ANCHORS, -1, 0)
    chances = CaffeReshape(shape, name="rpn_cls_prob_reshape")(chances)
    info = design.more_input("im_info", (3,))
    rois = CaffeProposal(feat_stride=PIXELS, name="proposal")([chances, offsets, info])
    return design.wrote("rois", rois)


def _regions(design, x, rois, bins, name, blob):
    x = CaffeROIPooling(bins, bins, 1 / PIXELS, name=name)([x, rois])
    return design.wrote(blob, x)


def _answers(design, x, rois):
    scores = inner_product(x, design.classes, "cls_score")
    return {
        "cls_prob": softmax(scores, "cls_prob"),
        "bbox_pred": inner_product(x, 4 * design.classes, "bbox_pred"),
        "rois": rois,
    }


def _lrn(x, name):
    options = {"norm_region": "within_channel", "name": name, **CHANNELS_LAST}
    return CaffeLRN(3, 0.00005, 0.75, **options)(x)


def _voted(design, x, rois, count, names, blob):
    """Return the means of 7 x 7 bins of each region, each bin with maps of its own."""
    bins, (maps, pooled, mean) = 7, names
    x = conv(x, count * bins**2, 1, maps, activation=None)
    x = CaffePSROIPooling(count, bins, 1 / PIXELS, name=pooled)([x, rois])
    return design.wrote(blob, ave_pool(x, bins, bins, mean))


def _as_rows(design, x, name, count):
    x = CaffeReshape((-1, count), name=f"{name}_reshape")(x)
    return design.wrote(name, x)
