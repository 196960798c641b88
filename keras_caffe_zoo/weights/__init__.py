"""Published weights: what is known of them, where they are, how they are loaded."""

from keras_caffe_zoo.weights.assign import load_published, load_weights
from keras_caffe_zoo.weights.cache import (
    CheckedFile,
    Removal,
    cached_path,
    converted_weights,
    install,
    remove,
    verify_cache,
)
from keras_caffe_zoo.weights.download import WeightsDownloadError
from keras_caffe_zoo.weights.home import cache_dir
from keras_caffe_zoo.weights.manifest import (
    FEATURES,
    FINETUNED,
    ModelEntry,
    entry_of,
    model_entry,
    model_names,
)
from keras_caffe_zoo.weights.means import cached_mean, mean_image
from keras_caffe_zoo.weights.store import StoredWeights, dump_caffe_weights

__all__ = [
    "FEATURES",
    "FINETUNED",
    "CheckedFile",
    "ModelEntry",
    "Removal",
    "StoredWeights",
    "WeightsDownloadError",
    "cache_dir",
    "cached_mean",
    "cached_path",
    "converted_weights",
    "dump_caffe_weights",
    "entry_of",
    "install",
    "load_published",
    "load_weights",
    "mean_image",
    "model_entry",
    "model_names",
    "remove",
    "verify_cache",
]
