"""The error that readers and writers of files raise, and fields they do not know."""

from typing import NamedTuple


class CaffeFormatError(ValueError):
    """Something inside a Caffe file is not what Caffe's formats allow.

    Args:
        problem: What was expected, what was received, what to do.
        source: File (or `"<string>"`) the problem is in.
        layer: Caffe's name of the layer, or a description such as `#3`.
        field: Dotted path of the field inside the layer.
        offset: Byte position in a binary file.
        line: Line in a text file, from 1.
        column: Column in a text file, from 1.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> try:
        ...     parse_prototxt('name: "net" layer {', source="net.prototxt")
        ... except kcz.CaffeFormatError as error:
        ...     print(error)
        net.prototxt, line 1, column 20, layer '#0': Expected a field's name or '}';
        received: end of text
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str | None = None,
        layer: str | None = None,
        field: str | None = None,
        offset: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ):
        self.problem, self.source, self.layer = problem, source, layer
        self.field, self.offset, self.line, self.column = field, offset, line, column
        place = [source] if source else []
        place += [f"line {line}, column {column}"] if line is not None else []
        place += [f"byte {offset}"] if offset is not None else []
        place += [f"layer {layer!r}"] if layer is not None else []
        place += [f"field {field!r}"] if field else []
        super().__init__(f"{', '.join(place)}: {problem}" if place else problem)

    def __reduce__(self):
        return _rebuild, (self.__dict__,)


def _rebuild(state: dict) -> CaffeFormatError:
    return CaffeFormatError(state.pop("problem"), **state)


class UnknownField(NamedTuple):
    """A field of a Caffe file that nobody declared, most likely a fork's.

    Attributes:
        layer: Name of the layer that has it, `None` for the net's own.
        path: Dotted path of the field in the layer; numbers where the file is binary.
        value: Its value as the file has it: text, or bytes of a binary file.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> net = parse_prototxt('''layer { name: "relu1" type: "ReLU"
        ...     relu_param { negative_slope: 0.5 steeper: 2 } }''')
        >>> (field,) = net.unknown_fields
        >>> field.value, str(field)
        ('2', "layer 'relu1': field 'relu_param.steeper'")
    """

    layer: str | None
    path: str
    value: str | bytes = ""

    def __str__(self):
        where = "net" if self.layer is None else f"layer {self.layer!r}"
        return f"{where}: field {self.path!r}"
