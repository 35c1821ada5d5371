"""`python3 -m tenant`: serve until SIGTERM, then leave without losing a request."""

import asyncio
import sys
import time

import uvicorn

from . import settings, state
from .app import app


class LingeringServer(uvicorn.Server):
    """Told to stop, it serves on for a while, for those who still hold its address, and says `Connection: close`; then it
    closes the port and ends what is in flight."""

    async def shutdown(self, sockets=None):
        state.leaving = True
        await asyncio.sleep(settings.LINGER_SECONDS)
        await super().shutdown(sockets=sockets)


def main():
    if settings.VERSION == "crash":
        time.sleep(1)
        sys.exit("tenant: this version is broken on purpose: it ends before it opens its port")
    config = uvicorn.Config(
        app,
        host="0.0.0.0",
        port=settings.PORT,
        loop="asyncio",
        http="httptools",
        lifespan="off",
        # The gate logs every request.
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    LingeringServer(config).run()


main()
