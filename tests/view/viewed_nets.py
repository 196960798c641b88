"""Prototxts of published nets, written down from their papers' tables."""


def _layer(kind, name, bottoms, top=None, **fields):
    ends = "".join(f' bottom: "{x}"' for x in bottoms)
    body = " ".join(f"{k} {{ {v} }}" for k, v in fields.items())
    return (
        f'layer {{ name: "{name}" type: "{kind}"{ends} top: "{top or name}" {body} }}'
    )


def _image(channels, size, name="data"):
    dims = f"dim: 10 dim: {channels} dim: {size} dim: {size}"
    return _layer("Input", name, [], input_param=f"shape {{ {dims} }}")


def _conv(name, bottom, outputs, kernel, more=""):
    param = f"num_output: {outputs} kernel_size: {kernel} {more}"
    return _layer("Convolution", name, [bottom], convolution_param=param)


def _in_place(kind, name, blob, **fields):
    return _layer(kind, name, [blob], blob, **fields)


def _max(name, bottom, more="kernel_size: 3 stride: 2"):
    return _layer("Pooling", name, [bottom], pooling_param=f"pool: MAX {more}")


def _dense(name, bottom, outputs):
    param = f"num_output: {outputs}"
    return _layer("InnerProduct", name, [bottom], inner_product_param=param)


def alexnet():
    """Krizhevsky's net in two groups: 60,965,224 parameters."""
    lines = ['name: "AlexNet"', _image(3, 227)]
    bottom = "data"
    for at, (outputs, kernel, more) in enumerate(
        [
            (96, 11, "stride: 4"),
            (256, 5, "pad: 2 group: 2"),
            (384, 3, "pad: 1"),
            (384, 3, "pad: 1 group: 2"),
            (256, 3, "pad: 1 group: 2"),
        ],
        start=1,
    ):
        name = f"conv{at}"
        lines += [_conv(name, bottom, outputs, kernel, more)]
        lines += [_in_place("ReLU", f"relu{at}", name)]
        bottom = name
        if at < 3:
            lines += [_layer("LRN", f"norm{at}", [bottom])]
            bottom = f"norm{at}"
        if at in (1, 2, 5):
            lines += [_max(f"pool{at}", bottom)]
            bottom = f"pool{at}"
    for at in (6, 7):
        lines += [
            _dense(f"fc{at}", bottom, 4096),
            _in_place("ReLU", f"r{at}", f"fc{at}"),
        ]
        lines += [_in_place("Dropout", f"drop{at}", f"fc{at}")]
        bottom = f"fc{at}"
    lines += [_dense("fc8", bottom, 1000), _layer("Softmax", "prob", ["fc8"])]
    return "\n".join(lines)


def resnet(blocks=(3, 8, 36, 3), size=224):
    """He's residual net, of 152 layers if not told otherwise, as he wrote it."""
    lines = [f'name: "ResNet-{2 + 3 * sum(blocks)}"', _image(3, size)]

    def conv(name, bottom, outputs, kernel, more="", relu=True):
        lines.append(_conv(name, bottom, outputs, kernel, f"bias_term: false {more}"))
        lines.append(_in_place("BatchNorm", f"bn_{name}", name))
        bias = {"scale_param": "bias_term: true"}
        lines.append(_in_place("Scale", f"scale_{name}", name, **bias))
        if relu:
            lines.append(_in_place("ReLU", f"relu_{name}", name))
        return name

    bottom = conv("conv1", "data", 64, 7, "stride: 2 pad: 3")
    lines.append(_max("pool1", bottom))
    bottom = "pool1"
    for stage, count in enumerate(blocks):
        inner = 64 << stage
        for block in range(count):
            name = f"res{stage + 2}_{block}"
            stride = "stride: 2" if block == 0 and stage else ""
            short = bottom
            if block == 0:
                short = conv(f"{name}_1", bottom, 4 * inner, 1, stride, relu=False)
            x = conv(f"{name}_2a", bottom, inner, 1, stride)
            x = conv(f"{name}_2b", x, inner, 3, "pad: 1")
            x = conv(f"{name}_2c", x, 4 * inner, 1, relu=False)
            lines.append(_layer("Eltwise", name, [short, x]))
            lines.append(_in_place("ReLU", f"{name}_relu", name))
            bottom = name
    whole = "pool: AVE global_pooling: true"
    lines.append(_layer("Pooling", "pool5", [bottom], pooling_param=whole))
    lines.append(_dense("fc1000", "pool5", 1000))
    return "\n".join(lines)


def inception(modules=3, size=28):
    """Szegedy's modules, one behind the other."""
    lines = ['name: "Inception"', _image(192, size)]
    bottom = "data"
    for at in range(modules):
        name = f"inception_{at}"
        lines += [
            _conv(f"{name}/1x1", bottom, 64, 1),
            _conv(f"{name}/3x3_reduce", bottom, 96, 1),
            _conv(f"{name}/3x3", f"{name}/3x3_reduce", 128, 3, "pad: 1"),
            _conv(f"{name}/5x5_reduce", bottom, 16, 1),
            _conv(f"{name}/5x5", f"{name}/5x5_reduce", 32, 5, "pad: 2"),
            _max(f"{name}/pool", bottom, "kernel_size: 3 pad: 1 stride: 1"),
            _conv(f"{name}/pool_proj", f"{name}/pool", 32, 1),
        ]
        parts = ("1x1", "3x3", "5x5", "pool_proj")
        bottom = f"{name}/output"
        lines.append(_layer("Concat", bottom, [f"{name}/{part}" for part in parts]))
    return "\n".join(lines)
