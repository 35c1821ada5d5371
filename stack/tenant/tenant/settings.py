"""What the environment says."""

import os
import socket

VERSION = os.environ.get("APP_VERSION", "v1")
TENANT = os.environ.get("TENANT", "-")
SECRET_FILE = os.environ.get("SECRET_FILE", "/run/secrets/tenant")
PORT = 8000
# Without `hostname` in the stack's file: the first 12 digits of the container's id.
INSTANCE = socket.gethostname()
# Between SIGTERM and a closed port. Swarm takes a task out of the DNS 2 s before it sends the signal; on a busy machine the
# news travels late, and a caller may hold an address for a second more.
LINGER_SECONDS = 2.0


def secret() -> bytes | None:
    try:
        with open(SECRET_FILE, "rb") as file:
            return file.read().strip() or None
    except OSError:
        return None
