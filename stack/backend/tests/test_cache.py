"""The read cache against a Redis and a Postgres that come and go."""

import asyncio
import unittest
from unittest import mock

import redis.asyncio as redis

from conduit import cache, database


class FakeRedis:
    """As much of Redis as the cache uses. `away` makes every call fail as a lost connection does."""

    def __init__(self):
        self.data, self.away, self.calls = {}, False, 0

    async def _answer(self, value):
        self.calls += 1
        if self.away:
            raise redis.ConnectionError("away")
        return value

    async def mget(self, *keys):
        return await self._answer([self.data.get(key) for key in keys])

    async def set(self, key, value, ex):
        await self._answer(None)
        self.data[key] = value

    async def incr(self, key):
        await self._answer(None)
        self.data[key] = str(int(self.data.get(key, b"0")) + 1).encode()


class Cache(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.redis = FakeRedis()
        self.rendered = 0
        self.lost = False
        for name, value in {"_client": self.redis, "_up": True, "_held": {}, "_loading": {}}.items():
            patch = mock.patch.object(cache, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    async def render(self):
        await asyncio.sleep(0)
        if self.lost:
            raise database.Unavailable
        self.rendered += 1
        return b"body %d" % self.rendered

    async def ask(self):
        return await cache.body("list", self.render)

    def expire_held(self):
        for key, (_, body) in cache._held.items():
            cache._held[key] = (0.0, body)

    async def test_callers_who_ask_together_share_one_rendering(self):
        self.assertEqual(await asyncio.gather(*(self.ask() for _ in range(20))), [b"body 1"] * 20)

    async def test_another_process_finds_the_body_in_redis(self):
        await self.ask()
        cache._held.clear()
        self.assertEqual(await self.ask(), b"body 1")

    async def test_a_write_makes_the_body_old_within_the_fresh_time(self):
        await self.ask()
        await cache.written()
        self.assertEqual(await self.ask(), b"body 1", "held for FRESH seconds")
        self.expire_held()
        self.assertEqual(await self.ask(), b"body 2")

    async def test_a_write_during_the_rendering_is_not_missed(self):
        async def overtaken():
            await cache.written()
            return await self.render()

        await cache.body("list", overtaken)
        cache._held.clear()
        self.assertEqual(await self.ask(), b"body 2")

    async def test_without_redis_nothing_fails_and_only_the_first_call_waits(self):
        self.redis.away = True
        self.assertEqual(await self.ask(), b"body 1")
        self.expire_held()
        self.assertEqual(await self.ask(), b"body 2")
        await cache.written()
        self.assertEqual(self.redis.calls, 1, "the breaker is open after one failure")

    async def test_reads_outlive_postgres(self):
        await self.ask()
        await cache.written()
        self.lost = True
        self.expire_held()
        self.assertEqual(await self.ask(), b"body 1", "held by this process")
        cache._held.clear()
        self.assertEqual(await self.ask(), b"body 1", "an old generation in Redis")
        self.redis.data.clear()
        cache._held.clear()
        with self.assertRaises(database.Unavailable):
            await self.ask()

    async def test_a_hanging_postgres_slows_no_reader_who_can_have_an_old_body(self):
        await self.ask()
        await cache.written()
        self.expire_held()
        with mock.patch.object(cache, "STALE_AFTER", 0.01):
            hang = asyncio.Event()
            stale = await cache.body("list", lambda: hang.wait())
        self.assertEqual(stale, b"body 1")
        for task in cache._loading.values():
            task.cancel()


if __name__ == "__main__":
    unittest.main()
