"""The server that everybody asks: nginx with one worker on a core of its own, which answers 32 bytes from memory."""
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .problem import Problem
from .process import cpu_of, prepare

CONFIG = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    ssl_certificate {dir}/cert.pem;
    ssl_certificate_key {dir}/key.pem;
    server {{ listen 127.0.0.1:{http} backlog=16384; {answer} location = /status {{ stub_status; }} }}
    server {{ listen 127.0.0.1:{https} ssl backlog=16384; {answer} }}
    server {{ listen 127.0.0.1:{h2} ssl http2 backlog=16384; {answer} }}
    server {{ listen 127.0.0.1:{h2c} http2 backlog=16384; {answer} }}
}}
"""
ANSWER = 'location / { return 200 "0123456789abcdef0123456789abcdef"; }'
LISTENERS = ("http", "https", "h2", "h2c")


class Server:
    def __init__(self, nginx, openssl, core):
        self.dir = tempfile.mkdtemp(prefix="firedrill-bench.")
        # The worker is another user where this is root's.
        os.chmod(self.dir, 0o755)
        self.certificate = f"{self.dir}/cert.pem"
        make_certificate(openssl, self.dir)
        self.ports = free_ports()
        with open(f"{self.dir}/nginx.conf", "w") as file:
            file.write(CONFIG.format(dir=self.dir, answer=ANSWER, **self.ports))
        self.command = [nginx, "-c", f"{self.dir}/nginx.conf", "-e", f"{self.dir}/error.log"]
        self.log = open(f"{self.dir}/out", "wb")
        self.core = core
        self.start()
        try:
            self.wait_until_up()
        except Problem:
            self.stop()
            raise

    def start(self):
        self.master = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=lambda: prepare(self.core),
        )

    def kill(self):
        """Kills the master and its workers at once. When that was, and when all of them were gone, on CLOCK_BOOTTIME."""
        gone = [os.pidfd_open(pid) for pid in (self.master.pid, *self.workers())]
        try:
            killed = time.clock_gettime(time.CLOCK_BOOTTIME)
            # The master first: it would start another worker.
            for process in gone:
                signal.pidfd_send_signal(process, signal.SIGKILL)
            for process in gone:
                select.select([process], [], [])
            dead = time.clock_gettime(time.CLOCK_BOOTTIME)
        finally:
            for process in gone:
                os.close(process)
        self.master.wait()
        return killed, dead

    def wait_until_up(self):
        give_up = time.monotonic() + 5
        while True:
            try:
                for port in self.ports.values():
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.master.poll() is not None or time.monotonic() > give_up:
                    with open(f"{self.dir}/error.log", errors="replace") as log:
                        raise Problem(f"nginx did not start: {log.read().strip()[-400:]}") from None
                time.sleep(0.02)

    def url(self, listener, path="/"):
        scheme = "https" if listener in ("https", "h2") else "http"
        return f"{scheme}://127.0.0.1:{self.ports[listener]}{path}"

    def workers(self):
        with open(f"/proc/{self.master.pid}/task/{self.master.pid}/children") as children:
            return [int(pid) for pid in children.read().split()]

    def cpu(self):
        return sum(cpu_of(pid) for pid in self.workers())

    def pause(self, seconds, probe=lambda: None):
        """Stops the worker for a while; the kernel goes on accepting connections. When it was stopped and set going, on
        the monotonic clock. `probe` is called when it is about to go on."""
        workers = self.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            time.sleep(seconds)
            probe()
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        return stopped, time.monotonic()

    def reload(self):
        self.master.send_signal(signal.SIGHUP)

    def requests(self):
        """How many it has served, by its own count."""
        with socket.create_connection(("127.0.0.1", self.ports["http"]), 5) as connection:
            connection.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
        # " accepts handled requests" and their numbers on the line below
        return int(answer.split(b"requests")[1].split()[2])

    def stop(self):
        if self.master.poll() is None:
            for pid in self.workers():
                os.kill(pid, signal.SIGCONT)
            self.master.terminate()
            self.master.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_ports():
    held = [socket.create_server(("127.0.0.1", 0)) for _ in LISTENERS]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return dict(zip(LISTENERS, ports))


def make_certificate(openssl, directory):
    made = subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        # An end-entity certificate that is its own anchor: as an authority no strict client would take it for a server's.
        + ["-addext", "basicConstraints=critical,CA:FALSE"]
        + ["-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem"],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise Problem(f"openssl made no certificate: {made.stderr.strip()[-400:]}")
