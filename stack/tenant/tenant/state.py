"""The one fact of this process that changes."""

leaving = False
