"""Listening sockets that a service manager passes (LISTEN_FDS, LISTEN_FDNAMES)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Iterator

import pytest

from conftest import StartDaemon
from harness import EXIT_UNAVAILABLE, MAIN_LISTENER, Daemon, conf, until
from rawhttp import Connection, fetch

HELLO = 'path = "/hello"; action = "respond"; body = "hi"'
ACTIVATE = str(Path(__file__).with_name("activate.py"))
PATIENT = 'drain_timeout = "1h";'


@contextlib.contextmanager
def listening(family: int = socket.AF_INET, address: object = None) -> Iterator[socket.socket]:
    with socket.socket(family) as sock:
        sock.bind(("127.0.0.1", 0) if address is None else address)
        sock.listen(100)
        yield sock


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with listening() as sock:
        yield sock


def passing(*sockets: tuple[socket.socket, str]) -> dict[str, object]:
    """Options for `start`."""
    return {
        "wrapper": [sys.executable, ACTIVATE, *(f"{s.fileno()}={n}" for s, n in sockets), "--"],
        "pass_fds": [s.fileno() for s, _ in sockets],
    }


def listener(address: str, more: str = "") -> str:
    return f'main: {{ address = "{address}"; {more} }};'


@pytest.mark.parametrize("address", ["systemd:web", "systemd"])
def test_a_tcp_socket_by_its_name_or_as_the_only_one(
    start: StartDaemon, tcp: socket.socket, address: str
) -> None:
    daemon = start(conf(HELLO, listeners=listener(address)), **passing((tcp, "web")))
    host, port = tcp.getsockname()
    assert daemon.address() == (host, port)
    assert daemon.get("/hello").text == "hi"


def test_a_unix_socket_whose_file_is_left_alone(start: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with listening(socket.AF_UNIX, str(path)) as sock:
        path.chmod(0o640)
        daemon = start(conf(HELLO, listeners=listener("systemd:web")), **passing((sock, "web")))
        assert daemon.address() == str(path)
        assert fetch(str(path), "GET", "/hello").text == "hi"
        daemon.stop()
        assert path.is_socket() and path.stat().st_mode & 0o777 == 0o640


def test_an_abstract_unix_socket(start: StartDaemon) -> None:
    name = f"handoffd-test-{os.getpid()}"
    with listening(socket.AF_UNIX, f"\0{name}") as sock:
        daemon = start(conf(HELLO, listeners=listener("systemd")), **passing((sock, "x")))
        assert daemon.address() == f"@{name}"


def test_several_sockets_and_one_of_its_own(start: StartDaemon, tcp: socket.socket) -> None:
    with listening() as other:
        listeners = f"""
            a: {{ address = "systemd:one"; }}; b: {{ address = "systemd:two"; }}; {MAIN_LISTENER}
        """
        routes = [f'path = "/{n}"; action = "live"; listener = "{n}"' for n in ("a", "b", "main")]
        daemon = start(conf(*routes, listeners=listeners), **passing((tcp, "one"), (other, "two")))
        for address, name in (
            (tcp.getsockname(), "a"),
            (other.getsockname(), "b"),
            (daemon.address(), "main"),
        ):
            assert fetch(address, "GET", f"/{name}").status == 200
            others = {"a", "b", "main"} - {name}
            assert {fetch(address, "GET", f"/{o}").status for o in others} == {404}


def refused(start_unready: StartDaemon, address: str, *sockets: tuple[socket.socket, str]) -> str:
    options = passing(*sockets) if sockets else {}
    daemon: Daemon = start_unready(conf(HELLO, listeners=listener(address)), **options)
    daemon.wait_exit(EXIT_UNAVAILABLE)
    return daemon.wait_for_log(r"cannot start: .*").string


def test_what_is_wrong_with_the_sockets_is_told(
    start_unready: StartDaemon, tcp: socket.socket
) -> None:
    assert "no socket" in refused(start_unready, "systemd:web")
    assert "no socket" in refused(start_unready, "systemd")
    message = refused(start_unready, "systemd:wbe", (tcp, "web"))
    assert "systemd:wbe" in message and '"web"' in message
    with listening() as other:
        message = refused(start_unready, "systemd", (tcp, "one"), (other, "two"))
        assert '"one"' in message and '"two"' in message and "systemd:NAME" in message
        message = refused(start_unready, "systemd:web", (tcp, "web"), (other, "web"))
        assert "2 sockets" in message
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.bind(("127.0.0.1", 0))
        assert "ListenStream" in refused(start_unready, "systemd", (datagram, "x"))
    one, two = socket.socketpair()
    with one, two:
        assert "Accept=no" in refused(start_unready, "systemd", (one, "x"))


def test_an_address_that_has_been_passed_is_not_just_in_use(
    start_unready: StartDaemon, tcp: socket.socket
) -> None:
    host, port = tcp.getsockname()
    message = refused(start_unready, f"{host}:{port}", (tcp, "web"))
    assert "in use" in message and '"systemd:web"' in message


def test_sockets_for_another_process_are_not_ours(start_unready: StartDaemon) -> None:
    daemon = start_unready(
        conf(HELLO, listeners=listener("systemd")), env={"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    )
    daemon.wait_exit(EXIT_UNAVAILABLE)


def test_a_socket_that_no_listener_uses_is_told(start: StartDaemon, tcp: socket.socket) -> None:
    daemon = start(conf(HELLO), **passing((tcp, "lonely")))
    daemon.wait_for_log('warning: no listener uses the socket "lonely"')


def test_a_reload_may_drop_it_and_come_back_to_it(start: StartDaemon, tcp: socket.socket) -> None:
    both = f'web: {{ address = "systemd:web"; }}; {MAIN_LISTENER}'
    daemon = start(conf(HELLO, listeners=both), **passing((tcp, "web")))
    before = daemon.descriptors_at_rest()
    for _ in range(3):
        assert fetch(tcp.getsockname(), "GET", "/hello").text == "hi"
        daemon.reload(conf(HELLO, listeners=MAIN_LISTENER))
        with Connection(tcp.getsockname()) as waiting:
            waiting.send_request("GET", "/hello")
            # Somebody knocks at a socket that is not listened to: no work for the loop.
            spent = daemon.cpu_seconds()
            assert waiting.is_quiet(0.3)
            assert daemon.cpu_seconds() - spent < 0.1
            daemon.reload(conf(HELLO, listeners=both))
            assert waiting.read_response().text == "hi"
    daemon.until_descriptors(before)


def test_a_reload_that_asks_for_another_one_is_refused(
    start: StartDaemon, tcp: socket.socket
) -> None:
    daemon = start(conf(HELLO, listeners=listener("systemd:web")), **passing((tcp, "web")))
    reload = daemon.reload(conf(HELLO, listeners=listener("systemd:other")))
    assert "refused" in reload.status and "systemd:other" in reload.status
    assert daemon.get("/hello").text == "hi"


def test_who_connects_during_a_stop_is_served_by_the_next(
    start: StartDaemon, tcp: socket.socket
) -> None:
    sleeps = 'path = "/s"; action = "sleep"; duration = "1h"'
    config = conf(HELLO, sleeps, listeners=listener("systemd:web"), server=PATIENT)
    first = start(config, **passing((tcp, "web")))
    first.send_burst(1, "/s")
    first.until_pool(busy=1)
    first.send_signal(signal.SIGTERM)
    first.wait_for_notification("STOPPING", "1")
    with Connection(tcp.getsockname()) as waiting:
        waiting.send_request("GET", "/hello")
        spent = first.cpu_seconds()
        assert waiting.is_quiet(0.3)
        assert first.cpu_seconds() - spent < 0.1
        first.stop()
        start(config, **passing((tcp, "web")))
        assert waiting.read_response().text == "hi"


def test_restarts_under_load_lose_nothing(start: StartDaemon, tcp: socket.socket) -> None:
    quick = 'path = "/s"; action = "sleep"; duration = "5ms"'
    config = conf(quick, listeners=listener("systemd:web"), server=PATIENT)
    daemon = start(config, **passing((tcp, "web")))
    with daemon.load(20, "/s") as load:
        for _ in range(5):
            load.wait_for_more(50)
            daemon.stop()
            daemon = start(config, **passing((tcp, "web")))
        load.wait_for_more(50)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}


def test_no_descriptor_outlives_an_exec(
    start: StartDaemon, tcp: socket.socket
) -> None:
    daemon = start(conf(HELLO, listeners=listener("systemd")), **passing((tcp, "web")))
    for fd in Path(f"/proc/{daemon.pid}/fdinfo").iterdir():
        flags = next(l for l in fd.read_text().splitlines() if l.startswith("flags:"))
        if int(fd.name) > 2:
            assert int(flags.split()[1], 8) & 0o2000000, f"descriptor {fd.name} outlives an exec"
