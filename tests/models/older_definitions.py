"""The published deploy definitions of the nets of 2012 to 2015 in a compact form.

Each function writes down what the authors' prototxt says, in Caffe's terms and order.
"""

from definition import MEAN_OF_ALL


def alexnet(d):
    d.conv("conv1", 96, 11, s=4)
    d.lrn("norm1", 0.0001)
    d.pool("pool1", 3, 2)
    d.conv("conv2", 256, 5, p=2, g=2)
    d.lrn("norm2", 0.0001)
    d.pool("pool2", 3, 2)
    d.conv("conv3", 384, 3, p=1)
    d.conv("conv4", 384, 3, p=1, g=2)
    d.conv("conv5", 256, 3, p=1, g=2)
    d.pool("pool5", 3, 2)
    d.classifier()


def caffenet_features(d, pad=0):
    d.conv("conv1", 96, 11, s=4, p=pad)
    d.pool("pool1", 3, 2)
    d.lrn("norm1", 0.0001)
    d.conv("conv2", 256, 5, p=2, g=2)
    d.pool("pool2", 3, 2)
    d.lrn("norm2", 0.0001)
    d.conv("conv3", 384, 3, p=1)
    d.conv("conv4", 384, 3, p=1, g=2)
    d.conv("conv5", 256, 3, p=1, g=2)
    d.pool("pool5", 3, 2)


def caffenet(d):
    caffenet_features(d)
    d.classifier()


def rcnn_ilsvrc13(d):
    caffenet_features(d)
    d.classifier(head="fc-rcnn", prob=False)


def flickr_style(d):
    caffenet_features(d)
    d.classifier(head="fc8_flickr")


def vgg_cnn_f(d):
    d.conv("conv1", 64, 11, s=4)
    d.lrn("norm1", 0.0005, k=2)
    d.pool("pool1", 3, 2)
    d.conv("conv2", 256, 5, p=2)
    d.lrn("norm2", 0.0005, k=2)
    d.pool("pool2", 3, 2)
    for name in ("conv3", "conv4", "conv5"):
        d.conv(name, 256, 3, p=1)
    d.pool("pool5", 3, 2)
    d.classifier()


def vgg_cnn_m(d, fc7=None):
    d.conv("conv1", 96, 7, s=2)
    d.lrn("norm1", 0.0005, k=2)
    d.pool("pool1", 3, 2)
    d.conv("conv2", 256, 5, s=2, p=1)
    d.lrn("norm2", 0.0005, k=2)
    d.pool("pool2", 3, 2)
    for name in ("conv3", "conv4", "conv5"):
        d.conv(name, 512, 3, p=1)
    d.pool("pool5", 3, 2)
    d.classifier(fc7=fc7)


def vgg_cnn_m_128(d):
    vgg_cnn_m(d, fc7=128)


def vgg_cnn_m_1024(d):
    vgg_cnn_m(d, fc7=1024)


def vgg_cnn_m_2048(d):
    vgg_cnn_m(d, fc7=2048)


def vgg_cnn_s(d):
    d.conv("conv1", 96, 7, s=2)
    d.lrn("norm1", 0.0005, k=2)
    d.pool("pool1", 3, 3)
    d.conv("conv2", 256, 5)
    d.pool("pool2", 2, 2)
    for name in ("conv3", "conv4", "conv5"):
        d.conv(name, 512, 3, p=1)
    d.pool("pool5", 3, 3)
    d.classifier()


def vgg_features(d, depths, pad=1):
    for stage, depth in enumerate(depths, start=1):
        for i in range(1, depth + 1):
            filters = (64, 128, 256, 512, 512)[stage - 1]
            first = stage == i == 1
            d.conv(f"conv{stage}_{i}", filters, 3, p=pad if first else 1)
        d.pool(f"pool{stage}", 2, 2)


def vgg16(d):
    vgg_features(d, (2, 2, 3, 3, 3))
    d.classifier()


def vgg19(d):
    vgg_features(d, (2, 2, 4, 4, 4))
    d.classifier()


