"""What a service manager is told."""

from __future__ import annotations

import errno
import signal

import pytest

from conftest import StartDaemon
from harness import EXIT_CONFIG, EXIT_UNAVAILABLE, MAIN_LISTENER, conf
from rawhttp import fetch

HELLO = 'path = "/hello"; action = "live"'


def test_ready_comes_once_when_it_serves(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, pools="p: { threads = 30; };"))
    assert daemon.get("/hello").status == 200
    daemon.stop()
    assert len([m for m in daemon.notifications() if m.says("READY", "1")]) == 1


def test_ready_means_bound_and_all_threads_made(start_unready: StartDaemon) -> None:
    daemon = start_unready(conf(HELLO, pools="default: { threads = 1; }; p: { threads = 100; };"))
    daemon.wait_ready()
    assert len(daemon.thread_names()) > 101
    assert daemon.get("/hello").status == 200


def test_ready_tells_a_status_with_every_address(start: StartDaemon) -> None:
    other = 'other: { address = "127.0.0.1:0"; };'
    daemon = start(conf(HELLO, listeners=f"{MAIN_LISTENER} {other}"))
    (ready,) = [m for m in daemon.notifications() if m.says("READY", "1")]
    status = ready.get("STATUS") or daemon.last_status_text()
    for listener in ("main", "other"):
        host, port = daemon.address(listener)
        assert f"{listener}={host}:{port}" in status
        assert fetch((host, port), "GET", "/hello").status == 200


def test_the_phases_come_in_order(start: StartDaemon) -> None:
    daemon = start(conf())
    daemon.reload()
    daemon.stop()
    phases = [
        key
        for message in daemon.notifications()
        for key in ("READY", "RELOADING", "STOPPING")
        if message.says(key, "1")
    ]
    assert phases == ["READY", "RELOADING", "READY", "STOPPING"]


def test_each_phase_has_a_status_for_humans(start: StartDaemon) -> None:
    daemon = start(conf())
    assert daemon.last_status_text()
    assert daemon.reload().status
    since = daemon.mark()
    daemon.stop()
    assert daemon.last_status_text(since)
    for message in daemon.notifications():
        assert all("=" not in key and key.isupper() for key, _ in message.fields)


def test_a_status_is_one_line_whatever_the_configuration_holds(start: StartDaemon) -> None:
    daemon = start(conf())
    reload = daemon.reload('unknown_\\n = "x\\nREADY=0";\n"')
    expected = {"READY", "RELOADING", "MONOTONIC_USEC", "STATUS"}
    for message in reload.messages:
        assert {key for key, _ in message.fields} <= expected


def test_without_a_manager_it_runs_as_well(start_unready: StartDaemon) -> None:
    daemon = start_unready(conf(HELLO), notify=False)
    daemon.wait_for_log(r"listening on \S+ \(listener main\)")
    assert daemon.get("/hello").status == 200
    daemon.stop()
    assert daemon.notifications() == []


@pytest.mark.parametrize("path", ["/nonexistent/notify", "@handoffd-nobody-listens", "nonsense"])
def test_a_manager_that_is_not_there_is_no_reason_to_fail(
    start_unready: StartDaemon, path: str
) -> None:
    daemon = start_unready(conf(HELLO), env={"NOTIFY_SOCKET": path})
    daemon.wait_for_log(r"listening on \S+ \(listener main\)")
    assert daemon.get("/hello").status == 200
    daemon.stop()


BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'


def test_a_long_stop_asks_for_time_and_tells_what_it_waits_for(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK, server='drain_timeout = "1h";'))
    daemon.send_burst(2, "/block")
    daemon.until_pool(busy=2)
    daemon.send_signal(signal.SIGTERM)
    since = daemon.wait_for_notification("STOPPING", "1")
    for _ in range(2):
        since = daemon.wait_for_notification("EXTEND_TIMEOUT_USEC", None, since)
        (message,) = daemon.notifications(since - 1)[:1]
        assert int(message.get("EXTEND_TIMEOUT_USEC") or 0) >= 5_000_000
        assert "2 requests" in (message.get("STATUS") or "")
    daemon.stop()


def test_a_start_that_fails_tells_the_error(start: StartDaemon, start_unready: StartDaemon) -> None:
    host, port = start(conf()).address()
    second = start_unready(conf(listeners=f'main: {{ address = "{host}:{port}"; }};'))
    second.wait_exit(EXIT_UNAVAILABLE)
    (message,) = second.notifications()
    assert message.says("ERRNO", str(errno.EADDRINUSE))
    assert f"{host}:{port}" in (message.get("STATUS") or "")


def test_a_wrong_configuration_at_start_is_told(start_unready: StartDaemon) -> None:
    daemon = start_unready("server: { loop = 0; };\npools: { default: { threads = 0; }; };\n")
    daemon.wait_exit(EXIT_CONFIG)
    (message,) = daemon.notifications()
    assert message.says("ERRNO", str(errno.EINVAL))
    status = message.get("STATUS") or ""
    assert "2 errors" in status and "handoffd.conf:1:" in status and "loops" in status
