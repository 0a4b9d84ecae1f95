"""What every answer of the front end has, refusals before all; HTTP/1.0; answers without a body."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Iterator

import pytest

from harness import ATTACH, Daemon, conf
from rawhttp import Connection, Response, request_bytes

ROUTES = (
    'path = "/hello"; action = "respond"; body = "hello"; headers = { X-Route = "yes"; }',
    'path = "/post"; methods = "POST"; action = "respond"; body = "posted"',
    'path = "/204"; action = "respond"; status = 204; body = "not to be sent"',
    'path = "/304"; action = "respond"; status = 304; body = "not to be sent"',
    'path = "/205"; action = "respond"; status = 205',
    'path = "/echo"; action = "echo"',
    'path = "/sleep"; action = "sleep"; duration = 0',
    'path = "/delay"; action = "delay"; duration = "1ms"',
    'path = "/none/of/this"; action = "live"',
)
SERVER = (
    'drain_timeout = "1h"; max_header_size = "4k"; max_body_size = 1000; header_timeout = "1h";'
)
ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if ATTACH:
        pytest.skip("needs routes of its own")
    daemon = Daemon(tmp_path_factory.mktemp("answers"), conf(*ROUTES, server=SERVER))
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.put_away()


@pytest.fixture
def connection(daemon: Daemon) -> Iterator[Connection]:
    with daemon.connect() as connection:
        yield connection


def assert_framed(response: Response) -> None:
    """What every answer has."""
    date = response.header("Date")
    assert date is not None
    parsedate_to_datetime(date)
    assert ID.fullmatch(response.header("X-Request-Id") or "")
    assert response.header("Server") is None


def assert_problem(response: Response, status: int) -> None:
    assert_framed(response)
    assert response.status == status
    assert response.header("Content-Type") == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"] == response.reason
    assert problem["detail"]


# --- refusals -------------------------------------------------------------------------------------

HOST = b"Host: test\r\n"
REFUSALS = {
    "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "no Host": (400, b"GET /hello HTTP/1.1\r\n\r\n"),
    "bad version": (400, b"GET /hello HTTP/1.x\r\n" + HOST + b"\r\n"),
    "blank before colon": (400, b"GET /hello HTTP/1.1\r\nHost : test\r\n\r\n"),
    "length twice": (
        400,
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" * 2 + b"\r\n",
    ),
    "bad escape": (400, b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bad chunk": (
        400,
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
    ),
    "TRACE": (405, b"TRACE /hello HTTP/1.1\r\n" + HOST + b"\r\n"),
    "long body": (413, b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n"),
    "long line": (414, b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "expectation": (417, b"GET /hello HTTP/1.1\r\n" + HOST + b"Expect: more\r\n\r\n"),
    "long head": (431, b"GET /hello HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 5000 + b"\r\n\r\n"),
    "many fields": (431, b"GET /hello HTTP/1.1\r\n" + HOST + b"X: \r\n" * 101 + b"\r\n"),
    "unknown method": (501, b"BREW /hello HTTP/1.1\r\n" + HOST + b"\r\n"),
    "CONNECT": (501, b"CONNECT test:80 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "coding": (501, b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3": (505, b"GET /hello HTTP/3.0\r\n" + HOST + b"\r\n"),
}  # fmt: skip
each_refusal = pytest.mark.parametrize(("status", "raw"), REFUSALS.values(), ids=list(REFUSALS))


@each_refusal
def test_a_refusal_is_an_answer_like_any(
    connection: Connection, status: int, raw: bytes
) -> None:
    connection.send(raw)
    response = connection.read_response()
    assert_problem(response, status)
    assert response.tokens("Connection") == {"close"}
    assert connection.read_eof() == b""


@each_refusal
def test_a_refusal_behind_an_answer(connection: Connection, status: int, raw: bytes) -> None:
    connection.send(request_bytes("GET", "/delay") + raw)
    assert connection.read_response().text == "done\n"
    assert_problem(connection.read_response(), status)
    assert connection.read_eof() == b""


@each_refusal
def test_what_stands_behind_a_refusal_is_not_read(
    daemon: Daemon, connection: Connection, status: int, raw: bytes
) -> None:
    before = daemon.status()["requests"]
    connection.send(raw + request_bytes("GET", "/hello"))
    assert_problem(connection.read_response(), status)
    assert connection.read_eof() == b""
    assert daemon.status()["requests"] == before + 2  # the refusal, and the status before


@pytest.mark.parametrize(
    ("refusal", "limit"),
    [("long body", 1000), ("long line", 4096), ("long head", 4096), ("many fields", 100)],
)
def test_a_refusal_tells_the_limit(connection: Connection, refusal: str, limit: int) -> None:
    connection.send(REFUSALS[refusal][1])
    assert f"Allowed: {limit}." in connection.read_response().json()["detail"]


def test_a_refusal_tells_the_rule(connection: Connection) -> None:
    connection.send(REFUSALS["no Host"][1])
    assert "RFC 9112, 3.2" in connection.read_response().json()["detail"]


def test_a_refusal_shows_nothing_of_the_request(connection: Connection) -> None:
    connection.send(b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: <b>\r\nX-Bad : <i>\r\n\r\n")
    response = connection.read_response()
    assert_problem(response, 400)
    assert b"script" not in response.body and b"<" not in response.body


@pytest.mark.parametrize("raw", [b"TRACE /hello HTTP/1.1\r\nHost: test\r\n\r\n"])
def test_a_405_tells_what_is_allowed(connection: Connection, raw: bytes) -> None:
    """RFC 9110, 15.5.6: it must, whoever refuses."""
    connection.send(raw)
    response = connection.read_response()
    assert_problem(response, 405)
    assert response.all("Allow")
    assert "TRACE" not in response.tokens("Allow")


@pytest.mark.parametrize("fault", ["Content-Length: x", "Expect: x", "Host: again"])
def test_a_refusal_has_the_id_of_its_request(connection: Connection, fault: str) -> None:
    """As far as the head came before the fault."""
    connection.send(
        f"POST /echo HTTP/1.1\r\nHost: test\r\nX-Request-Id: mine\r\n{fault}\r\n\r\n".encode()
    )
    response = connection.read_response()
    assert response.header("X-Request-Id") == "mine"


def test_a_refusal_of_a_body_has_the_id_of_its_request(connection: Connection) -> None:
    connection.send(
        b"POST /echo HTTP/1.1\r\nHost: test\r\nX-Request-Id: mine\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nbad\r\n"
    )
    assert connection.read_response().header("X-Request-Id") == "mine"


def test_a_refusal_of_head_has_no_body(connection: Connection) -> None:
    connection.expect_answers_to([b"HEAD "])
    connection.send(b"HEAD /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    response = connection.read_response()
    assert response.status == 400
    assert connection.read_eof() == b""


# --- HTTP/1.0 -------------------------------------------------------------------------------------

PATHS = pytest.mark.parametrize("path", ["/hello", "/sleep", "/delay", "/204", "/304", "/nowhere"])


def old(path: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.0", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@PATHS
@pytest.mark.parametrize("fields", [(), ("Connection: close",), ("Connection: x",)])
def test_http_1_0_closes(connection: Connection, path: str, fields: tuple[str, ...]) -> None:
    connection.send(old(path, *fields))
    response = connection.read_response()
    assert_framed(response)
    assert response.version == "1.1"
    assert response.closes
    assert connection.read_eof() == b""


@PATHS
def test_http_1_0_keeps_alive_when_asked(connection: Connection, path: str) -> None:
    for _ in range(3):
        connection.send(old(path, "Connection: Keep-Alive"))
        response = connection.read_response()
        assert_framed(response)
        assert response.tokens("Connection") == {"keep-alive"}
    assert connection.get(path).status == response.status
    connection.send(old(path))
    assert connection.read_response().closes
    assert connection.read_eof() == b""


def test_http_1_0_posts(connection: Connection) -> None:
    fields = "Connection: keep-alive", "Content-Length: 5"
    for _ in range(2):
        connection.send(old("/echo", *fields, method="POST", body=b"12345"))
        assert connection.read_response().json()["body"] == "12345"


def test_http_1_0_pipelines(connection: Connection) -> None:
    kept = old("/sleep", "Connection: keep-alive")
    connection.send(kept * 20 + old("/hello") + kept)
    for _ in range(20):
        assert connection.read_response().tokens("Connection") == {"keep-alive"}
    response = connection.read_response()
    assert response.text == "hello" and response.closes
    assert connection.read_eof() == b""


def test_http_1_0_refusals(connection: Connection) -> None:
    connection.send(old("/echo", "Connection: keep-alive", "Transfer-Encoding: chunked"))
    response = connection.read_response()
    assert_problem(response, 400)
    assert response.tokens("Connection") == {"close"}
    assert connection.read_eof() == b""


# --- without a body -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/hello", "/sleep", "/delay", "/echo", "/nowhere", "/-/status"])
def test_head_has_the_head_of_get(connection: Connection, path: str) -> None:
    got = connection.get(path)
    head = connection.request("HEAD", path)
    assert head.body == b""
    # What tells about the request, or about the time, may differ; the body's length there, too.
    assert head.status in (got.status, 405)
    if head.status == got.status:
        names = {name for name, _ in head.fields}
        assert names == {name for name, _ in got.fields}
        assert head.header("Content-Type") == got.header("Content-Type")
        if path in ("/hello", "/sleep", "/delay"):
            assert head.header("Content-Length") == got.header("Content-Length")
    assert connection.get("/hello").text == "hello"


def test_a_body_of_head_is_passed_over(connection: Connection) -> None:
    for body in (b"12345", request_bytes("GET", "/none/of/this")):
        response = connection.request("HEAD", "/hello", body=body)
        assert (response.status, response.body) == (200, b"")
        assert response.header("Content-Length") == "5"
    connection.expect_answers_to([b"HEAD "])
    connection.send(
        b"HEAD /hello HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n12345\r\n0\r\n\r\n"
    )
    assert connection.read_response().status == 200
    assert connection.get("/hello").text == "hello"


def test_pipelined_heads(connection: Connection) -> None:
    connection.send_requests([request_bytes("HEAD", "/hello"), request_bytes("GET", "/hello")] * 50)
    answers = [connection.read_response().text for _ in range(100)]
    assert answers == ["", "hello"] * 50


@pytest.mark.parametrize("path", ["/204", "/304"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_statuses_without_a_body(connection: Connection, path: str, method: str) -> None:
    for _ in range(3):
        response = connection.request(method, path)
        assert_framed(response)
        assert response.status == int(path[1:])
        assert response.header("Content-Length") is None
        assert response.header("Content-Type") is None
        assert not response.closes
    assert connection.get("/hello").text == "hello"  # nothing stands between


def test_205_says_that_there_is_nothing(connection: Connection) -> None:
    response = connection.get("/205")
    assert (response.status, response.header("Content-Length")) == (205, "0")
    assert connection.get("/hello").text == "hello"


def test_options_has_no_body(connection: Connection) -> None:
    for target in ("/hello", "*"):
        response = connection.request("OPTIONS", target)
        assert_framed(response)
        assert response.status == 204 and response.all("Allow")
    assert connection.get("/hello").text == "hello"


# --- versions -------------------------------------------------------------------------------------


def test_a_higher_minor_version_is_answered_as_1_1(connection: Connection) -> None:
    for minor in (2, 9):
        connection.send(f"GET /hello HTTP/1.{minor}\r\nHost: test\r\n\r\n".encode())
        response = connection.read_response()
        assert (response.version, response.text) == ("1.1", "hello")
        assert not response.closes
