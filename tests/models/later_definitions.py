"""The published deploy definitions of the later nets, as tables and loops over them.

Each function writes down what the authors' prototxt says, in Caffe's terms and order.
"""

from definition import MEAN_OF_ALL
from older_definitions import googlenet, letters, residual, vgg_features

BARE = {"bias": False, "relu": None}


def age_gender(d):
    d.conv("conv1", 96, 7, s=4)
    d.pool("pool1", 3, 2)
    d.lrn("norm1", 0.0001)
    d.conv("conv2", 256, 5, p=2)
    d.pool("pool2", 3, 2)
    d.lrn("norm2", 0.0001)
    d.conv("conv3", 384, 3, p=1)
    d.pool("pool5", 3, 2)
    d.fc = 512
    d.classifier()


def places365_vgg16(d):
    vgg_features(d, (2, 2, 3, 3, 3))
    d.classifier(head="fc8a")


def places_googlenet(d):
    googlenet(d, auxiliary_heads=False)


def places365_resnet152(d):
    d.conv("conv1", 64, 7, s=2, p=3, **BARE)
    d.norm_scale("bn_conv1", "scale_conv1")
    d.relu("conv1_relu")
    bottom = d.pool("pool1", 3, 2)
    for i, names in enumerate(["abc", letters(7), letters(35), "abc"]):
        for name in names:
            stride = 2 if i > 0 and name == "a" else 1
            bottom = residual(d, f"{i + 2}{name}", bottom, 64 << i, stride)
    d.pool("pool5", 7, 1, "AVE")
    d.ip("fc365", d.classes)
    d.softmax()


# module: 1x1, 3x3 behind its 1x1, twice 3x3 behind their 1x1, 1x1 behind the pooling
INCEPTION_BN = """
3a 64  64  64   64  96   32
3b 64  64  96   64  96   64
3c 0   128 160  64  96   0
4a 224 64  96   96  128  128
4b 192 96  128  96  128  128
4c 160 128 160  128 160  proj
4d 96  128 192  160 192  proj
4e 0   128 192  192 256  0
5a 352 192 320  160 224  128
5b 352 192 320  192 224  128
"""


def inception_bn(d, conv, joined, proj, pool):
    """The trunk; `conv` returns a convolution's blob, `joined` that of a module."""
    conv("conv1/7x7_s2", 64, 7, "data", s=2, p=3)
    d.pool("pool1/3x3_s2", 3, 2)
    conv("conv2/3x3_reduce", 64, 1, d.top)
    conv("conv2/3x3", 192, 3, d.top, p=1)
    bottom = d.pool("pool2/3x3_s2", 3, 2)
    for row in INCEPTION_BN.split("\n")[1:-1]:
        number, *columns = row.split()
        one, r3, n3, rd, nd, p = (proj if c == "proj" else int(c) for c in columns)
        m, s = f"inception_{number}", 1 if one else 2
        parts = [conv(f"{m}/1x1", one, 1, bottom)] if one else []
        reduced = conv(f"{m}/3x3_reduce", r3, 1, bottom)
        parts.append(conv(f"{m}/3x3", n3, 3, reduced, s=s, p=1))
        reduced = conv(f"{m}/double3x3_reduce", rd, 1, bottom)
        first = conv(f"{m}/double3x3a", nd, 3, reduced, p=1)
        parts.append(conv(f"{m}/double3x3b", nd, 3, first, s=s, p=1))
        if one:
            kind = "MAX" if number == "5b" else "AVE"
            pooled = d.pool(f"{m}/pool", 3, 1, kind, bottom, p=1)
            parts.append(conv(f"{m}/pool_proj", p, 1, pooled))
        else:
            parts.append(d.pool(f"{m}/{pool}", 3, 2, bottom=bottom))
        bottom = joined(m, parts)
    d.pool("pool5/7x7_s1", 7, 1, "AVE", bottom)


