"""Declared parameters, and templates filled in from requests."""

from __future__ import annotations

import pytest

from conftest import Cli, StartDaemon
from harness import Daemon, conf
from rawhttp import Response

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def faults(response: Response) -> dict[tuple[str, str], str]:
    """The details by place and name."""
    assert response.status == 422, response
    assert response.header("Content-Type") == "application/problem+json"
    document = response.json()
    assert document["status"] == 422
    return {(fault["in"], fault["name"]): fault["detail"] for fault in document["errors"]}


PARAMS = """path = "/p/{id}"; action = "echo"; params = (
    { name = "id"; in = "path"; type = "int"; min = 1; max = 99; },
    { name = "size"; in = "query"; type = "number"; min = 0.5; },
    { name = "deep"; in = "query"; type = "bool"; default = false; },
    { name = "X-Mode"; in = "header"; type = "enum"; values = [ "fast", "slow" ]; default = "slow"; },
    { name = "note"; in = "form"; pattern = "[a-z ]*"; max_length = 10; default = ""; }
)"""


@pytest.fixture
def daemon(start: StartDaemon) -> Daemon:
    return start(conf(PARAMS))


def test_good_values_reach_the_action(daemon: Daemon) -> None:
    headers = {"x-mode": "fast", **FORM}
    response = daemon.request("POST", "/p/7?size=1.5&deep=on", headers, b"note=a+b%20c")
    assert response.status == 200, response
    assert response.json()["params"] == {
        "id": 7, "size": 1.5, "deep": True, "X-Mode": "fast", "note": "a b c",
    }


def test_defaults_stand_in(daemon: Daemon) -> None:
    assert daemon.get("/p/7?size=1").json()["params"] == {
        "id": 7, "size": 1.0, "deep": False, "X-Mode": "slow", "note": "",
    }


def test_every_fault_is_told_at_once(daemon: Daemon) -> None:
    headers = {"X-Mode": "medium", **FORM}
    found = faults(daemon.request("POST", "/p/100?deep=maybe", headers, b"note=UPPER"))
    assert set(found) == {
        ("path", "id"), ("query", "size"), ("query", "deep"), ("header", "X-Mode"), ("form", "note"),
    }
    assert "1 to 99" in found["path", "id"] and '"100"' in found["path", "id"]
    assert found["query", "size"] == "missing"
    assert '"fast" or "slow"' in found["header", "X-Mode"]
    assert "[a-z ]*" in found["form", "note"]


def test_a_parameter_given_twice_is_a_fault(daemon: Daemon) -> None:
    assert "once" in faults(daemon.get("/p/7?size=1&size=2"))["query", "size"]


def test_multipart_fields_are_form_parameters(daemon: Daemon) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n\0\xff\r\n'
        b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nfrom a form\r\n'
        b"--B--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    assert "10 bytes" in faults(daemon.request("POST", "/p/7?size=1", headers, body))["form", "note"]
    body = body.replace(b"from a form", b"a form")
    response = daemon.request("POST", "/p/7?size=1", headers, body)
    assert response.json()["params"]["note"] == "a form"


def test_a_broken_form_is_a_fault(daemon: Daemon) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    for body, fault in (
        (b"--B\r\nX: y\r\n\r\n", "no name"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', "delimiter"),
    ):
        found = faults(daemon.request("POST", "/p/7?size=1", headers, body))
        assert fault in found["form", ""]


def test_a_refused_request_takes_no_thread(start: StartDaemon) -> None:
    route = (
        'path = "/s"; action = "sleep"; duration = "${param.duration}"; params = ( '
        '{ name = "duration"; in = "query"; type = "duration"; default = "0s"; max = "10s"; } )'
    )
    daemon = start(conf(route))
    assert faults(daemon.get("/s?duration=11s")).keys() == {("query", "duration")}
    assert daemon.pool()["submitted"] == 0
    assert daemon.get("/s").status == 200
    assert daemon.get("/s?duration=1ms").status == 200
    assert daemon.pool()["ran"] == 2


def test_a_long_form_is_read_by_a_worker(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/hold"; action = "sleep"; duration = "1h"',
            'path = "/form"; action = "digest"; '
            'params = ( { name = "n"; in = "form"; type = "int"; } ); headers = { X-N = "${param.n}"; }',
            pools="default: { threads = 1; };",
        )
    )
    filler = b"&filler=" + b"x" * 20_000
    with daemon.connect() as hold:
        hold.send_request("GET", "/hold")
        daemon.until_pool(busy=1)
        # The loop reads a short one, without a thread.
        assert faults(daemon.request("POST", "/form", FORM, b"n=one"))
        with daemon.connect() as wrong, daemon.connect() as right:
            wrong.send_request("POST", "/form", FORM, b"n=one" + filler)
            right.send_request("POST", "/form", FORM, b"n=7" + filler)
            daemon.until_pool(busy=1, queued=2)
            hold.close()
            assert set(faults(wrong.read_response())) == {("form", "n")}
            answer = right.read_response()
    assert (answer.status, answer.header("X-N"), len(answer.text.strip())) == (200, "7", 64)
    daemon.until_pool(busy=0)


