"""Output that goes out while its program runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import StartDaemon
from harness import SANITIZED, Daemon, conf, until
from rawhttp import ProtocolError

SHELL = (
    'path = "/sh/*"; action = "exec"; command = [ "sh", "-c", "${path.rest}", "sh", "${query.a}" ]; '
    'stream = true; kill_grace = "50ms"; status_map = ( { exit = 3; status = 404; } )'
)
EVENTS = (
    'path = "/events/*"; action = "exec"; command = [ "sh", "-c", "${path.rest}" ]; '
    'stream = true; content_type = "text/event-stream; charset=utf-8"'
)


def sh(script: str, argument: str | Path = "", path: str = "/sh/") -> str:
    return path + quote(script, safe="") + "?a=" + quote(str(argument), safe="")


@pytest.fixture
def daemon(start: StartDaemon) -> Daemon:
    return start(conf(SHELL, EVENTS, server='drain_timeout = "50ms";'))


class Raw:
    """A request, and every byte of its answer so far."""

    def __init__(self, daemon: Daemon, target: str, version: str = "1.1", more: bytes = b"") -> None:
        self.data = b""
        self.socket = socket.create_connection(daemon.address()[:2], timeout=60)
        method = "POST" if more else "GET"
        self.socket.sendall(f"{method} {target} HTTP/{version}\r\nHost: a\r\n".encode() + more + b"\r\n")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read(self) -> bytes:
        piece = self.socket.recv(65536)
        self.data += piece
        return piece

    def until(self, mark: bytes) -> bytes:
        while mark not in self.data:
            assert self.read(), self.data
        return self.data

    def trailer(self) -> bytes:
        """What stands behind the last chunk."""
        self.until(b"\r\n0\r\n")
        while not self.data.endswith(b"\r\n\r\n"):
            assert self.read(), self.data
        return self.data[self.data.rindex(b"\r\n0\r\n") + 5 :]


# --- as it is written ----------------------------------------------------------------------------


def test_each_piece_comes_when_it_is_written(daemon: Daemon, tmp_path: Path) -> None:
    """The program goes on only after the client has seen what it wrote before."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = "for word in one two three; do echo $word; read x < $1; done"
    # Open for both and all the time: neither side ever finds it without the other.
    gate = os.open(fifo, os.O_RDWR)
    try:
        with Raw(daemon, sh(script, fifo)) as client:
            for word in (b"one", b"two", b"three"):
                client.until(word)
                os.write(gate, b"go\n")
            assert client.trailer() == b"Exit-Code: 0\r\n\r\n"
    finally:
        os.close(gate)


def test_the_exit_code_is_a_trailer(daemon: Daemon) -> None:
    for script, code in (("echo x", 0), ("echo x; exit 7", 7), ("echo x; kill -9 $$", 137)):
        with Raw(daemon, sh(script)) as client:
            assert client.trailer() == b"Exit-Code: %d\r\n\r\n" % code
            assert b"\r\nTrailer: Exit-Code\r\n" in client.data


