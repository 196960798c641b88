"""SSD300-VGG16, MobileNet-SSD and MobileNet v1 in Caffe's terms, at full size."""

import numpy as np

from keras_caffe_zoo.caffe import Net, parse_prototxt

SIZE = 300
CLASSES = 21
# Name: map, boxes of each cell, (min size, max size), aspect ratios, step.
_HEADS = {
    "ssd300_vgg16": [
        ("conv4_3_norm", 4, (30, 60), (2,), 8),
        ("fc7", 6, (60, 111), (2, 3), 16),
        ("conv6_2", 6, (111, 162), (2, 3), 32),
        ("conv7_2", 6, (162, 213), (2, 3), 64),
        ("conv8_2", 4, (213, 264), (2,), 100),
        ("conv9_2", 4, (264, 315), (2,), 300),
    ],
    "mobilenet_ssd": [
        ("conv11", 3, (60,), (2,), None),
        ("conv13", 6, (105, 150), (2, 3), None),
        ("conv14_2", 6, (150, 195), (2, 3), None),
        ("conv15_2", 6, (195, 240), (2, 3), None),
        ("conv16_2", 6, (240, 285), (2, 3), None),
        ("conv17_2", 6, (285, 300), (2, 3), None),
    ],
}
NETS = tuple(_HEADS)
# Detections of an image, of a class, and the score that they need.
_DETECT = {"ssd300_vgg16": (200, 400, 0.01), "mobilenet_ssd": (100, 100, 0.25)}


def _layer(kind, name, bottoms, params="", top=None):
    bottoms = bottoms if isinstance(bottoms, list) else [bottoms]
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return (
        f'layer {{ name: "{name}" type: "{kind}" {read} top: "{top or name}" '
        f"{params} }}\n"
    )


def _conv(name, bottom, outputs, kernel, stride=1, pad=0, more=""):
    params = (
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} "
        f"stride: {stride} pad: {pad} {more} }}"
    )
    made = _layer("Convolution", name, bottom, params)
    return made + _layer("ReLU", f"{name}/relu", name, top=name)


def _normalized(name, bottom, outputs, kernel, stride=1, pad=0, more=""):
    params = (
        f"convolution_param {{ num_output: {outputs} bias_term: false kernel_size: "
        f"{kernel} stride: {stride} pad: {pad} {more} }}"
    )
    made = _layer("Convolution", name, bottom, params)
    made += _layer("BatchNorm", f"{name}/bn", name, top=name)
    scale = "scale_param { bias_term: true }"
    made += _layer("Scale", f"{name}/scale", name, scale, top=name)
    return made + _layer("ReLU", f"{name}/relu", name, top=name)


def _pool(name, bottom, kernel, stride, pad=0):
    params = (
        f"pooling_param {{ pool: MAX kernel_size: {kernel} stride: {stride} "
        f"pad: {pad} }}"
    )
    return _layer("Pooling", name, bottom, params)


def _vgg16():
    text, bottom = "", "data"
    for block, (outputs, count) in enumerate(
        ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1
    ):
        for i in range(1, count + 1):
            name = f"conv{block}_{i}"
            text += _conv(name, bottom, outputs, 3, pad=1)
            bottom = name
        last = (3, 1, 1) if block == 5 else (2, 2)
        text += _pool(f"pool{block}", bottom, *last)
        bottom = f"pool{block}"
    text += _conv("fc6", bottom, 1024, 3, pad=6, more="dilation: 6")
    text += _conv("fc7", "fc6", 1024, 1)
    extra = ((6, 256, 512, 2, 1), (7, 128, 256, 2, 1), (8, 128, 256, 1, 0))
    bottom = "fc7"
    for block, narrow, wide, stride, pad in (*extra, (9, 128, 256, 1, 0)):
        text += _conv(f"conv{block}_1", bottom, narrow, 1)
        bottom = f"conv{block}_2"
        text += _conv(bottom, f"conv{block}_1", wide, 3, stride, pad)
    return text + _layer(
        "Normalize",
        "conv4_3_norm",
        "conv4_3",
        "norm_param { across_spatial: false channel_shared: false }",
    )


def _mobilenet(conv=_conv):
    text, bottom, channels = conv("conv0", "data", 32, 3, 2, 1), "conv0", 32
    outputs = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    for i, wide in enumerate(outputs, 1):
        stride = 2 if i in (2, 4, 6, 12) else 1
        group = f"group: {channels}"
        text += conv(f"conv{i}/dw", bottom, channels, 3, stride, 1, group)
        text += conv(f"conv{i}", f"conv{i}/dw", wide, 1)
        bottom, channels = f"conv{i}", wide
    return text


