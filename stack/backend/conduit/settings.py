"""What the environment says, read once."""

import os
import socket

VERSION = os.environ.get("APP_VERSION", "dev")
# Docker's default host name is the first 12 digits of the container's id: that is how an answer names who gave it.
INSTANCE = socket.gethostname()
PORT = int(os.environ.get("PORT", "8000"))

POSTGRES_HOST = os.environ.get("POSTGRES_HOST", "postgres")
POSTGRES_PASSWORD = os.environ.get("POSTGRES_PASSWORD", "")
REDIS_HOST = os.environ.get("REDIS_HOST", "redis")

# The seeded users' password.
DRILL_PASSWORD = os.environ.get("DRILL_PASSWORD", "")

# Seconds a process must have been listening before /settled says yes. The edge leaves a failed address out for
# fail_timeout = 10 s; only after that is a restarted backend surely back in rotation, and only then may a rolling
# update take the next one. The same thought as Kubernetes' minReadySeconds.
SETTLE_SECONDS = float(os.environ.get("SETTLE_SECONDS", "11"))

# Seconds between SIGTERM and closing what is still idle. In between, every answer asks for its connection to be closed
# and new connections are refused, so the edge has left this address before its connections go.
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "1.5"))

# One start is one line of this file; it lives in the container, so it survives restarts but not a replacement.
STARTS_FILE = os.path.expanduser("~/starts")
