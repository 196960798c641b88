"""Which rule a type of Caffe layer has, and which one a Keras layer."""

from __future__ import annotations

from keras_caffe_zoo.caffe import Declaration, declare
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.rule import Codec, Rule, Traits, no_codec

_BY_TYPE: dict[str, Rule] = {}
_BY_CLASS: dict[type | str, Rule] = {}  # names of Keras' classes and of ours
_UNKNOWN = Rule()


def register(rule: Rule | type[Rule]) -> Rule | type[Rule]:
    """Make a rule known to all that reads, builds, writes or moves layers.

    A later rule takes the place of an earlier one of the same type or class.

    Args:
        rule: The rule, or its class (so this serves as a decorator).

    Returns:
        What it was given.

    Raises:
        TypeError: If it is no rule.

    Example:
        >>> @kcz.register
        ... class HalveRule(kcz.Rule):
        ...     types = ("Halve",)
        ...
        ...     def build(self, node, x):
        ...         return keras.layers.Rescaling(0.5, name=node.name)(x)
        >>> kcz.supported_layers()["Halve"]  # of no fork of Caffe
        ''
        >>> from keras_caffe_zoo.rules import rule_of
        >>> type(rule_of("Halve")) is HalveRule
        True
    """
    made = as_rule(rule)
    for type_ in made.types:
        _BY_TYPE[type_] = made
        params = (made.param, *made.variants, *made.also)
        known = tuple(param for param in params if param is not None)
        declare(type_, Declaration(known, made.blob_axes, made.params_of))
    _BY_CLASS.update(dict.fromkeys(made.layers, made))
    return rule


def as_rule(rule: Rule | type[Rule]) -> Rule:
    """Return a rule, given itself or its class.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(rule, type) and issubclass(rule, Rule):
        return rule()
    if not isinstance(rule, Rule):
        raise TypeError(
            f"Expected a Rule, or a class of rules; received: {rule!r}. Derive it "
            "from keras_caffe_zoo.Rule"
        )
    return rule


def know_layers(rule: Rule) -> None:
    """Know the classes of a rule that only one import uses, unless another has them.

    So that what was imported with it can be written, and its weights read.
    """
    for kind in rule.layers:
        _BY_CLASS.setdefault(kind, rule)


def rule_of(type_: str) -> Rule | None:
    """Return the rule of a type of Caffe layer, if there is one.

    Example:
        >>> from keras_caffe_zoo.rules import rule_of
        >>> rule_of("InnerProduct").has_kernel, rule_of("Pooling").has_kernel
        (True, False)
        >>> rule_of("PriorBox").fork, rule_of("nobody's")
        ('SSD', None)
    """
    return _BY_TYPE.get(type_)


def role_of(type_: str) -> str:
    """Return the role of a type of Caffe layer; `""` for an unknown one.

    Example:
        >>> from keras_caffe_zoo.rules import role_of
        >>> role_of("Data"), role_of("ReLU"), role_of("SoftmaxWithLoss"), role_of("?")
        ('data', 'layer', 'loss', '')
    """
    rule = _BY_TYPE.get(type_)
    return rule.role if rule else ""


def rule_for(layer: keras.Layer) -> Rule:
    """Return the rule of a Keras layer; one that knows nothing if there is none.

    Example:
        >>> from keras_caffe_zoo.rules import rule_for
        >>> rule_for(kcz.CaffeLRN()).types, rule_for(keras.layers.ReLU()).types
        (('LRN',), ('ReLU',))
        >>> rule_for(keras.layers.GRU(2)).types  # Caffe has none
        ()
    """
    for kind in type(layer).__mro__:
        rule = _BY_CLASS.get(kind) or _BY_CLASS.get(_name(kind))
        if rule is not None:
            # A class that computes something else is not what its base is.
            same = getattr(type(layer), "call", None) is getattr(kind, "call", None)
            return rule if same else _UNKNOWN
    return _UNKNOWN


def _name(kind: type) -> str | None:
    """Return the name of a layer's class, if it is Keras' or ours.

    Keras' operations have classes of the same names, and so may other packages.
    """
    known = kind.__module__.split(".")[0] in ("keras", "keras_caffe_zoo")
    return kind.__name__ if known and issubclass(kind, keras.layers.Layer) else None


def is_input(layer: keras.Layer) -> bool:
    """Tell whether a Keras layer is a model's input."""
    return rule_for(layer).role == "input"


def traits_of(layer: keras.Layer) -> Traits:
    """Return the traits of a Keras layer; all of them `None` if no rule has it.

    Example:
        >>> from keras_caffe_zoo.rules import traits_of
        >>> traits_of(keras.layers.ReLU()).activation
        'relu'
        >>> pool = kcz.CaffePool2D(kernel_size=3, strides=2)
        >>> y = pool(keras.Input((None, None, 8)))
        >>> traits_of(pool).places(pool, 28, 0)  # how it slides over 28 rows
        Window(kernel=3, stride=2, dilation=1, before=0, after=0, size=14)
    """
    return rule_for(layer).traits_of(layer)


def codec_of(layer: keras.Layer) -> Codec:
    """Return how a layer's weights become blobs.

    Raises:
        ValueError: If Caffe has no such layer.

    Example:
        >>> from keras_caffe_zoo.rules import codec_of
        >>> layer = kcz.CaffeConv2D(8, kernel_size=(3, 5), use_bias=False)
        >>> layer.build((None, 9, 9, 2))
        >>> (blob,) = codec_of(layer).encode(layer, layer.get_weights())
        >>> blob.shape  # (out, in, height, width), as Caffe has it
        (8, 2, 3, 5)
    """
    codec = rule_for(layer).codec
    if codec is None:
        raise no_codec(layer)
    return codec


def _is_ours(rule: Rule) -> bool:
    return type(rule).__module__.startswith(f"{__package__}.")


def supported_layers() -> dict[str, str]:
    """Return the types of Caffe layers that `from_caffe` imports, sorted.

    Besides these, data and loss layers are replaced or left out.

    Returns:
        Type to the fork of Caffe that has it; `"Caffe 1.0"` for BVLC's own types, `""`
        for those of rules that you registered without one.

    Example:
        >>> forks = kcz.supported_layers()
        >>> forks["Pooling"], forks["PriorBox"], forks["ShuffleChannel"]
        ('Caffe 1.0', 'SSD', 'ShuffleNet')
    """
    return {
        type_: rule.fork or ("Caffe 1.0" if _is_ours(rule) else "")
        for type_, rule in sorted(_BY_TYPE.items())
        if type(rule).build is not Rule.build and not rule.refused
    }
