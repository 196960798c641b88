"""Layers of random configurations through `from_caffe`, against plain NumPy."""

import caffe_reference as caffe
import numpy as np
import pytest
from one_layer import assert_close, dims, normal
from support import seeds

SEEDS = seeds(3, 12)


def window_text(names, values):
    return " ".join(
        f"{name}: {v}"
        for name, numbers in zip(names, values, strict=True)
        for v in numbers
    )


def convolution(rng, rank, transposed):
    """Return a random convolution: its text, input, parameters and settings."""
    group = int(rng.choice([1, 1, 2, 3]))
    channels = group * int(rng.integers(1, 3))
    filters = group * int(rng.integers(1, 4))
    if transposed and rng.random() < 0.4:
        group = channels = int(rng.integers(2, 5))
        filters = group * int(rng.integers(1, 3))
    window = [int(k) for k in rng.integers(1, 5, rank)]
    stride = [int(s) for s in rng.integers(1, 4, rank)]
    dilation = [int(d) for d in rng.integers(1, 3, rank)]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    pad = [int(rng.integers(0, r)) for r in reach]
    sizes = [int(r + rng.integers(0, 6)) for r in reach]
    if transposed:
        pad = [min(p, (r - 1) // 2) for p, r in zip(pad, reach, strict=True)]
        sizes = [int(n) for n in rng.integers(2, 6, rank)]
    shape = (filters, channels // group)
    if transposed:
        shape = (channels, filters // group)
    weight, bias = normal(rng, *shape, *window), normal(rng, filters)
    biased = bool(rng.integers(2))
    names = ("kernel_size", "stride", "pad", "dilation")
    text = window_text(names, (window, stride, pad, dilation))
    text = (
        f"num_output: {filters} group: {group} {text} bias_term: {str(biased).lower()}"
    )
    x = normal(rng, 2, channels, *sizes)
    settings = (weight, bias if biased else None, stride, pad, dilation, group)
    return text, x, settings


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("seed", SEEDS)
def test_convolution(run, rng, kind, rank):
    transposed = kind == "Deconvolution"
    text, x, settings = convolution(rng, rank, transposed)
    expected = (caffe.deconv if transposed else caffe.conv)(x, *settings)
    params = [p for p in settings[:2] if p is not None]
    y = run(kind, {"x": x}, f"convolution_param {{ {text} }}", params)
    assert_close(y, expected)


@pytest.mark.parametrize("seed", seeds(1, 4))
@pytest.mark.parametrize("axis", [2, -1, -2, 3])
def test_convolution_over_other_axes(run, rng, axis):
    x = normal(rng, 2, 3, 4, 6)
    at = axis % 4
    rank = 3 - at
    weight, bias = normal(rng, 5, x.shape[at], *[2] * rank), normal(rng, 5)
    flat = x.reshape(-1, *x.shape[at:])
    ones = [1] * rank
    expected = caffe.conv(flat, weight, bias, ones, [0] * rank, ones, 1)
    expected = expected.reshape(*x.shape[:at], *expected.shape[1:])
    window = "kernel_size: 2" if rank else ""
    text = f"convolution_param {{ num_output: 5 {window} axis: {axis} }}"
    assert_close(run("Convolution", {"x": x}, text, [weight, bias]), expected)


@pytest.mark.parametrize("seed", seeds(1, 3))
@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_one_filter_on_each_bottom(run, rng, kind):
    a, b = normal(rng, 2, 3, 5, 6), normal(rng, 1, 3, 4, 4)
    weight = normal(rng, *((4, 3) if kind == "Convolution" else (3, 4)), 2, 2)
    bias = normal(rng, 4)
    text = "convolution_param { num_output: 4 kernel_size: 2 }"
    tops = ("u", "v")
    found = run(kind, {"a": a, "b": b}, text, [weight, bias], tops)
    compute = caffe.conv if kind == "Convolution" else caffe.deconv
    for x, y in zip((a, b), found, strict=True):
        assert_close(y, compute(x, weight, bias, [1, 1], [0, 0], [1, 1], 1))


@pytest.mark.parametrize("seed", seeds(5, 25))
@pytest.mark.parametrize("kind", ["MAX", "AVE", "STOCHASTIC"])
def test_pooling(run, rng, kind):
    kernel = rng.integers(1, 5, 2)
    stride = rng.integers(1, 5, 2)
    pad = np.array([int(rng.integers(0, k)) for k in kernel])
    pad *= kind != "STOCHASTIC" and bool(rng.integers(2))
    sizes = kernel + rng.integers(0, 8, 2)
    floor = bool(rng.integers(2))
    x = normal(rng, 2, 3, *sizes)
    if kind == "MAX":
        x = np.round(x * 2)  # so that there are equal values
    if kind == "STOCHASTIC":
        x = np.maximum(x, 0)  # Caffe's own sums would cancel
    names = [f"{n}_{s}" for n in ("kernel", "stride", "pad") for s in "hw"]
    values = [[int(v)] for pair in (kernel, stride, pad) for v in pair]
    text = f"pool: {kind} round_mode: {'FLOOR' if floor else 'CEIL'} "
    text = f"pooling_param {{ {text} {window_text(names, values)} }}"
    expected, mask = caffe.pool(x, kind, kernel, stride, pad, floor)
    assert_close(run("Pooling", {"x": x}, text), expected)
    if kind == "MAX":
        y, places = run("Pooling", {"x": x}, text, tops=("y", "mask"))
        assert_close(y, expected)
        np.testing.assert_array_equal(places, mask)


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("kind", ["MAX", "AVE", "STOCHASTIC"])
def test_global_pooling(run, rng, kind):
    x = abs(normal(rng, 2, 3, 5, 4))
    text = f"pooling_param {{ pool: {kind} global_pooling: true }}"
    expected, mask = caffe.pool(x, kind, (5, 4), (1, 1), (0, 0))
    assert_close(run("Pooling", {"x": x}, text), expected)
    if kind == "MAX":
        y, places = run("Pooling", {"x": x}, text, tops=("y", "mask"))
        np.testing.assert_array_equal(places, mask)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["MAX", "AVE"])
def test_spp(run, rng, kind):
    height = int(rng.integers(1, 4))
    least = {1: 1, 2: 3, 3: 9}[height]
    x = normal(rng, 2, 3, *rng.integers(least, least + 9, 2))
    text = f"spp_param {{ pyramid_height: {height} pool: {kind} }}"
    assert_close(run("SPP", {"x": x}, text), caffe.spp(x, height, kind))


@pytest.mark.parametrize("seed", SEEDS)
def test_im2col(run, rng):
    kernel, stride = rng.integers(1, 4, 2), rng.integers(1, 4, 2)
    dilation, pad = rng.integers(1, 3, 2), rng.integers(0, 3, 2)
    x = normal(rng, 2, 3, *(dilation * (kernel - 1) + 1 + rng.integers(0, 5, 2)))
    names = ("kernel_size", "stride", "pad", "dilation")
    text = window_text(names, (kernel, stride, pad, dilation))
    y = run("Im2col", {"x": x}, f"convolution_param {{ {text} }}")
    assert_close(y, caffe.im2col(x, kernel, stride, pad, dilation))


SHAPES = [(5,), (3, 5), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 4, 3)]


@pytest.mark.parametrize("seed", seeds(1, 3))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transpose", [False, True])
def test_inner_product(run, rng, shape, transpose):
    for axis in range(-len(shape), len(shape)):
        x = normal(rng, *shape)
        at = axis % len(shape)
        flat = x.reshape(*shape[:at], -1).astype("f8")
        weight, bias = normal(rng, 6, flat.shape[-1]), normal(rng, 6)
        biased = bool(rng.integers(2))
        text = f"num_output: 6 axis: {axis} bias_term: {str(biased).lower()}"
        text += f" transpose: {str(transpose).lower()}"
        params = [weight.T if transpose else weight] + [bias] * biased
        y = run("InnerProduct", {"x": x}, f"inner_product_param {{ {text} }}", params)
        assert_close(y, flat @ weight.T + (bias if biased else 0))


def along(shape, values, axis):
    """Return values shaped to meet a blob from an axis on."""
    after = len(shape) - axis - values.ndim
    return values.reshape(values.shape + (1,) * after)


@pytest.mark.parametrize("seed", seeds(1, 3))
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("kind", ["Scale", "Bias"])
def test_scale_and_bias(run, rng, shape, kind):
    rank = len(shape)
    for axis in range(-rank, rank):
        at = axis % rank
        for num_axes in (-1, *range(rank - at + 1)):
            x = normal(rng, *shape)
            count = rank - at if num_axes == -1 else num_axes
            own = shape[at : at + count]
            params = [normal(rng, *own)]
            name = kind.lower()
            text = f"axis: {axis} num_axes: {num_axes}"
            if kind == "Scale" and rng.integers(2):
                params.append(normal(rng, *own))
                text += " bias_term: true"
            terms = [along(shape, p, at) for p in params]
            if kind == "Bias":
                expected = x + terms[0]
            else:
                expected = x.astype("f8") * terms[0] + (terms + [0])[1]
            y = run(kind, {"x": x}, f"{name}_param {{ {text} }}", params)
            assert_close(y, expected)


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("kind", ["Scale", "Bias"])
def test_scale_and_bias_of_two_bottoms(run, rng, kind):
    for shape in SHAPES[1:]:
        rank = len(shape)
        for at in range(rank):
            for end in range(at + 1, rank + 1):
                x, s = normal(rng, *shape), normal(rng, *shape[at:end])
                term = along(shape, s, at)
                params, text, offset = [], f"axis: {at}", 0
                if kind == "Scale" and rng.integers(2):
                    params, text = [normal(rng, *s.shape)], text + " bias_term: true"
                    offset = along(shape, params[0], at)
                expected = x * term + offset if kind == "Scale" else x + term
                text = f"{kind.lower()}_param {{ {text} }}"
                assert_close(run(kind, {"x": x, "s": s}, text, params), expected)


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [0, 1, 3.7])
def test_batch_norm(run, rng, shape, factor):
    x = normal(rng, *shape)
    channels = shape[1] if len(shape) > 1 else 1
    mean, variance = normal(rng, channels), rng.uniform(0.5, 2, channels)
    params = [mean, variance, np.array([factor])]
    scale = 0 if factor == 0 else 1 / factor
    own = (1, channels, *[1] * (len(shape) - 2)) if len(shape) > 1 else (1,)
    mean, variance = (v.reshape(own) * scale for v in (mean, variance))
    text = "batch_norm_param { eps: 0.01 }"
    y = run("BatchNorm", {"x": x}, text, params)
    assert_close(y, (x - mean) / np.sqrt(variance + np.float32(0.01)))


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_of_the_batch_itself(run, rng, shape):
    x = normal(rng, *shape)
    channels = shape[1] if len(shape) > 1 else 1
    axes = tuple(i for i in range(len(shape)) if i != 1) if len(shape) > 1 else None
    mean = x.mean(axes, keepdims=True, dtype="f8")
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    params = [normal(rng, channels), normal(rng, channels) ** 2, np.ones(1)]
    text = "batch_norm_param { use_global_stats: false }"
    y = run("BatchNorm", {"x": x}, text, params)
    assert_close(y, (x - mean) / np.sqrt(variance + 1e-5), 1e-5)


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("shape", SHAPES[1:4])
@pytest.mark.parametrize("across", ["true", "false"])
@pytest.mark.parametrize("divide", ["true", "false"])
def test_mvn(run, rng, shape, across, divide):
    x = normal(rng, *shape)
    axes = tuple(range(1 if across == "true" else 2, len(shape)))
    y = x - x.mean(axes, keepdims=True, dtype="f8")
    if divide == "true":
        y = y / (np.sqrt((y**2).mean(axes, keepdims=True)) + np.float32(0.1))
    text = f"across_channels: {across} normalize_variance: {divide} eps: 0.1"
    y = y.reshape(*shape, *[1] * (4 - len(shape)))  # Caffe's top has four axes
    assert_close(run("MVN", {"x": x}, f"mvn_param {{ {text} }}"), y)


@pytest.mark.parametrize("seed", seeds(1, 3))
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(run, rng, shape):
    for axis in range(-len(shape), len(shape)):
        x = normal(rng, *shape) * 5
        y = np.exp(x - x.max(axis, keepdims=True).astype("f8"))
        expected = y / y.sum(axis, keepdims=True)
        y = run("Softmax", {"x": x}, f"softmax_param {{ axis: {axis} }}")
        assert_close(y, expected)


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("shape", SHAPES)
def test_concat_slice_tile(run, rng, shape):
    for axis in range(-len(shape), len(shape)):
        at = axis % len(shape)
        longer = (*shape[:at], shape[at] + 2, *shape[at + 1 :])
        a, b, c = normal(rng, *shape), normal(rng, *longer), normal(rng, *shape)
        text = f"concat_param {{ axis: {axis} }}"
        y = run("Concat", {"a": a, "b": b, "c": c}, text)
        np.testing.assert_array_equal(y, np.concatenate([a, b, c], axis))
        points = sorted(rng.permutation(range(1, longer[at]))[:2])
        text = " ".join(f"slice_point: {p}" for p in points)
        tops = ("y", "z", "w") if len(points) == 2 else ("y", "z")
        found = run(
            "Slice", {"b": b}, f"slice_param {{ axis: {axis} {text} }}", (), tops
        )
        for part, expected in zip(found, np.split(b, points, axis), strict=True):
            np.testing.assert_array_equal(part, expected)
        y = run("Tile", {"a": a}, f"tile_param {{ axis: {axis} tiles: 3 }}")
        np.testing.assert_array_equal(y, np.concatenate([a] * 3, axis))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0])
