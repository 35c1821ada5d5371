"""What needs no server: hashes, slugs, tokens, limits, and answers while Postgres is away."""

import asyncio
import unittest
from unittest import mock

from fastapi import HTTPException, Request

from conduit import app, articles, auth, database, metrics, passwords, state


def request(path="/", authorization=None):
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return Request({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers})


async def get(path, headers=()):
    """Status and headers of the whole application's answer, without a socket."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
             "query_string": b"", "headers": list(headers), "scheme": "http", "server": ("x", 80), "root_path": ""}
    await app.served(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


class Pieces(unittest.TestCase):
    def test_a_hash_matches_its_password_only(self):
        stored = passwords.hash_now("right", rounds=10)
        self.assertTrue(passwords.matches_now("right", stored))
        self.assertFalse(passwords.matches_now("wrong", stored))
        self.assertNotEqual(stored, passwords.hash_now("right", rounds=10), "each hash has a salt of its own")

    def test_slugs_are_readable_and_unique(self):
        self.assertRegex(articles.slug_of("Hello, World!"), r"^hello-world-[0-9a-f]{8}$")
        self.assertNotEqual(articles.slug_of("a"), articles.slug_of("a"))
        self.assertRegex(articles.slug_of("¡¿"), r"^[0-9a-f]{8}$")

    def test_tokens(self):
        with mock.patch.object(database, "token_key", "k" * 64):
            token = auth.issue(7)
            self.assertEqual(auth.required(request(authorization=f"Token {token}")), 7)
            self.assertEqual(auth.optional(request()), 0)
            for bad in (f"Token {token[:-2]}xx", "Token", f"Basic {token}", "Token x.y.z"):
                with self.assertRaises(HTTPException, msg=bad):
                    auth.optional(request(authorization=bad))
        with mock.patch.object(database, "token_key", "another" * 9), self.assertRaises(HTTPException):
            auth.optional(request(authorization=f"Token {token}"))

    def test_limits_are_the_working_set_and_both_cgroup_versions_are_read(self):
        import pathlib
        import tempfile

        for files in (
            {"memory.current": "900", "memory.max": "1000", "memory.stat": "inactive_file 100\n", "cpu.max": "50000 100000"},
            {"memory/memory.usage_in_bytes": "900", "memory/memory.limit_in_bytes": "1000",
             "memory/memory.stat": "total_inactive_file 100\n", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
        ):
            with tempfile.TemporaryDirectory() as folder, mock.patch.object(metrics, "CGROUP", pathlib.Path(folder)):
                for name, text in files.items():
                    path = pathlib.Path(folder, name)
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(text, encoding="ascii")
                found = {family.name: family.samples[0].value for family in metrics.Limits().collect()}
            self.assertEqual(found, {"conduit_memory_used_bytes": 800, "conduit_memory_limit_bytes": 1000,
                                     "conduit_cpu_limit_cores": 0.5})


class WithoutPostgres(unittest.TestCase):
    def test_every_answer_says_who_gave_it(self):
        for path, expected in (("/health", 200), ("/ready", 503), ("/settled", 503), ("/api/articles/x", 503),
                               ("/api/articles", 503), ("/nowhere", 404)):
            status, headers = asyncio.run(get(path))
            self.assertEqual(status, expected, path)
            self.assertIn(b"x-backend", headers)
            self.assertIn(b"x-version", headers)
            self.assertNotIn(b"connection", headers)

    def test_a_lost_database_asks_to_try_again(self):
        self.assertEqual(asyncio.run(get("/api/articles/x"))[1][b"retry-after"], b"1")

    def test_a_draining_backend_is_not_ready_and_closes_its_connections(self):
        with mock.patch.object(state, "draining", True), mock.patch.object(database, "_pool", object()):
            status, headers = asyncio.run(get("/ready"))
        self.assertEqual((status, headers[b"connection"]), (503, b"close"))

    def test_settled_is_ready_for_long_enough(self):
        with mock.patch.object(database, "_pool", object()):
            for seconds, expected in ((1, 503), (60, 200)):
                with mock.patch.object(state, "listening_for", return_value=seconds):
                    self.assertEqual(asyncio.run(get("/settled"))[0], expected)
            self.assertEqual(asyncio.run(get("/ready"))[0], 200)


if __name__ == "__main__":
    unittest.main()