def googlenet_bn(d):
    def conv(name, n, k, bottom, **geometry):
        d.conv(name, n, k, bottom, **geometry, **BARE)
        d.bn(f"{name}/bn", f"{name}/bn")
        d.factors(f"{name}/bn/sc", f"{name}/bn/sc")
        return d.relu(f"{name}/bn/sc/relu")

    def joined(name, parts):
        return d.concat(f"{name}/output", parts)

    inception_bn(d, conv, joined, 96, "pool")
    d.ip("loss3/classifier", d.classes)
    d.softmax()


def se_bn_inception(d):
    def conv(name, n, k, bottom, **geometry):
        d.conv(name, n, k, bottom, **geometry, **BARE)
        d.norm_scale(f"{name}/bn", f"{name}/bn/scale")
        place, _, what = name.partition("/")
        return d.relu(f"{place}/relu_{'7x7' if what == '7x7_s2' else what}")

    def joined(name, parts):
        d.concat(f"{name}/concat", parts)
        shape = d.blobs[d.top]
        d.squeeze(name)
        fields = {"shape": "{ dim: 0 dim: 0 }"}
        d.layer(
            *("Reshape", f"{name}_prob_reshape", [d.top], f"{name}_prob_reshape"),
            shape[:1],
            reshape_param=fields,
        )
        bottoms = [f"{name}/concat", f"{name}_prob_reshape"]
        fields = {"axis": 0, "bias_term": "false"}
        return d.layer(
            *("Scale", f"{name}_scale", bottoms, f"{name}/output", shape),
            scale_param=fields,
        )

    inception_bn(d, conv, joined, 128, "pool/3x3_s2")
    d.ip("classifier", d.classes)
    d.softmax()


def open_nsfw(d):
    def conv(name, n, k, bottom, s=1, p=0, relu=True):
        d.conv(f"conv_{name}", n, k, bottom, s=s, p=p, relu=None)
        d.norm_scale(f"bn_{name}", f"scale_{name}")
        return d.relu(f"relu_{name}") if relu else d.top

    conv("1", 64, 7, "data", s=2, p=3)
    bottom = d.pool("pool1", 3, 2)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        n = 32 * 2**stage
        for block in range(blocks):
            name = f"stage{stage}_block{block}"
            s = 2 if stage and not block else 1
            ends = [bottom]
            if not block:
                part = f"{name}_proj_shortcut"
                ends = [conv(part, 4 * n, 1, bottom, s=s, relu=False)]
            conv(f"{name}_branch2a", n, 1, bottom, s=s)
            conv(f"{name}_branch2b", n, 3, d.top, p=1)
            ends.append(conv(f"{name}_branch2c", 4 * n, 1, d.top, relu=False))
            d.add(f"eltwise_{name}", ends)
            bottom = d.relu(f"relu_{name}")
    d.pool("pool", 7, 1, "AVE")
    d.ip("fc_nsfw", d.classes)
    d.softmax()


def se_resnet(d, blocks, group=1):
    def conv(name, n, k, bottom, relu=None, **geometry):
        d.conv(name, n, k, bottom, **geometry, **BARE)
        d.norm_scale(f"{name}/bn", f"{name}/bn/scale")
        return d.relu(relu) if relu else name

    conv("conv1/7x7_s2", 64, 7, "data", "conv1/relu_7x7_s2", s=2, p=3)
    bottom = d.pool("pool1/3x3_s2", 3, 2)
    for stage, count in zip((2, 3, 4, 5), blocks, strict=True):
        wide = 2 ** (6 + stage)
        n = wide // 4 if group == 1 else wide // 2
        for i in range(1, count + 1):
            b = f"conv{stage}_{i}"
            halves = stage > 2 and i == 1
            # The plain nets halve the map in the first convolution, the others in the
            # one that has groups.
            s = [2 if halves and at == (group > 1) else 1 for at in (False, True)]
            conv(f"{b}_1x1_reduce", n, 1, bottom, f"{b}_1x1_reduce/relu", s=s[0])
            relu = f"{b}_3x3/relu"
            conv(f"{b}_3x3", n, 3, d.top, relu, s=s[1], p=1, g=group)
            conv(f"{b}_1x1_increase", wide, 1, d.top)
            d.squeeze(b)
            if i == 1:
                s = 2 if halves else 1
                bottom = conv(f"{b}_1x1_proj", wide, 1, bottom, s=s)
            ends = [f"{b}_1x1_up", f"{b}_1x1_increase", bottom]
            d.layer("Axpy", b, ends, b, d.blobs[ends[1]])
            bottom = d.relu(f"{b}/relu")
    d.pool("pool5/7x7_s1", 7, 1, "AVE")
    d.ip("classifier", d.classes)
    d.softmax()


