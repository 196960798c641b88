from .comparison import Comparison, compare
from .exporter import to_caffe
from .folding import fold
from .formats import convert
from .importer import from_caffe
from .params import caffe_params, set_caffe_params
from .summary import inspect_file

__all__ = [
    "Comparison",
    "caffe_params",
    "compare",
    "convert",
    "fold",
    "from_caffe",
    "inspect_file",
    "set_caffe_params",
    "to_caffe",
]