@pytest.mark.parametrize("action", ["sleep", "spin", "delay"])
def test_a_duration_from_the_request(start: StartDaemon, action: str) -> None:
    daemon = start(
        conf(
            f'path = "/s/{{d}}"; action = "{action}"; duration = "${{param.d}}"; '
            'params = ( { name = "d"; in = "path"; type = "duration"; } )',
            server='drain_timeout = "0";',
        )
    )
    assert daemon.get("/s/1ms").status == 200
    daemon.send_seen(1, "/s/1h")
    if action != "delay":
        daemon.until_pool(busy=1)


# --- templates ----------------------------------------------------------------------------------


def test_a_body_is_filled_in(start: StartDaemon) -> None:
    text = "<${method} ${request_path} ${path.id} ${query.a} ${header.X-A} ${remote_addr} ${body}>"
    daemon = start(
        conf(
            f'path = "/t/{{id}}"; methods = [ "POST" ]; action = "respond"; body = "{text} $${{x}}"',
            'path = "/id"; action = "respond"; body = "${request_id}"',
        )
    )
    body = b"\0\xff${method}"
    response = daemon.request("POST", "/t/a%20b?a=%3C+%26", {"X-A": "h"}, body)
    assert response.body == b"<POST /t/a b a b < & h 127.0.0.1 " + body + b"> ${x}"
    response = daemon.get("/id", {"X-Request-Id": "mine"})
    assert response.text == "mine"


def test_large_bodies_come_back_whole(start: StartDaemon) -> None:
    daemon = start(
        conf('path = "/t"; methods = [ "POST" ]; action = "respond"; body = "${body}${body}"')
    )
    body = bytes(range(256)) * 3000
    assert daemon.request("POST", "/t", body=body).body == body + body


def test_headers_are_filled_in(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/h"; action = "live"; '
            'headers = { X-Q = "q=${query.q}"; X-P = "${param.p}"; X-C = "$${c}"; }; '
            'params = ( { name = "p"; default = "d"; } )'
        )
    )
    response = daemon.get("/h?q=a%20b")
    assert response.header("X-Q") == "q=a b"
    assert response.header("X-P") == "d"
    assert response.header("X-C") == "${c}"


@pytest.mark.parametrize(
    "value", ["%0d%0aX-Injected:%201", "%0aX-Injected:%201", "%0d", "%00", "a%0d%0a%0d%0abody"]
)
def test_no_value_splits_a_header(start: StartDaemon, value: str) -> None:
    daemon = start(
        conf(
            'path = "/h"; action = "live"; headers = { X-Q = "${query.q}"; }',
            'path = "/r"; action = "redirect"; location = "/${query.q}"',
            'path = "/d/*"; action = "redirect"; location = "/${path.rest}"',
        )
    )
    for target in (f"/h?q={value}", f"/r?q={value}", f"/d/{value}"):
        with daemon.connect() as connection:
            response = connection.get(target)
            assert response.status == 400, response
            assert response.header("X-Injected") is None
            assert response.header("Location") is None
            assert response.header("X-Q") is None
    assert daemon.get("/h?q=fine").header("X-Q") == "fine"


def test_a_header_cannot_grow_without_end(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/h"; action = "live"; headers = { X-Q = "${query.q}"; }',
            'path = "/r"; action = "redirect"; location = "${query.q}"',
        )
    )
    assert daemon.get("/h?q=" + 2000 * "x").header("X-Q") == 2000 * "x"
    assert daemon.get("/h?q=" + 3000 * "x").status == 400
    assert daemon.get("/r?q=" + 4096 * "x").header("Location") == 4096 * "x"
    assert daemon.get("/r?q=" + 4097 * "x").status == 400


def test_a_location_is_a_uri(start: StartDaemon) -> None:
    daemon = start(
        conf('path = "/old/*"; action = "redirect"; location = "/new/${path.rest}?from=${query.f}"')
    )
    response = daemon.get("/old/a%20b/%C3%A4%3F%23?f=%22x%22%26y")
    assert response.status == 302
    assert response.header("Location") == "/new/a%20b/%C3%A4%3F%23?from=%22x%22&y"


def test_the_dump_reads_back(start: StartDaemon, cli: Cli) -> None:
    daemon = start(conf(PARAMS, 'path = "/r"; action = "sleep"; duration = "${param.d}"; '
                        'params = ( { name = "d"; type = "duration"; } )'))
    first = cli("-T", "-c", str(daemon.config_path))
    assert 'name = "X-Mode"; in = "header"; type = "enum"; default = "slow"' in first.stdout
    assert 'duration = "${param.d}"' in first.stdout
    again = daemon.write_file("dumped.conf", first.stdout)
    assert cli("-T", "-c", str(again)).stdout == first.stdout