def _mobilenet_extra():
    text, bottom = "", "conv13"
    extra = ((14, 256, 512), (15, 128, 256), (16, 128, 256), (17, 64, 128))
    for block, narrow, wide in extra:
        text += _conv(f"conv{block}_1", bottom, narrow, 1)
        bottom = f"conv{block}_2"
        text += _conv(bottom, f"conv{block}_1", wide, 3, 2, 1)
    return text


def _heads(name):
    kernel = (3, 1) if name == "ssd300_vgg16" else (1, 0)
    text, flat = "", {"loc": [], "conf": [], "prior": []}
    for source, boxes, sizes, ratios, step in _HEADS[name]:
        for kind, values in (("loc", 4), ("conf", CLASSES)):
            conv = f"{source}_mbox_{kind}"
            params = (
                f"convolution_param {{ num_output: {boxes * values} "
                f"kernel_size: {kernel[0]} pad: {kernel[1]} }}"
            )
            text += _layer("Convolution", conv, source, params)
            order = "permute_param { order: 0 order: 2 order: 3 order: 1 }"
            text += _layer("Permute", f"{conv}_perm", conv, order)
            text += _layer("Flatten", f"{conv}_flat", f"{conv}_perm")
            flat[kind].append(f"{conv}_flat")
        largest = f"max_size: {sizes[1]}" if len(sizes) > 1 else ""
        params = (
            f"prior_box_param {{ min_size: {sizes[0]} {largest} "
            + " ".join(f"aspect_ratio: {ratio}" for ratio in ratios)
            + " flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2 "
            + f"variance: 0.2 offset: 0.5 {f'step: {step}' if step else ''} }}"
        )
        prior = f"{source}_mbox_priorbox"
        text += _layer("PriorBox", prior, [source, "data"], params)
        flat["prior"].append(prior)
    for kind, blobs in flat.items():
        axis = 2 if kind == "prior" else 1
        text += _layer(
            "Concat", f"mbox_{kind}", blobs, f"concat_param {{ axis: {axis} }}"
        )
    return text


def _data(name, size):
    text = f'name: "{name}"\nlayer {{ name: "data" type: "Input" top: "data" '
    return (
        text
        + f"input_param {{ shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }} }} }}\n"
    )


def mobilenet_v1() -> str:
    """Return the deploy prototxt of MobileNet v1, the classifier."""
    text = _data("mobilenet_v1", 224) + _mobilenet(_normalized)
    pool = "pooling_param { pool: AVE global_pooling: true }"
    text += _layer("Pooling", "pool6", "conv13", pool)
    params = "convolution_param { num_output: 1000 kernel_size: 1 }"
    text += _layer("Convolution", "fc7", "pool6", params)
    return text + _layer("Softmax", "prob", "fc7")


def prototxt(name: str) -> str:
    """Return a detector's deploy prototxt."""
    text = _data(name, SIZE)
    if name == "ssd300_vgg16":
        text += _vgg16()
    else:
        text += _mobilenet() + _mobilenet_extra()
    text += _heads(name)
    rows = f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }}"
    text += _layer("Reshape", "mbox_conf_rows", "mbox_conf", rows)
    softmax = "softmax_param { axis: 2 }"
    text += _layer("Softmax", "mbox_conf_softmax", "mbox_conf_rows", softmax)
    text += _layer("Flatten", "mbox_conf_flat", "mbox_conf_softmax")
    kept, top_k, threshold = _DETECT[name]
    params = (
        f"detection_output_param {{ num_classes: {CLASSES} share_location: true "
        f"background_label_id: 0 nms_param {{ nms_threshold: 0.45 top_k: {top_k} }} "
        f"code_type: CENTER_SIZE keep_top_k: {kept} "
        f"confidence_threshold: {threshold} }}"
    )
    bottoms = ["mbox_loc", "mbox_conf_flat", "mbox_prior"]
    return text + _layer("DetectionOutput", "detection_out", bottoms, params)


def net(name: str) -> Net:
    """Return a net's structure."""
    return parse_prototxt(prototxt(name))


def images(count: int) -> np.ndarray:
    """Return random images (N, H, W, 3), BGR with the mean subtracted."""
    rng = np.random.default_rng(1)
    return (rng.random((count, SIZE, SIZE, 3), "float32") - 0.5) * 240
