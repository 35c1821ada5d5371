"""The limit on a request runs from its due time, the wait for a connection included: of those due while the server stood
still, all but the last 500 ms' worth run into it, and those whose limit ends before the server has caught up. It takes up
connections in the order in which they came, also those whose callers have given up meanwhile; how long that takes is what
another caller, who comes when it goes on, waits for his answer."""
import socket
import time

from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row

RATE = 10_000
SECONDS = 6
PAUSE_AT = 2.5
PAUSE = 2.0
TIMEOUT = 0.5
KINDS = ("timeout", "connect_timeout")


def measure(bench):
    ours = [Firedrill(bench.firedrill, driver) for driver in ("hyper1", "raw1")]
    load = Load(bench.server.url("http"), SECONDS, rate=RATE, extra=("--timeout", f"{TIMEOUT * 1000:g}ms"))

    def once(contender):
        with bench.start(contender, load) as child:
            child.sleep_until(PAUSE_AT)
            caller = Caller(bench.server.ports["http"])
            stopped, going = bench.server.pause(PAUSE, caller.ask)
            answered = caller.answered()
            said = contender.said(bench.end(child))
        outcomes = said.document["load"]["windows"][-1]["by_outcome"]
        return outcomes, (answered - stopped - TIMEOUT) * RATE, answered - going

    runs = interleave(ours, bench.options.rounds, once)
    lines = []
    for name, of in runs.items():
        told = [sum(outcomes.get(kind, 0) for kind in KINDS) for outcomes, *_ in of]
        truth = [due for _, due, _ in of]
        lines.append(Row(f"{name}, timeouts of either kind", "", told, "truth", truth))
        off = [abs(a - b) / b for a, b in zip(told, truth)]
        lines.append(Row("  off by", "", off, limit=Limit("<=", 0.02)))
        lines.append(Row("  of them while connecting", "", [outcomes.get("connect_timeout", 0) for outcomes, *_ in of]))
        lines.append(Row("  the server caught up after", "ms", [late * 1e3 for *_, late in of]))
        others = [sum(outcomes.values()) - outcomes.get("ok", 0) - timeouts for (outcomes, *_), timeouts in zip(of, told)]
        lines.append(Row("  neither ok nor a timeout", "", others, limit=Limit("==", 0)))
    return lines


class Caller:
    """Somebody else, with a connection of his own."""

    def __init__(self, port):
        self.port = port

    def ask(self):
        self.connection = socket.create_connection(("127.0.0.1", self.port), 5)
        self.connection.sendall(b"GET / HTTP/1.0\r\n\r\n")

    def answered(self):
        """When, on the monotonic clock."""
        with self.connection:
            self.connection.recv(4096)
            return time.monotonic()
