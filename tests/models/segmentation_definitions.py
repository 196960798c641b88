"""Published definitions of the nets that label every pixel."""

from definition import Other


def segnet(d):
    """driving.prototxt of SegNet-Tutorial's web demo."""
    encode(d)
    decode(d, {5: (23, 30), 4: (45, 60)})
    d.layer(
        "ArgMax",
        "argmax",
        ["conv1_1_D"],
        "argmax",
        (1, *d.blobs["conv1_1_D"][1:]),
        argmax_param={"axis": 1},
    )


def segnet_pascal(d):
    encode(d, drop=True)
    decode(d, {}, drop=True)
    d.softmax()


def encode(d, drop=False):
    for stage, n, convs in ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3)):
        down(d, stage, n, convs, drop)
    down(d, 5, 512, 3, drop)


def down(d, stage, n, convs, drop):
    for i in range(1, convs + 1):
        scaled(d, f"{stage}_{i}", n)
    if drop:
        d.dropout(f"pool{stage}_drop")
    d.masked_pool(f"pool{stage}")


def decode(d, sizes, drop=False):
    for stage, channels in (
        (5, (512, 512, 512)),
        (4, (512, 512, 256)),
        (3, (256, 256, 128)),
        (2, (128, 64)),
        (1, (64,)),
    ):
        if drop:
            d.dropout(f"upsample{stage}_drop")
        mask = f"pool{stage}_mask"
        d.unpool(f"upsample{stage}", mask, sizes.get(stage), top=f"pool{stage}_D")
        first = len(channels) + (stage == 1)
        for i, n in enumerate(channels):
            scaled(d, f"{stage}_{first - i}_D", n)
    d.conv("conv1_1_D", d.classes, 3, p=1, relu=None)


def scaled(d, number, n):
    """A convolution with SegNet's BN and ReLU in place."""
    d.conv(f"conv{number}", n, 3, p=1, relu=None)
    d.segnet_bn(f"conv{number}_bn")
    d.relu(f"relu{number}")


def pspnet50(d):
    pspnet(d, [(2, 64, 3), (3, 128, 4), (4, 256, 6), (5, 512, 3)])


def pspnet101(d):
    pspnet(d, [(2, 64, 3), (3, 128, 4), (4, 256, 23), (5, 512, 3)])


