"""What the results that list things have in common."""

_SHOWN = 5  # things that a repr lists


class Listed:
    """Things that were found in a picture, each with a score and a line of text.

    Attributes:
        NOUNS: What one of them is called, and several.
    """

    NOUNS: tuple[str, str]

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        height, width = self.size
        one, several = self.NOUNS
        count = f"1 {one}" if len(self) == 1 else f"{len(self)} {several}"
        more = ["…"] if len(self) > _SHOWN else []
        listed = [f"\n  {line}" for line in [*self.lines()[:_SHOWN], *more]]
        return f"<{count} in {width} x {height} pixels{''.join(listed)}>"
