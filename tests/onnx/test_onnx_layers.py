"""Layers of random configurations as ONNX, against the same NumPy as Keras'."""

from test_classification_layers import (  # noqa: F401
    test_activations,
    test_an_axpy_of_what_does_not_fit,
    test_ceil_mode,
    test_depthwise,
    test_groups_that_do_not_fit,
    test_shuffled_channels_of_a_vector,
)
from test_importer_layers import (  # noqa: F401
    test_activation,
    test_argmax,
    test_batch_reindex,
    test_concat_slice_tile,
    test_convolution,
    test_convolution_over_other_axes,
    test_crop,
    test_eltwise_of_three,
    test_embed,
    test_flatten,
    test_global_pooling,
    test_im2col,
    test_inner_product,
    test_one_filter_on_each_bottom,
    test_pooling,
    test_power,
    test_power_without_scale_does_not_look_at_its_input,
    test_prelu,
    test_reduction,
    test_reshape,
    test_softmax,
    test_spp,
)
