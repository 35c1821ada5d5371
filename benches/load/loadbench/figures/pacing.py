"""How closely requests keep to their times, seen from the server: by the kernel's stamps of the packets that bring them.
Beside it a bare timer on the same core: no generator is closer to its times than the machine lets a sleeper be."""
import os
import time

from ..capture import Capture
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row
from ..schedule import pacing

RATES = (1_000, 3_000, 5_000)
CONNECTIONS = 32


def measure(bench):
    lines = []
    for rate in RATES:
        ours = [Firedrill(bench.firedrill, driver, "precise") for driver in ("hyper1", "raw1")]
        # Their figures are for comparison at the rate where pacing is easiest.
        peers = bench.peer("wrk2", "oha") if rate == RATES[0] else []
        peers.append(Timer())
        load = Load(bench.server.url("http"), bench.options.seconds, CONNECTIONS, rate=rate)

        def once(contender):
            if isinstance(contender, Timer):
                stamps = contender.wake_ups(bench.options.generator_core, bench.options.seconds, rate)
                return pacing(stamps, rate)
            capture = Capture(bench.server.ports["http"])
            bench.run(contender, load)
            stamps = [packet.at for packet in capture.finish() if packet.to_server]
            return pacing(stamps, rate, fit_rate=contender not in ours)

        runs = interleave(ours + peers, bench.options.rounds, once)
        for index, contender in enumerate(ours + peers):
            of = runs[contender.name]
            stretch = contender.name.startswith("raw1")
            judged = contender in ours
            bound = lambda must, wish: Limit("<=", wish if stretch else must, stretch) if judged else None
            name = f"{contender.name}, {rate:,}/s"
            lines.append(Row(f"{name}, p50", "µs", [one.p50 * 1e6 for one in of], limit=bound(60, 20)))
            lines.append(Row(f"{name}, p99", "µs", [one.p99 * 1e6 for one in of], limit=bound(200, 100)))
            burst = bound(3, 2) if rate == RATES[0] else None
            lines.append(Row(f"{name}, most in 1 ms", "", [one.burst for one in of], limit=burst))
    return lines


class Timer:
    """Sleeps from one due time to the next, and does nothing."""

    name = "bare timer"

    def wake_ups(self, core, seconds, rate):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            began, stamps = time.monotonic(), []
            for slot in range(int(seconds * rate)):
                if (left := began + slot / rate - time.monotonic()) > 0:
                    time.sleep(left)
                stamps.append(time.monotonic() - began)
            return stamps
        finally:
            os.sched_setaffinity(0, before)
