"""Start a daemon of one's own, wait until it is ready, talk to it, stop it.

Shared by tests/demo/run and tests/bench/run. Standard library only. Each
daemon gets a temporary directory with its configuration and its notify
socket, listens on ports that the kernel chooses, and is stopped by its pid.
"""

import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def binary():
    """Path of the daemon to run: $HANDOFFD, or build/handoffd."""
    return os.path.abspath(os.environ.get("HANDOFFD") or os.path.join(TOP, "build", "handoffd"))


class DaemonError(Exception):
    """The daemon did not do what it must for the measurement to mean anything."""


class Daemon:
    """One handoffd with the given configuration text; use it in a `with` block."""

    START_LIMIT = 20.0
    STOP_LIMIT = 20.0

    def __init__(self, config, cpu=None, program=None):
        self._program = program or binary()
        self._tmp = tempfile.TemporaryDirectory(prefix="handoffd-")
        self.conf = os.path.join(self._tmp.name, "handoffd.conf")
        self._log_path = os.path.join(self._tmp.name, "log")
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(config)
        self._cpu = cpu
        self._notify = None
        self._listener = None
        self._inbox = queue.SimpleQueue()
        self.status = ""
        self.ports = {}
        self.process = None
        self.ready_after = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.stop()
        finally:
            self.close()

    def start(self):
        """Start the daemon and wait until it says READY=1."""
        path = os.path.join(self._tmp.name, "notify")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notify.bind(path)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        env = dict(os.environ, NOTIFY_SOCKET=path)
        pin = None
        if self._cpu is not None:
            cpu = self._cpu
            pin = lambda: os.sched_setaffinity(0, {cpu})  # noqa: E731
        with open(self._log_path, "wb") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(
                [self._program, "-c", self.conf],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                preexec_fn=pin,
            )
        self._wait_for("READY=1", began + self.START_LIMIT)
        self.ready_after = time.monotonic() - began
        while not self.ports and time.monotonic() < began + self.START_LIMIT:
            self._read_ports()
            if not self.ports:
                self._receive(began + self.START_LIMIT)
        return self

    def _read_ports(self):
        found = re.findall(r"([\w.-]+)=(?:[\d.]+|\[[0-9a-fA-F:]+\]):(\d+)", self.status)
        self.ports = {name: int(port) for name, port in found}

    def _listen(self):
        """Take notifications as they come: a full socket would hold the daemon up."""
        while True:
            try:
                text = self._notify.recv(65536)
            except OSError:
                return
            if not text:
                return
            self._inbox.put(text.decode("utf-8", "replace").split("\n"))

    def _receive(self, deadline):
        """One notification as a list of lines; keeps the newest STATUS=."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DaemonError("no notification in time\n" + self.log())
            try:
                lines = self._inbox.get(timeout=min(left, 0.2))
            except queue.Empty:
                if self.process.poll() is not None:
                    raise DaemonError(
                        f"{self._program} ended with code {self.process.returncode}\n" + self.log()
                    ) from None
                continue
            for line in lines:
                if line.startswith("STATUS="):
                    self.status = line[len("STATUS="):]
            return lines

    def _wait_for(self, word, deadline):
        while word not in self._receive(deadline):
            pass

    def reload(self, old, new):
        """Replace `old` by `new` in the configuration, send SIGHUP, wait for READY=1.

        Returns the time of the signal (time.monotonic) and the seconds it took."""
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            raise DaemonError(f"{old!r} must stand exactly once in the configuration")
        with open(self.conf + ".new", "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        os.rename(self.conf + ".new", self.conf)
        while not self._inbox.empty():
            self._receive(time.monotonic() + 1)
        sent = time.monotonic()
        self.process.send_signal(signal.SIGHUP)
        self._wait_for("RELOADING=1", sent + self.START_LIMIT)
        self._wait_for("READY=1", sent + self.START_LIMIT)
        return sent, time.monotonic() - sent

    def log(self):
        """What the daemon has logged so far."""
        try:
            with open(self._log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def memory_kib(self, field="VmRSS"):
        """A memory figure of the process in KiB, from /proc/PID/status."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise DaemonError(f"no {field} in /proc")

    def stop(self):
        """SIGTERM; the daemon must end with code 0 in time."""
        if self.process is None or self.process.poll() is not None:
            raise DaemonError("the daemon ended by itself\n" + self.log())
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(self.STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise DaemonError("the daemon did not stop in time\n" + self.log()) from None
        if code != 0:
            raise DaemonError(f"the daemon ended with code {code}\n" + self.log())

    def close(self):
        """Leave nothing behind, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._listener is not None:
            self._notify.shutdown(socket.SHUT_RD)  # ends the thread's recv
            self._listener.join()
        if self._notify is not None:
            self._notify.close()
        self._tmp.cleanup()


class Probe:
    """A keep-alive connection that asks for JSON, and opens itself anew when needed."""

    def __init__(self, port, path):
        self._path = path
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def get(self):
        """The parsed answer and the seconds it took."""
        began = time.monotonic()
        self._connection.request("GET", self._path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise DaemonError(f"{self._path} answered {answer.status}: {body[:200]!r}")
        return json.loads(body), time.monotonic() - began

    def close(self):
        self._connection.close()
