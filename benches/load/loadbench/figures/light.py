"""What a small load costs: a generator that shares a machine must not be its main load."""
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row, against

RATE = 1_000
CONNECTIONS = 32
LIMITS = {"hyper1": Limit("<=", 0.1), "raw1": Limit("<=", 0.04, stretch=True)}


def measure(bench):
    load = Load(bench.server.url("http"), bench.options.seconds, CONNECTIONS, rate=RATE)
    ours = [Firedrill(bench.firedrill, driver) for driver in LIMITS]

    def once(contender):
        ended, _ = bench.run(contender, load)
        return ended.cpu / ended.wall

    runs = interleave(ours + bench.peer("wrk2", "oha"), bench.options.rounds, once)
    return [Row(f"{name}, share of a core", "", values, limit=LIMITS.get(name)) for name, values in runs.items()]
