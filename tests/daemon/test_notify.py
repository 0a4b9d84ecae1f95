"""What a service manager is told."""

from __future__ import annotations

import pytest

from conftest import StartDaemon
from harness import MAIN_LISTENER, conf
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
