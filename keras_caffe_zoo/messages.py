"""What the package says while it works."""

import difflib
import re
import sys
from collections.abc import Iterable

_SHOWN = 8  # names of a list that may be long
_CLOSE = 3  # names that somebody may have meant


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
    shown = ", ".join(map(repr, names[:_SHOWN])) or "none"
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    hint = did_you_mean(names, wanted)
    return f"{hint}{' ' if hint else ''}There are: {shown}{more}"


def did_you_mean(known: Iterable[str], wanted: str) -> str:
    """Return the question for the names that somebody may have meant, `""` if none.

    Args:
        known: The names that there are.
        wanted: The one that was asked for.
    """
    close = _close(known, wanted) if wanted else []
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""


def hinted(problem: str, known: Iterable[str], wanted: str) -> str:
    """Return an error's text, and whether another name may have been meant."""
    hint = did_you_mean(known, wanted)
    return f"{problem}. {hint}" if hint else problem


def _close(known: Iterable[str], wanted: str) -> list[str]:
    """Return names like another; case and dashes count for nothing.

    Else any two short options would be alike, for the dashes that they begin with.
    """
    names: dict[str, str] = {}
    for name in known:
        names.setdefault(_plain(name), name)
    plain = _plain(wanted)
    begun = [x for x in names if len(plain) > 2 and x.startswith(plain)]
    close = difflib.get_close_matches(plain, names, n=_CLOSE)
    return [names[x] for x in list(dict.fromkeys([*close, *begun]))[:_CLOSE]]


def _plain(name: str) -> str:
    return name.casefold().lstrip("-").replace("-", "_")


def shortened(text: str, width: int = 80, middle: bool = False) -> str:
    """Return a text of a width at most, with `…` for what is left out.

    Args:
        text: The text.
        width: How many characters there may be.
        middle: Whether the middle is left out, as of names that begin alike; else the
            end.
    """
    if len(text) <= width:
        return text
    tail = (width - 1) // 2 if middle else 0
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def one_line(text: str) -> str:
    """Return a text with what no terminal can show, as a line's end, spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def said(error: Exception) -> str:
    """Return what an error says, without what Keras puts around it."""
    text = str(error) or type(error).__name__
    bold = re.search("\x1b\\[1m(.*?)\x1b\\[0m", text, re.S)
    return " ".join((bold[1] if bold else text).split()).removesuffix(".")
