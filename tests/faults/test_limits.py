"""Short reads and writes, a full disk, no descriptors, a clock that jumps."""

from __future__ import annotations

import contextlib
import resource
import signal
from typing import Iterator

import pytest

from harness import until
from rawhttp import Connection
from subject import REQUESTS, Subject, shape

READS_AND_WRITES = "read,pread,readv,recv,write,writev,send,sendmsg,sendfile"


@contextlib.contextmanager
def limited(subject: Subject, limit: int, value: int) -> Iterator[None]:
    """The running daemon may have so much of it, no more."""
    before = resource.prlimit(subject.daemon.pid, limit)
    resource.prlimit(subject.daemon.pid, limit, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(subject.daemon.pid, limit, before)


# ---- short reads and writes --------------------------------------------------------------------


@pytest.mark.parametrize("length", ["1", "7", "half"])
def test_short(subject: Subject, length: str) -> None:
    """Whatever is read or written in pieces: the answers are the same."""
    kinds = ("socket", "pipe", "file")  # an eventfd knows no pieces
    rules = [f"{READS_AND_WRITES} fd={kind} short={length}" for kind in kinds]
    for name, request in REQUESTS.items():
        if length != "half" and name == "large file":
            continue
        subject.ask(request)
        usual = subject.ask(request).response
        assert usual is not None
        with subject.faults.armed(*rules):
            response = subject.ask(request).response
            assert subject.faults.done() > 0
        assert response is not None and shape(response) == shape(usual), name
    subject.stops_whole()


# ---- full disks --------------------------------------------------------------------------------


def test_no_room_for_upload(subject: Subject) -> None:
    """507, the file that was there stays, and nothing is left over."""
    directory = subject.directory / "up"
    assert subject.daemon.request("PUT", "/up/x", body=b"before").status == 201
    with limited(subject, resource.RLIMIT_FSIZE, 4096):
        response = subject.daemon.request("PUT", "/up/x", body=b"n" * 10_000)
    assert response.status in (413, 507), response
    assert (directory / "x").read_bytes() == b"before"
    assert [file.name for file in directory.iterdir()] == ["x"]
    assert subject.daemon.request("PUT", "/up/x", body=b"n" * 10_000).status == 200
    subject.stops_whole()


def test_no_room_for_access_log(subject: Subject) -> None:
    """Requests go on, the log says that lines are lost, and how many the status knows."""
    since = subject.daemon.mark()
    with subject.faults.armed("write,writev path=access.log errno=ENOSPC"):
        assert subject.daemon.get("/hello").status == 200
        subject.daemon.wait_for_log("access log.*No space", since)
    until(lambda: subject.daemon.status()["access_log"]["dropped"] > 0, "lines counted as lost")
    assert subject.daemon.get("/template/last").status == 200
    log = subject.directory / "access.log"
    until(lambda: "/template/last" in log.read_text(), "lines that are written again")
    subject.stops_whole()


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EPIPE", "EAGAIN"])
def test_no_room_for_log(subject: Subject, error: str) -> None:
    """What cannot be logged is lost, and nothing else."""
    with subject.faults.armed(f"write fd=2 errno={error}"):
        subject.daemon.send_signal(signal.SIGUSR1)
        until(lambda: subject.daemon.status() and subject.faults.done() > 0, "a line that is lost")
    since = subject.daemon.mark()
    subject.daemon.send_signal(signal.SIGUSR1)
    subject.daemon.wait_for_log('"version"', since)
    subject.stops_whole()


# ---- no descriptors ----------------------------------------------------------------------------

NEED_DESCRIPTORS = ["file", "html listing", "exec", "stream", "cgi", "upload", "form upload"]


@pytest.mark.parametrize("name", NEED_DESCRIPTORS)
def test_no_descriptors(subject: Subject, name: str) -> None:
    """503 or 500 while there are none; the connection lives on and is served afterwards."""
    connection = subject.connection()
    with limited(subject, resource.RLIMIT_NOFILE, 3):
        response = subject.ask(REQUESTS[name]).response
        assert response is not None and response.status in (500, 503), response
        new = Connection(subject.daemon.address())
        new.send_requests([REQUESTS["respond"]])
        subject.daemon.wait_for_log("cannot accept connections: Too many open files")
        assert subject.ask(REQUESTS["respond"]).response is not None
    assert new.read_response().status == 200
    new.close()
    assert subject.connection() is connection
    response = subject.ask(REQUESTS[name]).response
    assert response is not None and response.status in (200, 201)
    subject.stops_whole()


# ---- clocks ------------------------------------------------------------------------------------

YEAR = 365 * 24 * 3600


@pytest.mark.parametrize("shift", [-YEAR, -1, 1, YEAR])
def test_clock_jumps(subject: Subject, shift: int) -> None:
    """Only what shows the time of day shows it; waiting and deadlines go by a clock that cannot jump."""
    waiting = subject.daemon.connect()
    waiting.send_requests([REQUESTS["sleep"], REQUESTS["delay"]])
    with subject.faults.armed(f"clock shift={shift}"):
        for name, request in REQUESTS.items():
            response = subject.ask(request).response
            assert response is not None and response.status < 500, name
            assert (response.header("Date") or "").endswith(" GMT")
        assert subject.daemon.status()["uptime_seconds"] < YEAR / 2
        assert subject.faults.done() > 0
        subject.daemon.reload()
    assert [waiting.read_response().status for _ in range(2)] == [200, 200]
    waiting.close()
    for name, request in REQUESTS.items():
        response = subject.ask(request).response
        assert response is not None and response.status < 500, name
    subject.stops_whole()
