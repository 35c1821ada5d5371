"""The limit on a request runs from its due time, the wait for a connection included: of those due while the server stood
still, all but the last 500 ms' worth run into it."""
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
            stopped, going = bench.server.pause(PAUSE)
            said = contender.said(bench.end(child))
        return said.document["load"]["windows"][-1]["by_outcome"], (going - stopped - TIMEOUT) * RATE

    runs = interleave(ours, bench.options.rounds, once)
    lines = []
    for name, of in runs.items():
        told = [sum(outcomes.get(kind, 0) for kind in KINDS) for outcomes, _ in of]
        truth = [due for _, due in of]
        lines.append(Row(f"{name}, timeouts of either kind", "", told, "truth", truth))
        off = [abs(a - b) / b for a, b in zip(told, truth)]
        lines.append(Row("  off by", "", off, limit=Limit("<=", 0.02)))
        lines.append(Row("  of them while connecting", "", [outcomes.get("connect_timeout", 0) for outcomes, _ in of]))
        others = [sum(outcomes.values()) - outcomes.get("ok", 0) - timeouts for (outcomes, _), timeouts in zip(of, told)]
        lines.append(Row("  neither ok nor a timeout", "", others, limit=Limit("==", 0)))
    return lines
