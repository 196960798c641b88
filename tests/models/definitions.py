"""The nets' published deploy definitions in a compact form, and what follows from them.

Each function writes down what the authors' prototxt says, in Caffe's terms and order.
Sizes of blobs and shapes of parameters are worked out here by Caffe's own rules, so
that a builder can be held against them without any of the package's code.
"""

from math import ceil, prod, sqrt

import numpy as np
from golden_pattern import pattern

MEAN_OF_ALL = "global"  # a pooling with `global_pooling: true`


class Definition:
    """A net under construction: prototxt, shapes of blobs and of parameters."""

    def __init__(self, name, size, fc=4096, classes=1000, batch=1):
        sizes = (size, size) if isinstance(size, int) else size
        self.name, self.fc, self.classes = name, fc, classes
        self.top = "data"
        self.blobs = {"data": (3, *sizes)}  # name -> channels, height, width
        self.params = {}  # layer -> shapes in Caffe's layout
        self.kinds = {}  # layer -> type
        dims = " ".join(f"dim: {d}" for d in (batch, 3, *sizes))
        self.lines = [
            f'name: "{name}"',
            'layer { name: "data" type: "Input" top: "data" '
            f"input_param {{ shape {{ {dims} }} }} }}",
        ]

    @property
    def prototxt(self):
        return "\n".join(self.lines) + "\n"

    def layer(self, kind, name, bottoms, top, shape, params=(), **message):
        for param, fields in message.items():
            body = " ".join(f"{key}: {value}" for key, value in fields.items())
            message[param] = f" {param} {{ {body} }}"
        ends = "".join(f' bottom: "{bottom}"' for bottom in bottoms)
        self.lines.append(
            f'layer {{ name: "{name}" type: "{kind}"{ends} top: "{top}"'
            f"{''.join(message.values())} }}"
        )
        assert name not in self.kinds, name
        self.kinds[name], self.blobs[top], self.top = kind, shape, top
        if params:
            self.params[name] = tuple(params)
        return top

    def in_place(self, kind, name, **message):
        return self.layer(
            kind, name, [self.top], self.top, self.blobs[self.top], **message
        )

    def relu(self, name):
        return self.in_place("ReLU", name)

    def dropout(self, name, ratio=0.5):
        return self.in_place("Dropout", name, dropout_param={"dropout_ratio": ratio})

    def conv(
        self, name, n, k, bottom=None, s=1, p=0, g=1, bias=True, relu="relu_", top=None
    ):
        bottom = bottom or self.top
        c, h, w = self.blobs[bottom]
        shape = (n, *((side + 2 * p - k) // s + 1 for side in (h, w)))
        fields = {"num_output": n, "kernel_size": k, "stride": s, "pad": p, "group": g}
        fields |= {} if bias else {"bias_term": "false"}
        params = [(n, c // g, k, k), (n,)][: 1 + bias]
        top = self.layer(
            "Convolution",
            name,
            [bottom],
            top or name,
            shape,
            params,
            convolution_param=fields,
        )
        return self.relu(relu + name) if relu else top

    def deconv(self, name, n, k, s):
        c, h, w = self.blobs[self.top]
        shape = (n, *(s * (side - 1) + k for side in (h, w)))
        fields = {"num_output": n, "kernel_size": k, "stride": s, "bias_term": "false"}
        return self.layer(
            "Deconvolution",
            name,
            [self.top],
            name,
            shape,
            [(c, n, k, k)],
            convolution_param=fields,
        )

    def pool(self, name, k, s=1, kind="MAX", bottom=None, p=0):
        bottom = bottom or self.top
        c, *sides = self.blobs[bottom]
        if k == MEAN_OF_ALL:
            fields = {"pool": kind, "global_pooling": "true"}
            return self.layer(
                "Pooling", name, [bottom], name, (c, 1, 1), pooling_param=fields
            )
        shape = [ceil((side + 2 * p - k) / s) + 1 for side in sides]
        if p:
            last = [(n - 1) * s for n in shape]
            clip = zip(shape, last, sides, strict=True)
            shape = [n - (at >= side + p) for n, at, side in clip]
        fields = {"pool": kind, "kernel_size": k, "stride": s, "pad": p}
        return self.layer(
            "Pooling", name, [bottom], name, (c, *shape), pooling_param=fields
        )

    def lrn(self, name, alpha, k=1.0):
        fields = {"local_size": 5, "alpha": alpha, "beta": 0.75, "k": k}
        shape = self.blobs[self.top]
        return self.layer("LRN", name, [self.top], name, shape, lrn_param=fields)

    def ip(self, name, n, bottom=None, relu=None):
        bottom = bottom or self.top
        inputs = 1
        for side in self.blobs[bottom]:
            inputs *= side
        top = self.layer(
            "InnerProduct",
            name,
            [bottom],
            name,
            (n,),
            [(n, inputs), (n,)],
            inner_product_param={"num_output": n},
        )
        return self.relu(relu) if relu else top

    def concat(self, name, bottoms):
        channels = sum(self.blobs[bottom][0] for bottom in bottoms)
        shape = (channels, *self.blobs[bottoms[0]][1:])
        return self.layer("Concat", name, bottoms, name, shape)

    def add(self, name, bottoms):
        return self.layer("Eltwise", name, bottoms, name, self.blobs[bottoms[0]])

    def crop(self, name, bottom, like, offset):
        shape = (self.blobs[bottom][0], *self.blobs[like][1:])
        fields = {"axis": 2, "offset": offset}
        return self.layer("Crop", name, [bottom, like], name, shape, crop_param=fields)

    def norm_scale(self, norm, scale):
        channels = self.blobs[self.top][0]
        self.in_place("BatchNorm", norm, batch_norm_param={"use_global_stats": "true"})
        self.params[norm] = ((channels,), (channels,), (1,))
        self.in_place("Scale", scale, scale_param={"bias_term": "true"})
        self.params[scale] = ((channels,), (channels,))

    def softmax(self, name="prob"):
        return self.layer("Softmax", name, [self.top], name, self.blobs[self.top])

    def classifier(self, head="fc8", fc7=None, prob=True):
        self.ip("fc6", self.fc, relu="relu6")
        self.dropout("drop6")
        self.ip("fc7", fc7 or self.fc, relu="relu7")
        self.dropout("drop7")
        self.ip(head, self.classes)
        if prob:
            self.softmax()


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


# name: layers, side of the image, classes, parameters of the published file
NETS = {
    "alexnet": (alexnet, 227, 1000, 60_965_224),
    "caffenet": (caffenet, 227, 1000, 60_965_224),
    "rcnn_ilsvrc13": (rcnn_ilsvrc13, 227, 200, 57_687_624),
    "flickr_style": (flickr_style, 227, 20, 56_950_164),
    "places205_alexnet": (caffenet, 227, 205, 57_708_109),
    "hybrid_cnn": (caffenet, 227, 1183, 61_714_975),
    "vgg_cnn_f": (vgg_cnn_f, 224, 1000, 60_834_536),
    "vgg_cnn_m": (vgg_cnn_m, 224, 1000, 102_908_520),
    "vgg_cnn_s": (vgg_cnn_s, 224, 1000, 102_908_520),
    "vgg_cnn_m_128": (vgg_cnn_m_128, 224, 1000, 82_683_624),
    "vgg_cnn_m_1024": (vgg_cnn_m_1024, 224, 1000, 87_250_536),
    "vgg_cnn_m_2048": (vgg_cnn_m_2048, 224, 1000, 92_469_864),
    "vgg16": (vgg16, 224, 1000, 138_357_544),
    "vgg19": (vgg19, 224, 1000, 143_667_240),
    "googlenet": (googlenet, 224, 1000, 13_378_280),
    "nin": (nin, 224, 1000, 7_595_176),
    "squeezenet_v1_0": (squeezenet_v1_0, 227, 1000, 1_248_424),
    "squeezenet_v1_1": (squeezenet_v1_1, 227, 1000, 1_235_496),
    "resnet50": (resnet50, 224, 1000, 25_610_269),
    "resnet101": (resnet101, 224, 1000, 44_654_608),
    "resnet152": (resnet152, 224, 1000, 60_344_387),
    "fcn_alexnet": (fcn_alexnet, (60, 40), 21, 58_704_590),
    "fcn32s": (fcn32s, (60, 40), 21, 136_152_917),
    "fcn16s": (fcn16s, (60, 40), 21, 134_815_994),
    "fcn8s": (fcn8s, (60, 40), 21, 134_489_759),
}


def define(name, fc=4096):
    """Return a net's published definition, with fc6 and fc7 of `fc` units."""
    layers, size, classes, _ = NETS[name]
    definition = Definition(name, size, fc, classes)
    layers(definition)
    return definition


def formula_params(definition):
    """Return arrays in Caffe's layout for all parameters, made by the goldens' formula.

    Values keep about the same size from layer to layer.
    """
    arrays = {}
    for j, (name, shapes) in enumerate(definition.params.items()):
        if definition.kinds[name] == "BatchNorm":
            weights = 999.98  # Caffe's sum of weights after some thousand iterations
            mean = pattern(shapes[0], 3 * j, 0.2) * weights
            variance = (1 + pattern(shapes[1], 3 * j + 1, 1.0)) * weights
            values = [mean, variance, np.array([weights])]
        elif definition.kinds[name] == "Scale":
            size = 0.2 if name.endswith("branch2c") else 1.0
            values = [size * (1 + pattern(shapes[0], 3 * j, 0.4))]
            values.append(pattern(shapes[1], 3 * j + 1, 0.2))
        else:
            spread = sqrt(24 / prod(shapes[0][1:])) * 0.9
            values = [pattern(shapes[0], 3 * j, spread)]
            values += [pattern(shape, 3 * j + 1, 0.2) for shape in shapes[1:]]
        arrays[name] = [value.astype("float32") for value in values]
    return arrays
