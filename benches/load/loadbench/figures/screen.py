"""The game day's screen at 5,000/s: what its threads cost, and whether the load is paced any worse beside it."""
import json
import os
import pty
import select
import signal
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from ..problem import Problem
from ..process import TICKS
from ..rounds import interleave
from ..rows import Limit, Row
from ..scenario import scenario

RATE = 5_000
REST = "objectives: { availability: { at_least: 99% }, latency: { p99: 100ms } }\n"
# As the kernel has them, which keeps 15 characters.
THREADS = ("firedrill-screen"[:15], "firedrill-judging"[:15])
PATIENCE = 30


@dataclass
class Ui:
    name: str


def measure(bench):
    runs = interleave([Ui("tui"), Ui("plain")], bench.options.rounds, lambda ui: once(bench, ui))
    with_screen, without = runs["tui"], runs["plain"]
    of = lambda ended, what: [one[what] for one in ended]
    return [
        Row("screen and judging, share of a core", "", of(with_screen, "screen"), limit=Limit("<=", 0.02)),
        Row("drawings a second", "", of(with_screen, "drawings")),
        Row("CPU of the whole run", "s", of(with_screen, "cpu"), "plain", of(without, "cpu")),
        Row("send lag, p99", "µs", of(with_screen, "lag"), "plain", of(without, "lag")),
        Row("requests in doubt", "", of(with_screen, "suspect"), "plain", of(without, "suspect")),
    ]


def once(bench, ui):
    seconds = max(10, bench.options.seconds)
    with tempfile.TemporaryDirectory(prefix="firedrill-bench.") as folder:
        file = f"{folder}/screen.yaml"
        Path(file).write_text(scenario("screen", bench.server.ports["http"], RATE, seconds, REST))
        argv = [bench.firedrill, "run", file, "--out", f"{folder}/reports", "--ui", ui.name, "--yes"]
        pid, terminal = pty.fork()
        if pid == 0:
            # On every core: on one, it could not put its load before all else.
            os.sched_setaffinity(0, range(os.cpu_count()))
            os.environ["TERM"] = "xterm-256color"
            os.execv(argv[0], argv)
        termios.tcsetwinsize(terminal, (24, 80))
        try:
            seen = follow(pid, terminal, ui)
        finally:
            os.close(terminal)
        if seen["code"] not in (0, 3):
            raise Problem(f"firedrill ended with {seen['code']}")
        with open(f"{folder}/reports/screen/latest/result.json") as file:
            load = json.load(file)["load"]
        seen["lag"] = load["send_lag_p99_us"]
        seen["suspect"] = sum(slice["due"] for slice in load["suspect_slices"])
        return seen


def follow(pid, terminal, ui):
    """Reads what is drawn until the end, and then lets the screen go."""
    began, drawings, threads, over = time.monotonic(), 0, 0.0, None
    while True:
        if time.monotonic() - began > PATIENCE + 60:
            os.kill(pid, signal.SIGKILL)
        try:
            ready = select.select([terminal], [], [], 0.05)[0]
            drawn = os.read(terminal, 65536) if ready else b""
        except OSError:
            break  # its last process is gone
        drawings += bool(drawn)
        if ui.name == "tui" and over is None:
            threads = max(threads, cpu_of_threads(pid))
            if b"over:" in drawn:
                over = time.monotonic()
                os.write(terminal, b"q")
    _, status, used = os.wait4(pid, 0)
    wall = (over or time.monotonic()) - began
    return {
        "code": os.waitstatus_to_exitcode(status),
        "cpu": used.ru_utime + used.ru_stime,
        "screen": threads / wall,
        "drawings": drawings / wall,
    }


def cpu_of_threads(pid):
    """Seconds that the screen's threads have used."""
    seconds = 0.0
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        for task in tasks:
            with open(f"/proc/{pid}/task/{task}/stat") as file:
                name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
            if name in THREADS:
                fields = rest.split()
                seconds += (int(fields[11]) + int(fields[12])) / TICKS
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended meanwhile
    return seconds
