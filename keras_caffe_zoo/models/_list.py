"""What nets there are, and what is known about each."""

from keras_caffe_zoo.weights import ModelEntry, model_entry, model_names


def list_models() -> list[str]:
    """Return the names of the nets that have a builder, families together."""
    from keras_caffe_zoo import models

    return [name for name in model_names() if hasattr(models, name)]


def model_info(name: str) -> ModelEntry:
    """Return every fact about a net: files, licence, mean, accuracy, paper, shapes.

    Args:
        name: One of `list_models()`.

    Raises:
        ValueError: If the zoo has no net of that name.
    """
    return model_entry(name)