def test_flatten(run, rng, shape):
    for axis in range(len(shape)):
        for end in range(axis, len(shape)):
            x = normal(rng, *shape)
            for last in (end, end - len(shape)):
                text = f"flatten_param {{ axis: {axis} end_axis: {last} }}"
                expected = x.reshape(*shape[:axis], -1, *shape[end + 1 :])
                np.testing.assert_array_equal(run("Flatten", {"x": x}, text), expected)


@pytest.mark.parametrize(
    ("shape", "sizes", "axis", "num_axes", "expected"),
    [
        ((2, 6, 4, 3), (0, -1), 0, -1, (2, 72)),
        ((2, 6, 4, 3), (0, 0, -1), 0, -1, (2, 6, 12)),
        ((2, 6, 4, 3), (-1, 3), 0, -1, (48, 3)),
        ((2, 6, 4, 3), (-1, 9), 0, -1, (16, 9)),
        ((2, 6, 4, 3), (-1, 16), 0, -1, (9, 16)),
        ((2, 6, 4, 3), (2, 3, 2, 12), 0, -1, (2, 3, 2, 12)),
        ((2, 6, 4, 3), (4, -1), 0, -1, (4, 36)),
        ((2, 6, 4, 3), (-1,), 0, -1, (144,)),
        ((2, 6, 4, 3), (1,), 0, 0, (1, 2, 6, 4, 3)),
        ((2, 6, 4, 3), (1, 1), -1, 0, (2, 6, 4, 3, 1, 1)),
        ((2, 6, 4, 3), (2, 6), -1, -1, None),
        ((2, 6, 4, 3), (2, 6), 2, 1, None),
        ((2, 6, 4, 3), (2, 6), 2, 2, (2, 6, 2, 6)),
        ((2, 6, 4, 3), (2, 2), -3, 1, (2, 6, 2, 2, 3)),
        ((2, 6, 4, 3), (0, 2, -1, 0), 0, -1, (2, 2, 12, 3)),
        ((2, 6, 4, 6), (0, 2, -1, 6), 0, -1, (2, 2, 12, 6)),
        ((2, 24), (2, 3, 4), 1, 1, (2, 2, 3, 4)),
        ((2, 24), (0, 2, 3, 4), 0, -1, (2, 2, 3, 4)),
        ((2, 3, 8), (0, 0, 2, 4), 0, -1, (2, 3, 2, 4)),
        ((2, 3, 2, 2, 2), (0, 0, 0, -1), 0, -1, (2, 3, 2, 4)),
    ],
)
def test_reshape(run, shape, sizes, axis, num_axes, expected):
    x = normal(np.random.default_rng(0), *shape)
    text = f"axis: {axis} num_axes: {num_axes} shape {{ {dims(sizes)} }}"
    text = f"reshape_param {{ {text} }}"
    if expected is None:
        with pytest.raises(ValueError, match=r"'y': \(Reshape\)"):
            run("Reshape", {"x": x}, text)
        return
    y = run("Reshape", {"x": x}, text)
    np.testing.assert_array_equal(y, x.reshape(expected))


