"""What a client may take its time for, and how long: heads, bodies, answers, the time between.

The deadlines are short so that they pass; that one passed is seen by what the daemon does then, and
that it did not pass too early by a lower bound.  In every test the daemon stops in the end with no
limit to its drain, so a request that is still counted as in flight is seen, too.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import Daemon, conf, until
from rawhttp import Connection, Response, request_bytes

PATIENT = 'drain_timeout = "1h";'
HELLO = 'path = "/hello"; action = "respond"; body = "hello"'
ECHO = 'path = "/echo"; action = "echo"'

SHORT = 0.2
# An interval in which a client that trickles sends one byte; far below SHORT.
DRIP = 0.005

# More than the kernel takes for a connection: as long as a client has not read most of it, a daemon
# that has closed the connection has cut the answer off.
LARGE = 16 << 20


def server(**timeouts: float) -> str:
    return PATIENT + "".join(f" {name} = {seconds:.3f};" for name, seconds in timeouts.items())


def assert_refused_as_late(connection: Connection) -> None:
    """408 has come or comes, and the connection ends."""
    response = connection.read_response()
    assert response.status == 408
    assert response.header("Content-Type") == "application/problem+json"
    assert response.json()["status"] == 408
    assert response.closes
    assert connection.read_eof() == b""


def trickle(connection: Connection, data: bytes) -> tuple[int, float]:
    """Sends byte by byte until an answer comes: how many, and the longest time between two of them."""
    last, longest = time.monotonic(), 0.0
    for sent, byte in enumerate(data):
        if not connection.is_quiet(DRIP):
            return sent, max(longest, time.monotonic() - last)
        connection.send(bytes([byte]))
        last, before = time.monotonic(), last
        longest = max(longest, last - before)
    return len(data), longest


def assert_nothing_left(daemon: Daemon, descriptors: int) -> None:
    daemon.until_descriptors(descriptors)
    assert daemon.stop() == 0


# --- the head -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begin",
    [b"GET /hello?", b"GET / HTTP/1.1\r\nX", b"GET / HTTP/1.1\r\nHost: test\r\nX:"],
    ids=["target", "name", "value"],
)
def test_a_head_that_trickles_gets_408(start: StartDaemon, begin: bytes) -> None:
    daemon = start(conf(HELLO, server=server(header_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as connection:
        began = time.monotonic()
        connection.send(begin)
        assert trickle(connection, b"x" * 8000)[0] < 8000
        assert_refused_as_late(connection)
        assert time.monotonic() - began >= SHORT
    assert_nothing_left(daemon, at_rest)


@pytest.mark.parametrize("length", [1, 5, 20, -1])
def test_a_head_that_stops_gets_408(start: StartDaemon, length: int) -> None:
    daemon = start(conf(HELLO, server=server(header_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as connection:
        began = time.monotonic()
        connection.send(request_bytes("GET", "/hello")[:length])
        assert_refused_as_late(connection)
        assert time.monotonic() - began >= SHORT
    assert_nothing_left(daemon, at_rest)


def test_a_second_head_has_the_same_deadline(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, server=server(header_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    whole = request_bytes("GET", "/hello")
    with daemon.connect() as connection:
        connection.send(whole + whole[:-1])
        assert connection.read_response().text == "hello"
        assert_refused_as_late(connection)
    assert_nothing_left(daemon, at_rest)


@pytest.mark.parametrize("blank", [b"", b"\r\n", b"\r\n\r\n\r"])
def test_a_connection_without_a_request_is_closed_silently(
    start: StartDaemon, blank: bytes
) -> None:
    daemon = start(conf(server=server(header_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    began = time.monotonic()
    with daemon.connect() as connection:
        if blank:
            connection.send(blank)
        assert connection.read_eof() == b""
        assert time.monotonic() - began >= SHORT
    assert_nothing_left(daemon, at_rest)


# --- the body -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begin",
    [
        b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12345",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n",
    ],
    ids=["none", "half", "no chunk", "half a chunk", "no end"],
)
def test_a_body_that_stops_gets_408(start: StartDaemon, begin: bytes) -> None:
    daemon = start(conf(ECHO, server=server(body_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as connection:
        began = time.monotonic()
        connection.send(begin)
        assert_refused_as_late(connection)
        assert time.monotonic() - began >= SHORT
    assert_nothing_left(daemon, at_rest)


def test_a_body_that_does_not_come_after_100_gets_408(start: StartDaemon) -> None:
    daemon = start(conf(ECHO, server=server(body_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as connection:
        connection.send(
            b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert connection.read_response().status == 100
        assert_refused_as_late(connection)
    assert_nothing_left(daemon, at_rest)


def test_the_framing_of_chunks_does_not_prolong_a_body(start: StartDaemon) -> None:
    """A chunk extension that never ends brings nothing of the body."""
    daemon = start(conf(ECHO, server=server(body_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as connection:
        connection.send(
            b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1;"
        )
        assert trickle(connection, b"x" * 230)[0] < 230
        assert_refused_as_late(connection)
    assert_nothing_left(daemon, at_rest)


@pytest.mark.parametrize(
    ("pieces", "size"),
    [(20, 1), (160, 50)],
    ids=["twice the timeout", "16 times, at a good rate"],
)
def test_a_slow_body_has_time_as_long_as_it_moves(
    start: StartDaemon, pieces: int, size: int
) -> None:
    """One piece in a tenth of the timeout.  A pause of ours that was too long proves nothing: then
    the next round allows more."""

    def config(timeout: float) -> str:
        return conf(ECHO, server=server(body_timeout=timeout))

    def post(timeout: float) -> tuple[Response, float]:
        longest, last = 0.0, time.monotonic()
        with daemon.connect() as connection:
            connection.send(
                b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n"
                % (pieces * size)
            )
            for _ in range(pieces):
                quiet = connection.is_quiet(timeout / 10)
                now = time.monotonic()
                longest, last = max(longest, now - last), now
                if not quiet:
                    break
                connection.send(b"x" * size)
            return connection.read_response(), longest

    timeout = SHORT
    daemon = start(config(timeout))
    response, longest = post(timeout)
    while response.status == 408 and longest > timeout / 2:
        timeout *= 2
        daemon.reload(config(timeout))
        response, longest = post(timeout)
    assert response.status == 200
    assert response.json()["body"] == "x" * pieces * size
    assert daemon.stop() == 0


def test_a_loop_that_comes_late_takes_what_has_come_before_it_says_408(start: StartDaemon) -> None:
    """It stands still while the time passes, and then finds both: that it has passed, and the bytes."""

    def post(timeout: float) -> tuple[Response, float]:
        """The answer, and the time that had passed of the timeout when the daemon stood still."""
        with daemon.connect() as connection:
            began = time.monotonic()
            connection.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na")
            until(
                lambda: daemon.status()["connections"]["reading"] == 1
                or time.monotonic() - began > timeout,
                "the body has begun, or it is too late",
            )
            with daemon.frozen():
                passed = time.monotonic() - began
                time.sleep(2 * timeout)
                connection.send(b"b")
            return connection.read_response(), passed

    timeout = SHORT
    daemon = start(conf(ECHO, server=server(body_timeout=timeout)))
    response, passed = post(timeout)
    while passed > timeout / 2:
        timeout *= 2
        daemon.reload(conf(ECHO, server=server(body_timeout=timeout)))
        response, passed = post(timeout)
    assert (response.status, response.json()["body"]) == (200, "ab")


@pytest.mark.parametrize("framing", ["Content-Length: 8000", "Transfer-Encoding: chunked"])
def test_a_body_that_trickles_without_end_gets_408(start: StartDaemon, framing: str) -> None:
    """It is never without a byte for long, but at ten times the timeout it must have come faster."""

    def post(timeout: float) -> tuple[float, float]:
        """How long it took, and the longest time without a byte."""
        with daemon.connect() as connection:
            began = time.monotonic()
            connection.send(f"POST /echo HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n".encode())
            if "chunked" in framing:
                connection.send(b"1f40\r\n")
            sent, longest = trickle(connection, b"x" * 8000)
            assert sent < 8000
            assert_refused_as_late(connection)
            return time.monotonic() - began, longest

    timeout = SHORT / 2
    daemon = start(conf(ECHO, server=server(body_timeout=timeout)))
    at_rest = daemon.descriptors_at_rest()
    took, longest = post(timeout)
    while longest > timeout / 2:
        timeout *= 2
        daemon.reload(conf(ECHO, server=server(body_timeout=timeout)))
        took, longest = post(timeout)
    assert took >= 10 * timeout
    assert_nothing_left(daemon, at_rest)


# --- between requests -----------------------------------------------------------------------------


def test_an_idle_connection_is_closed_silently(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, server=server(keepalive_timeout=SHORT)))
    with daemon.connect() as connection:
        began = time.monotonic()
        response = connection.get("/hello")
        assert response.status == 200 and not response.closes
        assert connection.read_eof() == b""
        assert time.monotonic() - began >= SHORT
    assert daemon.stop() == 0


def test_an_empty_line_is_no_request(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, server=server(keepalive_timeout=SHORT)))
    with daemon.connect() as connection:
        connection.send(request_bytes("GET", "/hello") + b"\r\n")
        assert connection.read_response().status == 200
        assert connection.read_eof() == b""
    assert daemon.stop() == 0


def test_keepalive_timeout_zero_says_close(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, server=server(keepalive_timeout=0)))
    for _ in range(3):
        with daemon.connect() as connection:
            response = connection.get("/hello")
            assert response.status == 200 and response.tokens("Connection") == {"close"}
            assert connection.read_eof() == b""
    with daemon.connect() as connection:
        connection.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert connection.read_response().tokens("Connection") == {"close"}
        assert connection.read_eof() == b""
    daemon.reload(conf(HELLO, server=PATIENT))
    with daemon.connect() as connection:
        assert not connection.get("/hello").closes
        assert connection.get("/hello").text == "hello"
    assert daemon.stop() == 0


# --- no deadline holds for the daemon's own work --------------------------------------------------


@pytest.mark.parametrize("path", ["/sleep", "/delay"])
def test_a_request_that_is_worked_on_has_no_deadline(start: StartDaemon, path: str) -> None:
    daemon = start(
        conf(
            'path = "/sleep"; action = "sleep"; duration = "600ms"',
            'path = "/delay"; action = "delay"; duration = "600ms"',
            server=server(body_timeout=SHORT, write_timeout=SHORT, keepalive_timeout=SHORT),
        )
    )
    with daemon.connect() as connection:
        began = time.monotonic()
        assert connection.request("POST", path, body=b"x").status == 200
        assert time.monotonic() - began >= 3 * SHORT
    assert daemon.stop() == 0


# --- the answer -----------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> str:
    """A route whose answer has LARGE bytes."""
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * (LARGE // 16))
    return f'path = "/large"; action = "respond"; body_file = "{path}"'


def begin_large(daemon: Daemon, receive_buffer: int) -> Connection:
    """Asks for the large answer and sees its head."""
    connection = daemon.connect(receive_buffer=receive_buffer)
    connection.send_request("GET", "/large")
    assert connection.sock.recv(8) == b"HTTP/1.1"
    return connection


def test_a_client_that_takes_nothing_is_cut_off(start: StartDaemon, large: str) -> None:
    daemon = start(conf(large, server=server(write_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with begin_large(daemon, 8192):
        daemon.until_descriptors(at_rest)
    assert_nothing_left(daemon, at_rest)


def test_many_clients_that_take_nothing_are_cut_off(start: StartDaemon, large: str) -> None:
    daemon = start(conf(large, HELLO, server=server(write_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    for _ in range(30):
        begin_large(daemon, 8192)
    assert daemon.get("/hello").text == "hello"
    daemon.until_descriptors(at_rest)
    assert daemon.get("/hello").text == "hello"
    assert_nothing_left(daemon, at_rest)


def test_a_client_that_reads_slowly_gets_it_all(start: StartDaemon, large: str) -> None:
    """It takes two and a half times the timeout in all, steadily.  A pause of ours that was too
    long proves nothing: then the next round allows more."""

    def config(timeout: float) -> str:
        return conf(large, server=server(write_timeout=timeout))

    def read(timeout: float) -> tuple[int, float]:
        """How many bytes came, and the longest pause."""
        count, longest = 0, 0.0
        with begin_large(daemon, 1 << 16) as connection, daemon.connect() as idle:
            began = last = time.monotonic()
            while True:
                passed = time.monotonic() - began
                while count < LARGE * passed / (2.5 * timeout):
                    try:
                        data = connection.sock.recv(1 << 16)
                    except ConnectionResetError:
                        data = b""
                    if not data:
                        return count, longest
                    count += len(data)
                    if count >= LARGE:
                        return count, longest
                now = time.monotonic()
                longest, last = max(longest, now - last), now
                assert idle.is_quiet(timeout / 50)

    timeout = 0.8
    daemon = start(config(timeout))
    at_rest = daemon.descriptors_at_rest()
    count, longest = read(timeout)
    while count < LARGE and longest > timeout / 4:
        timeout *= 2
        daemon.reload(config(timeout))
        count, longest = read(timeout)
    assert count >= LARGE
    assert_nothing_left(daemon, at_rest)


def test_the_minimum_rate_is_no_more_than_told(start: StartDaemon, large: str) -> None:
    """20,000 bytes per second are well above 500, though little for the kernel's buffers."""

    def is_cut_off(timeout: float) -> tuple[bool, float]:
        """Whether it is, and the longest time between two of the client's reads."""
        daemon = start(conf(large, server=server(write_timeout=timeout)))
        at_rest = daemon.descriptors_at_rest()
        with begin_large(daemon, 8192) as connection, daemon.connect() as idle:
            began = last = time.monotonic()
            longest = 0.0
            with contextlib.suppress(ConnectionError):
                while last - began < 4 * timeout:
                    connection.sock.recv(200)
                    assert idle.is_quiet(0.01)
                    last, before = time.monotonic(), last
                    longest = max(longest, last - before)
            longest = max(longest, time.monotonic() - last)
            daemon.status()
            cut_off = daemon.descriptor_count() <= at_rest + 1
            connection.reset()
        assert_nothing_left(daemon, at_rest)
        return cut_off, longest

    # The client must not have been slow itself, as it may be on a busy machine.
    timeout = 1.0
    cut_off, longest = is_cut_off(timeout)
    while cut_off and longest > timeout / 20:
        timeout *= 2
        cut_off, longest = is_cut_off(timeout)
    assert not cut_off, f"cut off, though it was never without a read for {longest} s"


def test_a_client_below_the_minimum_rate_is_cut_off(start: StartDaemon, large: str) -> None:
    """It is never without a byte for long; only the rate tells."""
    daemon = start(conf(large, server=server(write_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as idle:
        until(lambda: daemon.descriptor_count() == at_rest + 1, "the idle connection accepted")
        with begin_large(daemon, 8192) as connection:
            for _ in range(2000):
                connection.sock.recv(1)
                if daemon.descriptor_count() <= at_rest + 1:
                    break
                assert idle.is_quiet(DRIP)
            assert daemon.descriptor_count() <= at_rest + 1
    assert_nothing_left(daemon, at_rest)


def test_an_unread_answer_that_is_whole_with_the_kernel_holds_nothing(
    start: StartDaemon, large: str
) -> None:
    """It is read long after the connection was closed for being idle."""
    daemon = start(conf(HELLO, large, server=server(keepalive_timeout=SHORT)))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as connection:
        connection.send(request_bytes("GET", "/hello"))
        daemon.until_descriptors(at_rest)
        assert connection.read_response().text == "hello"
        assert connection.read_eof() == b""
    assert daemon.stop() == 0
