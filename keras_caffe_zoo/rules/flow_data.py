"""What FlowNet2 does to its images, and what it is trained on."""

import numpy as np

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.rules.data import DataLayer
from keras_caffe_zoo.rules.flownet import FORK, OnMaps
from keras_caffe_zoo.rules.loss import Loss
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import POINTWISE, Codec, Rule
from keras_caffe_zoo.rules.window import check_tops, on_each


@register
class Mean(Rule):
    fork = FORK
    types = ("Mean",)
    layers = ("CaffeMean",)
    param = Param(
        "mean_param",
        """
        1 operation MeanOperation!; 2 file string; 3 value float*;
        4 mean_scale float=1; 5 input_scale float=1; 6 output_scale float=1
        enum MeanOperation: ADD=1 SUBTRACT=4
        """,
        154,
    )
    bottoms = tops = (1, None)
    applies_to_each = True
    traits = POINTWISE

    def build(self, node, *bottoms):
        check_tops(node, bottoms)
        values = self._values(node)
        scales = (node.param.input_scale, node.param.output_scale)
        return on_each(node, layers.CaffeMean(values, *scales, name=node.name), bottoms)

    def onnx(self, node, *bottoms):
        check_tops(node, bottoms)
        param, values = node.param, self._values(node)
        tops = []
        for x in bottoms:
            shift = np.resize(np.array(values, "float32"), node.channels(x))
            ones = [1] * (len(x.shape) - 2)
            x = node.op("Mul", x, param.input_scale) if param.input_scale != 1 else x
            x = node.op("Add", x, shift.reshape(-1, *ones))
            x = node.op("Mul", x, param.output_scale) if param.output_scale != 1 else x
            tops.append(x)
        return tops

    @staticmethod
    def _values(node) -> list[float]:
        """Return what is added to the channels, over and over again."""
        param = node.param
        if param.HasField("file"):
            raise node.error(
                "Expected a `value` for each channel; received a file, which is not "
                "read: write its mean as a `value`",
                "mean_param.file",
            )
        if not param.value:
            raise node.error("Expected a value for each channel", "mean_param.value")
        sign = 1.0 if param.operation == 1 else -1.0
        return [sign * param.mean_scale * value for value in param.value]

    def encode(self, call):
        layer = call.layer
        values = {
            "operation": "ADD",
            "value": layer.values,
            "input_scale": layer.input_scale,
            "output_scale": layer.output_scale,
        }
        call.add("Mean", mean_param=values)


def _encode_mean(layer, weights):
    """Return the number of images, a mean for each pixel, and one for each channel."""
    (mean,) = weights
    each = np.atleast_3d(mean) if mean.ndim == 3 else mean[None, None]
    pixels = np.moveaxis(each, -1, 0)[None]
    channels = pixels.mean((2, 3), keepdims=True)
    return [np.full((1, 1, 1, 1), layer.images, "float32"), pixels, channels]


def _decode_mean(layer, blobs):
    pixels, channels = blobs[1:]
    if layer.per_pixel:
        return [np.moveaxis(pixels.reshape(pixels.shape[-3:]), 0, -1)]
    return [channels.reshape(-1)]


