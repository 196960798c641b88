import bvlc
import pytest
from caffe_bytes import GOLDENS

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    parse_prototxt,
    read_net,
    read_solver,
    schema,
)
from keras_caffe_zoo.caffe.upgrade import _V2_TYPES


def v0(fields, bottom="data", top="x"):
    return f"layers {{ layer {{ {fields} }} bottom: '{bottom}' top: '{top}' }} "


def only(text):
    net = parse_prototxt(text)
    assert net.unknown_fields == []
    return bvlc.message(net.layers[-1])


@pytest.mark.parametrize("suffix", ["prototxt", "caffemodel"])
def test_v0_v1_and_v2_of_one_net_are_one_structure(suffix):
    nets = {v: read_net(GOLDENS / f"format_{v}.{suffix}") for v in ("v0", "v1", "v2")}
    assert [net.version for net in nets.values()] == ["V0", "V1", "V2"]
    want = [bvlc.message(x) for x in nets["v2"].layers]
    for message in want:
        message.ClearField("phase")
    want[0].name = "input"  # the only thing that the old forms cannot say
    for form in ("v0", "v1"):
        got = [bvlc.message(x) for x in nets[form].layers]
        for message in got:
            message.ClearField("phase")
            if message.type == "Pooling":
                message.pooling_param.pool = 0
        assert got == want


def test_every_v1_type_has_a_v2_name():
    assert set(_V2_TYPES) == set(schema.ENUMS["V1LayerParameter.LayerType"])
    for old, new in (("SOFTMAX_LOSS", "SoftmaxWithLoss"), ("IM2COL", "Im2col"),
                     ("HDF5_DATA", "HDF5Data"), ("TANH", "TanH")):  # fmt: skip
        assert only(f"layers {{ name: 'x' type: {old} }}").type == new


def test_v1_learning_rates_names_and_share_modes_become_param_specs():
    message = only(
        "layers { name: 'x' type: CONVOLUTION param: 'w' blobs_lr: 1 blobs_lr: 2 "
        "weight_decay: 1 weight_decay: 0 blob_share_mode: PERMISSIVE "
        "loss_weight: 0.5 include { phase: TEST } convolution_param { num_output: 2 } }"
    )
    first, second = message.param
    assert (first.name, first.lr_mult, first.decay_mult) == ("w", 1, 1)
    assert first.share_mode == schema.ParamSpec.PERMISSIVE
    assert (second.HasField("name"), second.lr_mult, second.decay_mult) == (False, 2, 0)
    assert message.loss_weight[:] == [0.5] and message.include[0].phase == 1
    assert message.convolution_param.num_output == 2


@pytest.mark.parametrize(
    "kind, param",
    [
        ("DATA", "data_param"),
        ("IMAGE_DATA", "image_data_param"),
        ("WINDOW_DATA", "window_data_param"),
    ],
)
def test_v1_data_layers_hand_over_their_transformation(kind, param):
    message = only(
        f"layers {{ type: {kind} {param} {{ source: 's' scale: 0.5 mean_file: 'm' "
        "crop_size: 7 mirror: true } }"
    )
    moved = message.transform_param
    assert (moved.scale, moved.mean_file, moved.crop_size, moved.mirror) == (
        0.5, "m", 7, True)  # fmt: skip
    left = [field.name for field, _ in getattr(message, param).ListFields()]
    assert left == ["source"]


