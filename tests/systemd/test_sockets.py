"""Sockets that systemd opens for the daemon and keeps while it restarts."""

from __future__ import annotations

import os
from pathlib import Path

from harness import EXIT_UNAVAILABLE, until
from rawhttp import Connection, Load, fetch, request_bytes
from service import ADDRESS, SOCKET, UNIT, Service, config, run

HELLO = 'path = "/hello"; action = "respond"; body = "hi"'
SLEEP = 'path = "/sleep"; action = "sleep"; duration = "20ms"'
INHERITED = 'main: { address = "systemd:main"; };'
RESTARTS = int(os.environ.get("RESTARTS", "8"))


def test_the_first_client_starts_the_service(service: Service) -> None:
    service.configure(config(HELLO, listeners=INHERITED))
    run("systemctl", "start", SOCKET)
    assert service.show("ActiveState") == "inactive"
    assert fetch(ADDRESS, "GET", "/hello").text == "hi"
    assert service.show("ActiveState") == "active"
    assert "main=127.0.0.1:8080" in service.show("StatusText")


def test_without_the_socket_unit_it_says_what_is_missing(service: Service) -> None:
    service.configure(config(HELLO, listeners=INHERITED))
    service.drop_in("[Service]\nRestart=no\n")
    service.systemctl("start", check=False)
    assert service.show("ExecMainStatus") == str(EXIT_UNAVAILABLE)
    assert "systemd:main" in service.show("StatusText")
    assert "no socket" in service.wait_for_journal(PRIORITY="3", SYSLOG_IDENTIFIER="handoffd")["MESSAGE"]


def test_a_unix_socket_of_another_unit(service: Service) -> None:
    path = "/run/handoffd-admin.sock"
    service.unit_file(
        Path("/etc/systemd/system/handoffd-admin.socket"),
        f"[Socket]\nListenStream={path}\nSocketMode=0600\nFileDescriptorName=admin\n"
        f"Service={UNIT}\nRemoveOnStop=yes\n",
    )
    admin = 'admin: { address = "systemd:admin"; };'
    service.configure(config(HELLO, listeners=INHERITED + admin))
    run("systemctl", "start", SOCKET, "handoffd-admin.socket")
    for _ in range(2):
        service.systemctl("restart")
        assert fetch(path, "GET", "/hello").text == "hi"
        assert fetch(ADDRESS, "GET", "/hello").text == "hi"
        assert os.stat(path).st_mode & 0o777 == 0o600
    run("systemctl", "stop", "handoffd-admin.socket", UNIT)
    assert not os.path.lexists(path)


def test_restarts_under_load_lose_nothing(service: Service) -> None:
    service.drop_in("[Unit]\nStartLimitIntervalSec=0\n")
    service.configure(config(SLEEP, listeners=INHERITED))
    run("systemctl", "start", SOCKET, UNIT)
    pids = {service.pid}
    with Load(ADDRESS, request_bytes("GET", "/sleep"), 20) as load:
        for _ in range(RESTARTS):
            load.wait_for_more(50)
            service.systemctl("restart")
            pids.add(service.pid)
        load.wait_for_more(50)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}
    assert len(pids) == RESTARTS + 1
    print(f"{RESTARTS} restarts, {crowd.done} requests, {len(crowd.failures)} failed")


def test_who_waits_during_a_crash_is_served(service: Service) -> None:
    service.configure(config(HELLO, listeners=INHERITED))
    run("systemctl", "start", SOCKET, UNIT)
    service.signal("STOP")
    with Connection(ADDRESS) as waiting:
        # In the backlog, where the death of the process does no harm.
        waiting.send_request("GET", "/hello")
        service.signal("KILL")
        assert waiting.read_response().text == "hi"
    until(lambda: service.restarts == 1)
