"""What layers do, in a few kinds that pictures tell apart by colour."""

from keras_caffe_zoo.rules.registry import rule_of

# The kinds in a legend's order, what people call them, and the families of rules
# (files in `rules/`) whose layers are of that kind unless their role says otherwise.
KINDS = {
    "data": ("data", ()),
    "kernel": ("convolution", ("window",)),
    "dense": ("inner product", ("inner_product", "recurrent")),
    "pool": ("pooling", ("pooling", "regions")),
    "norm": ("normalization, scale", ("normalization", "fork_batch_norm", "scale")),
    "activation": ("activation", ("activation", "functions", "classification")),
    "merge": ("merge, split", ("merge",)),
    "shape": ("shape, resampling", ("shape", "resample", "segmentation", "ocr")),
    "detection": ("detection", ("ssd", "proposals", "yolo", "rcnn")),
    "loss": ("loss, measure, output", ("loss",)),
    "other": ("other", ()),
    "unknown": ("no rule knows it", ()),
}
_BY_FAMILY = {family: kind for kind, (_, names) in KINDS.items() for family in names}
_BY_ROLE = {
    **dict.fromkeys(("input", "data"), "data"),
    **dict.fromkeys(("loss", "metric", "output", "silence", "targets"), "loss"),
}


def kind_of(type_: str) -> str:
    """Return the kind of a type of Caffe layer, a key of `KINDS`."""
    rule = rule_of(type_)
    if rule is None or rule.refused:
        return "unknown"
    if rule.role in _BY_ROLE:
        return _BY_ROLE[rule.role]
    if rule.has_kernel:
        return "dense" if rule.flattens else "kernel"
    family = type(rule).__module__.rpartition(".")[2]
    return _BY_FAMILY.get(family, "other")
