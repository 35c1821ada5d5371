"""What a request costs at a rate that all of them reach."""
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row, against

RATE = 20_000
CONNECTIONS = 32
LIMITS = {"wrk2": Limit("<=", 1.0), "oha": Limit("<=", 0.9)}


def measure(bench):
    load = Load(bench.server.url("http"), bench.options.seconds, CONNECTIONS, rate=RATE)
    ours = [Firedrill(bench.firedrill, driver, "tick") for driver in ("hyper1", "raw1")]

    def once(contender):
        ended, said = bench.run(contender, load)
        return ended.cpu / said.requests * 1e6, said.requests / said.seconds / RATE

    runs = interleave(ours + bench.peer("wrk2", "oha"), bench.options.rounds, once)
    costs = {name: [cost for cost, _ in of] for name, of in runs.items()}
    peers = {name: costs[name] for name in ("wrk2", "oha") if name in costs}
    lines = []
    for contender in ours:
        lines += against(f"{contender.name}, CPU per million", "s", costs[contender.name], peers, LIMITS)
    # A ratio of costs means little where one of them did not do the work.
    for name, of in runs.items():
        lines.append(Row(f"{name}, achieved / asked", "", [achieved for _, achieved in of]))
    return lines
