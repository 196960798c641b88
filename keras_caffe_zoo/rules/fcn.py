"""What feeds the training nets of FCN and HED."""

from keras_caffe_zoo.rules.data import DataLayer, ImageData
from keras_caffe_zoo.rules.python import PYTHON, param_dict
from keras_caffe_zoo.rules.registry import register


@register
class SegmentationData(DataLayer):
    """One image at its own size, and its labels."""

    types = (
        "pascalcontext_layers.PASCALContextSegDataLayer",
        "siftflow_layers.SIFTFlowSegDataLayer",
        "voc_layers.SBDDSegDataLayer",
        "voc_layers.VOCSegDataLayer",
    )
    fork = "FCN"
    param = PYTHON

    def data_shape(self, node, top, channels):
        return None if top else (None, channels or 3, None, None)


@register
class RGBDData(SegmentationData):
    """One scene at its own size, in colours, as depths or both, and its labels."""

    types = ("nyud_layers.NYUDSegDataLayer",)
    channels = {"color": 3, "hha": 3, "depth": 1}

    def data_shape(self, node, top, channels):
        names = self.names(param_dict(node))
        name = names[top] if top < len(names) else ""
        known = self.channels.get(name)
        return (None, known, None, None) if known else None

    @staticmethod
    def names(params: dict) -> list[str]:
        """Return what the tops are, by the layer's `param_str`; none if it is junk."""
        names = params.get("tops")
        is_list = isinstance(names, list | tuple)
        return list(names) if is_list and all(isinstance(x, str) for x in names) else []


@register
class ImageLabelmapData(ImageData):
    types = ("ImageLabelmapData",)
    fork = "HED"
