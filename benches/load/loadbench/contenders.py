"""The generators: the command that starts each, and what each says it did, in the same terms."""
import json
import os
import re
import shutil
from dataclasses import dataclass, field

from .problem import Problem


@dataclass
class Load:
    """What is asked of a generator: open loop with a rate, else closed."""

    url: str
    seconds: int  # whole ones: wrk takes no others
    connections: int | None = None
    rate: int | None = None
    streams: int | None = None  # HTTP/2: so many at a time on each connection
    certificate: str | None = None  # trusted for https
    extra: tuple = ()  # more arguments, for firedrill alone


@dataclass
class Said:
    requests: int  # answered well
    seconds: float
    bad: int = 0
    latency: dict = field(default_factory=dict)  # seconds by p50, p90, p99, p999, max
    document: dict | None = None  # all that it said, where that is JSON


class Contender:
    def __init__(self, name, binary):
        self.name, self.binary = name, binary


class Firedrill(Contender):
    """With one of its drivers."""

    def __init__(self, binary, driver, pacing=None):
        super().__init__(driver + (f" {pacing}" if pacing else ""), binary)
        self.driver, self.pacing = driver, pacing

    def command(self, load):
        argv = [self.binary, "load", "--driver", self.driver, "--format", "json", "--for", f"{load.seconds}s"]
        if load.rate:
            argv += ["--rate", f"{load.rate}/s"]
        else:
            argv += ["--closed", str(load.connections * (load.streams or 1))]
        if load.connections:
            argv += ["--connections", str(load.connections)]
        if load.streams:
            argv += ["--streams", str(load.streams)]
        if load.certificate:
            argv += ["--ca", load.certificate]
        if self.pacing:
            argv += ["--pacing", self.pacing]
        return argv + list(load.extra) + [load.url]

    def said(self, ended):
        # 3 is a finding, about the generator or its machine; the figures are there.
        if ended.exit_code not in (0, 3, 130):
            raise Problem(f"firedrill ended with {ended.exit_code}: {ended.err.strip()[-400:]}")
        document = json.loads(ended.out)
        window = document["load"]["windows"][-1]
        return Said(
            window["good"],
            (window["to_us"] - window["from_us"]) / 1e6,
            window["bad"],
            {name: us / 1e6 for name, us in window["latency_us"].items() if us is not None},
            document,
        )


class Wrk(Contender):
    """wrk, and wrk2, whose binary bears the same name and whose options are wrk's and a rate."""

    LATENCY = {"50.000%": "p50", "90.000%": "p90", "99.000%": "p99", "99.900%": "p999", "100.000%": "max"}

    def command(self, load):
        argv = [self.binary, "--threads", "1", "--connections", str(load.connections), "--duration", f"{load.seconds}s"]
        if load.rate:
            argv += ["--rate", str(load.rate)]
        return argv + ["--latency", load.url]

    def said(self, ended):
        total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h)", ended.out)
        if ended.exit_code or not total:
            raise Problem(f"{self.name} ended with {ended.exit_code}: {(ended.err or ended.out).strip()[-400:]}")
        bad = 0
        if errors := re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", ended.out):
            bad += sum(map(int, errors.groups()))
        if status := re.search(r"Non-2xx or 3xx responses: (\d+)", ended.out):
            bad += int(status[1])
        latency = {}
        for share, value, unit in re.findall(r"^ *([\d.]+%) +([\d.]+)(us|ms|s|m) *$", ended.out, re.M):
            if share in self.LATENCY:
                latency[self.LATENCY[share]] = seconds(value, unit)
        return Said(int(total[1]) - bad, seconds(total[2], total[3]), bad, latency)


class Oha(Contender):
    LATENCY = {"p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p999"}

    def command(self, load):
        argv = [self.binary, "--no-tui", "--output-format", "json", "-z", f"{load.seconds}s", "-c", str(load.connections)]
        if load.rate:
            argv += ["-q", str(load.rate), "--latency-correction"]
        if load.streams:
            argv += ["--http2", "-p", str(load.streams)]
        if load.certificate:
            argv += ["--cacert", load.certificate]
        return argv + [load.url]

    def said(self, ended):
        try:
            document = json.loads(ended.out)
        except ValueError:
            raise Problem(f"oha ended with {ended.exit_code}: {(ended.err or ended.out).strip()[-400:]}") from None
        statuses = document["statusCodeDistribution"]
        good = sum(count for status, count in statuses.items() if status.startswith("2"))
        errors = document["errorDistribution"]
        # What is under way at the end is given up; that is nobody's error.
        bad = sum(count for what, count in errors.items() if what != "aborted due to deadline")
        latency = {
            ours: document["latencyPercentiles"][its]
            for its, ours in self.LATENCY.items()
            if document["latencyPercentiles"].get(its) is not None
        }
        if document["summary"].get("slowest") is not None:
            latency["max"] = document["summary"]["slowest"]
        return Said(good, document["summary"]["total"], bad + sum(statuses.values()) - good, latency, document)


def seconds(value, unit):
    return float(value) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}[unit]


PEERS = {"wrk": Wrk, "wrk2": Wrk, "oha": Oha}


def find(name):
    """By the environment variable of that name in capitals, else on PATH."""
    wanted = os.environ.get(name.upper())
    found = shutil.which(wanted or name)
    if wanted and not found:
        raise Problem(f"{name.upper()}={wanted}: no such program; give the path of {name}, or unset it to go without")
    return found


def find_peers():
    """The peers that are there, by name."""
    return {name: kind(name, path) for name, kind in PEERS.items() if (path := find(name))}
