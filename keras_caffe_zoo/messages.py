"""What the package says while it works."""

import sys


def say(message: str) -> None:
    """Print, unless Keras' interactive logging was switched off."""
    keras = sys.modules.get("keras")  # not imported: then nobody changed its settings
    if keras is None or keras.config.is_interactive_logging_enabled():
        print(message, flush=True)
