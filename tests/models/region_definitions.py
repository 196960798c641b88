"""Published definitions of the nets that propose regions, then look at each."""

from definition import Other


def faster_rcnn_vgg16(d):
    for number, n, count in ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3)):
        for i in range(1, count + 1):
            d.conv(f"conv{number}_{i}", n, 3, p=1)
        d.pool(f"pool{number}", 2, 2)
    for i in (1, 2, 3):
        x = d.conv(f"conv5_{i}", 512, 3, p=1)
    propose(d, x, "rpn_conv/3x3", "rpn/output", 512)
    roi_pool(d, "roi_pool5", "pool5", x, 7)
    d.ip("fc6", 4096, relu="relu6")
    d.ip("fc7", 4096, relu="relu7")
    answer(d)


def faster_rcnn_zf(d):
    d.conv("conv1", 96, 7, s=2, p=3)
    within(d, "norm1")
    d.pool("pool1", 3, 2, p=1)
    d.conv("conv2", 256, 5, s=2, p=2)
    within(d, "norm2")
    d.pool("pool2", 3, 2, p=1)
    d.conv("conv3", 384, 3, p=1)
    d.conv("conv4", 384, 3, p=1)
    x = d.conv("conv5", 256, 3, p=1)
    propose(d, x, "rpn_conv1", "rpn_conv1", 256)
    roi_pool(d, "roi_pool_conv5", "roi_pool_conv5", x, 6)
    for i in (6, 7):
        d.ip(f"fc{i}", 4096, relu=f"relu{i}")
        fields = {"dropout_ratio": 0.5, "scale_train": "false"}
        d.in_place("Dropout", f"drop{i}", dropout_param=fields)
    answer(d)


def rfcn_resnet50(d):
    d.conv("conv1", 64, 7, s=2, p=3, relu=None)
    d.norm_scale("bn_conv1", "scale_conv1")
    d.relu("conv1_relu")
    x = d.pool("pool1", 3, 2)
    for number, letters, n, stride in (
        (2, "abc", 64, 1),
        (3, "abcd", 128, 2),
        (4, "abcdef", 256, 2),
        (5, "abc", 512, 1),
    ):
        for letter in letters:
            x = block(d, f"{number}{letter}", x, n, stride if letter == "a" else 1)
    propose(d, "res4f", "rpn_conv/3x3", "rpn/output", 512)
    x = d.conv("conv_new_1", 1024, 1, bottom=x)
    d.conv("rfcn_cls", 1029, 1, bottom=x, relu=None)
    d.conv("rfcn_bbox", 392, 1, bottom=x, relu=None)
    for name, maps, top, n in (
        ("cls", "rfcn_cls", "cls_score", 21),
        ("loc", "rfcn_bbox", "bbox_pred_pre", 8),
    ):
        fields = {"spatial_scale": 0.0625, "output_dim": n, "group_size": 7}
        pooled = f"psroipooled_{name}_rois"
        d.layer(
            "PSROIPooling",
            pooled,
            [maps, "rois"],
            pooled,
            (n, 7, 7),
            psroi_pooling_param=fields,
        )
        mean = {"cls": "ave_cls_score_rois", "loc": "ave_bbox_pred_rois"}[name]
        fields = {"pool": "AVE", "kernel_size": 7, "stride": 7}
        d.layer("Pooling", mean, [pooled], top, (n, 1, 1), pooling_param=fields)
    d.layer("Softmax", "cls_prob", ["cls_score"], "cls_prob_pre", (21, 1, 1))
    reshape(d, "cls_prob_reshape", "cls_prob_pre", "cls_prob", (21,), (-1, 21))
    reshape(d, "bbox_pred_reshape", "bbox_pred_pre", "bbox_pred", (8,), (-1, 8))


def block(d, name, x, n, s):
    """A block of ResNet-50, the windows of whose fifth stage are dilated."""
    wide = 2 if name[0] == "5" else 1
    short = x
    if name[1] == "a":
        short = d.conv(
            f"res{name}_branch1", 4 * n, 1, bottom=x, s=s, bias=False, relu=None
        )
        d.norm_scale(f"bn{name}_branch1", f"scale{name}_branch1")
    for part, count, k in (("a", n, 1), ("b", n, 3), ("c", 4 * n, 1)):
        branch = f"{name}_branch2{part}"
        options = {"bottom": x, "s": s} if part == "a" else {}
        if part == "b":
            options = {"p": wide, "dilation": wide}
        y = d.conv(f"res{branch}", count, k, bias=False, relu=None, **options)
        d.norm_scale(f"bn{branch}", f"scale{branch}")
        if part != "c":
            d.relu(f"res{branch}_relu")
    d.add(f"res{name}", [short, y])
    return d.relu(f"res{name}_relu")


def propose(d, x, name, top, n):
    """The network that proposes, of the published layer of Python."""
    height, width = d.blobs[x][1:]
    # A larger size than the image's, so that there are regions of all kinds.
    d.input("im_info", (3,), values=(600, 800, 1))
    top = d.conv(name, n, 3, bottom=x, p=1, top=top, relu="relu-")
    d.conv("rpn_cls_score", 18, 1, bottom=top, relu=None)
    d.conv("rpn_bbox_pred", 36, 1, bottom=top, relu=None)
    name, shape = "rpn_cls_score_reshape", (2, 9 * height, width)
    reshape(d, name, "rpn_cls_score", name, shape, (0, 2, -1, 0))
    d.softmax("rpn_cls_prob")
    name, shape = "rpn_cls_prob_reshape", (18, height, width)
    reshape(d, name, "rpn_cls_prob", name, shape, (0, 18, -1, 0))
    fields = {
        "module": '"rpn.proposal_layer"',
        "layer": '"ProposalLayer"',
        "param_str": "\"'feat_stride': 16\"",
    }
    bottoms = [name, "rpn_bbox_pred", "im_info"]
    d.layer("Python", "proposal", bottoms, "rois", (5,), python_param=fields)


def reshape(d, name, bottom, top, shape, dims):
    sizes = " ".join(f"dim: {n}" for n in dims)
    fields = {"shape": f"{{ {sizes} }}"}
    d.layer("Reshape", name, [bottom], top, shape, reshape_param=fields)


def roi_pool(d, name, top, x, bins):
    fields = {"pooled_w": bins, "pooled_h": bins, "spatial_scale": 0.0625}
    shape = (d.blobs[x][0], bins, bins)
    d.layer("ROIPooling", name, [x, "rois"], top, shape, roi_pooling_param=fields)


def answer(d):
    d.ip("cls_score", 21, bottom="fc7")
    d.ip("bbox_pred", 84, bottom="fc7")
    d.softmax("cls_prob", "cls_score")


def within(d, name):
    fields = {"local_size": 3, "alpha": 0.00005, "beta": 0.75}
    fields["norm_region"] = "WITHIN_CHANNEL"
    shape = d.blobs[d.top]
    d.layer("LRN", name, [d.top], name, shape, lrn_param=fields)


OUTPUTS = "cls_prob", "bbox_pred", "rois"

NETS = {
    "faster_rcnn_vgg16": Other(
        faster_rcnn_vgg16, (96, 128), 137_078_239, OUTPUTS, 21, other_sizes=((48, 75),)
    ),
    "faster_rcnn_zf": Other(
        faster_rcnn_zf, (96, 128), 59_294_751, OUTPUTS, 21, other_sizes=((48, 75),)
    ),
    "rfcn_resnet50": Other(
        rfcn_resnet50, (96, 128), 31_862_776, OUTPUTS, 21, other_sizes=((48, 75),)
    ),
}