def googlenet(d, auxiliary_heads=True):
    d.conv("conv1/7x7_s2", 64, 7, s=2, p=3)
    d.pool("pool1/3x3_s2", 3, 2)
    d.lrn("pool1/norm1", 0.0001)
    d.conv("conv2/3x3_reduce", 64, 1)
    d.conv("conv2/3x3", 192, 3, p=1)
    d.lrn("conv2/norm2", 0.0001)
    d.pool("pool2/3x3_s2", 3, 2)
    inception(d, "3a", 64, 96, 128, 16, 32, 32)
    inception(d, "3b", 128, 128, 192, 32, 96, 64)
    d.pool("pool3/3x3_s2", 3, 2)
    trunk = inception(d, "4a", 192, 96, 208, 16, 48, 64)
    if auxiliary_heads:
        auxiliary(d, "loss1", trunk)
    inception(d, "4b", 160, 112, 224, 24, 64, 64, trunk)
    inception(d, "4c", 128, 128, 256, 24, 64, 64)
    trunk = inception(d, "4d", 112, 144, 288, 32, 64, 64)
    if auxiliary_heads:
        auxiliary(d, "loss2", trunk)
    inception(d, "4e", 256, 160, 320, 32, 128, 128, trunk)
    d.pool("pool4/3x3_s2", 3, 2)
    inception(d, "5a", 256, 160, 320, 32, 128, 128)
    inception(d, "5b", 384, 192, 384, 48, 128, 128)
    d.pool("pool5/7x7_s1", 7, 1, "AVE")
    d.dropout("pool5/drop_7x7_s1", 0.4)
    d.ip("loss3/classifier", d.classes)
    d.softmax()


def inception(d, name, n1, n3_reduce, n3, n5_reduce, n5, proj, bottom=None):
    bottom, name = bottom or d.top, f"inception_{name}"
    d.conv(f"{name}/1x1", n1, 1, bottom)
    d.conv(f"{name}/3x3_reduce", n3_reduce, 1, bottom)
    d.conv(f"{name}/3x3", n3, 3, p=1)
    d.conv(f"{name}/5x5_reduce", n5_reduce, 1, bottom)
    d.conv(f"{name}/5x5", n5, 5, p=2)
    d.pool(f"{name}/pool", 3, 1, bottom=bottom, p=1)
    d.conv(f"{name}/pool_proj", proj, 1)
    branches = ("1x1", "3x3", "5x5", "pool_proj")
    return d.concat(f"{name}/output", [f"{name}/{branch}" for branch in branches])


def auxiliary(d, name, bottom):
    """A head of the training net, its loss's softmax left out."""
    d.pool(f"{name}/ave_pool", 5, 3, "AVE", bottom)
    d.conv(f"{name}/conv", 128, 1)
    d.ip(f"{name}/fc", 1024, relu=f"{name}/relu_fc")
    d.dropout(f"{name}/drop_fc", 0.7)
    d.ip(f"{name}/classifier", d.classes)


def nin(d):
    d.conv("conv1", 96, 11, s=4)
    d.conv("cccp1", 96, 1)
    d.conv("cccp2", 96, 1)
    d.pool("pool0", 3, 2)
    d.conv("conv2", 256, 5, p=2)
    d.conv("cccp3", 256, 1)
    d.conv("cccp4", 256, 1)
    d.pool("pool2", 3, 2)
    d.conv("conv3", 384, 3, p=1)
    d.conv("cccp5", 384, 1)
    d.conv("cccp6", 384, 1)
    d.pool("pool3", 3, 2)
    d.dropout("drop")
    d.conv("conv4-1024", 1024, 3, p=1, top="conv4")
    d.conv("cccp7-1024", 1024, 1, top="cccp7")
    d.conv("cccp8-1024", d.classes, 1, top="cccp8")
    d.pool("pool4", 6, 1, "AVE")
    d.softmax()


def fire(d, number, squeeze, expand):
    name = f"fire{number}"
    squeezed = d.conv(f"{name}/squeeze1x1", squeeze, 1)
    ones = d.conv(f"{name}/expand1x1", expand, 1, squeezed)
    threes = d.conv(f"{name}/expand3x3", expand, 3, squeezed, p=1)
    d.concat(f"{name}/concat", [ones, threes])


def squeezenet(d, pools, pad):
    modules = [(16, 64), (16, 64), (32, 128), (32, 128)]
    modules += [(48, 192), (48, 192), (64, 256), (64, 256)]
    for number, (squeeze, expand) in enumerate(modules, start=2):
        fire(d, number, squeeze, expand)
        if number in pools:
            d.pool(f"pool{number}", 3, 2)
    d.dropout("drop9")
    d.conv("conv10", d.classes, 1, p=pad)
    d.pool("pool10", MEAN_OF_ALL, kind="AVE")
    d.softmax()


