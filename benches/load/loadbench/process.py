"""A generator as a child process: pinned to its core, its CPU time and memory read from the kernel."""
import os
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

from .problem import Problem

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Ended:
    exit_code: int
    out: str
    err: str
    wall: float
    cpu: float  # user and system, of all threads, from exec to exit
    stolen: float  # share of all cores that went to others: neither this child nor the server


class Child:
    """Started at once. Its output goes to files: nobody has to read a pipe, and be scheduled, while it is measured."""

    def __init__(self, argv, core, server=None):
        self.argv, self.server = argv, server
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.ended = False
        self.busy_before, self.server_before = busy(), server.cpu() if server else 0.0
        self.began = time.monotonic()
        try:
            self.child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=self.out,
                stderr=self.err,
                preexec_fn=lambda: prepare(core),
            )
        except OSError as error:
            raise Problem(f"`{argv[0]}` cannot be started: {error}") from None

    @property
    def pid(self):
        return self.child.pid

    def signal(self, number):
        # Not by Popen, which would reap a child that has ended, and its CPU time with it.
        os.kill(self.pid, number)

    def sleep_until(self, at):
        """`at` in seconds from the start; says so when the child is gone before."""
        while (left := self.began + at - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            if self.gone():
                raise Problem(f"`{' '.join(self.argv)}` ended early: {(self.text(self.err) or self.text(self.out)).strip()[-400:]}")

    def gone(self):
        """Looks without reaping: the CPU time is read with the last wait."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def memory(self, field="VmRSS"):
        """Bytes, from /proc."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        return 0

    def wait(self):
        _, status, used = os.wait4(self.pid, 0)
        self.ended = True
        wall = time.monotonic() - self.began
        self.child.returncode = os.waitstatus_to_exitcode(status)
        cpu = used.ru_utime + used.ru_stime
        server = max(0.0, self.server.cpu() - self.server_before) if self.server else 0.0
        others = busy() - self.busy_before - cpu - server
        return Ended(
            self.child.returncode,
            self.text(self.out),
            self.text(self.err),
            wall,
            cpu,
            max(0.0, others / wall / os.cpu_count()),
        )

    def stop(self):
        """For the way out: a child that still runs is ended, also one that is stopped."""
        if self.ended:
            return
        try:
            self.signal(signal.SIGKILL)
            self.wait()
        except (ProcessLookupError, ChildProcessError):
            pass  # the way out began between its reaping and our taking note of it

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @staticmethod
    def text(file):
        file.seek(0)
        return file.read().decode(errors="replace")


def prepare(core):
    os.sched_setaffinity(0, {core})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def busy():
    """Seconds for which any core of this machine worked in processes, or was taken away by its host. Interrupts are left
    out: on loopback they are the contenders' own packets."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + steal) / TICKS


def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
