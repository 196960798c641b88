"""Which engines there are, and whether one is installed."""

from importlib import import_module

from keras_caffe_zoo.messages import hinted
from keras_caffe_zoo.onnx.file import check_onnx

KERAS = "keras"
RUNTIMES = (KERAS, "onnxruntime", "openvino")  # the others are packages, and extras


def check_runtime(runtime: str) -> None:
    """Check that there is an engine of a name, and that it is installed.

    Raises:
        ValueError: If there is none.
        ImportError: If it is not installed; says how to install it.

    Example:
        >>> from keras_caffe_zoo.runtimes import check_runtime
        >>> check_runtime("keras")
        >>> check_runtime("caffe")
        Traceback (most recent call last):
        ValueError: Expected runtime: one of ('keras', 'onnxruntime', 'openvino');
        received: runtime='caffe'
    """
    if runtime not in RUNTIMES:
        problem = f"Expected runtime: one of {RUNTIMES}; received: runtime={runtime!r}"
        raise ValueError(hinted(problem, RUNTIMES, str(runtime)))
    if runtime == KERAS:
        return
    check_onnx(extra=runtime)
    try:
        import_module(runtime)
    except ImportError as error:
        raise ImportError(
            f"Expected the package {runtime}, for runtime={runtime!r}; received: none "
            f'({error}). Install it: pip install "keras_caffe_zoo[{runtime}]"'
        ) from error


def runtime_versions(runtime: str) -> dict[str, str]:
    """Return the version of an engine that is installed, by its name.

    Example:
        >>> from keras_caffe_zoo.runtimes import runtime_versions
        >>> runtime_versions("keras") == {"keras": keras.__version__}
        True
    """
    return {runtime: import_module(runtime).__version__}
