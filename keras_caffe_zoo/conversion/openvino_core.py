"""OpenVINO itself, of which a process has one."""

import functools


@functools.cache
def openvino_core():
    """Return OpenVINO's `Core`, the same one to the end of the process.

    Each one that is made gives its thread a stack for signals, and takes it away when
    it goes. Of two whose lives overlap, the second puts back the first one's, which is
    gone by then: the next signal, such as Ctrl-C, would end the process with a
    segmentation fault. So nobody makes one of their own.

    Raises:
        ImportError: If the package openvino is not installed.
    """
    import openvino

    return openvino.Core()


def compiled(source):
    """Return a net that OpenVINO computes on the processor, in float32.

    Some processors would take bfloat16.

    Args:
        source: An `openvino.Model`, or the path of a file.

    Raises:
        ImportError: If the package openvino is not installed.
    """
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino_core().compile_model(source, "CPU", exact)
