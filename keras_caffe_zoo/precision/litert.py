"""LiteRT files in half precision."""


def litert_half(converter) -> None:
    """Have a `tf.lite.TFLiteConverter` write weights in half precision.

    A CPU widens them as it loads the file, and computes in float32; a GPU's delegate
    computes in half precision. Inputs and outputs stay float32.
    """
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
