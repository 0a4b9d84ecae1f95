"""What requests and connections leave behind in memory: nothing."""

from __future__ import annotations

from conftest import StartDaemon
from harness import SANITIZED, Daemon, conf
from rawhttp import request_bytes

HELLO = 'path = "/hello"; action = "respond"; body = "hello"'
NOOP = 'path = "/noop"; action = "sleep"; duration = 0'
ECHO = 'path = "/echo"; action = "echo"'

CLIENTS = 20
EACH = 100


def serve(daemon: Daemon, rounds: int) -> None:
    """So many times CLIENTS * EACH requests, on new connections each time."""
    kinds = [
        request_bytes("GET", "/hello"),
        request_bytes("GET", "/noop"),
        request_bytes("POST", "/echo", body=b"x" * 5000),
        request_bytes("GET", "/nowhere"),
    ]
    script = [kinds[i % len(kinds)] for i in range(EACH)]
    for _ in range(rounds):
        crowd = daemon.crowd([script] * CLIENTS).wait()
        assert crowd.failures == []
        assert crowd.statuses == {200: CLIENTS * EACH * 3 // 4, 404: CLIENTS * EACH // 4}


def test_memory_does_not_grow_with_requests(start: StartDaemon) -> None:
    """A leak of no more than twenty bytes for each of them would show."""
    rounds = 5
    daemon = start(conf(HELLO, NOOP, ECHO))
    serve(daemon, rounds)
    before = daemon.resident_bytes()
    serve(daemon, rounds)
    grown = daemon.resident_bytes() - before
    assert SANITIZED or grown < 20 * rounds * CLIENTS * EACH, f"{grown} bytes"
