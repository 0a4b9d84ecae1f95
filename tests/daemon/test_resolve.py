"""Look-ups whose name server keeps silent: they cannot be ended, but everything else goes on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from conftest import StartDaemon
from harness import LIMIT, Daemon, conf, until

# Gives the program a resolv.conf and an nsswitch.conf of its own.
ELSEWHERE = """
import ctypes, os, sys
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result:
        raise OSError(ctypes.get_errno(), "no private mounts")
check(libc.unshare(CLONE_NEWNS))
check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
for name in ("resolv.conf", "nsswitch.conf"):
    here = os.path.join(sys.argv[1], name).encode()
    check(libc.mount(here, os.path.realpath(b"/etc/" + name.encode()), None, MS_BIND, None))
os.execv(sys.argv[2], sys.argv[2:])
"""


class NameServer:
    """Takes questions, and answers none before it is told to."""

    def __init__(self) -> None:
        number = os.getpid()
        self.address = f"127.{number >> 16 & 127}.{number >> 8 & 255}.{number & 127 or 1}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(LIMIT)
        self.socket.bind((self.address, 53))
        self._questions: list[tuple[bytes, object]] = []

    def await_question(self, name: bytes) -> None:
        while not any(name in question for question, _ in self._questions):
            self._questions.append(self.socket.recvfrom(512))

    def deny_all(self) -> None:
        """There are no such names."""
        self.socket.setblocking(False)
        try:
            while True:
                self._questions.append(self.socket.recvfrom(512))
        except BlockingIOError:
            self.socket.settimeout(LIMIT)
        for question, client in self._questions:
            self.socket.sendto(question[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question[12:], client)
        self._questions.clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NameServer]:
    try:
        server = NameServer()
    except OSError as refusal:
        pytest.skip(f"needs port 53 of an address of its own: {refusal}")
    # They wait for longer than the test does.
    options = "options timeout:30 attempts:5 single-request\n"
    (tmp_path / "resolv.conf").write_text(f"nameserver {server.address}\n{options}")
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    probe = [sys.executable, "-c", ELSEWHERE, str(tmp_path), "/bin/true"]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    with server.socket:
        yield server


def start_there(start: StartDaemon, directory: Path) -> Daemon:
    return start(
        conf(
            'path = "/long"; action = "resolve"',
            'path = "/short"; action = "resolve"; timeout = "50ms"',
            pools="default: { threads = 2; };",
        ),
        wrapper=[sys.executable, "-c", ELSEWHERE, str(directory)],
    )


def connections(daemon: Daemon) -> int:
    return sum(daemon.status()["connections"].values())


def until_over(daemon: Daemon, server: NameServer, ran: int) -> None:
    """A look-up asks for one kind of address after the other."""

    def over() -> bool:
        server.deny_all()
        pool = daemon.pool()
        return pool["busy"] == 0 and pool["ran"] == ran

    until(over, "the look-ups' end")


def test_a_timeout_is_answered_while_the_thread_is_busy(
    start: StartDaemon, server: NameServer, tmp_path: Path
) -> None:
    daemon = start_there(start, tmp_path)
    response = daemon.get("/short?name=late.example")
    assert (response.status, response.json()["reason"]) == (504, "timeout")
    server.await_question(b"late")
    pool = daemon.pool()
    assert (pool["busy"], pool["available"], pool["ran"]) == (1, 1, 0)
    # Other threads of the pool go on.
    assert daemon.get("/long?name=127.0.0.1").status == 200
    until_over(daemon, server, 2)
    pool = daemon.pool()
    assert pool["submitted"] == pool["ran"] == 2
    assert (pool["ran_by_result"]["timeout"], pool["ran_by_result"]["ok"]) == (1, 1)


def test_a_client_that_leaves_leaves_the_thread_busy(
    start: StartDaemon, server: NameServer, tmp_path: Path
) -> None:
    daemon = start_there(start, tmp_path)
    connection = daemon.connect()
    connection.send_request("GET", "/long?name=left.example")
    server.await_question(b"left")
    with daemon.connect() as other:
        other.send_request("GET", "/long?name=stayed.example")
        server.await_question(b"stayed")
        before = connections(daemon)
        connection.close()
        until(lambda: connections(daemon) == before - 1, "the end of the connection")
        assert daemon.pool()["busy"] == 2
        until_over(daemon, server, 2)
        assert other.read_response().status == 404
    pool = daemon.pool()
    assert pool["submitted"] == pool["ran"] == 2
