"""Postgres: a pool that knows when the server is gone, says so at once, and is back within a second of it."""

import asyncio
import contextlib
import logging

import asyncpg

from . import seed, settings

log = logging.getLogger("uvicorn.error")

# Nobody waits for this one: connections are made before they are asked for.
CONNECT = 3.0
# Waiting for a connection and for its answer stays under the 2 s after which the edge gives a backend up, so that
# callers get a clean 503 from here and not a 504 from there; long enough to sit out a slow fsync.
ACQUIRE = 0.8
COMMAND = 1.0
PROBE_EVERY = 0.5
# A server that hangs; one that died is known at once by its closed connection.
PROBE = 2.0
POOL = 8


class Unavailable(Exception):
    """Postgres cannot be reached; answered as 503."""


# What a dead, stopping, starting or hanging server looks like from here.
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A connection that was terminated in the middle of a command.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    OSError,
    asyncio.TimeoutError,
    Unavailable,
)

_pool: asyncpg.Pool | None = None
token_key = ""


def _target() -> dict:
    return {
        "host": settings.POSTGRES_HOST,
        "user": "conduit",
        "database": "conduit",
        "password": settings.POSTGRES_PASSWORD,
        "timeout": CONNECT,
    }


def ready() -> bool:
    """Whether the last probe, at most a second or two old, reached Postgres."""
    return _pool is not None


@contextlib.asynccontextmanager
async def connection():
    """A pooled connection. Raises one of `LOST` soon when there is none to be had."""
    if _pool is None:
        raise Unavailable
    async with _pool.acquire(timeout=ACQUIRE) as found:
        yield found


async def fetchval(query: str, *args):
    async with connection() as found:
        return await found.fetchval(query, *args)


async def fetchrow(query: str, *args):
    async with connection() as found:
        return await found.fetchrow(query, *args)


async def execute(query: str, *args):
    async with connection() as found:
        return await found.execute(query, *args)


async def _filled_pool() -> asyncpg.Pool:
    """A pool with all its connections open: under load is no time to shake hands. asyncpg's own way (`min_size`) leaks
    the connections already made when one of them fails."""
    pool = await asyncpg.create_pool(
        **_target(), min_size=1, max_size=POOL, command_timeout=COMMAND, max_inactive_connection_lifetime=0
    )
    try:
        opened = await asyncio.gather(*(pool.acquire() for _ in range(POOL)))
        for each in opened:
            await pool.release(each)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def keep_connected(first: asyncio.Event) -> None:
    """Run for the life of the process: connect, set `first`, probe, and when a probe fails start over. A new pool each
    time: the connections of the old one are as dead as the server they led to."""
    global _pool, token_key
    while True:
        probe = pool = None
        try:
            probe = await asyncpg.connect(**_target(), command_timeout=30)
            # Every reconnect runs it: a database restored to an older state gets its tables before it gets requests.
            token_key = await seed.prepare(probe)
            pool = await _filled_pool()
            _pool = pool
            log.info("postgres: connected")
            first.set()
            while True:
                await asyncio.sleep(PROBE_EVERY)
                await probe.fetchval("SELECT 1", timeout=PROBE)
        except (*LOST, asyncpg.PostgresError) as lost:
            if _pool is not None:
                log.warning("postgres: lost (%s: %s)", type(lost).__name__, lost)
            await asyncio.sleep(PROBE_EVERY)
        finally:
            _pool = None
            for closing in (pool, probe):
                if closing is not None:
                    closing.terminate()