def test_the_connection_goes_on(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        for _ in range(3):
            response = connection.get(sh("echo one; echo two"))
            assert (response.status, response.text) == (200, "one\ntwo\n")
            assert response.header("Transfer-Encoding") == "chunked"


@pytest.mark.parametrize(
    ("output", "sent"),
    [
        ("data: a", b"data: a\n\n"),
        ("data: a\\n", b"data: a\n\n"),
        ("data: a\\n\\n", b"data: a\n\n"),
    ],
)
def test_the_exit_code_is_an_event(daemon: Daemon, output: str, sent: bytes) -> None:
    response = daemon.get(sh(f"printf '{output}'; exit 5", path="/events/"))
    assert response.body == sent + b"event: exit\ndata: 5\n\n"
    assert response.header("Trailer") is None


def test_an_early_failure_has_its_status(daemon: Daemon) -> None:
    response = daemon.get(sh("exit 7"))
    assert (response.status, response.json()["reason"]) == (500, "action_failed")
    assert daemon.get(sh("exit 3")).status == 404
    response = daemon.get(sh("exit 0"))
    assert (response.status, response.body) == (200, b"")


def test_http_1_0_gets_it_by_the_end_of_the_connection(daemon: Daemon) -> None:
    with Raw(daemon, sh("echo one; echo two"), "1.0") as client:
        while client.read():
            pass
    head, body = client.data.split(b"\r\n\r\n", 1)
    assert body == b"one\ntwo\n"
    assert b"chunked" not in head and b"Trailer" not in head


def test_head_has_no_body(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        assert connection.request("HEAD", sh("echo one; exit 3")).status == 200
        assert connection.get(sh("echo one")).text == "one\n"


# --- much ----------------------------------------------------------------------------------------


def test_a_slow_client_stops_the_program(daemon: Daemon, tmp_path: Path) -> None:
    """The program counts what it has written; while nobody reads, that comes to rest."""
    counter = tmp_path / "counter"
    script = "n=0; while :; do head -c 65536 /dev/zero; n=$((n+1)); echo $n > $1.new; mv $1.new $1; done"
    before = daemon.resident_bytes()
    with Raw(daemon, sh(script, counter)) as client:
        client.until(b"\r\n\r\n")
        seen = [-1, -2]

        def at_rest() -> bool:
            seen.append(int(counter.read_text()) if counter.exists() else -len(seen))
            for _ in range(20):
                daemon.status()  # whatever the program could still write, it had the time to
            return len(set(seen[-50:])) == 1

        until(at_rest, "the program's rest")
        assert seen[-1] * 65536 < 32 << 20  # kernel buffers included
        assert SANITIZED or daemon.resident_bytes() - before < 8 << 20
        moved = seen[-1]
        for _ in range(400):
            client.socket.recv(65536)
        until(lambda: int(counter.read_text()) > moved, "the program to go on")
        assert daemon.get(sh("echo other")).text == "other\n"
    daemon.until_pool(busy=0)


def test_much_output_comes_whole_in_bounded_memory(daemon: Daemon) -> None:
    size = 200 << 20 if SANITIZED else 1 << 30
    before = daemon.resident_bytes()
    with Raw(daemon, sh(f"head -c {size} /dev/zero"), "1.0") as client:
        data = client.until(b"\r\n\r\n")
        got = len(data) - data.index(b"\r\n\r\n") - 4
        while piece := client.socket.recv(1 << 20):
            got += len(piece)
    assert got == size
    assert SANITIZED or daemon.resident_bytes() - before < 8 << 20


def test_the_body_reaches_the_program_as_it_comes(daemon: Daemon) -> None:
    script = "while read line; do echo got $line; done"
    with Raw(daemon, sh(script), more=b"Transfer-Encoding: chunked\r\n") as client:
        for word in (b"one", b"two"):
            client.socket.sendall(b"4\r\n" + word + b"\n\r\n")
            client.until(b"got " + word)
        client.socket.sendall(b"0\r\n\r\n")
        assert client.trailer() == b"Exit-Code: 0\r\n\r\n"


# --- ends ----------------------------------------------------------------------------------------


def test_a_client_that_leaves_ends_its_stream(daemon: Daemon) -> None:
    with Raw(daemon, sh("echo one; trap '' TERM; while :; do sleep 4711.5; done")) as client:
        client.until(b"one")
        assert daemon.pool()["busy"] == 1
    daemon.until_pool(busy=0)


def test_a_stop_breaks_a_stream_off(daemon: Daemon) -> None:
    with Raw(daemon, sh("echo one; exec sleep 4711.25")) as client:
        client.until(b"one")
        assert daemon.stop() == 0
        try:
            while client.read():
                pass
        except ConnectionResetError:
            pass
        assert b"\r\n0\r\n" not in client.data


def test_max_output_breaks_a_stream_off(start: StartDaemon) -> None:
    daemon = start(conf(SHELL + '; max_output = "100k"'))
    assert len(daemon.get(sh("head -c 102400 /dev/zero")).body) == 102400
    with pytest.raises((ProtocolError, OSError)):
        daemon.get(sh("head -c 50000 /dev/zero; sleep 0.1; head -c 60000 /dev/zero"))
    daemon.until_pool(busy=0)


def test_a_grandchild_does_not_hold_a_stream(daemon: Daemon) -> None:
    assert daemon.get(sh("sleep 4711.75 & echo done")).text == "done\n"
    assert daemon.get(sh("(trap '' TERM; exec sleep 4711.75) & echo done")).text == "done\n"


# --- cgi -----------------------------------------------------------------------------------------


@pytest.fixture
def cgi(start: StartDaemon) -> Daemon:
    return start(
        conf(
            'path = "/say"; action = "exec"; cgi = true; stream = true; command = [ "/bin/cat" ]',
            'path = "/slow"; action = "exec"; cgi = true; stream = true; command = [ "sh", "-c", '
            '"printf \'Content-Type: a/b\\\\n\'; printf \'\\\\nbody\'; sleep 4711.125" ]',
            'path = "/hello"; action = "respond"; body = "Hello"',
        )
    )


def test_cgi_streams(cgi: Daemon) -> None:
    with Raw(cgi, "/slow") as client:
        assert b"Content-Type: a/b\r\n" in client.until(b"body")
    output = b"Status: 404 X\nContent-Type: a/b\nX-A: 1\n\n" + bytes(300_000)
    response = cgi.request("POST", "/say", body=output)
    assert (response.status, response.header("X-A")) == (404, "1")
    assert response.body == bytes(300_000)
    assert response.header("Transfer-Encoding") == "chunked"


@pytest.mark.parametrize(
    "output",
    [b"", b"hello\n\n", b"Content-Type: a/b\nX: y", b"Status: 200\n\nbody", b"X: " + 9000 * b"x"],
)
def test_a_malformed_cgi_head_is_held_back(cgi: Daemon, output: bytes) -> None:
    response = cgi.request("POST", "/say", body=output)
    assert (response.status, response.json()["reason"]) == (502, "bad_output")


def test_cgi_heads_without_a_body(cgi: Daemon) -> None:
    assert cgi.request("POST", "/say", body=b"Status: 204\n\n").status == 204
    response = cgi.request("POST", "/say", body=b"Location: http://h/\n\n")
    assert (response.status, response.header("Location")) == (302, "http://h/")
    response = cgi.request("POST", "/say", body=b"Location: /hello\n\nignored")
    assert (response.status, response.text) == (200, "Hello")
