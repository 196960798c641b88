"""Layers that look at regions of an image: Fast R-CNN's family."""

import math

from keras_caffe_zoo.arithmetic.regions import check_regions
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.graph import Value
from keras_caffe_zoo.onnx.regions import psroi_pooling, roi_align, roi_pooling
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule, Traits

_MOST_BINS = 1 << 16
_MOST_SAMPLES = 256


def as_rows(node, x):
    """Return a blob (R, n) of one (R, n, 1, 1), as `input_dim` has to declare it."""
    if caffe_shape(x)[2:] != (1, 1):
        return x
    if isinstance(x, Value):
        return node.op("Flatten", x)
    return layers.CaffeFlatten(name=node.aux("rows"))(x)


def _pooled(layer) -> dict:
    """Return the fields that tell a layer's bins and scale."""
    return {
        "pooled_h": layer.pooled_height,
        "pooled_w": layer.pooled_width,
        "spatial_scale": layer.spatial_scale,
    }


class _RegionPooling(Rule):
    """Reads a map and regions; a region may be of any item."""

    bottoms = (2, 2)
    rows = "of all items"
    traits = Traits(places="mixed", channels="kept", order="moved")

    def onnx(self, node, x, rois):
        options, rois = self.options(node, x), as_rows(node, rois)
        check_regions(x.shape, rois.shape, node.layer.name)
        return self.pooled(node, x, rois, *options)

    def options(self, node, x) -> tuple:
        """Return what a layer is told, checked."""
        raise NotImplementedError

    @staticmethod
    def scale(node) -> float:
        scale = node.param.spatial_scale
        if not (math.isfinite(scale) and scale > 0):
            raise node.error(
                f"Expected a positive number; received: {scale}",
                f"{node.rule.param.name}.spatial_scale",
            )
        return scale

    @staticmethod
    def bins(node, height: int, width: int, *names: str) -> tuple[int, int]:
        """Return the numbers of bins, if they are positive and not too many."""
        for size, name in zip((height, width), names, strict=True):
            node.count(size, f"{node.rule.param.name}.{name}")
        if height * width > _MOST_BINS:
            raise node.error(
                f"Expected at most {_MOST_BINS} bins; received: {height} x {width}",
                f"{node.rule.param.name}.{names[0]}",
            )
        return height, width


@register
class ROIPooling(_RegionPooling):
    types = ("ROIPooling",)
    fork = "Fast R-CNN"
    layers = ("CaffeROIPooling",)
    param = Param(
        "roi_pooling_param",
        """
        1 pooled_h uint32=0; 2 pooled_w uint32=0; 3 spatial_scale float=1;
        4 pooled_size uint32*
        """,
        (8266711, 154, 150),
    )

    pooled = staticmethod(roi_pooling)

    def build(self, node, x, rois):
        bins, scale = self.options(node, x)
        layer = layers.CaffeROIPooling(*bins, scale, name=node.name)
        return layer([x, as_rows(node, rois)])

    def options(self, node, x):
        param, sizes = node.param, list(node.param.pooled_size)
        if len(sizes) > 2:
            raise node.error(
                f"Expected one size, or height and width; received: {sizes}",
                "roi_pooling_param.pooled_size",
            )
        if sizes:  # Intel's: it goes before the others
            names = ("pooled_size",) * 2
            bins = self.bins(node, sizes[0], sizes[-1], *names)
        else:
            names = ("pooled_h", "pooled_w")
            bins = self.bins(node, param.pooled_h, param.pooled_w, *names)
        return bins, self.scale(node)

    def encode(self, call):
        call.add("ROIPooling", roi_pooling_param=_pooled(call.layer))


@register
class PSROIPooling(_RegionPooling):
    types = ("PSROIPooling",)
    fork = "R-FCN"
    layers = ("CaffePSROIPooling",)
    param = Param(
        "psroi_pooling_param",
        "1 spatial_scale float!; 2 output_dim int32!; 3 group_size int32!",
        (10001, 153, 10002),
    )
    traits = MIXED

    pooled = staticmethod(psroi_pooling)

    def build(self, node, x, rois):
        layer = layers.CaffePSROIPooling(*self.options(node, x), name=node.name)
        return layer([x, as_rows(node, rois)])

    def options(self, node, x):
        param = node.param
        names = ("group_size",) * 2
        group, _ = self.bins(node, param.group_size, param.group_size, *names)
        output = node.count(param.output_dim, "psroi_pooling_param.output_dim")
        if node.channels(x) != output * group**2:
            raise node.error(
                f"Expected a bottom with output_dim * group_size**2 = "
                f"{output * group**2} channels; received: {node.channels(x)}",
                "psroi_pooling_param.output_dim",
            )
        return output, group, self.scale(node)

    def encode(self, call):
        param = {
            "spatial_scale": call.layer.spatial_scale,
            "output_dim": call.layer.output_dim,
            "group_size": call.layer.group_size,
        }
        call.add("PSROIPooling", psroi_pooling_param=param)

    def channels(self, layer, bottoms):
        return layer.decode(self.param).message.output_dim


@register
class ROIAlign(_RegionPooling):
    """Detectron's. Other forks have layers of the name that compute something else."""

    types = ("ROIAlign",)
    fork = "Detectron"
    layers = ("CaffeROIAlign",)
    param = Param(
        "roi_align_param",
        """
        1 pooled_h uint32=1; 2 pooled_w uint32=1; 3 spatial_scale float=1;
        4 sampling_ratio int32=-1
        """,
        (2154, 154),
    )

    pooled = staticmethod(roi_align)

    def build(self, node, x, rois):
        bins, scale, ratio = self.options(node, x)
        layer = layers.CaffeROIAlign(*bins, scale, ratio, name=node.name)
        return layer([x, as_rows(node, rois)])

    def options(self, node, x):
        param = node.param
        names = ("pooled_h", "pooled_w")
        bins = self.bins(node, param.pooled_h, param.pooled_w, *names)
        ratio = param.sampling_ratio
        if ratio > _MOST_SAMPLES:
            raise node.error(
                f"Expected at most {_MOST_SAMPLES}; received: {ratio}",
                "roi_align_param.sampling_ratio",
            )
        return bins, self.scale(node), ratio

    def encode(self, call):
        param = {**_pooled(call.layer), "sampling_ratio": call.layer.sampling_ratio}
        call.add("ROIAlign", roi_align_param=param)
