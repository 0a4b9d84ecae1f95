"""What every answer carries, and how connections live on."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from conftest import Cli, StartDaemon
from harness import Client, conf
from rawhttp import Connection, request_bytes

PATHS = [
    "/hello",
    "/none",
    "/echo",
    "/delay",
    "/sleep",
    "/spin",
    "/pool",
    "/live",
    "/-/status",
    "/moved",
]
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
)


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_a_date(common: Client, path: str) -> None:
    date = common.get(path).header("Date")
    assert date is not None and IMF_FIXDATE.fullmatch(date)
    parsedate_to_datetime(date)


@pytest.mark.parametrize("path", PATHS)
def test_no_answer_names_the_server(common: Client, path: str) -> None:
    assert common.get(path).header("Server") is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("request_id", ["a", "A-b_c.9", "7" * 128])
def test_a_sane_request_id_comes_back(common: Client, path: str, request_id: str) -> None:
    assert common.get(path, {"X-Request-Id": request_id}).header("X-Request-Id") == request_id


@pytest.mark.parametrize(
    "request_id", ["", "7" * 129, "a b", "a,b", "a;b", 'a"b', "<b>", "a/b", "\u00e4", "a\tb", "%41"]
)
def test_another_request_id_is_replaced(common: Client, request_id: str) -> None:
    made = common.get("/hello", {"X-Request-Id": request_id}).header("X-Request-Id")
    assert made is not None and SANE_ID.fullmatch(made)
    assert made != request_id


def test_request_ids_are_made_unique(common: Client) -> None:
    with common.connect() as connection:
        ids = [connection.get("/hello").header("X-Request-Id") for _ in range(200)]
    ids += [common.get("/sleep").header("X-Request-Id") for _ in range(20)]
    assert all(made is not None and SANE_ID.fullmatch(made) for made in ids)
    assert len(set(ids)) == len(ids)


def test_a_route_adds_its_headers(common: Client) -> None:
    response = common.get("/headers")
    assert response.header("X-One") == "1"
    assert response.header("Cache-Control") == "no-store"


def test_a_route_of_a_pool_adds_its_headers_as_listed(common: Client) -> None:
    response = common.get("/header_list")
    assert response.header("X-Colon") == "a: b"
    assert response.all("X-Twice") == ["1", "2"]


def test_the_headers_of_a_route_stay_with_it(common: Client) -> None:
    with common.connect() as connection:
        assert connection.get("/headers").header("X-One") == "1"
        assert connection.get("/hello").header("X-One") is None


@pytest.mark.parametrize("path", ["/hello", "/sleep", "/delay", "/none"])
def test_a_connection_serves_many_requests(common: Client, path: str) -> None:
    with common.connect() as connection:
        first = connection.get(path)
        for _ in range(20):
            again = connection.get(path)
            assert not again.closes
            assert again.status == first.status


@pytest.mark.parametrize("path", ["/hello", "/sleep", "/delay", "/none"])
def test_connection_close_is_obeyed(common: Client, path: str) -> None:
    with common.connect() as connection:
        response = connection.get(path, {"Connection": "close"})
        assert response.closes
        assert connection.read_eof() == b""


@pytest.mark.parametrize("path", ["/hello", "/sleep"])
def test_http_1_0_closes_unless_asked(common: Client, path: str) -> None:
    with common.connect() as connection:
        connection.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert connection.read_response().status == 200
        assert connection.read_eof() == b""


@pytest.mark.parametrize("path", ["/hello", "/sleep"])
def test_http_1_0_keep_alive(common: Client, path: str) -> None:
    request = f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode()
    with common.connect() as connection:
        for _ in range(3):
            connection.send(request)
            response = connection.read_response()
            assert response.status == 200
            assert "keep-alive" in {token.lower() for token in response.tokens("Connection")}


def test_pipelined_requests_are_answered_in_order(common: Client) -> None:
    paths = ["/sleep", "/hello", "/delay", "/none", "/second_sleep", "/threads", "/spin"] * 4
    ids = [str(number) for number in range(len(paths))]
    requests = [request_bytes("GET", p, {"X-Request-Id": i}) for p, i in zip(paths, ids)]
    with common.connect() as connection:
        connection.send(b"".join(requests))
        answers = [connection.read_response() for _ in paths]
    assert [answer.header("X-Request-Id") for answer in answers] == ids
    assert [answer.status for answer in answers] == [404 if p == "/none" else 200 for p in paths]


def test_a_request_may_come_byte_by_byte(common: Client) -> None:
    with common.connect() as connection:
        for byte in request_bytes("POST", "/echo", body=b"12345"):
            connection.send(bytes([byte]))
        assert connection.read_response().json()["body"] == "12345"


def test_a_client_that_leaves_early_harms_nobody(common: Client) -> None:
    for path in ("/sleep", "/delay", "/hello", "/second_sleep"):
        for _ in range(20):
            Connection(common.address()).close()
            with Connection(common.address()) as connection:
                connection.send_request("GET", path)
    assert common.get("/hello").status == 200
    common.until_pool("default", busy=0, queued=0)
    common.until_pool("second", busy=0, queued=0)


@pytest.mark.parametrize("path", ["/hello", "/none"])
def test_the_server_is_named_when_that_is_wanted(start: StartDaemon, path: str) -> None:
    route = 'path = "/hello"; action = "respond"; body = "hi"'
    daemon = start(conf(route, server="server_tokens = true;"))
    named = daemon.get(path).header("Server")
    assert named is not None and re.fullmatch(r"handoffd/\d+\.\d+\.\d+", named)
    daemon.reload(conf(route))
    assert daemon.get(path).header("Server") is None


def test_a_route_cannot_name_another_server_then(cli: Cli, tmp_path: Path) -> None:
    route = 'path = "/hello"; action = "live"; headers = { server = "mine"; }'
    (tmp_path / "c").write_text(conf(route, server="server_tokens = true;"))
    done = cli("-t", "-c", str(tmp_path / "c"))
    assert done.returncode == 78 and "server.server_tokens" in done.stderr
    (tmp_path / "c").write_text(conf(route))
    assert cli("-t", "-c", str(tmp_path / "c")).returncode == 0
