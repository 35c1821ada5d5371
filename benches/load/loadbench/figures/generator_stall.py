"""A generator that stood still cannot vouch for what it measured then, and has to say so."""
import signal
import time

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
            stopped = time.monotonic() - child.began
            child.signal(signal.SIGSTOP)
            try:
                time.sleep(STALL)
            finally:
                child.signal(signal.SIGCONT)
            going = time.monotonic() - child.began
            ended = bench.end(child)
        document = contender.said(ended).document
        return stopped, going, ended.exit_code, document

    runs = interleave(ours, bench.options.rounds, once)
    lines = []
    for name, of in runs.items():
        lines.append(Row(f"{name}, exit code", "", [code for *_, code, _ in of], limit=Limit("==", INCONCLUSIVE)))
        lines.append(Row(f"{name}, dropped", "", [document["load"]["dropped"] for *_, document in of]))
        stopped, going, _, document = of[-1]
        zero = document["load"]["started_us"] / 1e6
        note = [f"stood still from +{stopped - zero:.3f} s to +{going - zero:.3f} s; it says of the last round:"]
        note += [f"suspect: {one}" for one in document["load"]["suspect_slices"]] or ["no slice is suspect"]
        lines[-1].note = "\n".join(note + document["reasons"])
    return lines
