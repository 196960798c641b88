"""The command `view`: a net as a page for a browser."""

import webbrowser
from pathlib import Path

from keras_caffe_zoo.cli._command import add_command, add_json


def add_commands(commands) -> None:
    """Add this module's command."""
    parser = add_command(
        commands,
        "view",
        _view,
        "Make a page of a net: its graph, with shapes, settings, parameters and "
        "multiply-adds of each layer. One HTML file, which needs no network.",
        example="view deploy.prototxt net.caffemodel -o net.html --open",
    )
    parser.add_argument(
        "net",
        type=Path,
        metavar="NET",
        help="a .prototxt, a .caffemodel or a .keras file; or the name of a net of the "
        "zoo, with its weights if they are in the cache",
    )
    parser.add_argument(
        "weights",
        type=Path,
        nargs="?",
        metavar="NET.caffemodel",
        help="the weights of a .prototxt: the page then has the first layer's filters",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PAGE.html",
        help="the page to write (default: NET.html, in the current folder)",
    )
    parser.add_argument(
        "--open", action="store_true", help="show the page in the browser"
    )
    parser.add_argument(
        "--phase",
        choices=("TEST", "TRAIN"),
        default="TEST",
        help="which of a training net's layers there are (default: %(default)s)",
    )
    parser.add_argument(
        "--input-shape",
        type=int,
        nargs="+",
        metavar="N",
        help="height and width of the image that the net takes, in place of its own, "
        "and its channels where the net does not tell them",
    )
    add_json(parser)


def _view(arguments) -> dict:
    from keras_caffe_zoo.files import check_folder, replacing
    from keras_caffe_zoo.view.page import net_page

    output = arguments.output or Path(f"{arguments.net.stem or 'net'}.html")
    check_folder(output)
    net = _viewed(arguments)
    page = net_page(net)
    with replacing(output) as file:
        file.write(page)
    if not arguments.json:
        for note in net.notes:
            print(note)
        least = "" if net.is_counted else "at least "
        print(
            f"{output}: {len(net.layers):,} layers, {net.parameters:,} parameters, "
            f"{least}{net.multiply_adds:,} multiply-adds"
        )
    if arguments.open:
        webbrowser.open(output.absolute().as_uri())
    return {"output": str(output), **net.as_dict()}


def _viewed(arguments):
    """Return the net to be looked at: of files, without Keras; or of a model."""
    from keras_caffe_zoo.progress import Progress
    from keras_caffe_zoo.view.net import is_opened, viewed_file

    net, shape = arguments.net, arguments.input_shape
    shape = None if shape is None else tuple(shape)
    if is_opened(net):
        from keras_caffe_zoo.view.models import viewed_opened

        if arguments.phase != "TEST":
            raise ValueError(
                f"Expected --phase with a file of Caffe, which may have both; "
                f"received: {net}, a net for predictions"
            )
        return viewed_opened(net, arguments.weights, shape)
    progress = Progress(None, "layer")
    try:
        return viewed_file(
            net,
            arguments.weights,
            phase=arguments.phase,
            input_shape=shape,
            advance=progress.advance,
        )
    finally:
        progress.close()
