"""What definitions of single-shot detectors end with, by the rules of SSD's Caffe."""

from math import prod


def head(
    d, maps, sizes, ratios, steps=None, *, k, classes=None, first_alone=False, **limits
):
    """Predictions from maps, each with a name for its layers."""
    classes = classes or d.classes
    rows = zip(maps, sizes, sizes[1:], ratios, strict=False)
    for i, ((name, x), least, most, ratio) in enumerate(rows):
        alone = first_alone and i == 0
        count = 2 * len(ratio) + (1 if alone else 2)
        predict(d, name, x, count, classes, k)
        fields = {"min_size": least, "aspect_ratio": ratio, "flip": "true"}
        fields |= {} if alone else {"max_size": most}
        fields |= {"step": steps[i]} if steps else {}
        prior_boxes(d, "PriorBox", name, x, count, fields)
    names = [name for name, _ in maps]
    for kind in ("mbox_loc", "mbox_conf"):
        tops = [f"{name}_{kind}_flat" for name in names]
        d.layer("Concat", kind, tops, kind, (sum(d.blobs[top][0] for top in tops),))
    tops = [f"{name}_mbox_priorbox" for name in names]
    shape = (2, sum(d.blobs[top][1] for top in tops))
    top = "mbox_priorbox"
    d.layer("Concat", top, tops, top, shape, concat_param={"axis": 2})
    d.top = "mbox_conf"
    detections(d, ["mbox_loc", chances(d, classes), top], classes, **limits)


def predict(d, name, x, count, classes, k):
    """Offsets and scores of each box, cell by cell."""
    for kind, n in (("loc", 4), ("conf", classes)):
        top = f"{name}_mbox_{kind}"
        d.conv(top, n * count, k, bottom=x, p=k // 2, relu=None)
        c, h, w = d.blobs[top]
        order = {"order": [0, 2, 3, 1]}
        d.layer(
            "Permute",
            f"{top}_perm",
            [top],
            f"{top}_perm",
            (h, w, c),
            permute_param=order,
        )
        flatten(d, f"{top}_flat")


def flatten(d, name):
    size = prod(d.blobs[d.top])
    return d.layer("Flatten", name, [d.top], name, (size,), flatten_param={"axis": 1})


def prior_boxes(d, kind, name, x, count, fields):
    _, h, w = d.blobs[x]
    fields |= {"clip": "false", "variance": [0.1, 0.1, 0.2, 0.2], "offset": 0.5}
    shape, name = (2, 4 * h * w * count), f"{name}_mbox_priorbox"
    d.layer(kind, name, [x, "data"], name, shape, prior_box_param=fields)


def chances(d, classes):
    """Of each box, its classes' softmax."""
    name, shape = "mbox_conf_reshape", (d.blobs[d.top][0] // classes, classes)
    dims = {"shape": f"{{ dim: 0 dim: -1 dim: {classes} }}"}
    d.layer("Reshape", name, [d.top], name, shape, reshape_param=dims)
    name, axis = "mbox_conf_softmax", {"axis": 2}
    d.layer("Softmax", name, [d.top], name, shape, softmax_param=axis)
    return flatten(d, "mbox_conf_flatten")


def detections(d, bottoms, classes, top_k=400, keep_top_k=200, least=0.01, clip=None):
    fields = {
        "num_classes": classes,
        "share_location": "true",
        "background_label_id": 0,
        "nms_param": f"{{ nms_threshold: 0.45 top_k: {top_k} }}",
        "code_type": "CENTER_SIZE",
        "keep_top_k": keep_top_k,
        "confidence_threshold": least,
    }
    fields |= {"clip": clip} if clip else {}
    d.layer(
        "DetectionOutput",
        "detection_out",
        bottoms,
        "detection_out",
        (keep_top_k, 7),
        detection_output_param=fields,
    )


def normalize(d, name):
    """Lengths of 1 at each place, and a factor for each channel."""
    shape = d.blobs[d.top]
    fields = {"across_spatial": "false", "channel_shared": "false"}
    d.layer("Normalize", name, [d.top], name, shape, [shape[:1]], norm_param=fields)
