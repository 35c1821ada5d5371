"""The server is killed and started again 2 s later: the outage as `firedrill run` reports it, against the truth on the same
clock (CLOCK_BOOTTIME), of who killed it and of a probe of its own that looks when it is back."""
import csv
import io
import json
import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..contenders import Firedrill
from ..problem import Problem
from ..process import Child
from ..rounds import interleave
from ..rows import Limit, Row
from ..scenario import scenario

OUTAGE = 2.0
AT = 3.0
SECONDS = 9
# Rate, pacing, and by how many ms start and length may be off.
CASES = ((1_000, "precise", 3), (10_000, "tick", 5))
PATIENCE = 0.0002
REST = """  engine: {{ driver: {driver}, pacing: {pacing} }}
recovery: {{ settle: 1s }}
steps: [ {{ name: kill, at: {at}s, command: {{ run: [/bin/sh, -c, "echo > {go}"], undo: none }}, hold: 4s }} ]
guards: {{ allow_external: true }}
objectives: {{ availability: {{ at_least: 1% }} }}
"""


@dataclass
class Outage:
    """Seconds on CLOCK_BOOTTIME."""

    killed: float
    dead: float
    listening: float  # a connection was not refused any more
    answering: float
    connections: tuple  # of the generator, before and a second after


def measure(bench):
    lead = startup(bench.server)
    lines = []
    for rate, pacing, within in CASES:
        ours = [Firedrill(bench.firedrill, driver, pacing) for driver in ("hyper1", "raw1")]
        runs = interleave(ours, bench.options.rounds, lambda contender: once(bench, contender, rate, lead))
        slot = 1e3 / rate
        for name, of in runs.items():
            row = lambda what, unit, values, limit=None, note="": lines.append(
                Row(f"{name}, {rate:,}/s, {what}" if what == "start off by" else f"  {what}", unit, values, limit=limit, note=note)
            )
            row("start off by", "ms", [abs(one["start"]) for one in of], Limit("<=", within))
            row("length off by", "ms", [abs(one["length"]) for one in of], Limit("<=", within), note=told(of[-1]))
            row("first success after the probe's", "ms", [one["success"] for one in of], Limit("<=", slot + 5))
            row("bad ones due after it was back", "", [one["after"] for one in of], Limit("==", 0))
    return lines


def told(one):
    truth = one["truth"]
    before, after = truth.connections
    return (
        f"last round: killed for {truth.listening - truth.killed:.4f} s (gone after {(truth.dead - truth.killed) * 1e3:.1f} ms, "
        f"answering {(truth.answering - truth.listening) * 1e3:.1f} ms after listening); reported start {one['start']:+.2f} ms, "
        f"length {one['length']:+.2f} ms, first success {one['success']:+.2f} ms; connections {before} before, {after} a second after"
    )


def startup(server):
    """How long it takes from its start until it listens."""
    server.kill()
    began = boottime()
    server.start()
    return probe(server.ports["http"])[0] - began


def once(bench, contender, rate, lead):
    port = bench.server.ports["http"]
    with tempfile.TemporaryDirectory(prefix="firedrill-bench.") as folder:
        go, file = f"{folder}/go", f"{folder}/kill.yaml"
        os.mkfifo(go)
        rest = REST.format(driver=contender.driver, pacing=contender.pacing, at=AT, go=go)
        Path(file).write_text(scenario("kill", port, rate, SECONDS, rest))
        argv = [bench.firedrill, "run", file, "--out", f"{folder}/reports", "--ui", "plain", "--yes"]
        # Not the server's CPU time: its processes do not outlive this.
        with Child(argv, bench.options.generator_core) as child:
            truth = outage(bench.server, port, go, lead, child)
            ended = child.wait()
        if ended.exit_code not in (0, 3):
            raise Problem(f"firedrill ended with {ended.exit_code}: {(ended.err or ended.out).strip()[-600:]}")
        return against(bench.firedrill, f"{folder}/reports/kill/latest", truth, 1 / rate)


def outage(server, port, go, lead, child):
    """Kills the server once firedrill's step says so."""
    # Opened for both, so that neither side waits for the other to open it.
    step = os.open(go, os.O_RDWR | os.O_NONBLOCK)
    try:
        while not told_to(step):
            child.sleep_until(time.monotonic() - child.began + 0.0005)
    finally:
        os.close(step)
    before = established(port)
    killed, dead = server.kill()
    time.sleep(max(0.0, killed + OUTAGE - lead - boottime()))
    server.start()
    listening, answering = probe(port)
    child.sleep_until(time.monotonic() - child.began + 1)
    return Outage(killed, dead, listening, answering, (before, established(port)))


def told_to(step):
    try:
        return bool(os.read(step, 1))
    except BlockingIOError:
        return False


def probe(port):
    """When a connection was first taken, and when it was first answered."""
    give_up = boottime() + 5
    while boottime() < give_up:
        asked = boottime()
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                    return asked, boottime()
        except ConnectionError:
            time.sleep(PATIENCE)
    raise Problem("nginx did not come back within 5 s")


def against(firedrill, run, truth, slot):
    """What the run reports, less the truth, in ms."""
    with open(f"{run}/journal.ndjson") as journal:
        zero = json.loads(journal.readline())["event"]["opened"]["boottime_ns"] / 1e9
    with open(f"{run}/result.json") as file:
        (step,) = json.load(file)["steps"]
    figures = step["failover"]
    if figures["episodes"] != 1:
        raise Problem(f"{figures['episodes']} episodes where there was one outage: measure again when nothing else runs")
    start = zero + (step["dispatched_us"] + figures["first_impact_us"]) / 1e6
    success, after = None, 0
    export = subprocess.run([firedrill, "export", run], capture_output=True, text=True, check=True)
    for request in csv.DictReader(io.StringIO(export.stdout)):
        due = zero + int(request["due_us"]) / 1e6
        if request["good"] == "true" and due > truth.dead:
            done = zero + int(request["done_us"]) / 1e6
            success = min(success or done, done)
        after += request["good"] != "true" and due > truth.answering + slot
    return {
        "start": (start - truth.killed) * 1e3,
        "length": (figures["outage_us"] / 1e6 - (truth.listening - truth.killed)) * 1e3,
        "success": (success - truth.answering) * 1e3,
        "after": after,
        "truth": truth,
    }


def established(port):
    """Connections to the server that the kernel holds open."""
    with open("/proc/net/tcp") as table:
        lines = [line.split() for line in table][1:]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)
