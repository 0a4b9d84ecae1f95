"""Bodies: their limits, Expect: 100-continue, and what is refused while the client still sends."""

from __future__ import annotations

from typing import Iterator

import pytest

from conftest import StartDaemon
from harness import ATTACH, Daemon, conf
from rawhttp import Connection, Response

PATIENT = 'drain_timeout = "1h";'
LIMIT_OF_SERVER = 1000
ROUTES = (
    'path = "/hello"; action = "respond"; body = "hello"',
    'path = "/echo"; action = "echo"',
    'path = "/more"; action = "echo"; max_body_size = "4k"',
    'path = "/less"; action = "echo"; max_body_size = 100',
    'path = "/none"; action = "echo"; max_body_size = 0',
    'path = "/sleep"; action = "sleep"; duration = 0',
    'path = "/sleep/less"; action = "sleep"; duration = 0; max_body_size = 100',
)
LIMITS = {
    "/echo": 1000,
    "/more": 4096,
    "/less": 100,
    "/none": 0,
    "/sleep": 1000,
    "/sleep/less": 100,
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if ATTACH:
        pytest.skip("needs routes of its own")
    text = conf(*ROUTES, server=f"{PATIENT} max_body_size = {LIMIT_OF_SERVER};")
    daemon = Daemon(tmp_path_factory.mktemp("bodies"), text)
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.put_away()


def head(path: str, *fields: str, method: str = "POST", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def with_length(path: str, length: int, *fields: str) -> bytes:
    return head(path, f"Content-Length: {length}", *fields)


def chunked(path: str, *fields: str) -> bytes:
    return head(path, "Transfer-Encoding: chunked", *fields)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def assert_refused(connection: Connection, status: int) -> Response:
    """With problem details, and the connection ends."""
    response = connection.read_response()
    assert response.status == status
    assert response.header("Content-Type") == "application/problem+json"
    assert response.json()["status"] == status
    assert response.closes
    assert connection.read_eof() == b""
    return response


EXPECT = "Expect: 100-continue"
EXPECTS = pytest.mark.parametrize("expect", [(), (EXPECT,)], ids=["", "expects"])


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LIMITS)
def test_as_much_as_allowed(daemon: Daemon, path: str) -> None:
    body = b"x" * LIMITS[path]
    small = b"".join(chunk(body[i : i + 7]) for i in range(0, len(body), 7))
    requests = [
        with_length(path, len(body)) + body,
        chunked(path) + (chunk(body) if body else b"") + b"0\r\n\r\n",
        chunked(path) + small + b"0\r\n\r\n",
    ]
    with daemon.connect() as connection:
        for request in requests:
            connection.send(request)
            response = connection.read_response()
            assert response.status == 200
            if not path.startswith("/sleep"):
                assert response.json()["body"] == body.decode()


@EXPECTS
@pytest.mark.parametrize("path", LIMITS)
def test_a_length_that_is_too_much(daemon: Daemon, path: str, expect: tuple[str, ...]) -> None:
    """It is refused before a byte of the body has come."""
    with daemon.connect() as connection:
        connection.send(with_length(path, LIMITS[path] + 1, *expect))
        assert_refused(connection, 413)
    with daemon.connect() as connection:
        connection.send(with_length(path, (1 << 63) - 1, *expect))
        assert_refused(connection, 413)


@pytest.mark.parametrize("path", LIMITS)
def test_chunks_that_are_too_much(daemon: Daemon, path: str) -> None:
    """They are refused as soon as one says so."""
    limit = LIMITS[path]
    with daemon.connect() as connection:
        connection.send(chunked(path) + b"%x\r\n" % (limit + 1))
        assert_refused(connection, 413)
    if limit:
        with daemon.connect() as connection:
            connection.send(chunked(path) + chunk(b"x" * limit) + b"1\r\n")
            assert_refused(connection, 413)


def test_a_reload_changes_the_limits(start: StartDaemon) -> None:
    def config(server: int, route: int) -> str:
        return conf(
            'path = "/server"; action = "echo"',
            f'path = "/route"; action = "echo"; max_body_size = {route}',
            server=f"{PATIENT} max_body_size = {server};",
        )

    def statuses() -> list[int]:
        """Of bodies with 10 bytes, on one connection each that is older than the reload."""
        answers = []
        for connection, path in zip(connections, ("/server", "/route")):
            connection.send(with_length(path, 10) + b"x" * 10)
            answers.append(connection.read_response().status)
        return answers

    daemon = start(config(10, 9))
    for settings, expected in (((9, 10), [413, 200]), ((10, 9), [200, 413])):
        connections = [daemon.connect() for _ in range(2)]
        for connection in connections:
            assert connection.get("/server").status == 200
        daemon.reload(config(*settings))
        assert statuses() == expected
    assert daemon.stop() == 0


# --- Expect: 100-continue -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/echo", "/more", "/sleep"])
@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
def test_100_comes_before_the_body(daemon: Daemon, path: str, expectation: str) -> None:
    with daemon.connect() as connection:
        for framed in (
            (with_length(path, 5, f"Expect: {expectation}"), b"12345"),
            (chunked(path, f"Expect: {expectation}"), chunk(b"12345") + b"0\r\n\r\n"),
        ):
            connection.send(framed[0])
            interim = connection.read_response()
            assert (interim.status, interim.body) == (100, b"")
            assert connection.is_quiet()
            connection.send(framed[1])
            assert connection.read_response().status == 200
        assert connection.get("/hello").text == "hello"


def test_100_keeps_its_place_in_a_pipeline(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        connection.send(head("/hello", method="GET") * 3 + with_length("/echo", 5, EXPECT))
        assert [connection.read_response().status for _ in range(4)] == [200, 200, 200, 100]
        connection.send(b"12345" + head("/hello", method="GET"))
        assert connection.read_response().json()["body"] == "12345"
        assert connection.read_response().text == "hello"


def test_a_body_that_comes_unasked_is_taken(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        connection.send(with_length("/echo", 5, EXPECT) + b"12345" + head("/hello", method="GET"))
        response = connection.read_response()
        if response.status == 100:  # which may be left out here
            response = connection.read_response()
        assert response.json()["body"] == "12345"
        assert connection.read_response().text == "hello"


@pytest.mark.parametrize("framing", [(), ("Content-Length: 0",)], ids=["none", "empty"])
def test_no_100_where_there_is_no_body(daemon: Daemon, framing: tuple[str, ...]) -> None:
    with daemon.connect() as connection:
        connection.send(head("/echo", EXPECT, *framing))
        assert connection.read_response().status == 200
        assert connection.get("/hello").text == "hello"


def test_http_1_0_expects_nothing(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        connection.send(head("/echo", "Content-Length: 5", EXPECT, version="1.0"))
        daemon.status()
        assert connection.is_quiet()
        connection.send(b"12345")
        assert connection.read_response().json()["body"] == "12345"
        assert connection.read_eof() == b""


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/hello", 405), ("/%ff/../../x", 404)]
)
def test_a_body_that_need_not_be_sent(daemon: Daemon, path: str, status: int) -> None:
    for request in (with_length(path, 5, EXPECT), chunked(path, EXPECT)):
        with daemon.connect() as connection:
            connection.send(request)
            response = assert_refused(connection, status)
            assert status != 405 or response.tokens("Allow") >= {"GET", "HEAD"}


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/hello", 405)])
def test_a_body_that_nobody_wants_is_passed_over(daemon: Daemon, path: str, status: int) -> None:
    """Without an expectation it comes anyway, and the connection can go on behind it."""
    with daemon.connect() as connection:
        for request in (
            with_length(path, 5) + b"12345",
            chunked(path) + chunk(b"12345") + b"0\r\n\r\n",
        ):
            connection.send(request)
            response = connection.read_response()
            assert response.status == status and not response.closes
        assert connection.get("/hello").text == "hello"


@pytest.mark.parametrize("value", ["200-ok", "100-continue, 200-ok", "x", "100-continue;q=1"])
def test_another_expectation_cannot_be_met(daemon: Daemon, value: str) -> None:
    with daemon.connect() as connection:
        connection.send(with_length("/echo", 5, f"Expect: {value}"))
        assert_refused(connection, 417)


# --- refusals that the client sees, whatever it is still sending ----------------------------------


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_the_refusal_of_a_large_body_is_seen(start: StartDaemon, kind: str) -> None:
    """The client sends it all and only then looks."""
    limit = 'max_body_size = "1k";'
    daemon = start(conf('path = "/echo"; action = "echo"', server=PATIENT + limit))
    at_rest = daemon.descriptors_at_rest()
    body = b"x" * (2 << 20)
    for _ in range(20):
        with daemon.connect() as connection:
            if kind == "length":
                connection.send(with_length("/echo", len(body)) + body)
            else:
                connection.send(chunked("/echo") + chunk(body) + b"0\r\n\r\n")
            assert_refused(connection, 413)
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "bad",
    [
        b"GET /a b HTTP/1.1\r\n\r\n",
        head("/echo", "Host: again"),
        with_length("/echo", 9, "Expect: x"),
    ],
    ids=["line", "head", "expectation"],
)
def test_any_refusal_is_seen_by_one_who_sends_on(daemon: Daemon, bad: bytes) -> None:
    for _ in range(20):
        with daemon.connect() as connection:
            connection.send(bad + b"x" * (1 << 20))
            response = connection.read_response()
            assert response.status in (400, 417)
            assert connection.read_eof() == b""


def test_lingering_ends(start: StartDaemon) -> None:
    """With a client that never stops sending, and with one that does nothing at all."""
    daemon = start(conf('path = "/echo"; action = "echo"', server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    with daemon.connect() as mute, daemon.connect() as busy:
        for connection in (mute, busy):
            connection.send(b"BAD\r\n\r\n")
            assert_refused(connection, 400)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                busy.send(b"x")
                daemon.status()
        daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


def test_lingering_does_not_delay_a_stop(start: StartDaemon) -> None:
    daemon = start(conf('path = "/echo"; action = "echo"', server=PATIENT))
    connections = [daemon.connect() for _ in range(5)]
    for connection in connections:
        connection.send(b"BAD\r\n\r\n")
        assert_refused(connection, 400)
    assert daemon.stop() == 0
