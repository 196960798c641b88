"""The commands that make pictures of pictures: find-edges, colorize."""

from keras_caffe_zoo.cli._tasks import add_task, model_of, net_options, run_task


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_task(
        commands,
        "find-edges",
        _find_edges,
        "Draw the edges in pictures, as people would.",
        example="find-edges street.jpg -o edges.png",
        net="hed",
        default="hed",
        output="edges",
    )
    parser.add_argument(
        "--longest",
        type=int,
        default=1024,
        help="longest side that the net is to see, in pixels: larger pictures are "
        "shrunk for it, and their edges enlarged (default: %(default)s)",
    )
    add_task(
        commands,
        "colorize",
        _colorize,
        "Colour black-and-white photographs.",
        example="colorize grandmother.jpg -o coloured.png",
        net="colorization",
        default="colorization",
        output="colorized",
    )


class _Made:
    """A task's array of each picture, as a result that tells of itself."""

    def __init__(self, pixels, facts: dict):
        self.pixels, self._facts = pixels, facts

    def as_dict(self) -> dict:
        """Return what is to be told of it, as JSON types."""
        return self._facts


class _Making:
    """A task whose results are arrays, which become `_Made`."""

    def __init__(self, task, facts):
        self._task, self._facts = task, facts
        self.batch_size, self.batches_at_once = task.batch_size, task.batches_at_once

    def prepare(self, pixels):
        return self._task.prepare(pixels)

    def answer(self, prepared: list) -> list[_Made]:
        return [_Made(one, self._facts(one)) for one in self._task.answer(prepared)]


def _find_edges(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.tasks.edges import EdgeFinder

    def task():
        options = {"longest": arguments.longest, **net_options(arguments)}
        return _Making(EdgeFinder(model_of(arguments), **options), _of_edges)

    return run_task(arguments, task, _said_of_edges, _drawn_edges)


def _of_edges(edges) -> dict:
    return {"size": list(edges.shape), "edges": float((edges > 0.5).mean())}


def _said_of_edges(made) -> list[str]:
    return [f"{made.as_dict()['edges']:.1%} of its pixels are edges"]


def _drawn_edges(_, made):
    from keras_caffe_zoo.plots.edges import draw_edges

    return draw_edges(made.pixels)


def _colorize(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.tasks.colorization import Colorizer

    options = net_options(arguments)
    for name in ("mean", "scale", "preprocessing"):
        if (given := options.pop(name)) is not None:
            raise ValueError(
                f"Expected no --{name}: the net takes lightness less 50, no picture; "
                f"received: {given}"
            )

    def task():
        return _Making(Colorizer(model_of(arguments), **options), _of_colours)

    return run_task(arguments, task, _said_of_colours, lambda _, made: made.pixels)


def _of_colours(pixels) -> dict:
    from keras_caffe_zoo.arithmetic.colours import lab_of

    a, b = lab_of(pixels)[..., 1:].mean((0, 1)).tolist()
    return {"size": list(pixels.shape[:2]), "mean_colour": {"a": a, "b": b}}


def _said_of_colours(made) -> list[str]:
    colour = made.as_dict()["mean_colour"]
    return [f"on average a {colour['a']:+.1f}, b {colour['b']:+.1f} (CIE Lab)"]
