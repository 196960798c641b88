"""What the package says while it works."""

import difflib
import re
import sys
from collections.abc import Iterable

_SHOWN = 8  # names of a list that may be long


def say(message: str) -> None:
    """Print, unless Keras' interactive logging was switched off."""
    if is_talkative():
        print(message, flush=True)


def is_talkative() -> bool:
    """Tell whether Keras' interactive logging is on."""
    keras = sys.modules.get("keras")  # not imported: then nobody changed its settings
    return keras is None or keras.config.is_interactive_logging_enabled()


def there_are(known: Iterable[str], wanted: str = "") -> str:
    """Return the names that somebody may have meant, then a few of all there are.

    Args:
        known: The names that there are.
        wanted: The one that was asked for.
    """
    names = list(known)
    close = difflib.get_close_matches(wanted, names, n=3) if wanted else []
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    shown = ", ".join(map(repr, names[:_SHOWN])) or "none"
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return f"{hint}There are: {shown}{more}"


def said(error: Exception) -> str:
    """Return what an error says, without what Keras puts around it."""
    text = str(error) or type(error).__name__
    bold = re.search("\x1b\\[1m(.*?)\x1b\\[0m", text, re.S)
    return " ".join((bold[1] if bold else text).split()).removesuffix(".")
