"""The routes, as a plain ASGI application: a framework would double the image."""

import asyncio
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qs

from . import metrics, settings, state

# More than this, and under its CPU limit a request would meet the gate's read timeout.
WORK_MAX_MS = 500


def _json(code: int, /, **body):
    return code, "application/json", json.dumps(body).encode()


def _proof(secret: bytes, nonce: str) -> str:
    """Shows which secret this process has, without showing the secret."""
    return hmac.new(secret, nonce.encode(), hashlib.sha256).hexdigest()


async def _burn(milliseconds: int) -> None:
    """Burns CPU time, not time: under a CPU limit it takes longer. In slices, or health checks would wait too."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        slice_end = time.thread_time() + 0.005
        while time.thread_time() < slice_end:
            pass
        await asyncio.sleep(0)


async def _home(query):
    secret = settings.secret()
    if secret is None:
        return _json(500, error="this tenant has no secret")
    proof = _proof(secret, query.get("nonce", ["firedrill"])[0])
    return _json(200, tenant=settings.TENANT, version=settings.VERSION, backend=settings.INSTANCE, proof=proof)


async def _work(query):
    try:
        milliseconds = int(query.get("ms", ["10"])[0])
    except ValueError:
        return _json(422, error="ms must be a whole number")
    milliseconds = max(0, min(milliseconds, WORK_MAX_MS))
    await _burn(milliseconds)
    return _json(200, burnt_ms=milliseconds)


async def _health(_):
    """Alive: the process answers. The container's health check."""
    well = settings.VERSION != "unhealthy"
    return _json(200 if well else 503, status="alive" if well else "unwell", version=settings.VERSION)


async def _ready(_):
    """Able to serve, and not on its way out."""
    good = settings.secret() is not None and not state.leaving
    return _json(200 if good else 503, secret=settings.secret() is not None, leaving=state.leaving)


async def _metrics(_):
    return 200, "text/plain; version=0.0.4", metrics.exposition().encode()


APPLICATION = {"/": _home, "/work": _work}
OWN = {"/health": _health, "/ready": _ready, "/metrics": _metrics}


async def answer(path: str, query: dict):
    if path in OWN:
        return await OWN[path](query)
    if settings.VERSION == "silent":
        return _json(500, error="this version is broken on purpose")
    if path in APPLICATION:
        return await APPLICATION[path](query)
    return _json(404, error="no such path")


async def app(scope, receive, send):
    started = time.monotonic()
    path = scope["path"]
    # A body that nobody reads would be taken for the next request.
    while (await receive()).get("more_body"):
        pass
    status, kind, body = await answer(path, parse_qs(scope["query_string"].decode("latin-1")))
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-backend", settings.INSTANCE.encode()),
        (b"x-version", settings.VERSION.encode()),
    ]
    if state.leaving:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
    # Strange paths share a label: whoever asks for many must not make many series.
    known = path if path in APPLICATION or path in OWN else "other"
    metrics.count(known, status, time.monotonic() - started)
