"""What Prometheus reads at /metrics, and the middleware that counts."""

import pathlib
import time

from prometheus_client import Counter, Gauge, Histogram, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily

from . import settings, state

REQUESTS = Counter("conduit_http_requests", "Answers by route and status", ["method", "path", "status"])
LATENCY = Histogram(
    "conduit_http_request_seconds",
    "Time to answer, by route",
    ["path"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
IN_FLIGHT = Gauge("conduit_http_in_flight", "Requests not yet answered")
CACHE_HITS = Counter("conduit_cache_hits", "Cached reads answered from the cache")
CACHE_MISSES = Counter("conduit_cache_misses", "Cached reads that had to ask Postgres")
CACHE_STALE = Counter("conduit_cache_stale", "Cached reads answered with an old body because Postgres did not answer")
CACHE_UP = Gauge("conduit_cache_up", "1 while Redis is in use")
STARTS = Gauge("conduit_starts", "Times this container's program was started")
INFO = Gauge("conduit_info", "Always 1", ["version", "instance_id"])
INFO.labels(settings.VERSION, settings.INSTANCE).set(1)

CGROUP = pathlib.Path("/sys/fs/cgroup")
_HEADERS = [(b"x-backend", settings.INSTANCE.encode()), (b"x-version", settings.VERSION.encode())]
# Monitoring's own questions; counted by route, kept out of the latency that users saw.
PROBES = {"/health", "/ready", "/settled", "/metrics"}


def _number(*candidates: str) -> float | None:
    """The first of these cgroup files that holds a number."""
    for name in candidates:
        try:
            return float((CGROUP / name).read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            continue
    return None


class Limits:
    """Memory in use and both limits, from cgroup v2 or v1, read when asked for."""

    def collect(self):
        used = _number("memory.current", "memory/memory.usage_in_bytes")
        limit = _number("memory.max", "memory/memory.limit_in_bytes")
        if used is not None and limit is not None:
            # File pages that the kernel can drop are not pressure; the working set is what the OOM killer weighs.
            used -= self._inactive_file()
            yield GaugeMetricFamily("conduit_memory_used_bytes", "Working set of the container", used)
            yield GaugeMetricFamily("conduit_memory_limit_bytes", "Memory limit of the container", limit)
        cores = self._cores()
        if cores is not None:
            yield GaugeMetricFamily("conduit_cpu_limit_cores", "CPU limit of the container", cores)

    @staticmethod
    def _inactive_file() -> float:
        for name, field in (("memory.stat", "inactive_file"), ("memory/memory.stat", "total_inactive_file")):
            try:
                lines = (CGROUP / name).read_text(encoding="ascii").splitlines()
            except OSError:
                continue
            return next((float(line.split()[1]) for line in lines if line.split()[0] == field), 0.0)
        return 0.0

    @staticmethod
    def _cores() -> float | None:
        try:
            quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
            return None if quota == "max" else float(quota) / float(period)
        except OSError:
            quota, period = _number("cpu/cpu.cfs_quota_us"), _number("cpu/cpu.cfs_period_us")
            return None if quota is None or period is None or quota < 0 else quota / period


def start() -> None:
    """Called once, when the program starts."""
    REGISTRY.register(Limits())
    starts = pathlib.Path(settings.STARTS_FILE)
    STARTS.set(len(starts.read_text(encoding="ascii").splitlines()) if starts.exists() else 0)


def exposition() -> bytes:
    return generate_latest(REGISTRY)


class Middleware:
    """Counts every request, and signs every answer with who gave it. Plain ASGI: it runs for each request."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def signed(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *_HEADERS]
                if state.draining:
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        begun = time.perf_counter()
        IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, signed)
        finally:
            IN_FLIGHT.dec()
            route = scope.get("route")
            # Unrouted paths share one label, or a scanner could make a series of each path it tries.
            path = route.path if route is not None else "unrouted"
            REQUESTS.labels(scope["method"], path, status).inc()
            if path not in PROBES:
                LATENCY.labels(path).observe(time.perf_counter() - begun)
