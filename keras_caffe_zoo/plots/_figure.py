"""What all pictures share."""

import os

from matplotlib.figure import Figure


def saved(figure: Figure, output: str | os.PathLike | None) -> Figure:
    """Save a figure where that is wanted, and return it."""
    if output is not None:
        figure.savefig(output, dpi=110)
    return figure
