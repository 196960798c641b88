"""A net's published deploy definition under construction, and what follows from it.

Sizes of blobs and shapes of parameters are worked out here by Caffe's own rules, so
that a builder can be held against them without any of the package's code.
"""

from collections.abc import Callable
from math import ceil, prod, sqrt
from typing import NamedTuple

import numpy as np
from golden_pattern import pattern

MEAN_OF_ALL = "global"  # a pooling with `global_pooling: true`


class Definition:
    """A net under construction: prototxt, shapes of blobs and of parameters."""

    def __init__(self, name, size, fc=4096, classes=1000, data="data", channels=3):
        sizes = (size, size) if isinstance(size, int) else size
        self.name, self.fc, self.classes = name, fc, classes
        self.blobs = {}  # name -> channels, height, width
        self.given = []  # names of the blobs that are not computed
        self.params = {}  # layer -> shapes in Caffe's layout
        self.kinds = {}  # layer -> type
        self.ends = {}  # layer -> names of its bottoms, and its top
        self.values = {}  # name of a blob that is given -> what it must hold
        self.lines = [f'name: "{name}"']
        self.input(data, (channels, *sizes))

    def input(self, name, shape, values=None):
        """A blob that is given, of one item; values if not any will do."""
        if values is not None:
            self.values[name] = values
        dims = " ".join(f"dim: {d}" for d in (1, *shape))
        self.lines.append(
            f'layer {{ name: "{name}" type: "Input" top: "{name}" '
            f"input_param {{ shape {{ {dims} }} }} }}"
        )
        self.blobs[name], self.top = shape, name
        self.given.append(name)

    @property
    def prototxt(self):
        return "\n".join(self.lines) + "\n"

    def layer(self, kind, name, bottoms, top, shape, params=(), **message):
        for param, fields in message.items():
            lists = {k: v if isinstance(v, list) else [v] for k, v in fields.items()}
            body = " ".join(f"{key}: {v}" for key, vs in lists.items() for v in vs)
            message[param] = f" {param} {{ {body} }}"
        ends = "".join(f' bottom: "{bottom}"' for bottom in bottoms)
        self.lines.append(
            f'layer {{ name: "{name}" type: "{kind}"{ends} top: "{top}"'
            f"{''.join(message.values())} }}"
        )
        assert name not in self.kinds, name
        self.kinds[name], self.blobs[top], self.top = kind, shape, top
        self.ends[name] = bottoms, top
        if params:
            self.params[name] = tuple(params)
        return top

    def in_place(self, kind, name, **message):
        return self.layer(
            kind, name, [self.top], self.top, self.blobs[self.top], **message
        )

    def relu(self, name):
        return self.in_place("ReLU", name)

    def prelu(self, name):
        self.params[name] = ((self.blobs[self.top][0],),)
        return self.in_place("PReLU", name)

    def dropout(self, name, ratio=0.5):
        return self.in_place("Dropout", name, dropout_param={"dropout_ratio": ratio})

    def conv(
        self,
        name,
        n,
        k,
        bottom=None,
        s=1,
        p=0,
        g=1,
        bias=True,
        relu="relu_",
        top=None,
        dilation=1,
    ):
        bottom = bottom or self.top
        c, *sides = self.blobs[bottom]
        window = k if isinstance(k, tuple) else (k, k)
        reach = [dilation * (one - 1) + 1 for one in window]
        pairs = zip(sides, reach, strict=True)
        shape = (n, *((side + 2 * p - one) // s + 1 for side, one in pairs))
        sizes = dict(zip(("kernel_h", "kernel_w"), window, strict=True))
        fields = {"num_output": n, "stride": s, "pad": p, "group": g}
        fields |= sizes if isinstance(k, tuple) else {"kernel_size": k}
        fields |= {} if dilation == 1 else {"dilation": dilation}
        fields |= {} if bias else {"bias_term": "false"}
        params = [(n, c // g, *window), (n,)][: 1 + bias]
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

    def holed(self, name, n, hole):
        """DeepLab's 3x3 convolution, whose dilation is called `hole`."""
        bottom, (c, *sides) = self.top, self.blobs[self.top]
        fields = {"num_output": n, "kernel_size": 3, "pad": hole}
        fields |= {} if hole == 1 else {"hole": hole}
        params, ends = [(n, c, 3, 3), (n,)], ([bottom], name)
        return self.layer(
            "Convolution", name, *ends, (n, *sides), params, convolution_param=fields
        )

    def deconv(self, name, n, k, s, p=0, bias=False, top=None):
        c, h, w = self.blobs[self.top]
        shape = (n, *(s * (side - 1) + k - 2 * p for side in (h, w)))
        fields = {"num_output": n, "kernel_size": k, "stride": s, "pad": p}
        fields |= {} if bias else {"bias_term": "false"}
        return self.layer(
            "Deconvolution",
            name,
            [self.top],
            top or name,
            shape,
            [(c, n, k, k), (n,)][: 1 + bias],
            convolution_param=fields,
        )

    def pool(self, name, k, s=1, kind="MAX", bottom=None, p=0, floor=False):
        bottom = bottom or self.top
        c, *sides = self.blobs[bottom]
        if floor:
            shape = (c, *((side + 2 * p - k) // s + 1 for side in sides))
            fields = {"pool": kind, "kernel_size": k, "stride": s, "pad": p}
            fields["round_mode"] = "FLOOR"
            return self.layer(
                "Pooling", name, [bottom], name, shape, pooling_param=fields
            )
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

    def masked_pool(self, name, bottom=None):
        """SegNet's pooling, which also tells where each maximum was."""
        bottom = bottom or self.top
        c, *sides = self.blobs[bottom]
        shape, mask = (c, *(ceil(side / 2) for side in sides)), f"{name}_mask"
        self.lines.append(
            f'layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" '
            f'top: "{name}" top: "{mask}" '
            "pooling_param { pool: MAX kernel_size: 2 stride: 2 } }"
        )
        self.kinds[name], self.ends[name] = "Pooling", ([bottom], name)
        self.ends[mask] = [bottom], mask
        self.blobs[name] = self.blobs[mask] = shape
        self.top = name
        return name

    def unpool(self, name, mask, size=None, top=None):
        c, *sides = self.blobs[self.top]
        fields = {"scale": 2}
        fields |= dict(zip(("upsample_h", "upsample_w"), size or (), strict=False))
        shape = (c, *(size or (2 * side for side in sides)))
        ends = [self.top, mask], top or name
        return self.layer("Upsample", name, *ends, shape, upsample_param=fields)

    def interp(self, name, size, **fields):
        shape = (self.blobs[self.top][0], *size)
        return self.layer("Interp", name, [self.top], name, shape, interp_param=fields)

    def segnet_bn(self, name, top=None):
        """SegNet's BN, whose statistics are merged into its factors and offsets."""
        top, shape = top or self.top, self.blobs[self.top]
        fields, blob = {"bn_mode": "INFERENCE"}, (1, shape[0], 1, 1)
        return self.layer(
            "BN", name, [self.top], top, shape, [blob] * 2, bn_param=fields
        )

    def pspnet_bn(self, name):
        """PSPNet's BN: factors, offsets, means and variances."""
        self.params[name] = ((1, self.blobs[self.top][0], 1, 1),) * 4
        return self.in_place("BN", name, bn_param={"frozen": "true", "momentum": 0.95})

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

    def concat(self, name, bottoms, top=None):
        channels = sum(self.blobs[bottom][0] for bottom in bottoms)
        shape = (channels, *self.blobs[bottoms[0]][1:])
        return self.layer("Concat", name, bottoms, top or name, shape)

    def add(self, name, bottoms):
        return self.layer("Eltwise", name, bottoms, name, self.blobs[bottoms[0]])

    def cut(self, name, bottom, tops, at):
        """Slice in two along the channels."""
        c, *sides = self.blobs[bottom]
        ends = "".join(f' top: "{top}"' for top in tops)
        self.lines.append(
            f'layer {{ name: "{name}" type: "Slice" bottom: "{bottom}"{ends} '
            f"slice_param {{ slice_point: {at} axis: 1 }} }}"
        )
        self.kinds[name] = "Slice"
        for top, n in zip(tops, (at, c - at), strict=True):
            self.blobs[top] = (n, *sides)

    def crop(self, name, bottom, like, offset):
        shape = (self.blobs[bottom][0], *self.blobs[like][1:])
        fields = {"axis": 2, "offset": offset}
        return self.layer("Crop", name, [bottom, like], name, shape, crop_param=fields)

    def norm_scale(self, norm, scale, eps=None):
        self.bn(norm, eps=eps)
        self.factors(scale)

    def bn(self, name, top=None, eps=None):
        """BatchNorm in place, or with a blob of its own."""
        top, shape = top or self.top, self.blobs[self.top]
        fields = {"use_global_stats": "true"} | ({"eps": eps} if eps else {})
        self.layer("BatchNorm", name, [self.top], top, shape, batch_norm_param=fields)
        self.params[name] = ((shape[0],), (shape[0],), (1,))

    def factors(self, name, top=None, bias=True):
        """Scale in place, or with a blob of its own."""
        top, shape = top or self.top, self.blobs[self.top]
        fields = {"bias_term": "true"} if bias else {}
        self.layer("Scale", name, [self.top], top, shape, scale_param=fields)
        self.params[name] = ((shape[0],), (shape[0],))[: 1 + bias]

    def squeeze(self, name, ratio=16):
        """The weights of a block's channels."""
        channels = self.blobs[self.top][0]
        self.pool(f"{name}_global_pool", MEAN_OF_ALL, kind="AVE")
        self.conv(f"{name}_1x1_down", channels // ratio, 1, relu=None)
        self.relu(f"{name}_1x1_down/relu")
        self.conv(f"{name}_1x1_up", channels, 1, relu=None)
        return self.in_place("Sigmoid", f"{name}_prob")

    def softmax(self, name="prob", bottom=None):
        bottom = bottom or self.top
        return self.layer("Softmax", name, [bottom], name, self.blobs[bottom])

    def classifier(self, head="fc8", fc7=None, prob=True):
        self.ip("fc6", self.fc, relu="relu6")
        self.dropout("drop6")
        self.ip("fc7", fc7 or self.fc, relu="relu7")
        self.dropout("drop7")
        self.ip(head, self.classes)
        if prob:
            self.softmax()


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
        elif definition.kinds[name] in ("Scale", "BN"):
            size = 0.2 if name.endswith(("branch2c", "increase/bn")) else 1.0
            values = [size * (1 + pattern(shapes[0], 3 * j, 0.4))]
            values += [pattern(shape, 3 * j + 1, 0.2) for shape in shapes[1:3]]
            values += [1 + pattern(shape, 3 * j + 1, 1.0) for shape in shapes[3:]]
        else:
            spread = sqrt(24 / prod(shapes[0][1:])) * 0.9
            values = [pattern(shapes[0], 3 * j, spread)]
            values += [pattern(shape, 3 * j + 1, 0.2) for shape in shapes[1:]]
        arrays[name] = [value.astype("float32") for value in values]
    return arrays


class Other(NamedTuple):
    """What holds for one net that is no classifier, whatever it was trained on.

    Attributes:
        layers: Writes its published definition down.
        size: Height and width of the definition's image, a number if they are the same.
        parameters: How many numbers the definition learns.
        outputs: Caffe's names of its outputs.
        classes: What its outputs are for; None if they are not for classes.
        data: Caffe's name of the image.
        channels: The image's channels.
        other_sizes: Sizes of other images that it takes; none if it takes only its own.
        quick: Whether it is built in the quick tests.
    """

    layers: Callable
    size: int | tuple[int, int]
    parameters: int
    outputs: tuple[str, ...]
    classes: int | None = None
    data: str = "data"
    channels: int = 3
    other_sizes: tuple[tuple[int, int], ...] = ()
    quick: bool = False

    @property
    def sides(self):
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)
