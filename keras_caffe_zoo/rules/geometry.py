"""Kernel, stride, pad and dilation as Caffe reads them, and what it refuses."""


def conv_geometry(node, axes: int) -> dict[str, tuple[int, ...]]:
    """Return `kernel_size`, `strides`, `pad`, `dilation_rate` of a convolution.

    Args:
        node: The layer.
        axes: How many axes it slides over.

    Raises:
        CaffeFormatError: If the fields contradict each other or the blob.
    """
    return {
        "kernel_size": _sizes(node, "kernel_size", axes, None, 1),
        "strides": _sizes(node, "stride", axes, 1, 1),
        "pad": _sizes(node, "pad", axes, 0, 0),
        "dilation_rate": _dilation(node, axes),
    }


def _dilation(node, axes: int) -> tuple[int, ...]:
    """Return the dilation, which DeepLab v1 calls `hole`."""
    param = node.param
    holes = param.hole or param.HasField("hole_h") or param.HasField("hole_w")
    found = _sizes(node, "hole" if holes else "dilation", axes, 1, 1)
    if holes and param.dilation and found != _sizes(node, "dilation", axes, 1, 1):
        raise node.error(
            f"Expected hole or dilation; received both, and they disagree: {found} and "
            f"{list(param.dilation)}",
            "convolution_param.hole",
        )
    return found


def _sizes(node, name: str, axes: int, default: int | None, least: int):
    param, values = node.param, list(getattr(node.param, name))
    stem = name.removesuffix("_size")
    sides = [f"{stem}_h", f"{stem}_w"]
    if name != "dilation" and any(param.HasField(side) for side in sides):
        if axes != 2 or values:
            raise node.error(
                f"Expected {sides[0]} and {sides[1]}, on a blob with two axes to slide "
                f"over, or {name}; received both, or {axes} such axes",
                f"convolution_param.{sides[0]}",
            )
        values = [getattr(param, side) for side in sides]
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, axes) and (values or axes):
        raise node.error(
            f"Expected one {name}, or one for each of {axes} axes; received: {values}",
            f"convolution_param.{name}",
        )
    values = (values * axes)[:axes] if len(values) == 1 else values
    return _at_least(node, least, values, f"convolution_param.{name}")


def _at_least(node, least: int, values, name: str) -> tuple[int, ...]:
    if any(value < least or value >= 2**31 for value in values):
        raise node.error(
            f"Expected numbers of at least {least}; received: {list(values)}", name
        )
    return tuple(values)


def pool_geometry(node) -> dict:
    """Return `kernel_size`, `strides`, `pad` of a pooling, or `global_pooling`.

    Raises:
        CaffeFormatError: If the fields contradict each other.
    """
    param = node.param
    strides, pad = _pair(node, "stride", 1, 1), _pair(node, "pad", 0, 0)
    names = ("kernel_size", "kernel_h", "kernel_w")
    given = [name for name in names if param.HasField(name)]
    if param.global_pooling:
        if given or pad != (0, 0) or strides != (1, 1):
            raise node.error(
                "Expected no kernel, pad 0 and stride 1 with global_pooling; received: "
                f"{given}, pad {pad}, stride {strides}",
                "pooling_param.global_pooling",
            )
        return {"global_pooling": True}
    if given not in (["kernel_size"], ["kernel_h", "kernel_w"]):
        raise node.error(
            "Expected kernel_size, or kernel_h and kernel_w; received: "
            f"{given or 'neither'}",
            "pooling_param.kernel_size",
        )
    kernel = [param.kernel_size] * 2
    if len(given) == 2:
        kernel = [param.kernel_h, param.kernel_w]
    kernel = _at_least(node, 1, kernel, "pooling_param.kernel_size")
    if any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise node.error(
            f"Expected a pad below the kernel's size {kernel}; received: {pad}",
            "pooling_param.pad",
        )
    return {"kernel_size": kernel, "strides": strides, "pad": pad}


def _pair(node, name: str, default: int, least: int) -> tuple[int, int]:
    param = node.param
    fields = (name, f"{name}_h", f"{name}_w")
    one, *sides = (param.HasField(field) for field in fields)
    if any(sides) and (one or not all(sides)):
        raise node.error(
            f"Expected {name}, or {name}_h and {name}_w; received others",
            f"pooling_param.{name}",
        )
    values = [getattr(param, name) if one else default] * 2
    if all(sides):
        values = [getattr(param, field) for field in fields[1:]]
    return _at_least(node, least, values, f"pooling_param.{name}")


def dilation_sides(param) -> tuple[int, int]:
    """Return (height, width) of a convolution's dilation or `hole`, unchecked."""
    return sides(param, "dilation" if param.dilation else "hole", 1)


def sides(param, field: str, default: int | None) -> tuple[int, int]:
    """Return (height, width) of a kernel, stride, pad or dilation, unchecked.

    Args:
        param: The parameters of a convolution or pooling.
        field: `"kernel_size"`, `"stride"`, `"pad"` or `"dilation"`.
        default: Caffe's default.
    """
    stem = field.removesuffix("_size")
    names = {f.name for f in param.DESCRIPTOR.fields}
    if f"{stem}_h" in names:
        both = [f"{stem}_h", f"{stem}_w"]
        if any(param.HasField(side) and getattr(param, side) for side in both):
            return tuple(getattr(param, side) for side in both)
    value = getattr(param, field)
    if isinstance(value, int):  # a pooling's; convolutions repeat theirs
        value = [value] if param.HasField(field) else []
    values = list(value) or [default]
    return (values[0], values[-1])