@pytest.mark.parametrize("seed", SEEDS)
def test_crop(run, rng):
    rank = int(rng.integers(1, 6))
    axis = int(rng.integers(-rank, rank))
    part = rng.integers(1, 5, rank)
    room = rng.integers(0, 4, rank)
    room[: axis % rank] = 0
    offsets = [int(rng.integers(0, r + 1)) for r in room[axis % rank :]]
    if rng.random() < 0.3:
        offsets = [min(offsets)]
    x, reference = normal(rng, *(part + room)), normal(rng, *part)
    text = " ".join(f"offset: {offset}" for offset in offsets)
    y = run("Crop", {"x": x, "r": reference}, f"crop_param {{ axis: {axis} {text} }}")
    starts = [0] * (axis % rank) + (
        offsets if len(offsets) > 1 else offsets * (rank - axis % rank)
    )
    cut = tuple(slice(s, s + p) for s, p in zip(starts, part, strict=True))
    np.testing.assert_array_equal(y, x[cut])


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("operation", ["SUM", "ASUM", "SUMSQ", "MEAN"])
def test_reduction(run, rng, shape, operation):
    for axis in range(-len(shape), len(shape)):
        x = normal(rng, *shape) + 1
        flat = x.reshape(*shape[: axis % len(shape)], -1).astype("f8")
        results = {
            "SUM": flat.sum(-1),
            "ASUM": np.abs(flat).sum(-1),
            "SUMSQ": (flat**2).sum(-1),
            "MEAN": flat.mean(-1),
        }
        text = f"operation: {operation} axis: {axis} coeff: -1.5"
        y = run("Reduction", {"x": x}, f"reduction_param {{ {text} }}")
        assert_close(y, results[operation] * -1.5)


