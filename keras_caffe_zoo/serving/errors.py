"""What a page says in place of an answer."""


class ViewError(ValueError):
    """Something that cannot be shown, and why, for whoever looks at the page."""
