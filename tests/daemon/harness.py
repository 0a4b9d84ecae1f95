"""Runs the real daemon: own directory, own port, own notification socket, and no sleeping.

`Daemon` starts one process and records everything that it says, its log lines, its sd_notify
messages and its end, on one `Timeline`.  All waiting is waiting for such an event, for an answer,
or for a state that the daemon reports over HTTP (`until`).
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence, TypeVar

from rawhttp import (
    LIMIT,
    Address,
    Connection,
    Crowd,
    Load,
    ProtocolError,
    Response,
    fetch,
    open_socket,
    request_bytes,
)

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HANDOFFD", ROOT / "build" / "handoffd")).resolve()
TSAN_SUPPRESSIONS = Path(__file__).with_name("tsan.supp")
ATTACH = os.environ.get("TEST_ATTACH")

# sysexits(3), as handoffd(8) names them
EXIT_OK = 0
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_OSERR = 71
EXIT_CONFIG = 78

# What a build under a sanitizer uses tells nothing about memory.
SANITIZED = BINARY.is_file() and any(
    mark in BINARY.read_bytes() for mark in (b"__asan_init", b"__tsan_init")
)

SANITIZER_TEXTS = (
    "ERROR: AddressSanitizer",
    "ERROR: LeakSanitizer",
    "LeakSanitizer",
    "WARNING: ThreadSanitizer",
    "runtime error:",
)

MAIN_LISTENER = 'main: { address = "127.0.0.1:0"; };'

# Routes that `Daemon.status` and `Daemon.pool` rely on.
CONTROL_ROUTES = '{ path = "/-/status"; action = "status"; }'

T = TypeVar("T")


def conf(
    *routes: str,
    pools: str = "",
    listeners: str = MAIN_LISTENER,
    server: str = 'drain_timeout = "100ms";',
) -> str:
    """A configuration from the insides of its groups, one argument per route.

    The short drain lets a test end while its tasks still sleep; tests about draining set their
    own.
    """
    all_routes = ",\n  ".join([f"{{ {route} }}" for route in routes] + [CONTROL_ROUTES])
    return (
        f"server: {{ {server} }};\n"
        f"listeners: {{ {listeners} }};\n"
        f"pools: {{ {pools} }};\n"
        f"routes: (\n  {all_routes}\n);\n"
    )


def until(condition: Callable[[], T], what: str = "", timeout: float = LIMIT) -> T:
    """Asks again and again, each time by a request to the daemon, until the answer is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not reached: {what or condition}; last seen: {value!r}")
    return value


def find_sanitizer_report(text: str) -> str | None:
    for line in text.splitlines():
        if any(mark in line for mark in SANITIZER_TEXTS):
            return line
    return None


def clean_environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """Ours, without what a service manager around the tests may have put there."""
    managed = ("NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_", "LISTEN_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(managed)}
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    environment.setdefault("TSAN_OPTIONS", f"suppressions={TSAN_SUPPRESSIONS}")
    environment.update(extra)
    return environment


def run_handoffd(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] = {},
    wrapper: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs the binary with arguments that make it end by itself."""
    done = subprocess.run(
        [*wrapper, str(BINARY), *map(str, args)],
        cwd=cwd,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=LIMIT,
    )
    report = find_sanitizer_report(done.stderr)
    assert report is None, f"sanitizer report:\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Event:
    kind: str  # "log", "notify" or "exit"
    text: str


class Timeline:
    """Everything that a process said, in the order in which it came; any thread may wait on it."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._ended = False
        self._changed = threading.Condition()

    def add(self, kind: str, text: str) -> None:
        with self._changed:
            self._events.append(Event(kind, text))
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def mark(self) -> int:
        """A place to wait from: the events that come after now."""
        with self._changed:
            return len(self._events)

    def events(self, since: int = 0) -> list[Event]:
        with self._changed:
            return self._events[since:]

    def texts(self, kind: str, since: int = 0) -> list[str]:
        return [event.text for event in self.events(since) if event.kind == kind]

    def wait(
        self, find: Callable[[Event], T | None], what: str, since: int = 0, timeout: float = LIMIT
    ) -> tuple[T, int]:
        """The first true result of `find` from `since` on, and the mark behind its event."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for since in range(since, len(self._events)):
                    if found := find(self._events[since]):
                        return found, since + 1
                since = len(self._events)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the process ended" if self._ended else f"{timeout} s passed"
                    raise AssertionError(f"{why} before {what}\n{self._tail()}")
                self._changed.wait(left)

    def wait_end(self, timeout: float = LIMIT) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout)

    def _tail(self, count: int = 60) -> str:
        return "\n".join(f"[{event.kind}] {event.text}" for event in self._events[-count:])


class _Recorder(threading.Thread):
    """Puts a process's standard error, notifications and end on a timeline."""

    def __init__(
        self, process: subprocess.Popen[bytes], notify: socket.socket, timeline: Timeline
    ) -> None:
        super().__init__(name=f"recorder-{process.pid}", daemon=True)
        assert process.stderr is not None
        self._process = process
        self._stderr = process.stderr
        self._notify = notify
        self._timeline = timeline
        self._partial = b""
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        stderr = self._stderr.fileno()
        os.set_blocking(stderr, False)
        pidfd = os.pidfd_open(self._process.pid)
        try:
            self._selector.register(stderr, selectors.EVENT_READ, self._read_log)
            self._selector.register(self._notify, selectors.EVENT_READ, self._read_notify)
            self._selector.register(pidfd, selectors.EVENT_READ, self._process.wait)
            while self._process.returncode is None:
                for key, _ in self._selector.select():
                    key.data()
            self._drain()
        finally:
            os.close(pidfd)
            self._selector.close()
            self._timeline.add("exit", str(self._process.returncode))
            self._timeline.end()

    def _drain(self) -> None:
        while self._read_notify():
            pass
        while self._read_log():
            pass
        if self._partial:
            self._timeline.add("log", self._partial.decode("utf-8", "replace"))

    def _read_log(self) -> bool:
        """True while there may be more."""
        try:
            data = os.read(self._stderr.fileno(), 65536)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):  # seen before
                self._selector.unregister(self._stderr.fileno())
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._timeline.add("log", line.decode("utf-8", "replace"))
        return True

    def _read_notify(self) -> bool:
        try:
            message = self._notify.recv(65536)
        except BlockingIOError:
            return False
        self._timeline.add("notify", message.decode("utf-8", "replace"))
        return True


