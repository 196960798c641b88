"""Fields that Caffe 1.0 does not have: passed over, refused, or ignored on demand."""

import warnings

import pytest

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion.importer import from_caffe

INPUT = "input: 'data' input_shape { dim: 1 dim: 1 dim: 4 dim: 4 }\n"
POOL = """layer {{ name: '{0}' type: 'Pooling' bottom: 'data' top: '{0}'
    pooling_param {{ kernel_size: 2 {1} }} {2} }}\n"""
ODD = POOL.format("a", "x: 1", "") + POOL.format("b", "x: 2 y: 3", "z_param { q: 1 }")


@pytest.fixture
def load(tmp_path):
    def load(text, **options):
        (tmp_path / "net.prototxt").write_text(INPUT + text)
        return from_caffe(tmp_path / "net.prototxt", **options)

    return load


# What published files of the forks have in them.
HARMLESS = {
    "Intel Caffe": """
        engine: "MKLDNN" bn_stats_batch_size: 32
        compile_net_state { bn_scale_merge: true kept_bn_layers: "bn1" }
        multinode { model_parallel { layer_from: "fc6" num_nodes: 0 } }
        layer { name: "p" type: "ReLU" bottom: "data" top: "p" engine: "MKL2017"
            multinode { num_nodes: 1 } mn_grad_compress_param { grad_compress: true }
            quantization_param { bw_layer_in: 8 bw_layer_out: 8 bw_params: 8 } }""",
    "NVCaffe": """
        default_forward_type: FLOAT16 default_backward_type: FLOAT16
        default_forward_math: FLOAT global_grad_scale: 1000 reduce_buckets: 3
        layer { name: "p" type: "Convolution" bottom: "data" top: "p"
            forward_type: FLOAT forward_math: FLOAT
            convolution_param { num_output: 1 kernel_size: 1
                cudnn_convolution_algo_seeker: FINDEX conv_algos_override: 1 } }""",
    "FlowNet2": """
        layer { name: "p" type: "ReLU" bottom: "data" top: "p"
            reshape_every_iter: false force_backward: true }""",
}


@pytest.mark.parametrize("fork", HARMLESS)
def test_what_changes_no_number_is_one_warning(load, fork):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(HARMLESS[fork])
    (said,) = [str(x.message) for x in caught]
    assert "net.prototxt: passed over" in said and len(said) < 500


def test_a_field_of_many_layers_is_named_once(load):
    many = "".join(POOL.format(f"p{i}", "", "engine: 'MKLDNN'") for i in range(50))
    with pytest.warns(UserWarning, match="passed over 50 fields .*have: 'engine'.$"):
        load(many)


def test_what_may_matter_is_named_with_the_way_out(load):
    with pytest.raises(CaffeFormatError) as caught:
        load(ODD)
    said = str(caught.value)
    assert "layers 'a', 'b': field 'pooling_param.x'" in said
    assert "layer 'b': field 'pooling_param.y'" in said
    assert "ignore_fields=('pooling_param.x', 'z_param', 'pooling_param.y')" in said
    assert "custom_layers" in said


def test_many_layers_are_counted(load):
    many = "".join(POOL.format(f"p{i}", "x: 1", "") for i in range(40))
    with pytest.raises(CaffeFormatError, match="'p0', 'p1', 'p2' and 37 more: field"):
        load(many)


def test_the_fork_is_named(load):
    field = "coeff_schedule_param { half_life: 9 }"
    with pytest.raises(CaffeFormatError, match=r"\(of FlowNet2\)"):
        load(f"layer {{ name: 'b' type: 'AbsVal' bottom: 'data' top: 'b' {field} }}")


def test_fields_are_passed_over_if_the_caller_says_so(load):
    with pytest.warns(UserWarning, match="passed over 4 fields"):
        load(ODD, ignore_fields=("pooling_param.x", "pooling_param.y", "z_param"))


def test_each_field_is_to_be_named(load):
    with pytest.raises(CaffeFormatError, match="layer 'b': field 'pooling_param.y'"):
        load(ODD, ignore_fields={"pooling_param.x"})


@pytest.mark.parametrize(
    "path", ["x", "pooling_param", "a", "pooling_param.kernel_size"]
)
def test_a_name_that_is_no_unknown_fields_is_refused(load, path):
    """Whole paths only; a slip must not let another field through."""
    with pytest.raises(
        ValueError, match=f"names '{path}', which is no unknown"
    ) as info:
        load(ODD, ignore_fields=["pooling_param.x", path])
    assert not isinstance(info.value, CaffeFormatError)
    assert "'pooling_param.y'" in str(info.value)


def test_one_name_is_not_taken_letter_by_letter(load):
    with pytest.raises(ValueError, match=r"Write \('pooling_param.x',\)"):
        load(ODD, ignore_fields="pooling_param.x")


def test_more_fields_than_are_looked_at_are_refused(load):
    with pytest.raises(CaffeFormatError, match="fewer than 1,000 unknown fields"):
        load(POOL.format("a", "", "engine: 1 " * 1000 + "z_param { }"))