def se_resnet50(d):
    se_resnet(d, (3, 4, 6, 3))


def se_resnet101(d):
    se_resnet(d, (3, 4, 23, 3))


def se_resnet152(d):
    se_resnet(d, (3, 8, 36, 3))


def se_resnext50(d):
    se_resnet(d, (3, 4, 6, 3), group=32)


def se_resnext101(d):
    se_resnet(d, (3, 4, 23, 3), group=32)


def densenet(d, k, *layers):
    def normalized(name):
        d.bn(f"conv{name}/bn", f"conv{name}/bn")
        d.factors(f"conv{name}/scale")
        return d.relu(f"relu{name}")

    d.conv("conv1", 2 * k, 7, s=2, p=3, **BARE)
    normalized("1")
    bottom = d.pool("pool1", 3, 2, p=1, floor=True)
    for block in (2, 3, 4, 5):
        for i in range(1, layers[block - 2] + 1):
            d.top = bottom
            for part, n, kernel in (("x1", 4 * k, 1), ("x2", k, 3)):
                normalized(f"{block}_{i}/{part}")
                d.conv(f"conv{block}_{i}/{part}", n, kernel, p=kernel // 2, **BARE)
            bottom = d.concat(f"concat_{block}_{i}", [bottom, d.top])
        normalized(f"{block}_blk")
        if block < 5:
            d.conv(f"conv{block}_blk", d.blobs[d.top][0] // 2, 1, **BARE)
            bottom = d.pool(f"pool{block}", 2, 2, "AVE")
    d.pool("pool5", MEAN_OF_ALL, kind="AVE")
    d.conv("fc6", d.classes, 1, relu=None)


def densenet121(d):
    densenet(d, 32, 6, 12, 24, 16)


def densenet161(d):
    densenet(d, 48, 6, 12, 36, 24)


def densenet169(d):
    densenet(d, 32, 6, 12, 32, 32)


def densenet201(d):
    densenet(d, 32, 6, 12, 48, 32)


# Blocks of the paper's Table 1: number, stride, channels
MOBILENET = """
2_1 1 64 / 2_2 2 128 / 3_1 1 128 / 3_2 2 256 / 4_1 1 256 / 4_2 2 512 / 5_1 1 512 /
5_2 1 512 / 5_3 1 512 / 5_4 1 512 / 5_5 1 512 / 5_6 2 1024 / 6 1 1024
"""
# The authors' strides, which are not those of the paper's last version.
MOBILENET_V2 = """
2_1 1 16 / 2_2 2 24 / 3_1 1 24 / 3_2 2 32 / 4_1 1 32 / 4_2 1 32 / 4_3 1 64 / 4_4 1 64 /
4_5 1 64 / 4_6 1 64 / 4_7 2 96 / 5_1 1 96 / 5_2 1 96 / 5_3 2 160 / 6_1 1 160 /
6_2 1 160 / 6_3 1 320
"""


def rows(table):
    for row in table.split("/"):
        name, stride, n = row.split()
        yield name, int(stride), int(n)


def mobilenet_v1(d):
    def conv(name, n, k, relu, **geometry):
        d.conv(name, n, k, **geometry, **BARE)
        d.norm_scale(f"{name}/bn", f"{name}/scale")
        d.relu(relu)

    conv("conv1", 32, 3, "relu1", s=2, p=1)
    for name, s, n in rows(MOBILENET):
        c = d.blobs[d.top][0]
        conv(f"conv{name}/dw", c, 3, f"relu{name}/dw", s=s, p=1, g=c)
        conv(f"conv{name}/sep", n, 1, f"relu{name}/sep")
    d.pool("pool6", MEAN_OF_ALL, kind="AVE")
    d.conv("fc7", d.classes, 1, relu=None)
    d.softmax()


def mobilenet_v2(d):
    def conv(name, n, k, relu=None, **geometry):
        d.conv(name, n, k, **geometry, **BARE)
        d.bn(f"{name}/bn", f"{name}/bn")
        d.factors(f"{name}/scale")
        return d.relu(relu) if relu else d.top

    bottom = conv("conv1", 32, 3, "relu1", s=2, p=1)
    for name, s, n in rows(MOBILENET_V2):
        c = d.blobs[bottom][0]
        wide = c if name == "2_1" else 6 * c
        conv(f"conv{name}/expand", wide, 1, f"relu{name}/expand")
        conv(f"conv{name}/dwise", wide, 3, f"relu{name}/dwise", s=s, p=1, g=wide)
        linear = conv(f"conv{name}/linear", n, 1)
        if (s, c) == (1, n):
            linear = d.add(f"block_{name}", [bottom, linear])
        bottom = linear
    conv("conv6_4", 1280, 1, "relu6_4")
    d.pool("pool6", MEAN_OF_ALL, kind="AVE")
    d.conv("fc7", d.classes, 1, relu=None)
    d.softmax()


def shufflenet_v2_x05(d):
    def conv(name, n, k, bottom, relu=True, **geometry):
        d.conv(name, n, k, bottom, **geometry, **BARE)
        d.norm_scale(f"{name}/bn", f"{name}/bn/scale")
        return d.relu(f"{name}/relu") if relu else d.top

    d.norm_scale("data/bn", "data/bn/scale")
    conv("stage1/conv", 24, 3, "data", s=2, p=1)
    bottom = d.pool("stage1/pool", 3, 2)
    for stage, blocks, n in ((2, 4, 48), (3, 8, 96), (4, 4, 192)):
        for i in range(1, blocks + 1):
            b, c = f"stage_{stage}_{i}", d.blobs[bottom][0]
            s, left = 2, bottom
            if i > 1:
                s, left, right = 1, f"{b}/slice1", f"{b}/slice2"
                d.cut(f"{b}/slice1", bottom, [left, right], n // 2)
                bottom = right
            else:
                left = conv(f"{b}/conv4", c, 3, bottom, False, s=2, p=1, g=c)
                left = conv(f"{b}/conv5", n // 2, 1, left)
            conv(f"{b}/conv1", n // 2, 1, bottom)
            conv(f"{b}/conv2", n // 2, 3, d.top, False, s=s, p=1, g=n // 2)
            conv(f"{b}/conv3", n // 2, 1, d.top)
            d.concat(f"{b}/concat", [left, d.top])
            bottom = d.layer(
                *("ShuffleChannel", f"{b}/shuffle", [d.top], f"{b}/shuffle"),
                d.blobs[d.top],
                shuffle_channel_param={"group": 2},
            )
    conv("conv5", 1024, 1, bottom)
    d.pool("pool", 7, 1, "AVE")
    d.conv("fc", d.classes, 1, relu=None)


def sphereface(d):
    def conv(name, n, s=1):
        d.conv(f"conv{name}", n, 3, s=s, p=1, relu=None)
        return d.prelu(f"relu{name}")

    for stage, n, last in ((1, 64, 3), (2, 128, 5), (3, 256, 9), (4, 512, 3)):
        bottom = conv(f"{stage}_1", n, s=2)
        for i in range(3, last + 1, 2):
            d.top = bottom
            conv(f"{stage}_{i - 1}", n)
            top = conv(f"{stage}_{i}", n)
            bottom = d.add(f"res{stage}_{i}", [bottom, top])
    d.ip("fc5", d.classes)
