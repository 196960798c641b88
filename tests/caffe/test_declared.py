"""What the rules declare, held to all of BVLC Caffe 1.0's schema."""

import bvlc
import pytest
from google.protobuf import descriptor_pb2

import keras_caffe_zoo  # noqa: F401  its rules declare the types
from keras_caffe_zoo.caffe import params, schema
from keras_caffe_zoo.caffe.upgrade import _V1_PARAMS
from keras_caffe_zoo.rules import rule_of

# Types by the parameters that their layers read in BVLC Caffe 1.0's sources.
USED = {
    "transform_param": "Data HDF5Data ImageData MemoryData WindowData",
    "loss_param": "Accuracy ContrastiveLoss EuclideanLoss HingeLoss InfogainLoss "
    "MultinomialLogisticLoss SigmoidCrossEntropyLoss SoftmaxWithLoss",
    "accuracy_param": "Accuracy",
    "argmax_param": "ArgMax",
    "concat_param": "Concat",
    "contrastive_loss_param": "ContrastiveLoss",
    "convolution_param": "Convolution Deconvolution Im2col",
    "data_param": "Data",
    "dropout_param": "Dropout",
    "dummy_data_param": "DummyData",
    "eltwise_param": "Eltwise",
    "exp_param": "Exp",
    "hdf5_data_param": "HDF5Data",
    "hdf5_output_param": "HDF5Output",
    "hinge_loss_param": "HingeLoss",
    "image_data_param": "ImageData",
    "infogain_loss_param": "InfogainLoss",
    "inner_product_param": "InnerProduct",
    "lrn_param": "LRN",
    "memory_data_param": "MemoryData",
    "mvn_param": "MVN",
    "pooling_param": "Pooling",
    "power_param": "Power",
    "relu_param": "ReLU",
    "sigmoid_param": "Sigmoid",
    "softmax_param": "Softmax SoftmaxWithLoss",
    "slice_param": "Slice",
    "tanh_param": "TanH",
    "threshold_param": "Threshold",
    "window_data_param": "WindowData",
    "python_param": "Python",
    "prelu_param": "PReLU",
    "spp_param": "SPP",
    "reshape_param": "Reshape",
    "log_param": "Log",
    "flatten_param": "Flatten",
    "reduction_param": "Reduction",
    "embed_param": "Embed",
    "tile_param": "Tile",
    "batch_norm_param": "BatchNorm",
    "elu_param": "ELU",
    "bias_param": "Bias",
    "scale_param": "Scale",
    "input_param": "Input",
    "crop_param": "Crop",
    "parameter_param": "Parameter",
    "recurrent_param": "LSTM RNN",
    "swish_param": "Swish",
    "clip_param": "Clip",
}


# What other forks have added to messages of BVLC's, at numbers that are free there.
ADDED = {
    "batch_norm_param": "engine scale_bias use_weight_bias bias_term",
    "convolution_param": "relu negative_slope hole hole_h hole_w",
    "dropout_param": "scale_train sample_weights_test",
    "pooling_param": "ceil_mode avg_include_pad",
}
INTELS_ENGINES = {"MKL2017": 3, "MKLDNN": 4}


def without_added(fields, name):
    """Returns a description without what is no field, or value, of BVLC's."""
    added = ADDED.get(name, "").split()
    assert set(added) <= set(fields)
    return {
        field: (*told, _bvlcs_engines(inside) if field == "engine" else inside)
        for field, (*told, inside) in fields.items()
        if field not in added
    }


def _bvlcs_engines(values):
    assert values.items() >= INTELS_ENGINES.items()
    return {x: n for x, n in values.items() if x not in INTELS_ENGINES}


# What FlowNet2 has added to FillerParameter.
FLOWNETS = ("diag_val",)


def describe(message, deep=True):
    """Returns all that a message's descriptor says of its fields, by name."""
    proto = descriptor_pb2.DescriptorProto()
    message.CopyToProto(proto)
    return {
        field.name: (
            field.number,
            field.type,
            field.label,
            field.options.packed,
            field.default_value,
            field.type_name.rpartition(".")[2],
            _inside(message.fields_by_name[field.name], deep),
        )
        for field in proto.field
        if field.name not in FLOWNETS
    }


def _inside(field, deep):
    if field.enum_type is not None:
        return {value.name: value.number for value in field.enum_type.values}
    if field.message_type is not None and deep:
        return describe(field.message_type)
    return None


def fields_of(message):
    """Returns the fields of a BVLC layer that are its type's parameters."""
    return {
        field.number: field
        for field in bvlc.MESSAGES[message].DESCRIPTOR.fields
        if field.name.endswith("_param")
    }


PARAMETERS = {field.name: field for field in fields_of("LayerParameter").values()}


def test_every_parameter_of_bvlc_is_held_to_it():
    assert PARAMETERS.keys() == USED.keys() and len(PARAMETERS) == 49
    assert min(field.number for field in PARAMETERS.values()) == 100


@pytest.mark.parametrize("name", USED)
def test_a_parameter_has_bvlcs_fields_numbers_types_and_defaults(name):
    reference = PARAMETERS[name]
    for type_ in USED[name].split():
        (param,) = (x for x in params.declared(type_).params if x.name == name)
        assert param.numbers == (reference.number,)
        declared = param.message().DESCRIPTOR
        # Names of messages are in no file, only in errors.
        assert declared.name.lower() == reference.message_type.name.lower()
        ours = without_added(describe(declared), name)
        assert ours == describe(reference.message_type)


@pytest.mark.parametrize("name", USED)
def test_a_parameter_belongs_to_the_types_that_read_it(name):
    mine = {
        type_
        for type_, declaration in params._DECLARED.items()
        if name in {param.name for param in declaration.params}
        and not rule_of(type_).fork
    }
    assert mine == set(USED[name].split())


@pytest.mark.parametrize("name", sorted(set(schema.MESSAGES) - {"Raw"}))
def test_the_messages_of_all_files_are_bvlcs(name):
    """But for the reader's own field and the blobs of NVCaffe, `raw_…`."""

    def without_parameters(kinds):
        fields = describe(kinds[name].DESCRIPTOR, deep=False)
        left_out = USED if name in ("LayerParameter", "V1LayerParameter") else {}
        fields = {x: fields[x] for x in fields if not x.startswith("raw")}
        return {x: fields[x] for x in fields if x not in left_out}

    assert without_parameters(schema.MESSAGES) == without_parameters(bvlc.MESSAGES)


def test_v1_layers_have_bvlcs_numbers():
    fields = fields_of("V1LayerParameter").items()
    assert {number: field.name for number, field in fields} == _V1_PARAMS
