"""Whether memory grows with the number of requests."""
import signal
import time

from ..contenders import Firedrill, Load
from ..rows import Limit, Row

CONNECTIONS = 64
SHARES = (0.01, 0.25, 0.5, 0.75, 1.0)
MEGABYTE = 1e6


def measure(bench):
    lines = []
    for driver, limit in (("hyper1", Limit("<=", 20)), ("raw1", Limit("<=", 15, stretch=True))):
        lines += one(bench, Firedrill(bench.firedrill, driver), limit)
    return lines


def one(bench, contender, limit):
    """Until the server has counted that many. Begun with an hour to go, and then interrupted: it has no count to go to."""
    wanted = bench.options.memory_requests
    load = Load(bench.server.url("http"), 3600, CONNECTIONS)
    before, moments = bench.server.requests(), []
    with bench.start(contender, load) as child:
        # Before the first request, which leaves 50 ms after the start.
        child.sleep_until(0.03)
        start = child.memory()
        for share in SHARES:
            while bench.server.requests() - before < share * wanted:
                child.sleep_until(time.monotonic() - child.began + 0.1)
            moments.append(child.memory() - start)
        peak = child.memory("VmHWM") - start
        child.signal(signal.SIGINT)
        bench.end(child)
    note = f"{start / MEGABYTE:.1f} MB at the start; beyond it " + ", ".join(
        f"{beyond / MEGABYTE:.1f} after {share * wanted:,.0f}" for share, beyond in zip(SHARES, moments)
    )
    return [Row(f"{contender.name}, peak beyond the start", "MB", [peak / MEGABYTE], limit=limit, note=note)]
