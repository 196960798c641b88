"""What tells one extraction from another, and what a finished file says of its own."""

import hashlib
import json
import platform
import uuid
from dataclasses import dataclass, field

import keras
import numpy as np

from keras_caffe_zoo.extraction.block import Bad
from keras_caffe_zoo.runtimes import runtime_versions
from keras_caffe_zoo.version import package_version

FORMAT = "keras_caffe_zoo features"
FORMAT_VERSION = 1
RESERVED = ("names", "index", "bad")  # what no layer may be called in a file

# Of no consequence to the values: how weights began and how they are trained.
_IDLE = ("initializer", "regularizer", "constraint", "trainable", "seed")


@dataclass
class Header:
    """Where a file's features come from, and which pictures have none.

    Attributes:
        identity: `BlockWorker.identity`.
        items: How many pictures the file tells of, good and bad.
        bad: The bad ones.
        id: Another for each file that was ever written.
        versions: Of the programs that wrote it last.
    """

    identity: dict
    items: int = 0
    bad: list[Bad] = field(default_factory=list)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        runtime = self.identity.get("runtime", "keras")
        self.versions = self.versions or _versions(runtime)

    @property
    def rows(self) -> int:
        """How many pictures have features."""
        return self.items - len(self.bad)

    def to_json(self) -> str:
        """Return everything but the bad pictures."""
        return json.dumps(
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "id": self.id,
                "items": self.items,
                **self.identity,
                "versions": self.versions,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes, bad: list[Bad]) -> "Header":
        """Return what `to_json` wrote.

        Raises:
            ValueError: If it is something else.
        """
        try:
            facts = json.loads(text)
            known = (facts.pop("format"), facts.pop("format_version"))
            rest = [facts.pop(key) for key in ("items", "id", "versions")]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not written by extract_features ({error!r})") from error
        if known != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format {known}")
        return cls(facts, rest[0], bad, *rest[1:])


def _versions(runtime: str) -> dict[str, str]:
    return {
        "keras_caffe_zoo": package_version(),
        "keras": keras.version(),
        "backend": keras.config.backend(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        **runtime_versions(runtime),
    }


def differences(then: dict, now: dict, prefix: str = "") -> list[str]:
    """Say in which entries two identities differ, from what to what."""
    found = []
    for key in dict.fromkeys([*then, *now]):
        old, new = then.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{key}: ")
        elif old != new:
            found.append(f"{prefix}{key} was {_short(old)}, is now {_short(new)}")
    return found


def _short(value) -> str:
    """Return a value for a message, of a digest the first digits."""
    if isinstance(value, str) and len(value) == 64:
        return value[:16] + "…"
    return "none" if value is None else str(value)


def refuse_other(then: dict, now: dict, path) -> None:
    """Refuse to go on with what another extraction began.

    Raises:
        ValueError: If the identities differ; says in what.
    """
    before = {"runtime": "keras"}  # of files that were begun when there was no other
    then, now = before | then, before | now
    was, is_ = (list(one.get("layers", {})) for one in (then, now))
    found, todo = [], "Write"
    if other_layers := set(was) != set(is_):
        found = [f"layers were {', '.join(was)}, are now {', '.join(is_)}"]
        todo = f"Ask for {', '.join(was)} (--layer), or write"
    gone = _consequences(then, now, other_layers)
    then, now = ({k: v for k, v in x.items() if k not in gone} for x in (then, now))
    if found := found + differences(then, now):
        raise ValueError(
            f"Expected the extraction that {path} is of; received another: "
            f"{'; '.join(found)}. {todo} to another file, or begin anew with "
            "resume=False (--no-resume)."
        )


def _consequences(then: dict, now: dict, other_layers: bool) -> set[str]:
    """Return the entries that may differ only because of what somebody chose.

    The graph and the parameters are those of the part of a net that the layers need: of
    other layers they are others, be the net the same.
    """
    gone = set()
    if other_layers:
        gone |= {"structure", "weights", "folded", "layers"}
    if then.get("model") != now.get("model"):
        gone |= {"structure", "weights", "folded"}
    if then.get("pool") != now.get("pool"):
        gone |= {"structure", "folded"}
    if then.get("runtime") != now.get("runtime"):
        gone |= {"folded"}
    return gone


def structure_of(model: keras.Model) -> str:
    """Return a digest of a model's graph, whatever Keras called its layers.

    (Keras counts the layers that were given no name, over the whole process.)
    """
    config = keras.saving.serialize_keras_object(model)
    names = {name: f"#{i}" for i, name in enumerate(_names(config))}
    plain = json.dumps(_renamed(config, names), sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()


def _names(config) -> list[str]:
    """Return the values of all keys `name`, each once, in order."""
    found: dict[str, None] = {}

    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                found.setdefault(value["name"])
            for one in value.values():
                walk(one)
        elif isinstance(value, list | tuple):
            for one in value:
                walk(one)

    walk(config)
    return list(found)


def _renamed(value, names: dict[str, str]):
    """Return a configuration with other names, without what is of no consequence."""
    if isinstance(value, dict):
        return {
            names.get(key, key): _renamed(one, names)
            for key, one in value.items()
            if not any(word in str(key) for word in _IDLE)
        }
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
