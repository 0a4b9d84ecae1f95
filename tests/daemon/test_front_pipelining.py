"""Several requests on one connection without waiting: order, fairness, back-pressure."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import MAIN_LISTENER, SANITIZED, Daemon, conf
from rawhttp import Connection, Response, request_bytes

PATIENT = 'drain_timeout = "1h";'
HELLO = 'path = "/hello"; action = "respond"; body = "hello"'
EMPTY = 'path = "/empty"; action = "respond"; status = 204'
ECHO = 'path = "/echo"; action = "echo"'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
NOTHING = 'path = "/nothing"; action = "sleep"; duration = 0'
DELAY = 'path = "/delay"; action = "delay"; duration = "2ms"'
ONE = "default: { threads = 1; queue_depth = 10; };"


def numbered(count: int, path: str = "/hello") -> list[bytes]:
    return [request_bytes("GET", path, {"X-Request-Id": str(i)}) for i in range(count)]


def assert_in_order(answers: list[Response]) -> None:
    ids = [answer.header("X-Request-Id") for answer in answers]
    assert ids == [str(i) for i in range(len(answers))]


def read(connection: Connection, count: int) -> list[Response]:
    return [connection.read_response() for _ in range(count)]


def chance() -> random.Random:
    seed = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TEST_SEED={seed}")
    return random.Random(seed)


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/hello", "/nothing", "/echo", "/none"])
def test_a_thousand_in_one_send(start: StartDaemon, path: str) -> None:
    daemon = start(conf(HELLO, NOTHING, ECHO, server=PATIENT))
    with daemon.connect() as connection:
        connection.send_requests(numbered(1000, path=path))
        answers = read(connection, 1000)
        assert_in_order(answers)
        assert {answer.status for answer in answers} == {404 if path == "/none" else 200}
        assert connection.get("/hello").text == "hello"
    assert daemon.stop() == 0


def test_loop_pool_and_timer_keep_the_order(start: StartDaemon) -> None:
    """However the bytes are cut."""
    random_ = chance()
    routes = HELLO, EMPTY, ECHO, NOTHING, DELAY
    daemon = start(conf(*routes, pools="default: { threads = 4; };", server=PATIENT))
    choices = [
        ("GET", "/hello", b""),
        ("HEAD", "/hello", b""),
        ("GET", "/empty", b""),
        ("GET", "/nothing", b""),
        ("POST", "/nothing", b"x" * 3000),
        ("GET", "/delay", b""),
        ("HEAD", "/delay", b""),
        ("POST", "/echo", b"12345"),
        ("GET", "/none", b""),
        ("PUT", "/hello", b"not allowed"),
        ("OPTIONS", "/hello", b""),
    ]
    requests = [
        request_bytes(method, path, {"X-Request-Id": str(i)}, body)
        for i, (method, path, body) in enumerate(random_.choices(choices, k=300))
    ]
    with daemon.connect() as connection:
        rest = connection.expect_answers_to(requests)
        while rest:
            size = random_.choice([1, 10, 100, 1000, 10000])
            connection.send(rest[:size])
            rest = rest[size:]
        assert_in_order(read(connection, len(requests)))
    assert daemon.stop() == 0


def test_what_follows_the_last_request_is_not_answered(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, NOTHING, DELAY, server=PATIENT))
    for path in ("/hello", "/nothing", "/delay"):
        with daemon.connect() as connection:
            connection.send(
                request_bytes("GET", path, {"Connection": "close"})
                + request_bytes("GET", "/hello") * 10
            )
            assert connection.read_response().closes
            assert connection.read_eof() == b""
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("server", "fields"),
    [(PATIENT, {"Connection": "close"}), (PATIENT + " keepalive_timeout = 0;", {})],
    ids=["the client's wish", "the daemon's"],
)
def test_a_last_answer_is_whole_whatever_follows_its_request(
    start: StartDaemon, tmp_path: Path, server: str, fields: dict[str, str]
) -> None:
    """The kernel resets a connection that is closed with bytes unread, and drops what it holds of
    the answer."""
    content = bytes(2 << 20)
    (tmp_path / "large").write_bytes(content)
    large = f'path = "/large"; action = "respond"; body_file = "{tmp_path}/large"'
    daemon = start(conf(large, HELLO, server=server))
    for path, body in (("/large", content), ("/hello", b"hello")):
        for later in (b"", request_bytes("GET", "/hello")):
            with daemon.connect(receive_buffer=1 << 16) as connection:
                connection.send(request_bytes("GET", path, fields) + b"x" * (1 << 17))
                daemon.status()
                connection.send(later)
                response = connection.read_response()
                assert response.closes and response.body == body
                assert connection.read_eof() == b""
    assert daemon.stop() == 0


@pytest.mark.parametrize("path", ["/nothing", "/delay", "/hello"])
def test_a_bad_request_waits_for_its_turn(start: StartDaemon, path: str) -> None:
    daemon = start(conf(HELLO, NOTHING, DELAY, server=PATIENT))
    with daemon.connect() as connection:
        connection.send(b"".join(numbered(10, path=path)) + b"BAD\r\n\r\n")
        answers = read(connection, 10)
        assert_in_order(answers)
        assert {answer.status for answer in answers} == {200}
        assert connection.read_response().status == 400
        assert connection.read_eof() == b""
    assert daemon.stop() == 0


def test_long_pipelines_take_turns(start: StartDaemon) -> None:
    """One that has come after them is served before they are through."""
    daemon = start(conf(HELLO, server=PATIENT))
    with daemon.frozen():
        # By hand: a Connection's buffer would be copied for each of so many answers.
        long = [daemon.connect() for _ in range(10)]
        for connection in long:
            connection.send(request_bytes("GET", "/hello") * 800)
        late = daemon.connect()
        late.send_requests([request_bytes("GET", "/-/status")])
    answered = late.read_response().json()["requests"]
    assert answered < 8000
    for connection in long:
        assert {answer.text for answer in read(connection, 800)} == {"hello"}
    assert daemon.stop() == 0


# --- connections that come meanwhile --------------------------------------------------------------


def test_a_connection_that_comes_amid_pipelines_is_checked_as_any(start: StartDaemon) -> None:
    """Every refusal comes from the guard, none from the library behind it, and none is lost."""
    daemon = start(conf(HELLO, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    twice = b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    for _ in range(10):
        with daemon.connect() as busy:
            busy.send(request_bytes("GET", "/hello") * 500)
            others = [daemon.connect() for _ in range(20)]
            for number, other in enumerate(others):
                other.send(twice if number % 2 else request_bytes("GET", "/hello"))
            for number, other in enumerate(others):
                response = other.read_response()
                assert response.status == (400 if number % 2 else 200)
                assert not number % 2 or response.json()["status"] == 400
                other.close()
            assert {answer.text for answer in read(busy, 500)} == {"hello"}
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


# --- bytes that come while a request waits --------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [b"G", b"\r", b"\r\n", b"\n", b"\0", b"\xff" * 100, b"GET /hello HTTP/1.1\r\nHo", b"x" * 60000],
    ids=["letter", "cr", "crlf", "lf", "nul", "junk", "half", "much"],
)
@pytest.mark.parametrize("path", ["/block", "/delay"])
def test_bytes_behind_a_request_end_nothing(start: StartDaemon, path: str, more: bytes) -> None:
    daemon = start(conf(HELLO, BLOCK, DELAY, pools=ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    for _ in range(5):
        connection = daemon.connect()
        connection.get("/hello")
        connection.send(request_bytes("GET", path))
        if path == "/block":
            daemon.until_pool(busy=1)
        connection.send(more)
        assert daemon.get("/hello").text == "hello"
        if path == "/block":
            assert daemon.pool()["busy"] == 1
            assert connection.is_quiet()
        else:
            assert connection.read_response().status == 200
        connection.reset()
        daemon.until_pool(busy=0)
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


def pour(daemon: Daemon, connection: Connection, flood: memoryview) -> int:
    """Sends until no more is taken, however often the daemon has had its turn."""
    sent = refused = 0
    timeout = connection.sock.gettimeout()
    connection.sock.setblocking(False)
    while refused < 50 and sent < len(flood):
        try:
            sent += connection.sock.send(flood[sent : sent + 65536])
            refused = 0
        except BlockingIOError:
            refused += 1
            daemon.status()
    connection.sock.settimeout(timeout)
    return sent


def test_a_flood_behind_a_request_is_held_back(start: StartDaemon) -> None:
    """The first request waits in the queue until another client leaves; meanwhile the flood is
    with the kernel and not with the daemon.  In the end all of it is answered."""
    daemon = start(conf(HELLO, BLOCK, NOTHING, pools=ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    blocker = daemon.connect()
    blocker.send(request_bytes("GET", "/block"))
    daemon.until_pool(busy=1)
    connection = daemon.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    connection.send(request_bytes("GET", "/nothing", {"X-Request-Id": "first"}))
    daemon.until_pool(queued=1)
    before = daemon.resident_bytes()

    one = request_bytes("GET", "/hello", {"X-Padding": "x" * 950})
    flood = memoryview(one * ((8 << 20) // len(one)))
    sent = pour(daemon, connection, flood)
    assert sent < len(flood), "8 MiB were taken"
    assert SANITIZED or daemon.resident_bytes() - before < 1 << 20
    assert connection.is_quiet()

    blocker.reset()
    assert connection.read_response().header("X-Request-Id") == "first"
    whole = -(-sent // len(one))
    rest = flood[sent : whole * len(one)]
    for _ in range(whole):
        if rest:  # there is room soon: answers are small
            connection.send(bytes(rest))
            rest = rest[:0]
        assert connection.read_response().text == "hello"
    connection.close()
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


def test_a_client_that_reads_no_answers_is_held_back(start: StartDaemon) -> None:
    """The answers stay few: while one cannot be written, no other request is taken up."""
    daemon = start(conf(ECHO, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    before = daemon.resident_bytes()
    connection = daemon.connect(receive_buffer=1 << 14)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    one = request_bytes("POST", "/echo", body=b"x" * 10000)
    flood = memoryview(one * ((32 << 20) // len(one)))
    sent = pour(daemon, connection, flood)
    assert sent < len(flood), "32 MiB were taken"
    assert SANITIZED or daemon.resident_bytes() - before < 2 << 20
    whole = sent // len(one)
    for _ in range(whole):
        assert len(connection.read_response().json()["body"]) == 10000
    connection.reset()
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


def until_nothing_goes_on(daemon: Daemon) -> int:
    """Asks until only what it asks itself is answered, five times over; returns how often it asked."""
    last = asked = still = 0
    while still < 5:
        requests = daemon.status()["requests"]
        still = still + 1 if requests == last + 1 else 0
        last, asked = requests, asked + 1
    return asked


def answers_that_fit(daemon: Daemon) -> int:
    """How many answers of /hello the kernel takes on a unix socket from a client that reads none."""
    with daemon.connect("unix") as connection:
        assert connection.get("/hello").status == 200
        before = daemon.status()["requests"]
        connection.send_requests([request_bytes("GET", "/hello")] * 1000)
        asked = 1
        while (status := daemon.status())["connections"]["writing"] == 0:
            asked += 1
        # Without the first status, those behind it but the last, and the answer that waits.
        return status["requests"] - before - asked - 1


def test_a_refusal_that_must_wait_is_given_once(start: StartDaemon, tmp_path: Path) -> None:
    """The socket takes nothing when it is due; whatever follows it is thrown away."""
    listeners = f'{MAIN_LISTENER} unix: {{ address = "unix:{tmp_path}/socket"; }};'
    daemon = start(conf(HELLO, listeners=listeners, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    fit = answers_that_fit(daemon)
    for count in range(fit - 2, fit + 3):
        with daemon.connect("unix") as connection:
            assert connection.get("/hello").status == 200
            connection.send_requests([request_bytes("GET", "/hello")] * count)
            connection.send(b"BAD\r\n\r\n" * 50)
            until_nothing_goes_on(daemon)
            assert {answer.text for answer in read(connection, count)} == {"hello"}
            assert connection.read_response().status == 400
            assert connection.read_eof() == b""
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0
