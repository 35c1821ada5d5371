"""The few facts of this process that several modules ask for."""

import time

draining = False
listening_since: float | None = None


def listening_for() -> float:
    """Seconds since the port was opened; 0 before that."""
    return 0.0 if listening_since is None else time.monotonic() - listening_since
