"""Server-Timing: how long a request waited for a thread, and how long it ran."""

from __future__ import annotations

import re

import pytest

from conftest import StartDaemon
from harness import conf
from rawhttp import Response, request_bytes

TIMING = re.compile(r"queue;dur=(\d+\.\d{3}), run;dur=(\d+\.\d{3})")
ON = 'server_timing = true; drain_timeout = "100ms";'


def timing(response: Response) -> tuple[float, float]:
    value = response.header("Server-Timing")
    assert value is not None
    match = TIMING.fullmatch(value)
    assert match is not None, value
    return float(match[1]), float(match[2])


def test_off_by_default(start: StartDaemon) -> None:
    daemon = start(conf('path = "/hello"; action = "respond"; body = "hi"'))
    assert daemon.get("/hello").header("Server-Timing") is None


def test_a_reload_turns_it_on(start: StartDaemon) -> None:
    route = 'path = "/hello"; action = "respond"; body = "hi"'
    daemon = start(conf(route))
    daemon.reload(conf(route, server=ON))
    assert timing(daemon.get("/hello"))[0] == 0


def test_waiting_is_told_apart_from_running(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/sleep"; action = "sleep"; duration = "200ms"',
            pools="default: { threads = 1; };",
            server=ON,
        )
    )
    times = sorted(timing(answer) for answer in daemon.burst(3, "/sleep"))
    assert all(run >= 200 for _, run in times)
    # One thread: whoever comes last has waited for the two before it.
    assert times[2][0] > times[1][0] > times[0][0]


def test_a_held_answer_counts_as_running(start: StartDaemon) -> None:
    daemon = start(conf('path = "/delay"; action = "delay"; duration = "150ms"', server=ON))
    queue, run = timing(daemon.get("/delay"))
    assert queue == 0 and run >= 150


def test_a_refused_request_has_neither(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/block"; action = "sleep"; duration = "1h"',
            pools="default: { threads = 1; queue_depth = 0; };",
            server=ON,
        )
    )
    daemon.send_burst(1, "/block")
    daemon.until_pool(busy=1)
    answer = daemon.get("/block")
    assert answer.status == 503
    assert timing(answer)[1] == 0


@pytest.mark.parametrize(
    "request_text",
    [request_bytes("GET", "/none"), b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"],
    ids=["no route", "no host", "no request"],
)
def test_what_no_route_answers_has_it_too(start: StartDaemon, request_text: bytes) -> None:
    daemon = start(conf(server=ON))
    with daemon.connect() as connection:
        connection.send(request_text)
        answer = connection.read_response()
    assert answer.status >= 400
    assert timing(answer) == (0, 0)