@pytest.mark.parametrize("seed", seeds(1, 3))
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("out_max_val", [False, True])
def test_argmax(run, rng, shape, out_max_val):
    for axis in (None, *range(-len(shape), len(shape))):
        x = np.round(normal(rng, *shape))  # so that there are equal values
        count = x[0].size if axis is None else shape[axis]
        top_k = int(rng.integers(1, count + 1))
        text = f"out_max_val: {str(out_max_val).lower()} top_k: {top_k}"
        text += "" if axis is None else f" axis: {axis}"
        y = run("ArgMax", {"x": x}, f"argmax_param {{ {text} }}")
        expected = caffe.argmax(x, top_k, out_max_val, axis)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("seed", seeds(1, 4))
@pytest.mark.parametrize("operation", ["SUM", "PROD", "MAX"])
def test_eltwise_of_three(run, rng, operation):
    for shape in SHAPES:
        a, b, c = (normal(rng, *shape) for _ in range(3))
        text, expected = f"operation: {operation}", None
        if operation == "SUM":
            coeff = [float(np.float32(v)) for v in rng.standard_normal(3)]
            text += "".join(f" coeff: {v!r}" for v in coeff)
            expected = sum(v * x for v, x in zip(coeff, (a, b, c), strict=True))
        elif operation == "PROD":
            expected = a * b * c
        else:
            expected = np.maximum(np.maximum(a, b), c)
        y = run("Eltwise", {"a": a, "b": b, "c": c}, f"eltwise_param {{ {text} }}")
        assert_close(y, expected)


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("seed", seeds(1, 2))
def test_prelu(run, rng, shape):
    x, slopes = normal(rng, *shape), normal(rng, shape[1])
    own = slopes.reshape(1, -1, *[1] * (len(shape) - 2))
    expected = np.maximum(x, 0) + own * np.minimum(x, 0)
    assert_close(run("PReLU", {"x": x}, "", [slopes]), expected)
    text = "prelu_param { channel_shared: true }"
    expected = np.maximum(x, 0) + slopes[0] * np.minimum(x, 0)
    assert_close(run("PReLU", {"x": x}, text, [slopes[0]]), expected)