@dataclass(frozen=True)
class Notification:
    """One sd_notify message."""

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Notification:
        pairs = [line.partition("=") for line in text.split("\n") if line]
        return cls(tuple((key, value) for key, _, value in pairs))

    def get(self, key: str) -> str | None:
        return dict(self.fields).get(key)

    def says(self, key: str, value: str) -> bool:
        return (key, value) in self.fields


@dataclass(frozen=True)
class Reload:
    """What the daemon said about one SIGHUP."""

    status: str  # STATUS= that came with READY=1
    since: int  # mark of the timeline before the signal
    messages: tuple[Notification, ...]  # from the signal up to READY=1


class Client:
    """The ways to talk to a daemon, whoever started it."""

    def __init__(self) -> None:
        self._closables: list[Any] = []
        self._control: Connection | None = None

    def address(self, listener: str = "main") -> Address:
        raise NotImplementedError

    def connect(self, listener: str = "main", receive_buffer: int = 0) -> Connection:
        """A connection that is closed when the daemon is put away."""
        connection = Connection(self.address(listener), receive_buffer=receive_buffer)
        self._closables.append(connection)
        return connection

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        listener: str = "main",
    ) -> Response:
        return fetch(self.address(listener), method, target, headers, body)

    def get(
        self,
        target: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        listener: str = "main",
    ) -> Response:
        return self.request("GET", target, headers, listener=listener)

    def crowd(self, scripts: Sequence[Sequence[bytes]], listener: str = "main") -> Crowd:
        crowd = Crowd(self.address(listener), scripts)
        self._closables.append(crowd)
        return crowd

    def send_burst(self, n: int, target: str | bytes, listener: str = "main") -> Crowd:
        """Sends n requests at once, each on its own connection, and waits for nothing."""
        request = target if isinstance(target, bytes) else request_bytes("GET", target)
        return self.crowd([[request]] * n, listener)

    def burst(self, n: int, target: str | bytes, listener: str = "main") -> list[Response]:
        """Sends n requests at once and returns their answers in the order of arrival."""
        crowd = self.send_burst(n, target, listener).wait()
        assert crowd.failures == [], crowd.failures
        return [response for _, response in crowd.responses]

    def send_seen(self, n: int, target: str, listener: str = "main") -> Crowd:
        """As `send_burst`, and the event loop has read all of it.

        The connections have had an answer before, so that their bytes are with the daemon before
        those of the status request that is waited for.
        """
        requests = [request_bytes("GET", "/-/status"), request_bytes("GET", target)]
        crowd = self.crowd([requests] * n, listener).wait(n)
        crowd.forget_responses()
        self.status()
        return crowd

    def load(self, clients: int, target: str) -> Load:
        return Load(self.address(), request_bytes("GET", target), clients)

    def status(self) -> dict[str, Any]:
        """The document of the control route, over a connection that is kept for this."""
        for _ in range(2):  # the daemon may have closed the kept connection meanwhile
            if self._control is None:
                self._control = self.connect()
            try:
                response = self._control.get("/-/status")
                break
            except (OSError, ProtocolError):
                self._control = None
        else:
            raise AssertionError("no answer from the status route")
        if response.closes:
            self._control = None
        assert response.status == 200, response
        return response.json()

    def generation(self) -> int:
        """Of the configuration in force."""
        return self.status()["config"]["generation"]

    def pool(self, name: str = "default") -> dict[str, Any]:
        """The status document's part about one pool."""
        return self.status()["pools"][name]

    def until_pool(self, name: str = "default", **expected: int) -> dict[str, Any]:
        """Waits until these fields of a pool have these values."""

        def reached() -> dict[str, Any] | None:
            nonlocal last
            last = self.pool(name)
            return last if all(last[key] == value for key, value in expected.items()) else None

        last: dict[str, Any] = {}
        try:
            return until(reached)  # type: ignore[return-value]
        except AssertionError:
            raise AssertionError(f"pool {name}: wanted {expected}, last seen {last}") from None

    def close_connections(self) -> None:
        for closable in self._closables:
            closable.close()
        self._closables.clear()
        self._control = None


