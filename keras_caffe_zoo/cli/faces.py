"""The command that finds faces in pictures: find-faces."""

from keras_caffe_zoo.cli._tasks import add_task, model_of, net_options, run_task


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_task(
        commands,
        "find-faces",
        _find_faces,
        "Say where faces are in pictures, and draw boxes around them, with eyes, nose "
        "and mouth.",
        example="find-faces party.jpg -o faces.png",
        net="mtcnn",
        default="mtcnn",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        nargs="+",
        metavar="SCORE",
        help="the least score of a face, 0 to 1; for mtcnn also three, one for each of "
        "its nets (default: 0.5; for mtcnn 0.6 0.7 0.7)",
    )
    parser.add_argument(
        "--smallest",
        type=float,
        default=20,
        metavar="PIXELS",
        help="for mtcnn, the least side of a face: the larger, the quicker it is "
        "(default: %(default)s)",
    )


def _find_faces(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.plots.faces import draw_faces
    from keras_caffe_zoo.tasks.faces import face_finder

    def task():
        return face_finder(
            model_of(arguments),
            threshold=arguments.threshold,
            smallest=arguments.smallest,
            **net_options(arguments),
        )

    return run_task(arguments, task, _said, draw_faces)


def _said(faces) -> list[str]:
    return faces.lines() or ["no face"]
