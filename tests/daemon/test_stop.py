"""SIGTERM and SIGINT: what was accepted is answered, then the process ends with code 0."""

from __future__ import annotations

import signal
import socket

import pytest

from conftest import StartDaemon
from harness import Daemon, conf, until
from rawhttp import Connection, Crowd

# The drain never runs out; a test that hangs shows that it should not have been waited for.
PATIENT = 'drain_timeout = "1h";'
HASTY = 'drain_timeout = "200ms";'
BOTH_SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def sleep_route(duration: str) -> str:
    return f'path = "/s"; action = "sleep"; duration = "{duration}"'


def begin_stop(daemon: Daemon, number: signal.Signals = signal.SIGTERM) -> None:
    since = daemon.mark()
    daemon.send_signal(number)
    daemon.wait_for_notification("STOPPING", "1", since)


def assert_draining(crowd: Crowd, count: int) -> None:
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {503: count}
    for _, response in crowd.responses:
        assert response.json()["reason"] == "draining"
        assert response.header("Content-Type") == "application/problem+json"


@BOTH_SIGNALS
def test_an_idle_daemon_ends_at_once(start: StartDaemon, number: signal.Signals) -> None:
    daemon = start(conf(server=PATIENT))
    assert daemon.stop(number) == 0
    assert any(message.says("STOPPING", "1") for message in daemon.notifications())


@BOTH_SIGNALS
def test_what_runs_and_waits_is_finished(start: StartDaemon, number: signal.Signals) -> None:
    daemon = start(
        conf(
            sleep_route("300ms"),
            'path = "/d"; action = "delay"; duration = "900ms"',
            server=PATIENT,
            pools="default: { threads = 2; queue_depth = 10; };",
        )
    )
    delays = daemon.send_seen(5, "/d")
    tasks = daemon.send_burst(7, "/s")
    daemon.until_pool(submitted=7)
    begin_stop(daemon, number)
    until(lambda: daemon.refuses_connections(daemon.address()))
    assert daemon.wait_exit() == 0
    for crowd, count in ((tasks, 7), (delays, 5)):
        crowd.wait()
        assert crowd.failures == []
        assert crowd.statuses == {200: count}


def test_new_connections_are_refused_while_it_drains(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("1h"), server=PATIENT))
    crowd = daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    begin_stop(daemon)
    until(lambda: daemon.refuses_connections(daemon.address()))
    assert crowd.done == 0
    daemon.stop()


def test_a_request_that_is_half_here_is_waited_for(start: StartDaemon) -> None:
    daemon = start(conf('path = "/hello"; action = "live"', server=PATIENT))
    half = daemon.connect()
    half.send(b"GET /hello HTTP/1.1\r\nHost: ")
    assert daemon.get("/hello").status == 200  # so the half has been read, too
    begin_stop(daemon)
    until(lambda: daemon.refuses_connections(daemon.address()))
    half.send(b"here\r\n\r\n")
    response = half.read_response()
    assert response.status == 200 and response.closes
    assert daemon.wait_exit() == 0


def test_the_drain_timeout_ends_waiting(start: StartDaemon) -> None:
    daemon = start(
        conf(
            sleep_route("1h"),
            'path = "/d"; action = "delay"; duration = "1h"',
            server=HASTY,
            pools="default: { threads = 2; queue_depth = 10; };",
        )
    )
    delays = daemon.send_seen(3, "/d")
    tasks = daemon.send_burst(8, "/s")
    daemon.until_pool(busy=2, queued=6)
    assert daemon.stop() == 0
    assert_draining(tasks, 8)
    assert_draining(delays, 3)


def test_draining_tells_when_to_come_back(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("1h"), server=HASTY))
    crowd = daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    daemon.stop()
    crowd.wait()
    response = crowd.response_of(0)
    assert response.json()["pool"] == "default"
    assert response.json()["route"] == "/s"
    retry_after = response.header("Retry-After")
    assert retry_after is not None and 1 <= int(retry_after) <= 30
    assert response.closes


def test_a_spin_does_not_hold_up_the_end(start: StartDaemon) -> None:
    daemon = start(conf('path = "/s"; action = "spin"; duration = "1h"', server=HASTY))
    crowd = daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    assert daemon.stop() == 0
    assert_draining(crowd, 1)


