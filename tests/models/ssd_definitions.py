"""Published definitions of the single-shot detectors."""

from definition import Other
from ssd_head import chances, detections, head, normalize, predict, prior_boxes


def ssd300(d):
    reduced_vgg16(d)
    pair(d, 6, 256, 512, s=2, p=1)
    pair(d, 7, 128, 256, s=2, p=1)
    pair(d, 8, 128, 256)
    pair(d, 9, 128, 256)
    d.top = "conv4_3"
    normalize(d, "conv4_3_norm")
    # Of COCO, on which it was trained first: from 15 % of 300 pixels on, by 18 %.
    sizes = [21, 45, 99, 153, 207, 261, 315]
    steps = [8, 16, 32, 64, 100, 300]
    head(d, VGG_MAPS[:6], sizes, [[2], [2, 3], [2, 3], [2, 3], [2], [2]], steps, k=3)


def ssd512(d):
    reduced_vgg16(d)
    for i, n in ((6, 256), (7, 128), (8, 128), (9, 128)):
        pair(d, i, n, 2 * n, s=2, p=1)
    pair(d, 10, 128, 256, k=4, p=1)
    d.top = "conv4_3"
    normalize(d, "conv4_3_norm")
    sizes = [percent * 512 / 100 for percent in (7, 15, 30, 45, 60, 75, 90, 105)]
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]]
    head(d, VGG_MAPS, sizes, ratios, [8, 16, 32, 64, 128, 256, 512], k=3)


VGG_MAPS = [
    *(("conv4_3_norm", "conv4_3_norm"), ("fc7", "fc7"), ("conv6_2", "conv6_2")),
    *((f"conv{i}_2", f"conv{i}_2") for i in (7, 8, 9, 10)),
]


def reduced_vgg16(d):
    for i, n, count in ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3)):
        for j in range(1, count + 1):
            d.conv(f"conv{i}_{j}", n, 3, p=1)
        if i < 5:
            d.pool(f"pool{i}", 2, 2)
    d.pool("pool5", 3, 1, p=1)
    d.conv("fc6", 1024, 3, p=6, dilation=6)
    d.conv("fc7", 1024, 1)


def pair(d, i, n, m, k=3, **options):
    d.conv(f"conv{i}_1", n, 1)
    d.conv(f"conv{i}_2", m, k, **options)


def mobilenet_ssd(d):
    d.conv("conv0", 32, 3, s=2, p=1)
    channels = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    for i, n in enumerate(channels, 1):
        c = d.blobs[d.top][0]
        d.conv(f"conv{i}/dw", c, 3, s=2 if i in (2, 4, 6, 12) else 1, p=1, g=c)
        d.conv(f"conv{i}", n, 1)
    for i, n, m in ((14, 256, 512), (15, 128, 256), (16, 128, 256), (17, 64, 128)):
        pair(d, i, n, m, s=2, p=1)
    names = ["conv11", "conv13", *(f"conv{i}_2" for i in (14, 15, 16, 17))]
    maps = list(zip(names, names, strict=True))
    sizes = [60, 105, 150, 195, 240, 285, 300]
    ratios = [[2], *[[2, 3]] * 5]
    limits = {"top_k": 100, "keep_top_k": 100, "least": 0.3}
    head(d, maps, sizes, ratios, k=1, first_alone=True, **limits)


def pelee(d):
    unit(d, "stem1", 32, 3, s=2, p=1)
    unit(d, "stem2a", 16, 1)
    unit(d, "stem2b", 32, 3, s=2, p=1)
    d.pool("stem/pool", 2, 2, bottom="stem1")
    d.concat("stem/concat", ["stem/pool", "stem2b"])
    x = unit(d, "stem3", 32, 1)
    total = 32
    for i, (layers, width) in enumerate(((3, 1), (4, 2), (8, 4), (6, 4)), 1):
        for j in range(1, layers + 1):
            x = dense_layer(d, x, f"stage{i}_{j}", 16 * width)
        total += 32 * layers
        x = unit(d, f"stage{i}_tb", total, 1)
        if i < 4:
            x = d.pool(f"stage{i}_tb/pool", 2, 2, "AVE")
    d.conv("stage4_tb/relu/ext1/fe1_1", 256, 1)
    d.conv("ext1/fe1_2", 256, 3, s=2, p=1)
    for i in (2, 3):
        d.conv(f"ext1/fe{i}_1", 128, 1)
        d.conv(f"ext1/fe{i}_2", 256, 3)
    sources = ("stage3_tb", "stage4_tb", "ext1/fe1_2", "ext1/fe2_2", "ext1/fe3_2")
    for i, source in enumerate(sources, 2):
        residual(d, source, f"stage4_tb/ext/pm{i}")
    maps = [(f"ext/pm{i}", f"stage4_tb/ext/pm{max(i, 2)}/res") for i in range(1, 7)]
    percents = (7, 15, 33, 51, 69, 87, 105)
    sizes = [percent * 304 / 100 for percent in percents]
    head(d, maps, sizes, [[2, 3]] * 6, k=1)


