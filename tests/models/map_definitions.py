"""Published definitions of the nets whose output is a map of something else."""

from definition import Other


def openpose(fields, heats):
    def layers(d):
        for name, n in (("1_1", 64), ("1_2", 64)):
            rectified(d, f"conv{name}", n, 3, 1)
        d.pool("pool1_stage1", 2, 2)
        for name, n in (("2_1", 128), ("2_2", 128)):
            rectified(d, f"conv{name}", n, 3, 1)
        d.pool("pool2_stage1", 2, 2)
        for name in ("3_1", "3_2", "3_3", "3_4"):
            rectified(d, f"conv{name}", 256, 3, 1)
        d.pool("pool3_stage1", 2, 2)
        for name, n in (("4_1", 512), ("4_2", 512), ("4_3_CPM", 256), ("4_4_CPM", 128)):
            rectified(d, f"conv{name}", n, 3, 1)
        # Layer by layer, the two branches in turn.
        l1 = l2 = seen = d.top
        for i in (1, 2, 3):
            l1 = rectified(d, f"conv5_{i}_CPM_L1", 128, 3, 1, l1)
            l2 = rectified(d, f"conv5_{i}_CPM_L2", 128, 3, 1, l2)
        l1 = rectified(d, "conv5_4_CPM_L1", 512, 1, 0, l1)
        l2 = rectified(d, "conv5_4_CPM_L2", 512, 1, 0, l2)
        l1 = d.conv("conv5_5_CPM_L1", fields, 1, bottom=l1, relu=None)
        l2 = d.conv("conv5_5_CPM_L2", heats, 1, bottom=l2, relu=None)
        for stage in (2, 3, 4, 5, 6):
            l1 = l2 = d.concat(f"concat_stage{stage}", [l1, l2, seen])
            for i in (1, 2, 3, 4, 5):
                l1 = rectified(d, f"Mconv{i}_stage{stage}_L1", 128, 7, 3, l1)
                l2 = rectified(d, f"Mconv{i}_stage{stage}_L2", 128, 7, 3, l2)
            l1 = rectified(d, f"Mconv6_stage{stage}_L1", 128, 1, 0, l1)
            l2 = rectified(d, f"Mconv6_stage{stage}_L2", 128, 1, 0, l2)
            l1 = d.conv(f"Mconv7_stage{stage}_L1", fields, 1, bottom=l1, relu=None)
            l2 = d.conv(f"Mconv7_stage{stage}_L2", heats, 1, bottom=l2, relu=None)
        d.concat("concat_stage7", [l2, l1], top="net_output")

    return layers


def rectified(d, name, n, k, p, bottom=None):
    d.conv(name, n, k, bottom=bottom, p=p, relu=None)
    return d.relu(name.replace("conv", "relu", 1))


def hed(d):
    d.conv("conv1_1", 64, 3, p=35, relu=None)
    d.relu("relu1_1")
    rectified(d, "conv1_2", 64, 3, 1)
    d.pool("pool1", 2, 2)
    for name, n in (("2_1", 128), ("2_2", 128)):
        rectified(d, f"conv{name}", n, 3, 1)
    d.pool("pool2", 2, 2)
    for name in ("3_1", "3_2", "3_3"):
        rectified(d, f"conv{name}", 256, 3, 1)
    d.pool("pool3", 2, 2)
    for name in ("4_1", "4_2", "4_3"):
        rectified(d, f"conv{name}", 512, 3, 1)
    d.pool("pool4", 2, 2)
    for name in ("5_1", "5_2", "5_3"):
        rectified(d, f"conv{name}", 512, 3, 1)
    d.conv("score-dsn1", 1, 1, bottom="conv1_2", relu=None, top="score-dsn1-up")
    cropped(d, 1, 34)
    # Source of the offsets: the coordinates that a map's cell stands for, worked out
    # by hand from Caffe's rule for each layer; the definition itself has none.
    sides = ((2, "conv2_2", 35), (3, "conv3_3", 36), (4, "conv4_3", 38))
    for number, bottom, offset in (*sides, (5, "conv5_3", 42)):
        s = 2 ** (number - 1)
        d.conv(f"score-dsn{number}", 1, 1, bottom=bottom, relu=None)
        top = f"score-dsn{number}-up"
        d.deconv(f"upsample_{s}", 1, 2 * s, s, bias=True, top=top)
        cropped(d, number, offset)
    scales = [f"upscore-dsn{i}" for i in (1, 2, 3, 4, 5)]
    d.concat("concat", scales, top="concat-upscore")
    d.conv("new-score-weighting", 1, 1, relu=None, top="upscore-fuse")
    sigmoid(d, "fuse")


def cropped(d, number, offset):
    d.crop(f"upscore-dsn{number}", f"score-dsn{number}-up", "data", offset)
    sigmoid(d, f"dsn{number}")


def sigmoid(d, name):
    bottom = f"upscore-{name}"
    d.layer("Sigmoid", f"sigmoid-{name}", [bottom], f"sigmoid-{name}", d.blobs[bottom])


def colorization(d):
    d.conv("bw_conv1_1", 64, 3, p=1, relu=None, top="conv1_1")
    d.relu("relu1_1")
    strided(d, "conv1_2", 64)
    rectified(d, "conv2_1", 128, 3, 1)
    strided(d, "conv2_2", 128)
    rectified(d, "conv3_1", 256, 3, 1)
    rectified(d, "conv3_2", 256, 3, 1)
    strided(d, "conv3_3", 256)
    for block, p in ((4, 1), (5, 2), (6, 2), (7, 1)):
        for i in (1, 2, 3):
            name = f"conv{block}_{i}"
            d.conv(name, 512, 3, p=p, dilation=p, relu=None)
            d.relu(f"relu{block}_{i}")
        d.bn(f"conv{block}_3norm", f"conv{block}_3norm")
    d.deconv("conv8_1", 256, 4, 2, p=1, bias=True)
    d.relu("relu8_1")
    rectified(d, "conv8_2", 256, 3, 1)
    rectified(d, "conv8_3", 256, 3, 1)
    d.conv("conv8_313", 313, 1, relu=None)
    d.factors("conv8_313_rh", "conv8_313_rh", bias=False)
    d.softmax("class8_313_rh")
    d.conv("class8_ab", 2, 1, relu=None)


def strided(d, name, n):
    d.conv(name, n, 3, s=2, p=1, relu=None)
    d.relu(name.replace("conv", "relu"))
    d.bn(f"{name}norm", f"{name}norm")


SIDES = tuple(f"sigmoid-dsn{number}" for number in range(1, 6))
ONE_OUTPUT = {"data": "image", "other_sizes": ((16, 24), (None, None))}

NETS = {
    "openpose_coco": Other(
        openpose(38, 19), (32, 40), 52_311_446, ("concat_stage7",), **ONE_OUTPUT
    ),
    "openpose_mpi": Other(
        openpose(28, 16), (32, 40), 51_481_032, ("concat_stage7",), **ONE_OUTPUT
    ),
    "hed": Other(
        hed,
        (21, 30),
        14_717_535,
        (*SIDES, "sigmoid-fuse"),
        other_sizes=((1, 1), (None, None)),
    ),
    "colorization": Other(
        colorization,
        (32, 40),
        32_236_333,
        ("class8_ab",),
        data="data_l",
        channels=1,
        other_sizes=((224, 224), (None, None)),
    ),
}
