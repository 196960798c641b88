"""What feeds the training nets of FCN and HED."""

from keras_caffe_zoo.rules.data import DataLayer, ImageData
from keras_caffe_zoo.rules.python import PYTHON
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
class ImageLabelmapData(ImageData):
    types = ("ImageLabelmapData",)
    fork = "HED"
