"""Every allocation fails once, in turn: at the start, at a reload, at each kind of request."""

from __future__ import annotations

import contextlib
import os

import pytest

from conftest import Begin
from harness import EXIT_OK, EXIT_OSERR
from rawhttp import Connection, ConnectionClosed
from subject import REQUESTS, Subject, shape

# `make faults`: each call in turn, not only the first one from each place.
EVERY = bool(os.environ.get("FAULTS_EVERY"))
ROUNDS = 30 if EVERY else 1
START_STEP = 1 if EVERY else 4
FAIL = "alloc errno=ENOMEM" + ("" if EVERY else " distinct")


def sweep(subject: Subject, name: str, fail: str = FAIL) -> int:
    """Asks again and again, until no allocation is left to fail.  How many there were."""
    request = REQUESTS[name]
    usual = subject.ask(request).response
    usual = subject.ask(request).response  # an upload replaces what the first one has made
    assert usual is not None
    n = 0
    while True:
        n += 1
        subject.connection()
        with subject.faults.armed(f"{fail} nth={n}"):
            outcome = subject.ask(request)
            failed = subject.faults.done()
        if not outcome.is_fine(name, usual):
            where = subject.faults.last(subject.daemon.pid)
            pytest.fail(f"{name}, allocation {n}: {outcome.text}\nnot as {usual}\n{where}")
        again = subject.ask(request).response
        assert again is not None and shape(again) == shape(usual), (
            f"{name}, after allocation {n}: {again}\n{subject.faults.last(subject.daemon.pid)}"
        )
        if not failed:
            return n - 1


# Takes no memory on a connection that has had other requests.
SPARING = {"respond", "redirect", "head", "delay", "live", "ready", "sleep", "spin"}

# What the daemon keeps for the next connection or request comes and goes.
KEPT = 24


def settle(subject: Subject) -> tuple[int, int]:
    """Descriptors and blocks of the heap when nothing is in flight."""
    subject.at_rest()
    return subject.daemon.descriptor_count(), subject.faults.blocks()


@pytest.mark.parametrize("name", REQUESTS)
def test_request(subject: Subject, name: str) -> None:
    """Answered as ever, or with an error, or not at all; and nothing of it is left behind."""
    points = sweep(subject, name)
    assert points > 0 or name in SPARING
    descriptors, blocks = settle(subject)
    for _ in range(ROUNDS if EVERY or points < 80 else 0):
        sweep(subject, name)
    descriptors_after, blocks_after = settle(subject)
    assert descriptors_after <= descriptors
    assert blocks_after <= blocks + KEPT
    assert subject.daemon.stop() == EXIT_OK


@pytest.mark.parametrize("name", ["template", "echo", "sleep", "digest", "exec"])
def test_others(subject: Subject, name: str) -> None:
    """Of several requests that are served at the same time at most one is lost."""
    request = REQUESTS[name]
    usual = subject.ask(request).response
    assert usual is not None
    n, failed = 0, 1
    while failed:
        n += 1
        connections = [subject.daemon.connect() for _ in range(4)]
        for connection in connections:
            assert connection.get("/hello").status == 200
        lost = 0
        with subject.faults.armed(f"{FAIL} nth={n}"):
            for connection in connections:
                connection.send_requests([request])
            for connection in connections:
                try:
                    lost += connection.read_response().status != usual.status
                except (ConnectionClosed, ConnectionError):
                    lost += 1
                connection.close()
            failed = subject.faults.done()
        assert lost <= 1, (n, subject.faults.last(subject.daemon.pid))
    subject.at_rest()
    assert subject.daemon.stop() == EXIT_OK


# What cannot be survived, as it happens inside of these; README.md tells why.
BEYOND_US = "libconfig,libcrypto,regcomp"
FAIL_OURS = f"{FAIL} without={BEYOND_US}"


def test_start(begin_unready: Begin, begin: Begin) -> None:
    """It starts whole, or ends with the code for that and says why."""
    routes = len(begin().daemon.status()["routes"])
    n, ended, failed = 1, 0, 1
    while failed:
        n += START_STEP
        subject = begin_unready(None, f"{FAIL_OURS} nth={n}")
        daemon = subject.daemon
        text, failed = subject.start_or_end()
        if "READY=1" in text:
            assert len(daemon.status()["routes"]) == routes, n
            assert daemon.get("/hello").text == "hello", n
            daemon.stop()
        else:
            daemon.wait_exit(EXIT_OSERR)
            assert "cannot start: " in daemon.log or "out of memory" in daemon.log, n
            ended += 1
    assert ended > 20


def test_reload(begin: Begin) -> None:
    """The old configuration stays in force, or the new one is, whole; and the manager is told."""
    subject = begin()
    daemon = subject.daemon
    old = daemon.config_path.read_text()
    new = old.replace('body = "hello"', 'body = "changed"').replace("threads = 2", "threads = 3")
    texts = {False: old, True: new}
    refused, applied, n, failed, changed = 0, 0, 0, 1, False
    while failed:
        n += 1
        subject.faults.arm(f"{FAIL_OURS} nth={n}")
        report = daemon.reload(texts[not changed])
        failed = subject.faults.done()
        subject.faults.disarm()
        if "refused" in report.status:
            refused += 1
        else:
            applied += 1
            changed = not changed
        assert daemon.get("/hello").text == ("changed" if changed else "hello"), report
        assert daemon.pool()["threads"] == (3 if changed else 2), report
        assert daemon.get("/sleep").status == 200
    assert refused > 30 and applied > 0
    subject.at_rest()
    assert daemon.stop() == EXIT_OK


def test_accept(subject: Subject) -> None:
    """A new connection is served or closed, and the next one is served."""
    subject.at_rest()
    n, failed = 0, 1
    while failed:
        n += 1
        with subject.faults.armed(f"{FAIL} nth={n}"):
            subject.close()
            try:
                with Connection(subject.daemon.address()) as connection:
                    assert connection.get("/hello").status == 200
            except (ConnectionClosed, ConnectionError):
                pass
            failed = subject.faults.done()
        assert subject.daemon.get("/hello").status == 200
    assert n > 10
    subject.at_rest()
    assert subject.daemon.stop() == EXIT_OK


@pytest.mark.parametrize("name", REQUESTS)
def test_no_memory_at_all(subject: Subject, name: str) -> None:
    """For as long as there is none; then everything is as before."""
    request = REQUESTS[name]
    subject.connection()
    with Connection(subject.daemon.address()) as late:
        with subject.faults.armed("alloc errno=ENOMEM"):
            subject.ask(request)
            with Connection(subject.daemon.address()) as new:
                new.send_requests([request])
                late.send_requests([request])
        with contextlib.suppress(ConnectionClosed, ConnectionError):
            late.read_response()
    assert subject.daemon.get("/hello").text == "hello"
    subject.at_rest()
    assert subject.daemon.stop() == EXIT_OK
