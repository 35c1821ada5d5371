"""Options, the figures asked for, the table at the end."""
import argparse
import json
import os
import signal
import sys

from . import contenders
from .figures import FIGURES
from .problem import Problem, Unmeasurable
from .rounds import Bench
from .server import Server
from .table import render

# A run in which others had more of the cores than this is not one to go by.
DISTURBED = 0.05


def options(argv):
    parser = argparse.ArgumentParser(
        prog="benches/load/run",
        description="Measures `firedrill load` beside wrk, wrk2 and oha, in paired and interleaved rounds.",
        epilog="FIREDRILL, WRK, WRK2, OHA, NGINX and OPENSSL are the programs' paths; without them they are looked for on "
        "PATH. Figures: " + ", ".join(FIGURES),
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="the figures to measure; all unless given")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a run, where the figure does not say (default 5)")
    parser.add_argument("--generator-core", type=int, default=0, help="core of the generators (default 0)")
    parser.add_argument("--server-core", type=int, default=1, help="core of the server (default 1)")
    parser.add_argument("--memory-requests", type=int, default=10_000_000, help="for `memory` (default 10,000,000)")
    parser.add_argument("--json", metavar="FILE", help="every value of every round")
    asked = parser.parse_args(argv)
    for name in asked.figures:
        if name not in FIGURES:
            parser.error(f"no figure `{name}`; there are: {', '.join(FIGURES)}")
    if asked.rounds < 1 or asked.seconds < 2:
        parser.error("at least 1 round of 2 seconds is needed: the first second of a run may be left out")
    cores = os.sched_getaffinity(0)
    for core in (asked.generator_core, asked.server_core):
        if core not in cores:
            parser.error(f"core {core} is not among those this may run on: {sorted(cores)}")
    if asked.generator_core == asked.server_core:
        parser.error("generator and server need a core each")
    return asked


def main(argv):
    asked = options(argv)
    # As Ctrl-C: what was started is ended, and what was measured until then is printed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return bench(asked)
    except Problem as problem:
        print(f"benches/load/run: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def bench(asked):
    needed = {name: contenders.find(name) for name in ("firedrill", "nginx", "openssl")}
    for name, path in needed.items():
        if not path:
            raise Problem(f"{name} is not on PATH: install it, or give its path as {name.upper()}=…")
    peers = contenders.find_peers()
    missing = [name for name in contenders.PEERS if name not in peers]
    for name in missing:
        print(f"{name} is not on PATH: measured without it; give its path as {name.upper()}=…", file=sys.stderr)

    sections, failed = [], False
    with Server(needed["nginx"], needed["openssl"], asked.server_core) as server:
        run = Bench(asked, needed["firedrill"], peers, server)
        # Now, not after minutes: a path that cannot be written to.
        write(asked, missing, run, sections)
        try:
            for name in asked.figures or FIGURES:
                title, measure = FIGURES[name]
                print(f"{name} ", end="", file=sys.stderr, flush=True)
                try:
                    sections.append((name, title, measure(run)))
                except (Problem, Unmeasurable) as problem:
                    print(f"\n{name}: not measured: {problem}", file=sys.stderr)
                    failed = failed or isinstance(problem, Problem)
                # At once: a later figure may be interrupted.
                write(asked, missing, run, sections)
        finally:
            show(missing, run, sections)
    return 2 if failed else 0


def show(missing, run, sections):
    print(render([(title, rows) for _, title, rows in sections]))
    disturbed = sum(share > DISTURBED for share in run.stolen)
    line = f"{len(run.stolen)} runs; in the worst, others had {max(run.stolen, default=0):.0%} of the cores"
    if disturbed:
        line += f"; over {DISTURBED:.0%} in {disturbed}: measure again when nothing else runs"
    print(f"\n{line}")
    if missing:
        print(f"without {', '.join(missing)}")


def write(asked, missing, run, sections):
    if not asked.json:
        return
    document = {
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "missing": missing,
        "cpu_of_others": run.stolen,
        "figures": {name: [row.document() for row in rows] for name, _, rows in sections},
    }
    try:
        with open(asked.json, "w") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise Problem(f"--json {asked.json}: {error.strerror}; give a path that can be written to") from None