def squeezenet_v1_0(d):
    d.conv("conv1", 96, 7, s=2)
    d.pool("pool1", 3, 2)
    squeezenet(d, pools=(4, 8), pad=1)


def squeezenet_v1_1(d):
    d.conv("conv1", 64, 3, s=2)
    d.pool("pool1", 3, 2)
    squeezenet(d, pools=(3, 5), pad=0)


def resnet(d, blocks, bias):
    d.conv("conv1", 64, 7, s=2, p=3, bias=bias, relu=None)
    d.norm_scale("bn_conv1", "scale_conv1")
    d.relu("conv1_relu")
    bottom = d.pool("pool1", 3, 2)
    for i, letters in enumerate(blocks):
        for letter in letters:
            stride = 2 if i > 0 and letter == "a" else 1
            bottom = residual(d, f"{i + 2}{letter}", bottom, 64 << i, stride)
    d.pool("pool5", 7, 1, "AVE")
    d.ip("fc1000", d.classes)
    d.softmax()


def residual(d, name, bottom, n, stride):
    def branch(number, filters, k, bottom=None, s=1, p=0, relu=True):
        options = {"s": s, "p": p, "bias": False, "relu": None}
        d.conv(f"res{name}_branch{number}", filters, k, bottom, **options)
        d.norm_scale(f"bn{name}_branch{number}", f"scale{name}_branch{number}")
        if relu:
            d.relu(f"res{name}_branch{number}_relu")
        return d.top

    short = bottom
    if name.endswith("a"):
        short = branch("1", 4 * n, 1, bottom, stride, relu=False)
    branch("2a", n, 1, bottom, stride)
    branch("2b", n, 3, p=1)
    d.add(f"res{name}", [short, branch("2c", 4 * n, 1, relu=False)])
    return d.relu(f"res{name}_relu")


def letters(last):
    return ["a", *(f"b{i}" for i in range(1, last + 1))]


def resnet50(d):
    resnet(d, ["abc", "abcd", "abcdef", "abc"], bias=True)


def resnet101(d):
    resnet(d, ["abc", letters(3), letters(22), "abc"], bias=False)


def resnet152(d):
    resnet(d, ["abc", letters(7), letters(35), "abc"], bias=False)


def fcn_top(d, window):
    d.conv("fc6", d.fc, window)
    d.dropout("drop6")
    d.conv("fc7", d.fc, 1)
    d.dropout("drop7")
    d.conv("score_fr", d.classes, 1, relu=None)


def fcn_alexnet(d):
    caffenet_features(d, pad=100)
    fcn_top(d, 6)
    d.deconv("upscore", d.classes, 63, 32)
    d.crop("score", d.top, "data", 18)


def fcn32s(d):
    vgg_features(d, (2, 2, 3, 3, 3), pad=100)
    fcn_top(d, 7)
    d.deconv("upscore", d.classes, 64, 32)
    d.crop("score", d.top, "data", 19)


def fcn_fuse(d, pool, offset):
    coarse = d.top
    fine = d.conv(f"score_{pool}", d.classes, 1, pool, relu=None)
    fine = d.crop(f"score_{pool}c", fine, coarse, offset)
    d.add(f"fuse_{pool}", [coarse, fine])


def fcn16s(d):
    vgg_features(d, (2, 2, 3, 3, 3), pad=100)
    fcn_top(d, 7)
    d.deconv("upscore2", d.classes, 4, 2)
    fcn_fuse(d, "pool4", 5)
    d.deconv("upscore16", d.classes, 32, 16)
    d.crop("score", d.top, "data", 27)


def fcn8s(d):
    vgg_features(d, (2, 2, 3, 3, 3), pad=100)
    fcn_top(d, 7)
    d.deconv("upscore2", d.classes, 4, 2)
    fcn_fuse(d, "pool4", 5)
    d.deconv("upscore_pool4", d.classes, 4, 2)
    fcn_fuse(d, "pool3", 9)
    d.deconv("upscore8", d.classes, 16, 8)
    d.crop("score", d.top, "data", 31)
