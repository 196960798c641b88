"""What reads the command's words, and says which of them it does not know."""

import argparse
import sys
from collections.abc import Sequence

from keras_caffe_zoo.messages import did_you_mean, hinted, there_are


class Parser(argparse.ArgumentParser):
    """Python's own, with short errors that tell what was meant.

    Commands' parsers are of this class, too: argparse makes them so.
    """

    def parse_known_args(self, args=None, namespace=None):
        self._words = list(sys.argv[1:] if args is None else args)
        found, others = super().parse_known_args(args, namespace)
        if others:  # said here, where a command's own options are known
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return found, others

    def error(self, message: str):
        """End with status 2 and an error, without all words that there are."""
        wrong = [f"There is no {x}. {y}" for x, y in self._mistyped()]
        end = "." if wrong and not message.endswith("?") else ""
        said = " ".join([f"{self.prog}: error: {message}{end}", *wrong])
        self.exit(2, f"{said}\n`{self.prog} --help` tells what there is\n")

    def _mistyped(self) -> list[tuple[str, str]]:
        """Return options that there are not, with what may have been meant."""
        known = self._option_string_actions
        given = [x.partition("=")[0] for x in self._given() if x.startswith("--")]
        wrong = [x for x in given if not any(y.startswith(x) for y in known)]
        pairs = [(x, did_you_mean(known, x)) for x in dict.fromkeys(wrong)]
        return [(x, hint) for x, hint in pairs if hint]

    def _given(self) -> Sequence[str]:
        words = getattr(self, "_words", [])
        return words[: words.index("--")] if "--" in words else words

    def _check_value(self, action, value):
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        if isinstance(action, argparse._SubParsersAction):
            problem = f"There is no command {value!r}"
            if f"--{value}" in self._option_string_actions:
                problem = f"{problem}. Did you mean '--{value}'?"
            else:
                problem = hinted(problem, known, value)
            self._words = []  # what follows is of another parser
            self.error(problem)
        raise argparse.ArgumentError(
            action,
            f"expected one of its words; received: {value!r}. "
            f"{there_are(known, str(value))}",
        )

    def _print_message(self, message, file=None):
        # argparse says nothing where it cannot write.
        print(message or "", end="", file=file or sys.stderr)
