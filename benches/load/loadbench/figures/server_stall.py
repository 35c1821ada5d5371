"""Whether callers' waits are told as they were: the server stands still, and the latencies that a generator reports are held
against the truth."""
import threading

from ..capture import Capture
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row
from ..schedule import percentile, stall_waits, waits

RATES = (1_000, 5_000)
SECONDS = 10
STALL = 1.0
STALL_AT = 4.0
PERCENTILES = {"p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
# wrk2 looks on for 10 s and 5 ms a connection, and measures after that.
WRK2_LEADS_IN = 10
WRK2_LOOKS_ON = 10.16
PEER_CONNECTIONS = 32


def measure(bench):
    lines = []
    for rate in RATES:
        lines += firedrill(bench, rate)
    return lines + peers(bench, RATES[0])


def firedrill(bench, rate):
    """Against the packets: each request bears its number, which says when it was due."""
    ours = [Firedrill(bench.firedrill, driver) for driver in ("hyper1", "raw1")]
    load = Load(bench.server.url("http", "/${n}"), SECONDS, rate=rate)

    def once(contender):
        capture = Capture(bench.server.ports["http"])
        with bench.start(contender, load) as child:
            child.sleep_until(STALL_AT)
            bench.server.pause(STALL)
            said = contender.said(bench.end(child))
        truth = waits(capture.finish(), rate)
        return {
            name: (said.latency[name], percentile(truth, share)) for name, share in PERCENTILES.items()
        }, said.document["load"]["asked"] - len(truth)

    runs = interleave(ours, bench.options.rounds, once)
    lines = []
    for contender in ours:
        of = runs[contender.name]
        for name in PERCENTILES:
            told = [one[name][0] * 1e3 for one, _ in of]
            truth = [one[name][1] * 1e3 for one, _ in of]
            lines.append(Row(f"{contender.name}, {rate:,}/s, {name}", "ms", told, "truth", truth))
            # A hundredth of a few milliseconds is less than an answer takes to be read: within 1 ms will do.
            off = [0.0 if abs(a - b) < 1 else abs(a - b) / b for a, b in zip(told, truth)]
            lines.append(Row("  off by", "", off, limit=Limit("<=", 0.01)))
        lines.append(Row("  without an answer in the packets", "", [missing for _, missing in of]))
    return lines


def peers(bench, rate):
    """Against arithmetic: a stall of a server that takes no time otherwise."""
    contenders = bench.peer("wrk2", "oha")

    def once(contender):
        lead_in, unseen = (WRK2_LEADS_IN, WRK2_LOOKS_ON) if contender.name == "wrk2" else (0, 0)
        load = Load(bench.server.url("http"), SECONDS + lead_in, PEER_CONNECTIONS, rate=rate)
        with bench.start(contender, load) as child:
            child.sleep_until(lead_in + STALL_AT)
            stopped, going = bench.server.pause(STALL)
            said = contender.said(bench.end(child))
        truth = stall_waits(rate, SECONDS + lead_in - unseen, going - stopped)
        return {name: (said.latency[name], percentile(truth, share)) for name, share in PERCENTILES.items()}

    runs = interleave(contenders, bench.options.rounds, once) if contenders else {}
    return [
        Row(
            f"{name}, {rate:,}/s, {share}",
            "ms",
            [one[share][0] * 1e3 for one in of],
            "truth",
            [one[share][1] * 1e3 for one in of],
        )
        for name, of in runs.items()
        for share in PERCENTILES
        if share != "p90"  # on the edge between those who waited and those who did not
    ]