@register
class DataAugmentation(OnMaps):
    """What is left of it in a net that predicts: the mean that it found in training."""

    types = ("DataAugmentation",)
    layers = ("CaffeSubtractMean",)
    param = Param(
        "augmentation_param",
        """
        4 augment_during_test bool=false; 5 recompute_mean uint32=0;
        6 write_mean string; 7 mean_per_pixel bool=true; 18 mean float*;
        33 crop_width uint32=0; 34 crop_height uint32=0
        """,
        149,
    )
    codec = Codec(_encode_mean, _decode_mean)
    traits = POINTWISE

    def build(self, node, x):
        images, per_pixel = self._images(node, x), node.param.mean_per_pixel
        layer = layers.CaffeSubtractMean(per_pixel, images, name=node.name)
        return self.call_on(node, layer, x)

    def on_maps(self, node, x):
        self._images(node, x)
        index = 1 if node.param.mean_per_pixel else 2
        return node.op("Sub", x, node.weight(index))

    @staticmethod
    def _images(node, x) -> int:
        """Return how many images the mean was made of; the node learns the mean."""
        param = node.param
        if param.HasField("crop_width") and param.HasField("crop_height"):
            raise node.error(
                "Expected no crop: images are not augmented; received a layer for "
                "training. Cut the net behind it, or take its deploy net",
                "augmentation_param.crop_width",
            )
        if not param.recompute_mean:
            raise node.error(
                "Expected a mean that was found in training; received none",
                "augmentation_param.recompute_mean",
            )
        channels = node.channels(x)
        pixels = (1, channels, 1, 1)
        if param.mean_per_pixel:
            pixels = (1, *caffe_shape(x)[1:])
            if None in pixels:
                raise node.error(f"Expected a known size; received: {caffe_shape(x)}")
        elif node.blobs and len(node.blobs) > 1:
            pixels = node.blobs[1].shape  # that of the images in training
        node.learns((1, 1, 1, 1), pixels, (1, channels, 1, 1))
        images = param.recompute_mean
        if node.blobs:
            images = int(np.nan_to_num(node.blobs[0].ravel()[0]))
            if images < param.recompute_mean:
                raise node.error(
                    f"Expected a mean of {param.recompute_mean} images; received one "
                    f"of {images}, which the fork would go on computing",
                    "augmentation_param.recompute_mean",
                )
        return images

    def encode(self, call):
        layer = call.layer
        values = {
            "recompute_mean": layer.images,
            "mean_per_pixel": layer.per_pixel,
        }
        call.add("DataAugmentation", augmentation_param=values)

    def traits_of(self, layer):
        return POINTWISE._replace(places="mixed") if layer.per_pixel else POINTWISE

    def blob_axes(self, layer):
        return (4, 4, 4)


class _Loss(Loss):
    fork = FORK
    bottoms = (1, 2)
    either = True


@register
class L1Loss(_Loss):
    types = ("L1Loss",)
    param = Param(
        "l1_loss_param",
        """
        1 l2_per_location bool=false; 2 l2_prescale_by_channels bool=false;
        3 normalize_by_num_entries bool=false; 4 epsilon float=0.01;
        3001 plateau float=0
        """,
        151,
    )


@register
class LpqLoss(_Loss):
    types = ("LpqLoss",)
    param = Param(
        "lpq_loss_param",
        """
        4010 pq_episode_starts_at_iter uint32*; 4011 p float*; 4012 q float*;
        4013 p_epsilon float=0; 4014 q_epsilon float=0.01;
        4016 l2_prescale_by_channels bool=false;
        4017 normalize_by_num_entries bool=false
        """,
        158,
    )


@register
class CustomData(DataLayer):
    """A database of images and flows, joined along the channels."""

    types = ("CustomData",)
    fork = FORK
    param = Param(
        "data_param",
        """
        1 source string; 4 batch_size uint32=1; 7 rand_skip uint32=0;
        8 backend DB=LEVELDB; 10 prefetch uint32=4; 3001 preselection_file string;
        3002 preselection_label int32; 3003 range_start int32=0;
        3004 range_end int32=-1; 3005 rand_permute bool=false;
        3006 rand_permute_order Order=FIRST_PERMUTE_THEN_RANGE;
        3007 rand_permute_seed uint32=0; 3008 slice_point uint32*;
        3009 encoding Encoding*; 3010 verbose bool=false; 3011 subtract float*;
        3012 permute_every_iter uint32=0; 3013 block_size uint32=0;
        4001 disk_reader_threads uint32=1
        enum DB: LEVELDB=0 LMDB=1
        enum Encoding: UINT8=1 UINT16FLOW=2 BOOL1=3
        enum Order: FIRST_PERMUTE_THEN_RANGE=0 FIRST_RANGE_THEN_PERMUTE=1
        """,
        107,
    )

    def data_shape(self, node, top, channels):
        points = [0, *node.param.slice_point]
        if top + 1 < len(points):
            channels = points[top + 1] - points[top]
        return (node.param.batch_size or None, channels or None, None, None)


@register
class ImgReader(DataLayer):
    types = ("ImgReader", "FloatReader")
    fork = FORK
    param = Param("reader_param", "1 file string!; 2 num uint32=1", 153)

    def data_shape(self, node, top, channels):
        known = 3 if node.layer.type == self.types[0] else channels
        return (node.param.num or None, known, None, None)


@register
class Writer(Rule):
    """A layer that writes a blob to a file: an output of a net that predicts."""

    types = ("FLOWriter", "FloatWriter", "ImgWriter", "PFMWriter")
    fork = FORK
    role = "output"
    param = Param(
        "writer_param",
        """
        1 file string; 2 folder string; 3 prefix string; 4 suffix string;
        5 normalize bool=false; 6 scale float=1
        """,
        152,
    )
    tops = (0, 0)
    labels_from = 1