def dense_layer(d, x, name, width):
    unit(d, f"{name}/branch1a", width, 1, bottom=x)
    unit(d, f"{name}/branch1b", 16, 3, p=1)
    unit(d, f"{name}/branch2a", width, 1, bottom=x)
    unit(d, f"{name}/branch2b", 16, 3, p=1)
    unit(d, f"{name}/branch2c", 16, 3, p=1)
    return d.concat(f"{name}/concat", [x, f"{name}/branch1b", f"{name}/branch2c"])


def residual(d, x, name):
    unit(d, name, 256, 1, bottom=x, relu=False)
    unit(d, f"{name}/b2a", 128, 1, bottom=x)
    unit(d, f"{name}/b2b", 128, 3, p=1)
    unit(d, f"{name}/b2c", 256, 1, relu=False)
    d.add(f"{name}/res", [name, f"{name}/b2c"])
    d.relu(f"{name}/res/relu")


def unit(d, name, n, k, relu=True, **options):
    top = d.conv(name, n, k, bias=False, relu=None, **options)
    d.norm_scale(f"{name}/bn", f"{name}/scale", eps=0.001)
    if relu:
        d.relu(f"{name}/relu")
    return top


def res10_face(d):
    d.bn("data_bn", "data_bn")
    d.factors("data_scale")
    d.conv("conv1_h", 32, 7, s=2, p=3, relu=None)
    d.norm_scale("conv1_bn_h", "conv1_scale_h")
    d.relu("conv1_relu")
    x = d.pool("conv1_pool", 3, 2)
    bare(d, "layer_64_1_conv1_h", 32, 3, p=1)
    d.norm_scale("layer_64_1_bn2_h", "layer_64_1_scale2_h")
    d.relu("layer_64_1_relu2")
    bare(d, "layer_64_1_conv2_h", 32, 3, p=1)
    d.add("layer_64_1_sum", ["layer_64_1_conv2_h", x])
    x = entry(d, "layer_128_1", "_h")
    bare(d, "layer_128_1_conv1_h", 128, 3, s=2, p=1)
    d.norm_scale("layer_128_1_bn2", "layer_128_1_scale2")
    d.relu("layer_128_1_relu2")
    y = bare(d, "layer_128_1_conv2", 128, 3, p=1)
    x = bare(d, "layer_128_1_conv_expand_h", 128, 1, s=2, bottom=x)
    d.add("layer_128_1_sum", [y, x])
    x = entry(d, "layer_256_1", "")
    bare(d, "layer_256_1_conv1", 256, 3, s=2, p=1)
    d.norm_scale("layer_256_1_bn2", "layer_256_1_scale2")
    d.relu("layer_256_1_relu2")
    y = bare(d, "layer_256_1_conv2", 256, 3, p=1)
    x = bare(d, "layer_256_1_conv_expand", 256, 1, s=2, bottom=x)
    d.add("layer_256_1_sum", [y, x])
    x = entry(d, "layer_512_1", "")
    bare(d, "layer_512_1_conv1_h", 128, 3, p=1)
    d.norm_scale("layer_512_1_bn2_h", "layer_512_1_scale2_h")
    d.relu("layer_512_1_relu2")
    y = bare(d, "layer_512_1_conv2_h", 256, 3, p=2, dilation=2)
    x = bare(d, "layer_512_1_conv_expand_h", 256, 1, bottom=x)
    d.add("layer_512_1_sum", [y, x])
    d.norm_scale("last_bn_h", "last_scale_h")
    d.layer("ReLU", "last_relu", [d.top], "fc7", d.blobs[d.top])
    for i, n, s in ((6, 128, 2), (7, 64, 2), (8, 64, 1), (9, 64, 1)):
        d.conv(f"conv{i}_1_h", n, 1)
        d.conv(f"conv{i}_2_h", 2 * n, 3, s=s, p=1)
    d.top = "layer_256_1_bn1"
    normalize(d, "conv4_3_norm")
    maps = [("conv4_3_norm", "conv4_3_norm"), ("fc7", "fc7")]
    maps += [(f"conv{i}_2", f"conv{i}_2_h") for i in (6, 7, 8, 9)]
    sizes = [30, 60, 111, 162, 213, 264, 315]
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    steps = [8, 16, 32, 64, 100, 300]
    limits = {"least": 0.2, "clip": 1}
    head(d, maps, sizes, ratios, steps, k=3, classes=2, **limits)


