"""The application by its ASGI interface, no port opened."""

import asyncio
import hashlib
import hmac
import json
import tempfile
import unittest
from unittest import mock

from tenant import settings, state
from tenant.app import app


def ask(path, query="", method="GET"):
    sent = []

    async def receive():
        return {"type": "http.request", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    asyncio.run(app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


class Answers(unittest.TestCase):
    def setUp(self):
        file = tempfile.NamedTemporaryFile()
        file.write(b"s3cret\n")
        file.flush()
        self.addCleanup(file.close)
        for name, value in {"SECRET_FILE": file.name, "VERSION": "v1", "TENANT": "a"}.items():
            patch = mock.patch.object(settings, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def test_home_proves_the_secret_and_does_not_tell_it(self):
        status, headers, body = ask("/", "nonce=n1")
        said = json.loads(body)
        self.assertEqual((status, said["tenant"], headers["x-version"]), (200, "a", "v1"))
        self.assertEqual(headers["x-backend"], said["backend"])
        self.assertEqual(said["proof"], hmac.new(b"s3cret", b"n1", hashlib.sha256).hexdigest())
        self.assertNotIn(b"s3cret", body)

    def test_no_secret_shows(self):
        with mock.patch.object(settings, "SECRET_FILE", "/nonexistent"):
            self.assertEqual((ask("/")[0], ask("/ready")[0], ask("/health")[0]), (500, 503, 200))

    def test_leaving(self):
        with mock.patch.object(state, "leaving", True):
            self.assertEqual(ask("/ready")[0], 503)
            status, headers, _ = ask("/")
            self.assertEqual((status, headers["connection"]), (200, "close"))

    def test_silent_fails_where_no_check_looks(self):
        with mock.patch.object(settings, "VERSION", "silent"):
            self.assertEqual((ask("/")[0], ask("/work")[0], ask("/health")[0], ask("/ready")[0]), (500, 500, 200, 200))

    def test_unhealthy(self):
        with mock.patch.object(settings, "VERSION", "unhealthy"):
            self.assertEqual((ask("/health")[0], ask("/")[0]), (503, 200))

    def test_work(self):
        self.assertEqual(json.loads(ask("/work", "ms=20")[2]), {"burnt_ms": 20})
        self.assertEqual(json.loads(ask("/work", "ms=-5")[2]), {"burnt_ms": 0})
        self.assertEqual(ask("/work", "ms=soon")[0], 422)

    def test_metrics_count_strange_paths_together(self):
        ask("/x"), ask("/y")
        status, _, body = ask("/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b'path="other",status="404"', body)
        self.assertIn(b'tenant_request_seconds_bucket{le="+Inf"}', body)
