"""`python3 -m conduit`: serve until SIGTERM, then leave without losing a request."""

import asyncio
import sys
import time

import uvicorn

from . import settings, state


class DrainingServer(uvicorn.Server):
    """uvicorn closes idle keep-alive connections the moment it is told to stop. The edge may be writing a request into
    one just then, and a POST must not be sent twice, so it would be lost. This server refuses new connections first,
    answers what still comes on the old ones with `Connection: close`, and closes the idle rest only after a while."""

    async def startup(self, sockets=None):
        # The lifespan start (database, migrations) comes first: an address that answers is one that can serve.
        await super().startup(sockets=sockets)
        state.listening_since = time.monotonic()

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        state.draining = True
        deadline = time.monotonic() + settings.DRAIN_SECONDS
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets=sockets)


def main():
    if settings.VERSION == "broken":
        sys.exit("conduit: this build is broken on purpose: it stops before it opens its port")
    with open(settings.STARTS_FILE, "a", encoding="ascii") as starts:
        starts.write(f"{time.time():.3f}\n")
    config = uvicorn.Config(
        "conduit.app:served",
        host="0.0.0.0",
        port=settings.PORT,
        loop="uvloop",
        http="httptools",
        # The edge logs every request; a second line for each would only cost CPU.
        access_log=False,
        server_header=False,
        # Longer than the 30 s after which the edge drops an idle connection: whoever closes first must be the edge,
        # or it would write into connections that are closing.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    DrainingServer(config).run()


main()
