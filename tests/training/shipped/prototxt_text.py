"""Prototxt out of Python: dicts are messages, lists repeat, names are words."""


class Word(str):
    """The name of an enumeration's value, which has no quotes."""


def value(x):
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, str) and not isinstance(x, Word):
        return f'"{x}"'
    return str(x)


def text(fields):
    """Return the fields of a message, one after the other."""
    words = []
    for name, given in fields.items():
        for x in given if isinstance(given, list) else [given]:
            if isinstance(x, dict):
                words.append(f"{name} {{ {text(x)} }}")
            else:
                words.append(f"{name}: {value(x)}")
    return " ".join(words)


class NetText:
    """A net under construction, layer by layer."""

    def __init__(self, name=None):
        self.head, self.layers = {} if name is None else {"name": name}, []

    def add(self, kind, name, bottoms, tops, **fields):
        """Add a layer; `bottoms` and `tops` are names of blobs in one string."""
        ends = {"bottom": bottoms.split(), "top": tops.split()}
        self.layers.append({"name": name, "type": kind} | ends | fields)

    def with_batches(self, size):
        """Return the net with other batches."""
        found = NetText()
        found.head = self.head
        found.layers = [
            {
                key: x | {"batch_size": size}
                if isinstance(x, dict) and "batch_size" in x
                else x
                for key, x in layer.items()
            }
            for layer in self.layers
        ]
        return found

    @property
    def fields(self):
        return self.head | {"layer": self.layers}

    def __str__(self):
        lines = [text({"layer": [one]}) for one in self.layers]
        return "\n".join([text(self.head), *lines]) + "\n"


# What `layer` was until 2014, for a net inside a solver, which nobody upgraded.
V1_TYPES = {"InnerProduct": "INNER_PRODUCT", "SoftmaxWithLoss": "SOFTMAX_LOSS"}


def as_v1(fields):
    """Return a net's fields in Caffe's older form, `layers`."""
    layers = []
    for one in fields["layer"]:
        older = dict(one, type=Word(V1_TYPES.get(one["type"], one["type"].upper())))
        params = older.pop("param", [])
        if params:
            older["blobs_lr"] = [param["lr_mult"] for param in params]
        layers.append(older)
    return {k: v for k, v in fields.items() if k != "layer"} | {"layers": layers}
