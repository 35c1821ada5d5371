"""What stops the bench, or one figure of it, in words for the one who runs it."""


class Problem(Exception):
    """The bench cannot go on; the message says what to do."""


class Unmeasurable(Exception):
    """One figure cannot be measured here; the others can."""
