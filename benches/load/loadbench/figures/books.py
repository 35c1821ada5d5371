"""Every request that was due is in the books once: rate × time = asked = the sum of all outcomes."""
from ..contenders import Firedrill, Load
from ..rounds import interleave
from ..rows import Limit, Row

RATES = (1_000, 5_000, 20_000)


def measure(bench):
    seconds = bench.options.seconds
    lines = []
    for rate in RATES:
        load = Load(bench.server.url("http"), seconds, rate=rate, extra=("--warmup", "0.5s"))
        ours = [Firedrill(bench.firedrill, driver) for driver in ("hyper1", "raw1")]

        def once(contender):
            _, said = bench.run(contender, load)
            book = said.document["load"]
            outcomes = sum(sum(window["by_outcome"].values()) for window in book["windows"])
            planned = round(rate * (seconds + 0.5))
            return said.requests / (rate * seconds), abs(book["asked"] - planned) + abs(outcomes - book["asked"])

        runs = interleave(ours, bench.options.rounds, once)
        for name, of in runs.items():
            off = [abs(1 - achieved) for achieved, _ in of]
            lines.append(Row(f"{name}, {rate:,}/s, answered / asked off by", "", off, limit=Limit("<=", 0.0001)))
            lines.append(Row(f"{name}, {rate:,}/s, unaccounted", "", [missing for _, missing in of], limit=Limit("==", 0)))
    return lines
