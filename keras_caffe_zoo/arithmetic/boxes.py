"""Names of the ways in which SSD writes boxes, in the order of their numbers."""

CODE_TYPES = ("corner", "center_size", "corner_size")
