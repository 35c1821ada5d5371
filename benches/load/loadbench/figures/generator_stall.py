"""A generator that stood still cannot vouch for what it measured then, and has to say so: since when, and for how long."""
import signal
import time
from datetime import datetime

from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row

RATE = 1_000
SECONDS = 6
STALL_AT = 2.5
STALL = 1.0
INCONCLUSIVE = 3


def measure(bench):
    ours = [Firedrill(bench.firedrill, driver) for driver in ("hyper1", "raw1")]
    load = Load(bench.server.url("http"), SECONDS, rate=RATE)

    def once(contender):
        with bench.start(contender, load) as child:
            child.sleep_until(STALL_AT)
            child.signal(signal.SIGSTOP)
            stopped = time.time()
            try:
                time.sleep(STALL)
            finally:
                going = time.time()
                child.signal(signal.SIGCONT)
            ended = bench.end(child)
        document = contender.said(ended).document
        return stopped, going, ended.exit_code, document

    runs = interleave(ours, bench.options.rounds, once)
    lines = []
    for name, of in runs.items():
        lines.append(Row(f"{name}, exit code", "", [code for *_, code, _ in of], limit=Limit("==", INCONCLUSIVE)))
        lines.append(Row(f"{name}, dropped", "", [document["load"]["dropped"] for *_, document in of]))
        pauses = [told(document, stopped, going) for stopped, going, _, document in of]
        for what, index in (("start", 0), ("length", 1)):
            off = [abs(pause[index]) * 1e3 for pause in pauses]
            lines.append(Row(f"  pause, {what} off by", "ms", off, limit=Limit("<=", 10)))
        stopped, going, _, document = of[-1]
        zero = begun(document)
        note = [f"stood still from +{stopped - zero:.3f} s to +{going - zero:.3f} s; it says of the last round:"]
        note += [f"suspect: {one}" for one in document["load"]["suspect_slices"]] or ["no slice is suspect"]
        lines[-1].note = "\n".join(note + document["reasons"])
    return lines


def begun(document):
    """When slot 0 was due, in seconds of the wall clock."""
    # Python reads microseconds.
    zero, nanoseconds = document["started_at"].removesuffix("Z").split(".")
    seconds = datetime.fromisoformat(zero + "+00:00").timestamp()
    return seconds + float("0." + nanoseconds) + document["load"]["started_us"] / 1e6


def told(document, stopped, going):
    """The longest pause that it tells of, less the true one: start and length, in seconds."""
    started_us = document["load"]["started_us"]
    pauses = [(one["from_us"] - started_us, one["to_us"] - started_us) for one in document["load"]["pauses"]]
    if not pauses:
        return float("inf"), float("inf")
    from_us, to_us = max(pauses, key=lambda one: one[1] - one[0])
    return begun(document) + from_us / 1e6 - stopped, (to_us - from_us) / 1e6 - (going - stopped)