def entry(d, name, suffix):
    d.bn(f"{name}_bn1{suffix}", f"{name}_bn1{suffix}")
    d.factors(f"{name}_scale1{suffix}")
    return d.relu(f"{name}_relu1")


def bare(d, name, n, k, **options):
    return d.conv(name, n, k, bias=False, relu=None, **options)


def face_detection_retail_0044(d):
    d.norm_scale("BatchNorm1", "Scale1")
    d.conv("Convolution1", 32, 7, s=2, p=3, relu=None)
    d.norm_scale("BatchNorm2", "Scale2")
    d.relu("ReLU1")
    x = d.pool("Pooling1", 3, 2)
    index = iter(range(3, 33))

    def normed(name, n, k, **options):
        top = d.conv(f"{module}/{name}", n, k, relu=None, **options)
        i = next(index)
        d.norm_scale(f"BatchNorm{i}", f"Scale{i}")
        d.relu(f"{module}/relu_{name}")
        return top

    squeezed = (8, 8, 16, 16, 24, 24, 32, 32, 48, 48)
    for number, n in enumerate(squeezed, 2):
        module = f"fire{number}"
        x = normed("squeeze1x1", n, 1, s=2 if number in (5, 9) else 1, bottom=x)
        small = normed("expand1x1", 4 * n, 1, bottom=x)
        large = normed("expand3x3", 4 * n, 3, p=1, bottom=x)
        top = "fc7" if number == 11 else None
        x = d.concat(f"Concat{number - 1}", [large, small], top)
    predict(d, "fc7", x, 9, 2, 3)
    widths = [9.4, 25.1, 14.7, 34.7, 143.0, 77.4, 128.8, 51.1, 75.6]
    heights = [15.0, 39.6, 25.5, 63.2, 227.5, 162.9, 124.5, 105.1, 72.6]
    fields = {"width": widths, "height": heights, "step": 16.0}
    prior_boxes(d, "PriorBoxClustered", "fc7", x, 9, fields)
    d.top = "fc7_mbox_conf_flat"
    bottoms = ["fc7_mbox_loc_flat", chances(d, 2), "fc7_mbox_priorbox"]
    detections(d, bottoms, classes=2)


FOUND = ("detection_out",)
RES10 = Other(res10_face, 300, 2_662_666, FOUND, other_sizes=((123, 200), (3, 3)))
NETS = {
    "ssd300": Other(ssd300, 300, 26_285_486, FOUND, 21, other_sizes=((257, 300),)),
    "ssd512": Other(ssd512, 512, 27_188_676, FOUND, 21, other_sizes=((257, 300),)),
    "mobilenet_ssd": Other(
        mobilenet_ssd, 300, 5_783_417, FOUND, 21, other_sizes=((97, 200), (1, 1))
    ),
    "pelee": Other(pelee, 304, 5_998_553, FOUND, 81, other_sizes=((257, 280),)),
    "res10_face": RES10,
    "res10_face_fp16": RES10,
    "face_detection_retail_0044": Other(
        *(face_detection_retail_0044, 300, 597_602, FOUND),
        other_sizes=((123, 200), (3, 3)),
    ),
}
