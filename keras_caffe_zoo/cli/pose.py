"""The command that finds people's joints: estimate-pose."""

from keras_caffe_zoo.cli._tasks import add_task, free_model_of, net_options, run_task


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_task(
        commands,
        "estimate-pose",
        _estimate_pose,
        "Say where people's joints are, and draw their skeletons.",
        example="estimate-pose street.jpg -o people.png",
        net="openpose_mpi",
        default="openpose_coco",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.1,
        help="what a heat map must exceed where a point is to be (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--min-points",
        type=int,
        default=4,
        help="the least points of a person (default: %(default)s)",
    )
    parser.add_argument(
        "--height",
        type=int,
        default=368,
        help="height in pixels that pictures have for the net, a multiple of 8; it "
        "finds smaller people in larger ones (default: %(default)s)",
    )


def _estimate_pose(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.plots.skeletons import draw_poses
    from keras_caffe_zoo.tasks.grouping import Rules
    from keras_caffe_zoo.tasks.pose import PoseEstimator

    def task():
        return PoseEstimator(
            free_model_of(arguments, _has_fixed_size),
            rules=Rules(peak=arguments.threshold, points=arguments.min_points),
            height=arguments.height,
            **net_options(arguments),
        )

    return run_task(arguments, task, _said, draw_poses)


def _has_fixed_size(model) -> bool:
    return None not in model.inputs[0].shape[1:3]


def _said(poses) -> list[str]:
    return poses.lines() or ["nobody"]
