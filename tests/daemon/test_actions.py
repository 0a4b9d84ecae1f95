"""What each action does."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import socket
import time

import pytest

from conftest import StartDaemon
from harness import Client, conf
from rawhttp import request_bytes

# --- respond ------------------------------------------------------------------------------------


def test_respond(common: Client) -> None:
    response = common.get("/hello")
    assert (response.status, response.text) == (200, "Hello World!")
    content_type = response.header("Content-Type")
    assert content_type is not None and content_type.startswith("text/plain")


def test_respond_with_status_and_type(common: Client) -> None:
    response = common.get("/plain")
    assert (response.status, response.text) == (201, "<p>")
    assert response.header("Content-Type") == "text/html"


def test_respond_without_a_body(common: Client) -> None:
    response = common.get("/gone")
    assert (response.status, response.body) == (410, b"")
    assert response.header("Content-Length") == "0"


def test_no_content_has_no_length(common: Client) -> None:
    with common.connect() as connection:
        response = connection.get("/nothing")
        assert response.status == 204
        assert response.header("Content-Length") is None
        assert response.header("Transfer-Encoding") is None
        assert connection.get("/hello").status == 200


def test_respond_with_any_bytes(start: StartDaemon) -> None:
    content = bytes(range(256)) * 2000  # more than one write takes
    daemon = start(conf('path = "/x"; action = "respond"; body = ""'))
    file = daemon.write_file("body.bin", content)
    daemon.reload(conf(f'path = "/x"; action = "respond"; body_file = "{file}"'))
    assert daemon.get("/x").body == content
    assert daemon.request("HEAD", "/x").header("Content-Length") == str(len(content))


def test_body_file_is_relative_to_the_configuration_and_read_at_load(start: StartDaemon) -> None:
    config = conf('path = "/x"; action = "respond"; body_file = "texts/body.txt"')
    daemon = start(conf())
    file = daemon.write_file("texts/body.txt", "first")
    daemon.reload(config)
    file.write_text("second")
    assert daemon.get("/x").text == "first"
    daemon.reload()
    assert daemon.get("/x").text == "second"
    file.unlink()
    assert daemon.get("/x").text == "second"


# --- redirect -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [("/moved", 302, "/hello"), ("/moved_for_good", 308, "https://example.org/?a=b&c")],
)
def test_redirect(common: Client, path: str, status: int, location: str) -> None:
    response = common.get(path)
    assert response.status == status
    assert response.header("Location") == location


# --- echo ---------------------------------------------------------------------------------------


def test_echo_tells_the_request(common: Client) -> None:
    headers = {"X-Some": "thing", "Accept": "a/b;q=0.5"}
    response = common.request("POST", "/echo?a=1&b=%20c&&=", headers, b"some text")
    assert response.status == 200
    assert response.header("Content-Type") == "application/json"
    echo = response.json()
    assert echo["method"] == "POST"
    assert echo["path"] == "/echo"
    assert echo["query"] == "a=1&b=%20c&&="
    assert echo["params"] == {}
    assert echo["body"] == "some text"
    assert "body_encoding" not in echo
    seen = {name.lower(): value for name, value in echo["headers"].items()}
    assert seen["x-some"] == "thing"
    assert seen["accept"] == "a/b;q=0.5"
    assert seen["host"] == "test"


def test_echo_tells_the_peer(common: Client) -> None:
    with common.connect() as connection:
        host = connection.sock.getsockname()[0]
        assert connection.get("/echo").json()["peer"] == host


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_echo_tells_the_method(common: Client, method: str) -> None:
    assert common.request(method, "/echo").json()["method"] == method


@pytest.mark.parametrize(
    "text",
    ["", "a", "ä€😀", '"quoted" \\', "tab\tnewline\r\n", "\x01\x1f", "</script>", "x" * 200_000],
)
def test_echo_gives_text_back_as_text(common: Client, text: str) -> None:
    echo = common.request("POST", "/echo", body=text.encode()).json()
    assert echo["body"] == text
    assert "body_encoding" not in echo


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"ab\xc3",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        bytes(range(256)),
        b"\x80" * 50_000,
    ],
)
def test_echo_gives_other_bytes_back_in_base64(common: Client, body: bytes) -> None:
    echo = common.request("POST", "/echo", body=body).json()
    assert echo["body_encoding"] == "base64"
    assert base64.b64decode(echo["body"], validate=True) == body


def test_echo_of_a_zero_byte_loses_nothing(common: Client) -> None:
    echo = common.request("POST", "/echo", body=b"a\0b").json()
    body = base64.b64decode(echo["body"]) if "body_encoding" in echo else echo["body"].encode()
    assert body == b"a\0b"


@pytest.mark.parametrize("query", ["", "a", "a=b", "a=%C3%A4", "?", "a+b", "=&;"])
def test_echo_leaves_the_query_raw(common: Client, query: str) -> None:
    assert common.get(f"/echo?{query}").json()["query"] == query


def test_echo_of_a_chunked_body(common: Client) -> None:
    with common.connect() as connection:
        connection.send(
            b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nHello\r\n7\r\n, World\r\n0\r\n\r\n"
        )
        assert connection.read_response().json()["body"] == "Hello, World"


# --- delay --------------------------------------------------------------------------------------


def test_delay_is_no_shorter_than_asked(start: StartDaemon) -> None:
    daemon = start(conf('path = "/d"; action = "delay"; duration = "300ms"'))
    begin = time.monotonic()
    assert daemon.get("/d").status == 200
    assert time.monotonic() - begin >= 0.3


def test_delays_hold_no_thread(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/d"; action = "delay"; duration = "500ms"',
            'path = "/s"; action = "sleep"; duration = "1h"',
            pools="default: { threads = 1; queue_depth = 0; };",
        )
    )
    daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    begin = time.monotonic()
    delays = daemon.send_burst(400, "/d")
    # All of them wait, and the loop serves others meanwhile.
    assert daemon.get("/-/status").status == 200
    delays.wait()
    assert delays.failures == []
    assert delays.statuses == {200: 400}
    assert time.monotonic() - begin >= 0.5
    pool = daemon.pool()
    assert (pool["busy"], pool["queued"], pool["ran"], pool["rejected"]) == (1, 0, 0, 0)


# --- pool ---------------------------------------------------------------------------------------


def test_pool_as_json(common: Client) -> None:
    response = common.get("/pool/second")
    assert response.header("Content-Type") == "application/json"
    pool = response.json()
    assert pool["name"] == "second"
    assert pool["queue_depth"] == 7
    assert (pool["threads"], pool["active"], pool["queued"]) == (2, 2, 0)
    assert pool["available"] == pool["threads"] - pool["busy"]
    assert pool["busy"] + pool["idle"] == pool["active"]


def test_pool_fields_are_bare_numbers(start: StartDaemon) -> None:
    fields = ["threads", "active", "busy", "idle", "available", "queued"]
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = "1h"; pool = "p"',
            *(f'path = "/{f}"; action = "pool"; pool = "p"; field = "{f}"' for f in fields),
            pools="p: { threads = 3; queue_depth = 9; };",
        )
    )

    def numbers() -> dict[str, str]:
        return {name: daemon.get(f"/{name}").text for name in fields}

    daemon.until_pool("p", idle=3)
    assert numbers() == dict(threads="3", active="3", busy="0", idle="3", available="3", queued="0")
    daemon.send_burst(2, "/s")
    daemon.until_pool("p", busy=2)
    assert numbers() == dict(threads="3", active="3", busy="2", idle="1", available="1", queued="0")
    daemon.send_burst(5, "/s")
    daemon.until_pool("p", busy=3, queued=4)
    assert numbers() == dict(threads="3", active="3", busy="3", idle="0", available="0", queued="4")


def test_a_bare_number_is_plain_text(common: Client) -> None:
    content_type = common.get("/threads").header("Content-Type")
    assert content_type is not None and content_type.startswith("text/plain")


# --- live, ready, status ------------------------------------------------------------------------


def test_live(common: Client) -> None:
    assert common.get("/live").status == 200


def test_ready_turns_away_while_a_pool_is_full_for_long(start: StartDaemon) -> None:
    def config(depth: int) -> str:
        return conf(
            'path = "/s"; action = "sleep"; duration = "1h"',
            'path = "/ready"; action = "ready"; ready_grace = 0',
            'path = "/patient"; action = "ready"; ready_grace = "1h"',
            pools=f"default: {{ threads = 1; queue_depth = {depth}; }};",
        )

    daemon = start(config(2))
    daemon.send_burst(2, "/s")
    daemon.until_pool(busy=1, queued=1)
    assert daemon.get("/ready").status == 200
    daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1, queued=2)
    response = daemon.get("/ready")
    assert response.status == 503
    assert "default" in response.text
    assert daemon.get("/patient").status == 200
    daemon.reload(config(3))
    assert daemon.get("/ready").status == 200


def test_ready_turns_away_as_soon_as_it_drains(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = "1h"',
            'path = "/ready"; action = "ready"',
            'path = "/live"; action = "live"',
            server='drain_timeout = "1h";',
        )
    )
    daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    ready, live = daemon.connect(), daemon.connect()
    assert ready.get("/ready").status == 200
    assert live.get("/live").status == 200
    daemon.send_signal(signal.SIGTERM)
    daemon.wait_for_notification("STOPPING", "1")
    response = ready.get("/ready")
    assert response.status == 503 and response.closes
    response = live.get("/live")
    assert response.status == 200 and response.closes
    daemon.stop()


def test_status_is_one_json_document(common: Client) -> None:
    response = common.get("/-/status")
    assert response.header("Content-Type") == "application/json"
    status = response.json()
    assert isinstance(status["version"], str) and status["version"]
    assert status["config"]["generation"] >= 1
    assert set(status["pools"]) == {"default", "second"}


def test_the_generation_counts_reloads(start: StartDaemon) -> None:
    daemon = start(conf())
    first = daemon.generation()
    daemon.reload()
    daemon.reload()
    assert daemon.generation() == first + 2


def test_the_states_of_a_pool_add_up(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = "1ms"',
            pools="default: { threads = 2; queue_depth = 3; };",
        )
    )
    with daemon.load(20, "/s") as load:
        for _ in range(200):
            pool = daemon.pool()
            states = [pool[name] for name in ("ran", "rejected", "queued", "running")]
            assert pool["submitted"] == sum(states)
            assert pool["running"] <= 2 and pool["queued"] + pool["running"] <= 5
        crowd = load.stop()
    pool = daemon.until_pool(busy=0)
    assert crowd.failures == []
    assert pool["submitted"] == crowd.done
    assert pool["ran"] == crowd.statuses[200]
    assert pool["rejected"] == crowd.statuses[503]
    assert (pool["queued"], pool["running"]) == (0, 0)


# --- sleep, spin --------------------------------------------------------------------------------


def test_sleep_is_no_shorter_than_asked(start: StartDaemon) -> None:
    daemon = start(conf('path = "/s"; action = "sleep"; duration = "300ms"'))
    begin = time.monotonic()
    response = daemon.get("/s")
    assert response.status == 200
    assert time.monotonic() - begin >= 0.3


def test_sleeping_takes_no_cpu_and_spinning_does(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/sleep"; action = "sleep"; duration = "400ms"',
            'path = "/spin"; action = "spin"; duration = "400ms"',
        )
    )
    begin = daemon.cpu_seconds()
    assert daemon.get("/sleep").status == 200
    slept = daemon.cpu_seconds()
    assert daemon.get("/spin").status == 200
    spun = daemon.cpu_seconds()
    assert slept - begin < 0.3
    assert spun - slept >= 0.4


def test_spins_use_their_own_threads_time(start: StartDaemon) -> None:
    """Eight at once on fewer processors: each needs its CPU time, however long that takes."""
    route = 'path = "/spin"; action = "spin"; duration = "50ms"'
    daemon = start(conf(route, pools="default: { threads = 8; };"))
    begin = daemon.cpu_seconds()
    assert [answer.status for answer in daemon.burst(8, "/spin")] == [200] * 8
    assert daemon.cpu_seconds() - begin >= 8 * 0.05


def test_a_duration_may_be_a_bare_number(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/whole"; action = "sleep"; duration = 1',
            'path = "/part"; action = "delay"; duration = 0.25',
        )
    )
    for path, seconds in (("/whole", 1.0), ("/part", 0.25)):
        begin = time.monotonic()
        assert daemon.get(path).status == 200
        assert time.monotonic() - begin >= seconds


def test_blocking_actions_take_a_request_with_a_body(start: StartDaemon) -> None:
    daemon = start(
        conf('path = "/s"; methods = [ "POST" ]; action = "sleep"; duration = "1ms"')
    )
    with daemon.connect() as connection:
        for size in (0, 1, 100_000):
            assert connection.request("POST", "/s", body=b"x" * size).status == 200


def test_json_answers_hold_nothing_but_ascii_safe_json(common: Client) -> None:
    """Whatever a client sends, an answer that quotes it stays one well-formed document."""
    hostile = {"X-Quote": '"}{"', "X-Back": "\\", "X-High": "\xe4\xff"}
    with common.connect() as connection:
        connection.send(request_bytes("GET", "/echo?\"'<>&", hostile))
        assert isinstance(json.loads(connection.read_response().body), dict)


# --- digest -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake2b512", "md5"])
def test_digest_of_a_body(start: StartDaemon, algorithm: str) -> None:
    daemon = start(
        conf(f'path = "/d"; action = "digest"; algorithm = "{algorithm}"; max_body_size = "8m"')
    )
    name = "blake2b" if algorithm == "blake2b512" else algorithm
    for body in (b"", b"abc", bytes(range(256)) * 20_000):
        response = daemon.request("POST", "/d", body=body)
        assert response.status == 200
        assert response.text == hashlib.new(name, body).hexdigest() + "\n"


# --- resolve ------------------------------------------------------------------------------------


def knows_localhost() -> bool:
    """Not every bare system does."""
    try:
        return socket.gethostbyname("localhost") == "127.0.0.1"
    except OSError:
        return False


@pytest.mark.skipif(not knows_localhost(), reason="this system does not know localhost")
def test_resolve(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/resolve/{name}"; action = "resolve"; name = "${path.name}"',
            'path = "/resolve"; action = "resolve"; family = "ipv4"',
        )
    )
    response = daemon.get("/resolve/localhost")
    assert response.header("Content-Type") == "application/json"
    assert {"address": "127.0.0.1", "family": "ipv4"} in response.json()["addresses"]
    response = daemon.get("/resolve?name=localhost")
    assert response.json()["addresses"] == [{"address": "127.0.0.1", "family": "ipv4"}]
    assert "host" in daemon.get("/resolve/127.0.0.1").json()
    assert daemon.get("/resolve?name=").status == 400
    assert daemon.get("/resolve/" + "a" * 254).status == 400
    assert daemon.get("/resolve/a..b").status in (404, 502)