def test_a_drain_timeout_of_zero(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("1h"), server="drain_timeout = 0;"))
    crowd = daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    assert daemon.stop() == 0
    assert_draining(crowd, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGINT, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT),
    ],
)
def test_a_second_signal_ends_it_at_once(
    start: StartDaemon, first: signal.Signals, second: signal.Signals
) -> None:
    pools = "default: { threads = 2; queue_depth = 10; };"
    daemon = start(conf(sleep_route("1h"), server=PATIENT, pools=pools))
    daemon.send_burst(5, "/s")
    daemon.until_pool(busy=2, queued=3)
    begin_stop(daemon, first)
    assert daemon.stop(second) == 0


def test_an_idle_connection_does_not_hold_it_up(start: StartDaemon) -> None:
    daemon = start(conf('path = "/hello"; action = "live"', server=PATIENT))
    fresh, used = daemon.connect(), daemon.connect()
    assert used.get("/hello").status == 200
    assert daemon.stop() == 0
    for connection in (fresh, used):
        assert connection.read_eof() == b""


def test_clients_are_told_to_close_while_it_drains(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("500ms"), server=PATIENT))
    with daemon.connect() as connection:
        connection.send_request("GET", "/s")
        daemon.until_pool(busy=1)
        begin_stop(daemon)
        response = connection.read_response()
        assert response.status == 200
        assert response.closes
        assert connection.read_eof() == b""
    assert daemon.wait_exit() == 0


def test_a_large_answer_goes_out_whole(start: StartDaemon) -> None:
    size = 16 << 20
    daemon = start(conf(server=PATIENT))
    daemon.write_file("large", b"x" * size)
    daemon.reload(conf('path = "/large"; action = "respond"; body_file = "large"', server=PATIENT))
    with daemon.connect() as connection:
        connection.send_request("GET", "/large")
        connection.sock.recv(1, socket.MSG_PEEK)  # it is on its way, most of it still to come
        begin_stop(daemon)
        assert len(connection.read_response().body) == size
    assert daemon.wait_exit() == 0


def test_a_reload_changes_the_drain_timeout(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("1h"), server=PATIENT))
    daemon.reload(conf(sleep_route("1h"), server=HASTY))
    crowd = daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    assert daemon.stop() == 0
    assert_draining(crowd, 1)


def test_a_hangup_signal_while_it_drains_does_no_harm(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("500ms"), server=PATIENT))
    crowd = daemon.send_burst(1, "/s")
    daemon.until_pool(busy=1)
    begin_stop(daemon)
    daemon.send_signal(signal.SIGHUP)
    assert daemon.wait_exit() == 0
    assert crowd.wait().statuses == {200: 1}


def test_a_removed_pool_is_drained_too(start: StartDaemon) -> None:
    route = 'path = "/old"; action = "sleep"; duration = "300ms"; pool = "old"'
    daemon = start(conf(route, server=PATIENT, pools="old: { threads = 1; queue_depth = 9; };"))
    crowd = daemon.send_burst(3, "/old")
    daemon.until_pool("old", submitted=3)
    daemon.reload(conf(server=PATIENT))
    assert daemon.stop() == 0
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 3}


def test_clients_that_left_do_not_hold_it_up(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("100ms"), server=PATIENT))
    for _ in range(5):
        with Connection(daemon.address()) as connection:
            connection.send_request("GET", "/s")
    assert daemon.stop() == 0


def test_stop_under_load_answers_or_refuses_cleanly(start: StartDaemon) -> None:
    daemon = start(conf(sleep_route("2ms"), server=PATIENT, pools="default: { threads = 4; };"))
    with daemon.load(20, "/s") as load:
        load.wait_for_more(200)
        assert daemon.stop() == 0
        crowd = load.stop()
    assert set(crowd.statuses) <= {200, 503}
    assert crowd.statuses[200] >= 200
    # A client whose next request crosses the end of its connection learns that nothing was done.
    cut_short = [why for _, why in crowd.failures if "HTTP/1.1" in why]
    assert cut_short == []
