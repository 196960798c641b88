"""An ONNX graph as OpenVINO's own files."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.files import replacing_path, settle
from keras_caffe_zoo.onnx.file import check_onnx, write_onnx
from keras_caffe_zoo.onnx.graph import Graph

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


def write_openvino(graph: Graph, path: Path) -> None:
    """Write a graph as `NAME.xml`, with its constants in `NAME.bin` beside it.

    Raises:
        ValueError: If OpenVINO lacks one of the operations.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder, replacing_path(path) as beside:
        read = Path(folder) / "net.onnx"
        write_onnx(graph, read)
        try:
            with quiet():
                found = openvino.Core().read_model(read)
                openvino.save_model(found, beside, compress_to_fp16=False)
            settle(beside.with_suffix(".bin"), path.with_suffix(".bin"))
        except RuntimeError as error:
            missing = _LACKS.findall(str(error))
            if not missing:
                raise
            raise ValueError(
                "Expected a net of operations that OpenVINO reads; "
                f"'{graph.name}' also has: {', '.join(missing)}. Write .onnx or .tflite"
            ) from error
        finally:
            beside.with_suffix(".bin").unlink(missing_ok=True)
