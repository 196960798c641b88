"""Layers that multiply by a matrix or look up its rows, at once or over time."""

import keras

from keras_caffe_zoo.convert.encode import encodes
from keras_caffe_zoo.layers import CaffeEmbed, CaffeInnerProduct, CaffeLSTM, CaffeRNN


@encodes(keras.layers.Dense)
def dense(call):
    rank = len(call.inputs[0].shape)
    if rank == 4:
        raise call.error("it is applied pixel by pixel; use CaffeConv2D")
    param = {"num_output": call.layer.units, "bias_term": call.layer.use_bias}
    if rank > 2:
        param["axis"] = rank - 1
    call.add("InnerProduct", inner_product_param=param)
    call.add_activation()


@encodes(CaffeInnerProduct)
def inner_product(call):
    layer = call.layer
    param = {
        "num_output": layer.units,
        "bias_term": layer.use_bias,
        "axis": layer.axis,
    }  # no transpose: `caffe_params` gives (outputs, inputs) in any case
    call.add("InnerProduct", inner_product_param=param)


@encodes(keras.layers.Embedding, CaffeEmbed)
def embed(call):
    layer = call.layer
    ours = isinstance(layer, CaffeEmbed)
    param = {
        "num_output": layer.units if ours else layer.output_dim,
        "input_dim": layer.input_dim,
        "bias_term": ours and layer.use_bias,
    }
    call.add("Embed", embed_param=param)


@encodes(CaffeLSTM, CaffeRNN)
def recurrent(call):
    layer = call.layer
    param = {"num_output": layer.units, "expose_hidden": layer.expose_hidden}
    call.add("LSTM" if isinstance(layer, CaffeLSTM) else "RNN", recurrent_param=param)
