"""Every probe of probes.py, sent as it stands and byte group by byte group."""

from __future__ import annotations

from typing import Iterator

import pytest

from harness import ATTACH, Daemon, conf
from probes import MAX_BODY_SIZE, MAX_HEADER_SIZE, PROBES, Probe
from rawhttp import Connection, request_bytes

HELLO = 'path = "/hello"; action = "respond"; body = "hello"'
ECHO = 'path = "/echo"; action = "echo"'
SMUGGLED = 'path = "/smuggled"; action = "echo"; headers = { X-Smuggled = "yes"; }'
LIMITS = f"max_header_size = {MAX_HEADER_SIZE}; max_body_size = {MAX_BODY_SIZE};"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if ATTACH:
        pytest.skip("needs routes of its own")
    daemon = Daemon(
        tmp_path_factory.mktemp("probes"), conf(HELLO, ECHO, SMUGGLED, server=LIMITS)
    )
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.put_away()


def names(probes: list[Probe]) -> list[str]:
    return [f"{probe.section}: {probe.name}" for probe in probes]


def read_final(connection: Connection) -> tuple[int, str | None]:
    while (response := connection.read_response()).status < 200:
        pass
    if response.status >= 400:
        problem = response.json() if response.body else None
        assert problem is None or problem["status"] == response.status
    return response.status, response.header("X-Smuggled")


def check(target: Daemon, probe: Probe, pieces: list[bytes]) -> None:
    with Connection(target.address()) as connection:
        connection._parser.methods += list(probe.methods)
        try:
            for piece in pieces:
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            assert probe.after == "closed"
        for expected in probe.statuses:
            allowed = expected if isinstance(expected, tuple) else (expected,)
            status, smuggled = read_final(connection)
            assert status in allowed
            assert not (probe.hidden and smuggled)
        if probe.after == "closed":
            assert connection.read_eof() == b""
        else:
            connection.send(request_bytes("GET", "/hello"))
            assert read_final(connection) == (200, None)


def test_there_are_enough() -> None:
    assert len(PROBES) >= 250
    assert len(set(names(PROBES))) == len(PROBES)


@pytest.mark.parametrize("probe", PROBES, ids=names(PROBES))
def test_in_one_piece(target: Daemon, probe: Probe) -> None:
    check(target, probe, [probe.raw])


@pytest.mark.parametrize("probe", PROBES, ids=names(PROBES))
def test_in_small_pieces(target: Daemon, probe: Probe) -> None:
    size = max(7, len(probe.raw) // 40)
    check(target, probe, [probe.raw[i : i + size] for i in range(0, len(probe.raw), size)])