class AttachedDaemon(Client):
    """A daemon that somebody else runs, under a debugger for example."""

    def __init__(self, host_port: str) -> None:
        super().__init__()
        self._address = parse_address(host_port)

    def address(self, listener: str = "main") -> Address:
        assert listener == "main"
        return self._address


class Daemon(Client):
    """One process of the real binary, from start to end."""

    def __init__(
        self,
        directory: Path,
        config: str,
        args: Sequence[str] = (),
        env: Mapping[str, str] = {},
        wrapper: Sequence[str] = (),
        notify: bool = True,
        pass_fds: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.directory = directory
        self.config_path = directory / "handoffd.conf"
        self.write_config(config)
        self.timeline = Timeline()
        self._exit_is_expected = False
        self._notify = self._bind_notify_socket(directory / "notify")
        notify_env = {"NOTIFY_SOCKET": str(directory / "notify")} if notify else {}
        with open(self.stdout_path, "wb") as stdout:
            self._process = subprocess.Popen(
                [*wrapper, str(BINARY), "-c", str(self.config_path), *args],
                cwd=directory,
                env=clean_environment({**notify_env, **env}),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                pass_fds=pass_fds,
            )
        self._recorder = _Recorder(self._process, self._notify, self.timeline)
        self._recorder.start()

    @staticmethod
    def _bind_notify_socket(path: Path) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(path))
        sock.setblocking(False)
        return sock

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdout_path(self) -> Path:
        return self.directory / "stdout"

    @property
    def stdout(self) -> bytes:
        return self.stdout_path.read_bytes()

    # --- what it says ---------------------------------------------------------------------------

    def mark(self) -> int:
        return self.timeline.mark()

    def log_lines(self, since: int = 0) -> list[str]:
        return self.timeline.texts("log", since)

    @property
    def log(self) -> str:
        return "\n".join(self.log_lines())

    def wait_for_log(self, pattern: str, since: int = 0) -> re.Match[str]:
        regex = re.compile(pattern)
        match, _ = self.timeline.wait(
            lambda event: regex.search(event.text) if event.kind == "log" else None,
            f"a log line like {pattern!r}",
            since,
        )
        return match

    def notifications(self, since: int = 0) -> list[Notification]:
        return [Notification.parse(text) for text in self.timeline.texts("notify", since)]

    def wait_for_notification(self, key: str, value: str | None = None, since: int = 0) -> int:
        """Waits for KEY=VALUE (or KEY with any value); returns the mark behind that message."""

        def find(event: Event) -> bool:
            if event.kind != "notify":
                return False
            message = Notification.parse(event.text)
            found = message.get(key)
            return found is not None if value is None else message.says(key, value)

        _, mark = self.timeline.wait(find, f"notification {key}={value or '...'}", since)
        return mark

    def wait_ready(self, since: int = 0) -> int:
        return self.wait_for_notification("READY", "1", since)

    def last_status_text(self, since: int = 0) -> str:
        """The newest STATUS= that came after `since`."""
        found = [m.get("STATUS") for m in self.notifications(since)]
        texts = [text for text in found if text is not None]
        assert texts, "no STATUS= notification"
        return texts[-1]

    # --- where it listens -----------------------------------------------------------------------

    def address(self, listener: str = "main") -> Address:
        """As the newest notification or log line tells it."""
        in_status = re.compile(rf"(?:^|[\s(,;]){re.escape(listener)}=([^\s,;)]+)")
        in_log = re.compile(rf"listening on (\S+) \(listener {re.escape(listener)}\)")
        for message in reversed(self.notifications()):
            if match := in_status.search(message.get("STATUS") or ""):
                return parse_address(match[1])
        return parse_address(self.wait_for_log(in_log.pattern)[1])

    # --- what is done to it ---------------------------------------------------------------------

    def refuses_connections(self, address: Address) -> bool:
        try:
            open_socket(address).close()
        except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError):
            return True
        return False

    def write_config(self, text: str) -> None:
        """In one step, as a reload may look at any time."""
        new = self.directory / "handoffd.conf.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.config_path)

    def write_file(self, name: str, content: str | bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def reload(self, config: str | None = None) -> Reload:
        """SIGHUP, with a new configuration or the one there is; waits for READY=1."""
        if config is not None:
            self.write_config(config)
        since = self.mark()
        self.send_signal(signal.SIGHUP)
        reloading = self.wait_for_notification("RELOADING", "1", since)
        ready = self.wait_ready(reloading - 1)
        events = self.timeline.events(since)[: ready - since]
        messages = tuple(Notification.parse(e.text) for e in events if e.kind == "notify")
        status = messages[-1].get("STATUS")
        assert status, f"READY=1 after a reload came without STATUS=: {messages}"
        return Reload(status, since, messages)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stops the process, so that what is sent meanwhile reaches it all at once."""
        self.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    # --- what the system knows about it ---------------------------------------------------------

    def cpu_seconds(self) -> float:
        """CPU time that all its threads have used, ended ones too."""
        process_clock = (~self.pid << 3) | 2  # clock_getcpuclockid(3)
        return time.clock_gettime(process_clock)

    def descriptor_count(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descriptors_at_rest(self) -> int:
        """With the connection of `status` open and no other of ours; call before the first one."""
        self.status()
        until(self._supervisor_rests, "the main thread at rest")
        return self.descriptor_count()

    def _supervisor_rests(self) -> bool:
        """It has a socket open while it notifies, which wakes the test that waits for it."""
        stat = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "S"

    def until_descriptors(self, count: int) -> None:
        """Waits until the daemon has closed everything beyond `descriptors_at_rest`."""
        until(lambda: self.status() and self.descriptor_count() <= count, f"{count} descriptors")

    def resident_bytes(self) -> int:
        """Memory that it really uses."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1]) * 1024  # type: ignore[index]

    def thread_names(self) -> list[str]:
        names = []
        for path in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
                names.append((path / "comm").read_text().strip())
        return names

    def pool_threads(self, pool: str) -> int:
        """Threads that bear the pool's name; a new one takes it a moment after it was made."""
        return sum(name.startswith(f"{pool[:10]}/") for name in self.thread_names())

    # --- how it ends ----------------------------------------------------------------------------

    def wait_exit(self, expect: int | None = EXIT_OK) -> int:
        self._exit_is_expected = True
        assert self.timeline.wait_end(), "still running"
        code = self._process.returncode
        assert expect is None or code == expect, f"exit code {code}, not {expect}\n{self.log}"
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, expect: int | None = EXIT_OK) -> int:
        self.send_signal(number)
        return self.wait_exit(expect)

    def put_away(self) -> None:
        """Ends what still runs; complains about crashes and sanitizer reports."""
        self.close_connections()
        complaint = self._end()
        report = find_sanitizer_report(self.log)
        if report is not None:
            complaint = f"sanitizer report: {report}"
        assert complaint is None, f"{complaint}\n{self.log}"

    def _end(self) -> str | None:
        """Stops the process in any case; tells what was wrong with its end."""
        try:
            if self.timeline.wait_end(0):
                return None if self._exit_is_expected else f"it ended by itself: {self._code()}"
            self.send_signal(signal.SIGTERM)
            if not self.timeline.wait_end():
                return "it did not end after SIGTERM"
            return None if self._process.returncode == EXIT_OK else f"{self._code()} after SIGTERM"
        finally:
            if self._process.poll() is None:
                self._process.kill()
            self._recorder.join(LIMIT)
            self._notify.close()
            self._process.stderr.close()  # type: ignore[union-attr]

    def _code(self) -> str:
        return f"exit code {self._process.returncode}"


def parse_address(text: str) -> Address:
    """ "127.0.0.1:8080", "[::1]:8080" or "unix:/path"."""
    if text.startswith("unix:"):
        return text[len("unix:") :]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