def pspnet(d, stages):
    normal(d, "conv1_1_3x3_s2", 64, 3, s=2, p=1)
    normal(d, "conv1_2_3x3", 64, 3, p=1)
    normal(d, "conv1_3_3x3", 128, 3, p=1)
    d.pool("pool1_3x3_s2", 3, 2, p=1)
    for stage, n, blocks in stages:
        hole = {4: 2, 5: 4}.get(stage, 1)
        for i in range(1, blocks + 1):
            name, x = f"conv{stage}_{i}", d.top
            s = 2 if (stage, i) == (3, 1) else 1
            normal(d, f"{name}_1x1_reduce", n, 1, s=s)
            normal(d, f"{name}_3x3", n, 3, p=hole, dilation=hole)
            y = normal(d, f"{name}_1x1_increase", 4 * n, 1, relu=False)
            if i == 1:
                options = {"s": s, "bottom": x, "relu": False}
                x = normal(d, f"{name}_1x1_proj", 4 * n, 1, **options)
            d.add(name, [x, y])
            d.relu(f"{name}/relu")
    x, side = d.top, d.blobs[d.top][1]
    for bins in (1, 2, 3, 6):
        name = f"conv5_3_pool{bins}"
        d.pool(name, side // bins, side // bins, kind="AVE", bottom=x)
        normal(d, f"{name}_conv", 512, 1)
        d.interp(f"{name}_interp", (side, side), height=side, width=side)
    levels = [f"conv5_3_pool{bins}_interp" for bins in (6, 3, 2, 1)]
    d.concat("conv5_3_concat", ["conv5_3", *levels])
    normal(d, "conv5_4", 512, 3, p=1)
    d.dropout("conv5_4/dropout", 0.1)
    d.conv("conv6", d.classes, 1, relu=None)
    size = 8 * side - 7
    d.interp("conv6_interp", (size, size), zoom_factor=8)


def normal(d, name, n, k, relu=True, **options):
    """A convolution with PSPNet's BN, and perhaps ReLU, in place."""
    top = d.conv(name, n, k, bias=False, relu=None, **options)
    d.pspnet_bn(f"{name}/bn")
    if relu:
        d.relu(f"{name}/relu")
    return top


def enet(d):
    """enet_deploy_final.prototxt."""
    d.conv("conv0_1", 13, 3, s=2, p=1, relu=None)
    d.pool("pool0_1", 2, 2, bottom="data")
    d.concat("concat0_1", ["conv0_1", "pool0_1"])
    d.segnet_bn("bn0_1", top="bn0_1")
    apart(d, "prelu0_1", "PReLU")
    reduced(d, "1_0", 64)
    for i in (1, 2, 3, 4):
        plain(d, f"1_{i}", 64)
    reduced(d, "2_0", 128)
    for stage in "23":
        plain(d, f"{stage}_1", 128)
        plain(d, f"{stage}_2", 128, dilation=2)
        plain(d, f"{stage}_3", 128, split=True)
        plain(d, f"{stage}_4", 128, dilation=4)
        plain(d, f"{stage}_5", 128)
        plain(d, f"{stage}_6", 128, dilation=8)
        plain(d, f"{stage}_7", 128, split=True)
        plain(d, f"{stage}_8", 128, dilation=16)
    enlarged(d, "4_0", 64, "pool2_0_4_mask")
    plain(d, "4_1", 64, kind="ReLU")
    plain(d, "4_2", 64, kind="ReLU")
    enlarged(d, "5_0", 16, "pool1_0_4_mask")
    plain(d, "5_1", 16, kind="ReLU")
    d.deconv("deconv6_0_0", d.classes, 2, 2, bias=True)


def apart(d, name, kind):
    """A PReLU or ReLU with a blob of its own."""
    shape = d.blobs[d.top]
    slopes = [shape[:1]] if kind == "PReLU" else ()
    return d.layer(kind, name, [d.top], name, shape, slopes)


def plain(d, number, n, dilation=1, split=False, kind="PReLU"):
    x = d.top
    d.conv(f"conv{number}_0", n // 4, 1, relu=None)
    apart(d, f"prelu{number}_0", kind)
    if split:
        d.conv(f"conv{number}_1_a", n // 4, (5, 1), p=1, relu=None)
        d.conv(f"conv{number}_1", n // 4, (1, 5), p=1, relu=None)
    else:
        options = {"p": dilation, "dilation": dilation, "relu": None}
        d.conv(f"conv{number}_1", n // 4, 3, **options)
    apart(d, f"prelu{number}_1", kind)
    y = d.conv(f"conv{number}_2", n, 1, relu=None)
    d.add(f"eltwise{number}_4", [x, y])
    apart(d, f"prelu{number}_4", kind)


def reduced(d, number, n):
    x = d.top
    d.conv(f"conv{number}_0", n // 4, 2, s=2, relu=None)
    apart(d, f"prelu{number}_0", "PReLU")
    d.conv(f"conv{number}_1", n // 4, 3, p=1, relu=None)
    apart(d, f"prelu{number}_1", "PReLU")
    y = d.conv(f"conv{number}_2", n, 1, relu=None)
    d.masked_pool(f"pool{number}_4", bottom=x)
    z = d.conv(f"conv{number}_4", n, 1, relu=None)
    d.add(f"eltwise{number}_4", [z, y])
    apart(d, f"prelu{number}_4", "PReLU")


def enlarged(d, number, n, mask):
    x = d.top
    d.conv(f"conv{number}_0", n // 4, 1, relu=None)
    apart(d, f"prelu{number}_0", "ReLU")
    d.deconv(f"deconv{number}_1", n // 4, 2, 2, bias=True)
    d.segnet_bn(f"bn{number}_1", top=f"bn{number}_1")
    apart(d, f"prelu{number}_1", "ReLU")
    y = d.conv(f"conv{number}_2", n, 1, relu=None)
    d.conv(f"conv{number}_4", n, 1, bottom=x, relu=None)
    z = d.unpool(f"upsample{number}_4", mask)
    d.add(f"eltwise{number}_4", [z, y])
    apart(d, f"prelu{number}_4", "ReLU")


def deeplab_largefov(d):
    """test.prototxt of DeepLab-LargeFOV, up to what it writes to files."""
    for stage, n, convs, hole, s in (
        (1, 64, 2, 1, 2),
        (2, 128, 2, 1, 2),
        (3, 256, 3, 1, 2),
        (4, 512, 3, 1, 1),
        (5, 512, 3, 2, 1),
    ):
        for i in range(1, convs + 1):
            d.holed(f"conv{stage}_{i}", n, hole)
            d.relu(f"relu{stage}_{i}")
        d.pool(f"pool{stage}", 3, s, p=1)
    d.pool("pool5a", 3, 1, kind="AVE", p=1)
    d.holed("fc6", 1024, 12)
    d.relu("relu6")
    d.dropout("drop6")
    d.conv("fc7", 1024, 1, relu=None)
    d.relu("relu7")
    d.dropout("drop7")
    top = d.conv("fc8_voc12", d.classes, 1, relu=None)
    size = [8 * side - 7 for side in d.blobs[top][1:]]
    d.interp("fc8_interp", size, zoom_factor=8)


SCORES = ("conv6_interp",)
NETS = {
    "segnet": Other(segnet, (360, 480), 29_449_932, ("argmax",), 12),
    "segnet_pascal": Other(segnet_pascal, 224, 29_455_125, ("prob",), 21),
    "pspnet50": Other(pspnet50, 473, 46_841_174, SCORES, 150),
    "pspnet101": Other(pspnet101, 473, 65_819_349, SCORES, 21),
    "pspnet101_cityscapes": Other(pspnet101, 713, 65_818_323, SCORES, 19),
    "enet": Other(
        enet,
        (32, 48),
        367_687,
        ("deconv6_0_0",),
        19,
        other_sizes=((512, 1024), (31, 64)),
    ),
    "deeplab_largefov": Other(
        deeplab_largefov,
        (65, 49),
        20_505_429,
        ("fc8_interp",),
        21,
        other_sizes=((513, 513), (50, 61)),
    ),
}
