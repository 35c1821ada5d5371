"""A reload closes the connections that idle: whoever uses one at that moment gets no answer, and it must be plain why."""
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Row

RATE = 5_000
SECONDS = 6
RELOADS_AT = (1.5, 2.5, 3.5, 4.5)


def measure(bench):
    lines = []
    for extra, suffix in ((), ""), (("--stale-retry",), ", --stale-retry"):
        ours = [Firedrill(bench.firedrill, driver) for driver in ("hyper1", "raw1")]
        load = Load(bench.server.url("http"), SECONDS, rate=RATE, extra=extra)

        def once(contender):
            with bench.start(contender, load) as child:
                for at in RELOADS_AT:
                    child.sleep_until(at)
                    bench.server.reload()
                said = contender.said(bench.end(child))
            return {
                outcome: count
                for outcome, count in said.document["load"]["windows"][-1]["by_outcome"].items()
                if outcome != "ok"
            }

        for name, of in interleave(ours, bench.options.rounds, once).items():
            errors = [sum(one.values()) for one in of]
            lines.append(Row(f"{name}{suffix}, errors", "", errors, note="\n".join(str(one) for one in of if one)))
    return lines