@pytest.mark.parametrize(
    ("power", "scale", "shift", "compute"),
    [
        (1, 2, 0.5, lambda x: 2 * x + 0.5),
        (2, 0.5, -1, lambda x: (0.5 * x - 1) ** 2),
        (3, 1, 0, lambda x: x.astype("f8") ** 3),
        (0.5, 1, 4, lambda x: np.sqrt(x + 4.0)),
        (-1, 1, 9, lambda x: 1 / (x + 9.0)),
        (0, 3, 5, np.ones_like),
        (2, 0, 3, lambda x: np.full_like(x, 9)),
        (1, 0, -2, lambda x: np.full_like(x, -2)),
        (0, 0, 0, np.ones_like),
        (-1, 0, 0, lambda x: np.full_like(x, np.inf)),
        (0.5, 0, -1, lambda x: np.full_like(x, np.nan)),
    ],
)
def test_power(run, power, scale, shift, compute):
    x = normal(np.random.default_rng(0), 2, 3, 4, 5).clip(-3, 3)
    text = f"power_param {{ power: {power} scale: {scale} shift: {shift} }}"
    np.testing.assert_allclose(run("Power", {"x": x}, text), compute(x), rtol=1e-5)


def test_power_without_scale_does_not_look_at_its_input(run):
    x = np.array([[np.nan, np.inf]], "f4")
    y = run("Power", {"x": x}, "power_param { power: 2 scale: 0 shift: 3 }")
    np.testing.assert_array_equal(y, [[9, 9]])


