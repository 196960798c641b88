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
        "file", type=Path, metavar="NET", help="a .prototxt or a .caffemodel"
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
    from keras_caffe_zoo.progress import Progress
    from keras_caffe_zoo.view.net import viewed_file
    from keras_caffe_zoo.view.page import net_page

    _check_file(arguments.file)
    output = arguments.output or Path(f"{arguments.file.stem or 'net'}.html")
    check_folder(output)
    progress = Progress(None, "layer")
    try:
        net = viewed_file(
            arguments.file,
            arguments.weights,
            phase=arguments.phase,
            input_shape=arguments.input_shape and tuple(arguments.input_shape),
            advance=progress.advance,
        )
    finally:
        progress.close()
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


def _check_file(path: Path) -> None:
    """Tell whoever names a net of the zoo what draws it."""
    from keras_caffe_zoo.weights import model_names

    name = str(path)
    if name in model_names() and not path.exists():
        raise ValueError(
            f"Expected a .prototxt or a .caffemodel; received: {name!r}, a net of the "
            f"zoo. In Python, kcz.plots.show_net(kcz.{name}(weights=None), "
            f'output="{name}.svg") draws it'
        )