def test_v0_fields_move_to_their_parameters():
    conv = only(v0(
        "name: 'c' type: 'conv' num_output: 8 biasterm: false pad: 2 kernelsize: 5 "
        "group: 2 stride: 3 weight_filler { type: 'gaussian' std: 0.5 } "
        "bias_filler { value: 1 } blobs_lr: 1 blobs_lr: 2 weight_decay: 1"
    ))  # fmt: skip
    param = conv.convolution_param
    assert (param.num_output, param.bias_term, param.group) == (8, False, 2)
    assert (param.pad[:], param.kernel_size[:], param.stride[:]) == ([2], [5], [3])
    assert (param.weight_filler.std, param.bias_filler.value) == (0.5, 1)
    assert [p.lr_mult for p in conv.param] == [1, 2]
    pool = only(v0("type: 'pool' pool: AVE kernelsize: 3 stride: 2 pad: 1"))
    pool = pool.pooling_param
    assert (pool.pool, pool.kernel_size, pool.stride, pool.pad) == (1, 3, 2, 1)
    lrn = only(v0("type: 'lrn' local_size: 3 alpha: 2 beta: 0.5 k: 4")).lrn_param
    assert (lrn.local_size, lrn.alpha, lrn.beta, lrn.k) == (3, 2, 0.5, 4)
    drop = only(v0("type: 'dropout' dropout_ratio: 0.25")).dropout_param
    assert drop.dropout_ratio == 0.25
    assert only(v0("type: 'concat' concat_dim: 2")).concat_param.concat_dim == 2
    fc = only(v0("type: 'innerproduct' num_output: 4")).inner_product_param
    assert fc.num_output == 4


def test_v0_data_fields_move():
    data = only(v0("type: 'data' source: 's' meanfile: 'm' batchsize: 9 cropsize: 7 "
                   "scale: 0.5 mirror: true rand_skip: 3"))  # fmt: skip
    param, transform = data.data_param, data.transform_param
    assert (param.source, param.batch_size, param.rand_skip) == ("s", 9, 3)
    assert (transform.mean_file, transform.crop_size) == ("m", 7)
    assert (transform.scale, transform.mirror) == (0.5, True)
    image = only(v0("type: 'images' shuffle_images: true new_height: 4 new_width: 5"))
    image = image.image_data_param
    assert (image.shuffle, image.new_height, image.new_width) == (True, 4, 5)
    window = only(
        v0(
            "type: 'window_data' det_fg_threshold: 0.6 det_bg_threshold: 0.4 "
            "det_fg_fraction: 0.3 det_context_pad: 2 det_crop_mode: 'square'"
        )
    )
    window = window.window_data_param
    assert window.fg_threshold == pytest.approx(0.6)
    assert window.bg_threshold == pytest.approx(0.4)
    assert window.fg_fraction == pytest.approx(0.3)
    assert (window.context_pad, window.crop_mode) == (2, "square")
    out = only(v0("type: 'hdf5_output' hdf5_output_param { file_name: 'f' }"))
    assert out.hdf5_output_param.file_name == "f"


def test_v0_fields_of_other_types_are_reported():
    net = parse_prototxt(v0("name: 'r' type: 'relu' kernelsize: 3"))
    assert [str(x) for x in net.unknown_fields] == ["layer 'r': field 'kernelsize'"]


PADDING = v0("name: 'p' type: 'padding' pad: 2", top="p")


@pytest.mark.parametrize("kind", ["conv", "pool"])
def test_v0_padding_goes_into_the_layer_that_reads_it(kind):
    text = PADDING + v0(f"name: 'c' type: '{kind}' kernelsize: 5", "p", "c")
    net = parse_prototxt(text)
    (layer,) = net.layers
    pad = layer.param.pad[0] if kind == "conv" else layer.param.pad
    assert (layer.bottoms, pad) == (["data"], 2)


def test_v0_padding_follows_the_last_producer_of_a_blob():
    text = (PADDING + v0("name: 'r' type: 'relu'", "data", "p")
            + v0("name: 'c' type: 'conv'", "p", "c"))  # fmt: skip
    net = parse_prototxt(text)
    assert [x.name for x in net.layers] == ["r", "c"]
    assert not net.layers[1].param.pad


def test_v0_padding_before_another_type_is_an_error():
    with pytest.raises(CaffeFormatError, match="layer 'r'.*'p'.*received type: 'relu'"):
        parse_prototxt(PADDING + v0("name: 'r' type: 'relu'", "p"))


def test_v0_padding_must_be_the_only_bottom():
    text = PADDING + (
        "layers { layer { name: 'c' type: 'conv' } bottom: 'p' bottom: 'q' top: 'c' }"
    )
    with pytest.raises(CaffeFormatError, match="Expected one bottom"):
        parse_prototxt(text)


