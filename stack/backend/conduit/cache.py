"""The read cache: rendered JSON in Redis, valid for one generation of the data. The system goes on without it.

A write bumps the generation, which makes every cached body old at once. In front of Redis, each process holds a body for
`FRESH` seconds: a list may lag a write by that long, and however hard one list is asked for, each backend renders it at
most once in that time. That bound is also what keeps Postgres calm when Redis is gone. When Postgres is gone, lists are
served as they last were.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from . import database, metrics, settings

log = logging.getLogger("uvicorn.error")

TTL = 3600
FRESH = 1.0
# How long callers wait for a new body when an old one is at hand: a hanging Postgres must not slow reads down with it.
STALE_AFTER = 0.2
# Redis answers in under a millisecond; one that hangs may cost each caller in flight this much, once.
PATIENCE = 0.1
PROBE_EVERY = 1.0
GENERATION = "generation"
# Distinct lists held in the process; past it the oldest go.
HELD = 256

_client = redis.Redis(
    host=settings.REDIS_HOST,
    socket_timeout=PATIENCE,
    socket_connect_timeout=PATIENCE,
    retry=Retry(NoBackoff(), 0),
    max_connections=32,
)
_LOST = (redis.RedisError, OSError, asyncio.TimeoutError)
_up = False
_held: dict[str, tuple[float, bytes]] = {}
_loading: dict[str, asyncio.Task] = {}


async def body(key: str, render: Callable[[], Awaitable[bytes]]) -> bytes:
    """The body cached under `key`, or what `render` makes. Callers who ask together wait for one rendering, and where an
    older body is at hand they do not wait for long, nor fail because Postgres is away."""
    held = _held.get(key)
    if held is not None and time.monotonic() < held[0]:
        metrics.CACHE_HITS.inc()
        return held[1]
    task = _loading.get(key)
    if task is None:
        task = asyncio.ensure_future(_load(key, render))
        _loading[key] = task
        task.add_done_callback(functools.partial(_loaded, key))
    # Shielded: one caller who hangs up must not cancel the rendering for the others.
    if held is None:
        return await asyncio.shield(task)
    try:
        return await asyncio.wait_for(asyncio.shield(task), STALE_AFTER)
    except database.LOST:
        metrics.CACHE_STALE.inc()
        return held[1]


def _loaded(key: str, task: asyncio.Task) -> None:
    del _loading[key]
    # Asked for, so that a failure whose callers have all gone is not reported as forgotten.
    if not task.cancelled():
        task.exception()


async def _load(key: str, render: Callable[[], Awaitable[bytes]]) -> bytes:
    # The generation is read before the data: a write between the two leaves an entry that is already old, never a
    # stale one that looks new.
    generation, stamp, found = await _get(key)
    if found is not None and stamp == generation:
        metrics.CACHE_HITS.inc()
    else:
        try:
            found = await render()
            metrics.CACHE_MISSES.inc()
            if generation is not None:
                await _try(_client.set(key, generation + b"\n" + found, ex=TTL))
        except database.LOST:
            if found is None:
                raise
            metrics.CACHE_STALE.inc()
    _held.pop(key, None)
    if len(_held) >= HELD:
        del _held[next(iter(_held))]
    _held[key] = (time.monotonic() + FRESH, found)
    return found


async def _get(key: str) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The current generation, the one the body was made in, and the body; None for what Redis does not have or tell."""
    answer = await _try(_client.mget(GENERATION, key))
    if answer is None:
        return None, None, None
    generation, entry = answer
    if entry is None:
        return generation or b"0", None, None
    stamp, _, found = entry.partition(b"\n")
    return generation or b"0", stamp, found


async def written() -> None:
    """Something that lists show has changed. While Redis is away this is lost, so the next reconnect bumps as well."""
    await _try(_client.incr(GENERATION))


async def _try(call: Awaitable):
    """The call's answer, or None when Redis is away. One failure opens the breaker: no other caller waits again."""
    global _up
    if not _up:
        call.close()
        return None
    try:
        return await call
    except _LOST as lost:
        if _up:
            log.warning("redis: lost (%s: %s); serving without it", type(lost).__name__, lost)
        _up = False
        metrics.CACHE_UP.set(0)
        return None


async def keep_connected() -> None:
    """Run for the life of the process. While the breaker is open this alone tries Redis, so no request pays for it."""
    global _up
    while True:
        if not _up:
            try:
                await _client.incr(GENERATION)
                _up = True
                metrics.CACHE_UP.set(1)
                log.info("redis: connected")
            except _LOST:
                await _client.connection_pool.disconnect(inuse_connections=False)
        await asyncio.sleep(PROBE_EVERY)