@pytest.mark.parametrize(
    ("kind", "param", "compute"),
    [
        ("ReLU", "relu_param { negative_slope: -1 }", np.abs),
        ("AbsVal", "", np.abs),
        ("BNLL", "", lambda x: np.log1p(np.exp(x.astype("f8")))),
        ("Exp", "exp_param { base: 3 scale: -1 shift: 1 }", lambda x: 3.0 ** (1 - x)),
        ("Exp", "exp_param { shift: -1 }", lambda x: np.exp(x - 1.0)),
        ("Log", "log_param { base: 2 scale: -1 shift: 9 }", lambda x: np.log2(9.0 - x)),
        ("Log", "log_param { shift: 9 }", lambda x: np.log(9.0 + x)),
        ("Threshold", "", lambda x: (x > 0).astype("f4")),
        ("Swish", "", lambda x: x * caffe.sigmoid(x.astype("f8"))),
        ("Swish", "swish_param { beta: -2 }", lambda x: x * caffe.sigmoid(-2.0 * x)),
        ("Clip", "clip_param { min: -1 max: 0.5 }", lambda x: x.clip(-1, 0.5)),
        (
            "ELU",
            "elu_param { alpha: 2 }",
            lambda x: np.where(x > 0, x, 2 * np.exp(x) - 2),
        ),
    ],
)
def test_activation(run, kind, param, compute):
    for shape in SHAPES:
        x = normal(np.random.default_rng(1), *shape) * 3
        assert_close(run(kind, {"x": x}, param), compute(x))


@pytest.mark.parametrize("seed", seeds(1, 2))
@pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 3, 1), (2, 2, 3, 1)])
def test_embed(run, rng, shape):
    x = rng.integers(0, 7, shape).astype("f4")
    table, bias = normal(rng, 7, 5), normal(rng, 5)
    for biased in (True, False):
        text = f"num_output: 5 input_dim: 7 bias_term: {str(biased).lower()}"
        params = [table] + [bias] * biased
        y = run("Embed", {"x": x}, f"embed_param {{ {text} }}", params)
        assert_close(y, table[x.astype(int)] + (bias if biased else 0))


@pytest.mark.parametrize("seed", seeds(1, 3))
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("expose", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_recurrent(run, rng, kind, static, expose):
    inputs = {
        "x": normal(rng, 6, 3, 2, 2) if rng.integers(2) else normal(rng, 6, 3, 4),
        "cont": rng.integers(0, 2, (6, 3)).astype("f4"),
    }
    given, tops, rows = {}, ("y",), 20 if kind == "LSTM" else 5
    params = [normal(rng, rows, 4), normal(rng, rows)]
    if static:
        given["static"] = inputs["static"] = normal(rng, 3, 2, 3)
        params.append(normal(rng, rows, 6))
    params.append(normal(rng, rows, 5))
    if kind == "RNN":
        params += [normal(rng, 5, 5), normal(rng, 5)]
    if expose:
        states = ("h", "c") if kind == "LSTM" else ("h",)
        given |= {name: normal(rng, 1, 3, 5) for name in states}
        inputs |= given
        tops = ("y", "h_T", "c_T")[: 1 + len(states)]
    params = [0.4 * p for p in params]
    text = f"num_output: 5 expose_hidden: {str(expose).lower()}"
    found = run(kind, inputs, f"recurrent_param {{ {text} }}", params, tops)
    compute = caffe.lstm if kind == "LSTM" else caffe.rnn
    expected = compute(inputs["x"], inputs["cont"], params, **given)
    for y, want in zip(found if expose else [found], expected, strict=False):
        assert_close(y, want, 1e-5)


def test_batch_reindex(run):
    x = normal(np.random.default_rng(0), 5, 3, 2, 4)
    numbers = np.array([4, 0, 0, 2, 1, 3, 3], "f4")
    y = run("BatchReindex", {"x": x, "i": numbers})
    np.testing.assert_array_equal(y, x[numbers.astype(int)])
