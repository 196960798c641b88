"""A colour for each class."""

import colorsys

# Okabe and Ito's colours and two more: ten that the colour-blind can tell apart.
TEN = [
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#3b7dd8"),
    *("#d55e00", "#cc79a7", "#a6761d", "#7f3fbf", "#66a61e"),
]
_TURN = 0.618034  # of the circle of hues: each is far from all before it


def colour_of(index: int) -> tuple[int, int, int]:
    """Return the colour of a class by its number: red, green and blue in 0-255.

    The first ten are told apart best; there are others for as many as there are.
    """
    if index < len(TEN):
        return tuple(int(TEN[index][i : i + 2], 16) for i in (1, 3, 5))
    value = (0.95, 0.75, 0.6)[index % 3]
    colour = colorsys.hsv_to_rgb(index * _TURN % 1, 0.75, value)
    return tuple(round(255 * part) for part in colour)


def text_on(colour: tuple[int, int, int]) -> str:
    """Return the colour of text that is legible on a colour: black or white."""
    red, green, blue = colour
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 125 else "white"
