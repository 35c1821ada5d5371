"""Closed loops: as many requests as go through."""
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row, against

CONNECTIONS = 32
STREAMS = 32


def plain(bench):
    rates, costs = measure(bench, ("hyper1", "raw1"), ("wrk", "oha"), bench.server.url("http"))
    must = {"wrk": Limit(">=", 0.8), "oha": Limit(">=", 1.25)}
    stretch = {"wrk": Limit(">=", 1.0, stretch=True), "oha": Limit(">=", 1.5, stretch=True)}
    return (
        against("hyper1", "/s", *rates("hyper1"), must)
        + against("raw1", "/s", *rates("raw1"), stretch)
        + against("hyper1, CPU per million", "s", *costs("hyper1"), {"wrk": Limit("<=", 1.25)})
        + against("raw1, CPU per million", "s", *costs("raw1"), {"wrk": Limit("<=", 1.0, stretch=True)})
    )


def tls(bench):
    rates, costs = measure(bench, ("hyper1",), ("wrk", "oha"), bench.server.url("https"))
    return against("hyper1", "/s", *rates("hyper1"), {"wrk": Limit(">=", 0.95)}) + against(
        "hyper1, CPU per million", "s", *costs("hyper1"), {}
    )


def http2(bench):
    lines = []
    for listener, name in (("h2", "TLS"), ("h2c", "h2c")):
        rates, costs = measure(bench, ("hyper2",), ("oha",), bench.server.url(listener), connections=1, streams=STREAMS)
        lines += against(f"hyper2, {name}", "/s", *rates("hyper2"), {"oha": Limit(">=", 1.0)})
        lines += against(f"hyper2, {name}, CPU per million", "s", *costs("hyper2"), {})
    return lines


def measure(bench, drivers, peers, url, connections=CONNECTIONS, streams=None):
    """Two functions from a driver to its values and the peers': requests a second, and CPU seconds per million."""
    load = Load(
        url,
        bench.options.seconds,
        connections,
        streams=streams,
        certificate=bench.server.certificate if url.startswith("https") else None,
    )
    contenders = [Firedrill(bench.firedrill, driver) for driver in drivers] + bench.peer(*peers)

    def once(contender):
        ended, said = bench.run(contender, load)
        return said.requests / said.seconds, ended.cpu / said.requests * 1e6

    runs = interleave(contenders, bench.options.rounds, once)

    def column(index):
        values = {name: [run[index] for run in of] for name, of in runs.items()}
        return lambda driver: (values[driver], {peer: values[peer] for peer in peers if peer in values})

    return column(0), column(1)
