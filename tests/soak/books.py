"""Looks at a daemon at rest: every number that can be known must be there."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from harness import Daemon
from plan import STORED, Plan
from promtext import Scrape
from rawhttp import Connection

REQUESTS = "http_server_request_duration_seconds_count"
# Answers without a route that only good clients get: whoever is rude gets others.
GOOD_UNROUTED = (204, 404, 405)

Counts = Counter  # of (route, status)


class Admin:
    """A connection to the listener on which nothing else is counted."""

    def __init__(self, plan: Plan) -> None:
        self._connection = Connection(plan.address("admin"))

    def close(self) -> None:
        self._connection.close()

    def status(self) -> dict[str, Any]:
        return self._connection.get("/-/status").json()

    def scrape(self) -> Scrape:
        answer = self._connection.get("/-/metrics")
        assert answer.status == 200, answer
        return Scrape(answer.text)


def counted(now: Scrape) -> Counts:
    found: Counts = Counter()
    for labels, value in now.all(REQUESTS):
        found[labels["http_route"], int(labels["http_response_status_code"])] += int(value)
    return found


def open_descriptors(daemon: Daemon) -> int:
    """Those of the daemon; ThreadSanitizer keeps its own log open once it has written to it."""
    count = 0
    for path in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += not Path(os.readlink(path)).name.startswith("tsan.")
    return count


@dataclass
class Sample:
    """What the process has of the system, while no client is there."""

    seconds: float
    resident: int
    threads: int
    descriptors: int

    @classmethod
    def take(cls, daemon: Daemon, seconds: float) -> Sample:
        threads, descriptors = len(daemon.thread_names()), open_descriptors(daemon)
        return cls(seconds, daemon.resident_bytes(), threads, descriptors)

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s: {self.resident / 2**20:7.1f} MiB, {self.threads} threads, "
            f"{self.descriptors} descriptors"
        )


def is_quiet(daemon: Daemon, plan: Plan, status: dict[str, Any], threads_of_pools: int) -> str:
    """What is not at rest yet; empty: nothing."""
    connections = sum(status["connections"].values())
    if connections != 1:
        return f"{connections} connections: {status['connections']}"
    for name, pool in status["pools"].items():
        if pool["queued"] or pool["running"]:
            return f"pool {name}: {pool['queued']} queued, {pool['running']} running"
    for route in status["routes"]:
        if route["in_flight"] > (route["path"] == "/-/status"):
            return f"route {route['path']}: {route['in_flight']} in flight"
    active = sum(pool["active"] for pool in status["pools"].values())
    if active != threads_of_pools:
        return f"{active} threads of pools, not {threads_of_pools}"
    if waiting := list(waiting_connections(daemon, plan)):
        return f"connections in the kernel: {waiting[:3]}"
    return ""


def waiting_connections(daemon: Daemon, plan: Plan) -> Iterator[str]:
    """What has connected, or is connected, by the kernel's account."""
    packed = "".join(f"{int(part):02X}" for part in reversed(plan.host.split(".")))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        # Of a socket that listens, the second queue holds the connections to be accepted.
        open_state = state in ("01", "03", "08") or (state == "0A" and int(queues.split(":")[1], 16))
        if local.startswith(packed + ":") and open_state:
            yield line.strip()


def marked_processes(marker: str) -> Iterator[int]:
    """Programs that routes have started, and what these have started."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"SOAK={marker}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def children(pid: int) -> list[str]:
    """Child processes, zombies too."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += (task / "children").read_text().split()
    return found


def left_in_store(plan: Plan) -> Iterator[str]:
    """Good clients have taken away what they have stored, and others never finish."""
    for path in (plan.directory / STORED).iterdir():
        yield path.name


# --- the access log -------------------------------------------------------------------------------


class LogFile:
    """One file that is written, or was until a moment ago."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open(path, "rb")
        self._partial = b""

    def new_lines(self) -> Iterator[bytes]:
        *lines, self._partial = (self._partial + self._file.read()).split(b"\n")
        yield from lines

    def end(self) -> bytes:
        """Gives the file up, which has all its lines now; returns one that is not whole."""
        self._file.close()
        self.path.unlink()
        return self._partial


class AccessLog:
    """Counts the lines of the access log, which it moves away now and then."""

    def __init__(self, directory: Path) -> None:
        self.lines: Counts = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter()  # by pool and reason
        self.faults: list[str] = []
        self.rotations = 0
        self._path = directory / "access.log"
        self._current = LogFile(self._path)
        self._before: LogFile | None = None

    def move_away(self) -> None:
        """Before a SIGHUP.  Until the daemon has opened the new file, lines follow the old one."""
        self.rotations += 1
        to = self._path.with_name(f"access.log.{self.rotations}")
        self._path.rename(to)
        self._current.path = to

    def open_new(self) -> None:
        """After that SIGHUP.  The old file is whole by the next time."""
        if self._before:
            self.read()
            if self._before.end():
                self.faults.append("access log: a line without its end")
        self._before = self._current
        self._current = LogFile(self._path)

    def read(self) -> None:
        for file in filter(None, (self._before, self._current)):
            for line in file.new_lines():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            self.lines[entry.get("route", ""), entry["status"]] += 1
            if "pool" in entry and "reason" in entry:
                self.refusals[entry["pool"], entry["reason"]] += 1
        except (ValueError, KeyError) as error:
            self.faults.append(f"access log: {error!r}: {line!r:.300}")


# --- the log --------------------------------------------------------------------------------------

# What may be said at a level above notice, and why.
EXPECTED = [
    r"request \S+: route \S+: stderr: ",  # of programs that misbehave
    r"request \S+: route \S+: \S+ (was ended|ended|wrote|has written|.*output|.*head|.*signal|exited)",
    r"pool \S+: .* request \S+ for route \S+ refused",
    r"request \S+: route \S+: timed out; its thread",
    r"pool \S+: starved for ",
    r"max_connections reached, ",
    r"max_connections is \d+, but no more than",
    r"\S+(:\d+)?: ",  # faults of a broken configuration
    r"reload refused, ",
    r"a restart is needed to change: server\.loops",
    r"loop \d+ (came \d+ ms late|was blocked for)",  # a busy machine
    r"access log: its place takes lines too slowly",  # likewise; the numbers must tell how many
    r"request \S+: route \S+: the answer of action \S+ is broken off",  # a program that crashes
]
EXPECTED_LINE = re.compile("|".join(f"(?:{text})" for text in EXPECTED))
LEVEL = re.compile(r"\S+ (error|warning|notice|info|debug): (.*)")


def unexpected(line: str) -> bool:
    match = LEVEL.match(line)
    if not match:
        return True
    return match[1] in ("error", "warning") and not EXPECTED_LINE.match(match[2])


def thread_sanitizer_reports(directory: Path) -> list[str]:
    """Those that tests/daemon/tsan.supp does not explain.

    It knows the call by its name, which a report lacks if the call was too long ago: libevent told epoll
    of a descriptor that is closed, and that somebody has opened anew since.
    """
    found = []
    for path in directory.glob("tsan.*"):
        for report in path.read_text().split("=" * 18 + "\n"):
            known = "Location is file descriptor" in report and "[failed to restore the stack]" in report
            if "WARNING: ThreadSanitizer" in report and not known:
                found.append(report)
    return found