def test_unknown_v0_types_are_an_error():
    with pytest.raises(
        CaffeFormatError, match="layer 'z'.*: 'zap' is no type of a V0 layer"
    ):
        parse_prototxt(v0("name: 'z' type: 'zap'"))


def test_layers_and_layer_together_are_an_error():
    with pytest.raises(CaffeFormatError, match="'layers'.*'layer'"):
        parse_prototxt("layers { name: 'a' type: RELU } layer { name: 'b' }")


def test_inputs_become_the_first_layer():
    net = parse_prototxt(
        "layer { name: 'r' type: 'ReLU' bottom: 'd' top: 'r' } input: 'd' input: 'e' "
        "input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 "
        "input_dim: 5 input_dim: 6 input_dim: 7 input_dim: 8"
    )
    first = net.layers[0]
    assert (first.name, first.type, first.tops) == ("input", "Input", ["d", "e"])
    assert net.inputs == {"d": (1, 2, 3, 4), "e": (5, 6, 7, 8)}
    assert not (net.message.input or net.message.input_dim)


def test_inputs_of_a_snapshot_are_stripped():
    net = parse_prototxt("input: 'd' layer { name: 'r' type: 'ReLU' }")
    assert [x.name for x in net.layers] == ["r"] and not net.message.input


@pytest.mark.parametrize(
    "text",
    [
        "input: 'd' input_dim: 1 input_dim: 2 input_dim: 3",
        "input: 'd' input: 'e' input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4",
        "input: 'd' input_shape { dim: 1 } input_shape { dim: 1 }",
        "input: 'd' input_shape { dim: 1 } "
        "input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1",
    ],
)
def test_inputs_without_their_own_shapes_are_an_error(text):
    with pytest.raises(CaffeFormatError, match="Expected .*received"):
        parse_prototxt(text)


def test_input_dims_without_inputs_are_reported():
    (field,) = parse_prototxt("input_dim: 3").unknown_fields
    assert str(field) == "net: field 'input_dim'"


def test_batch_norm_with_three_param_specs_is_frozen():
    text = "layer { name: 'b' type: 'BatchNorm' %s }"
    spec = "param { lr_mult: 1 decay_mult: 1 }"
    frozen = only(text % (spec * 3)).param
    assert [(p.lr_mult, p.decay_mult) for p in frozen] == [(0, 0)] * 3
    assert [p.lr_mult for p in only(text % (spec * 2)).param] == [1, 1]


@pytest.mark.parametrize(
    "old, new",
    [("SGD", "SGD"), ("NESTEROV", "Nesterov"), ("ADAGRAD", "AdaGrad"),
     ("RMSPROP", "RMSProp"), ("ADADELTA", "AdaDelta"), ("ADAM", "Adam")],
)  # fmt: skip
def test_solver_types(tmp_path, old, new):
    path = tmp_path / "solver.prototxt"
    path.write_text(f"base_lr: 0.1 solver_type: {old}")
    solver = read_solver(path)
    assert (solver.type, solver.HasField("solver_type")) == (new, False)
    path.write_text(f"solver_type: {old} type: '{new}'")
    with pytest.raises(CaffeFormatError, match="solver.prototxt.*received: both"):
        read_solver(path)


def test_a_solver_with_unknown_fields_is_an_error(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text("base_lr: 0.1\nlayer_lr: 3")
    with pytest.raises(CaffeFormatError, match="layer_lr"):
        read_solver(path)


@pytest.mark.parametrize(
    "word, type_",
    [("BN", "BN"), ("IMAGE_SEG_DATA", "ImageSegData"), ("MY_OWN", "MY_OWN")],
)
def test_types_of_v1_layers_that_only_forks_have(word, type_):
    net = parse_prototxt(f"layers {{ name: 'a' type : # V1\n {word} top: 'a' }}")
    assert (net.version, net.layers[0].type) == ("V1", type_)
    assert parse_prototxt(net.to_prototxt()).layers[0].type == type_


def test_a_v1_layer_has_one_type():
    with pytest.raises(CaffeFormatError, match="layer 'a'.*one type.*ReLU and BN"):
        parse_prototxt("layers { name: 'a' type: RELU type: BN }")
