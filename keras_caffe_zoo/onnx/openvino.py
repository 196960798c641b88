"""An ONNX graph as OpenVINO's own files."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from keras_caffe_zoo.conversion.openvino_core import openvino_core
from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.files import replacing_path, settle
from keras_caffe_zoo.onnx.file import check_onnx
from keras_caffe_zoo.onnx.finishing import PLAIN, Finish, write_onnx
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.precision.calibration import Agreement
from keras_caffe_zoo.precision.openvino_files import openvino_int8, save_half

_LACKS = re.compile(r"(?:rule found for operations|Conversion is failed for): (.*)")


def check_openvino() -> None:
    """Check that the packages that write OpenVINO's files are there.

    Raises:
        ImportError: If not; says how to get them.
    """
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Expected the package openvino, to write its files; received: none. "
            'Install it: pip install "keras_caffe_zoo[openvino]"'
        ) from error
    check_onnx()


def write_openvino(
    graph: Graph, path: Path, finish: Finish = PLAIN
) -> Agreement | None:
    """Write a graph as `NAME.xml`, with its constants in `NAME.bin` beside it.

    Args:
        graph: The graph; it is changed if it is to take pixels.
        path: The file.
        finish: What it gets before.

    Returns:
        Of int8, how it agrees with float32.

    Raises:
        ValueError: If OpenVINO lacks one of the operations; as `Finish.prepare`.
    """
    pictures, found = finish.prepare(graph), None
    with tempfile.TemporaryDirectory() as folder, replacing_path(path) as beside:
        try:
            read = Path(folder) / "net.onnx"
            model = _read(graph, read, computed=pictures is not None)
            if pictures is not None:
                model, found = openvino_int8(model, pictures)
            _save(model, beside, half=finish.precision == "float16")
            settle(beside.with_suffix(".bin"), path.with_suffix(".bin"))
        finally:
            beside.with_suffix(".bin").unlink(missing_ok=True)
    return found


def _read(graph: Graph, path: Path, computed: bool):
    """Return a graph as an `openvino.Model`, its constants computed if asked for."""
    import openvino

    write_onnx(graph, path)
    try:
        with quiet():
            if computed:
                return openvino.convert_model(path)
            return openvino_core().read_model(path)
    except Exception as error:  # there are several kinds
        missing = _LACKS.findall(str(error))
        if not missing:
            raise
        raise ValueError(
            "Expected a net of operations that OpenVINO reads; "
            f"'{graph.name}' also has: {', '.join(missing)}. Write .onnx or .tflite"
        ) from error


def _save(model, path: Path, half: bool) -> None:
    import openvino

    with quiet():
        if half:
            save_half(model, path)
        else:
            openvino.save_model(model, path, compress_to_fp16=False)
