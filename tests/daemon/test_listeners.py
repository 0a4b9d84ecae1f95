"""Where clients come in: TCP over IPv4 and IPv6, unix sockets, several at once."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from conftest import Cli, StartDaemon
from harness import EXIT_UNAVAILABLE, conf
from rawhttp import open_socket

HELLO = 'path = "/hello"; action = "respond"; body = "hi"'


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on the loopback interface")


def listener(address: str, more: str = "", name: str = "main") -> str:
    return f'{name}: {{ address = "{address}"; {more} }};'


# --- TCP ----------------------------------------------------------------------------------------


def test_port_zero_is_reported(start: StartDaemon) -> None:
    daemon = start(conf(HELLO))
    host, port = daemon.address()
    assert host == "127.0.0.1" and port > 0
    daemon.wait_for_log(rf"listening on 127\.0\.0\.1:{port} \(listener main\)")
    assert daemon.get("/hello").text == "hi"


def test_an_address_of_a_port_alone_means_every_interface(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, listeners=listener("0")))
    _, port = daemon.address()
    with open_socket(("127.0.0.1", port)):
        pass


@needs_ipv6
def test_ipv6(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, 'path = "/echo"; action = "echo"', listeners=listener("[::1]:0")))
    assert daemon.address()[0] == "::1"
    assert daemon.get("/hello").text == "hi"
    with daemon.connect() as connection:
        assert connection.get("/echo").json()["peer"] == "::1"


@needs_ipv6
def test_ipv4_and_ipv6_on_one_port(start: StartDaemon) -> None:
    daemon = start(conf(HELLO))
    _, port = daemon.address()
    second = start(conf(HELLO, listeners=listener(f"[::1]:{port}")))
    assert second.get("/hello").text == "hi"


def test_a_port_can_be_taken_again_at_once(start: StartDaemon) -> None:
    first = start(conf(HELLO))
    _, port = first.address()
    kept = first.connect()
    assert kept.get("/hello").status == 200  # the daemon closes it and is left in TIME_WAIT
    first.stop()
    second = start(conf(HELLO, listeners=listener(f"127.0.0.1:{port}")))
    assert second.get("/hello").text == "hi"


def test_many_connections_at_once(start: StartDaemon) -> None:
    daemon = start(conf(HELLO))
    assert [answer.text for answer in daemon.burst(400, "/hello")] == ["hi"] * 400


# --- several ------------------------------------------------------------------------------------

THREE = " ".join(listener("127.0.0.1:0", name=name) for name in ("main", "admin", "third"))


def test_every_listener_has_its_port(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, listeners=THREE))
    ports = {daemon.address(name)[1] for name in ("main", "admin", "third")}
    assert len(ports) == 3
    for name in ("main", "admin", "third"):
        assert daemon.get("/hello", listener=name).text == "hi"


def test_routes_belong_to_their_listeners(start: StartDaemon) -> None:
    daemon = start(
        conf(
            HELLO,
            'path = "/one"; action = "live"; listener = "admin"',
            'path = "/two"; action = "live"; listener = [ "main", "admin" ]',
            'path = "/three"; action = "live"; listener = ( "third" )',
            listeners=THREE,
        )
    )

    def statuses(path: str) -> list[int]:
        return [daemon.get(path, listener=name).status for name in ("main", "admin", "third")]

    assert statuses("/hello") == [200, 200, 200]
    assert statuses("/one") == [404, 200, 404]
    assert statuses("/two") == [200, 200, 404]
    assert statuses("/three") == [404, 404, 200]


def test_one_path_may_mean_something_else_on_each_listener(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/x"; action = "respond"; body = "main"; listener = "main"',
            'path = "/x"; action = "respond"; body = "admin"; listener = "admin"; methods = "POST"',
            listeners=THREE,
        )
    )
    assert daemon.get("/x").text == "main"
    assert daemon.request("POST", "/x", listener="admin").text == "admin"
    refused = daemon.request("POST", "/x")
    assert refused.status == 405
    assert "POST" not in refused.tokens("Allow")
    assert daemon.get("/x", listener="third").status == 404


# --- unix sockets -------------------------------------------------------------------------------


def unix_config(path: str | Path, mode: str = "") -> str:
    return conf(HELLO, 'path = "/echo"; action = "echo"', listeners=listener(f"unix:{path}", mode))


def test_unix_socket(start: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "s"
    daemon = start(unix_config(path))
    assert daemon.address() == str(path)
    with daemon.connect() as connection:
        assert connection.get("/hello").text == "hi"
        assert connection.get("/echo").json()["peer"].startswith("unix")


@pytest.mark.parametrize("mode", ["0600", "0660", "0666"])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_unix_socket_mode(start: StartDaemon, tmp_path: Path, mode: str, umask: int) -> None:
    path = tmp_path / "s"
    before = os.umask(umask)
    try:
        start(unix_config(path, f'mode = "{mode}";'))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)


def test_unix_socket_goes_with_the_daemon(start: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "s"
    daemon = start(unix_config(path))
    assert path.is_socket()
    daemon.stop()
    assert not path.exists()


def test_the_socket_of_a_killed_daemon_is_taken_over(start: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "s"
    killed = start(unix_config(path))
    killed.stop(signal.SIGKILL, expect=-signal.SIGKILL)
    assert path.is_socket()
    assert start(unix_config(path)).get("/hello").text == "hi"


def test_the_socket_of_a_living_daemon_is_not(start: StartDaemon, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "s"
    daemon = start(unix_config(path))
    config = daemon.write_file("second.conf", unix_config(path))
    done = cli("-c", config)
    assert done.returncode == EXIT_UNAVAILABLE
    assert str(path) in done.stderr
    assert daemon.get("/hello").text == "hi"


def test_a_file_that_is_no_socket_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")
    config = tmp_path / "handoffd.conf"
    config.write_text(unix_config(path))
    assert cli("-c", config).returncode == EXIT_UNAVAILABLE
    assert path.read_text() == "content"


# --- what cannot be bound -----------------------------------------------------------------------


def test_an_address_in_use(start: StartDaemon, cli: Cli, tmp_path: Path) -> None:
    daemon = start(conf(HELLO))
    host, port = daemon.address()
    config = tmp_path / "second.conf"
    config.write_text(conf(HELLO, listeners=listener(f"{host}:{port}")))
    done = cli("-c", config)
    assert done.returncode == EXIT_UNAVAILABLE
    assert f"{host}:{port}" in done.stderr
    assert daemon.get("/hello").text == "hi"


@pytest.mark.parametrize(
    "address",
    ["192.0.2.1:0", "unix:/nonexistent/directory/socket"],
)
def test_an_address_that_is_not_ours(cli: Cli, tmp_path: Path, address: str) -> None:
    config = tmp_path / "handoffd.conf"
    config.write_text(conf(HELLO, listeners=listener(address)))
    done = cli("-c", config)
    assert done.returncode == EXIT_UNAVAILABLE
    assert address.removeprefix("unix:") in done.stderr


def test_a_failed_start_leaves_no_socket_behind(
    start: StartDaemon, cli: Cli, tmp_path: Path
) -> None:
    host, port = start(conf(HELLO)).address()
    path = tmp_path / "s"
    listeners = listener(f"unix:{path}", name="first") + listener(f"{host}:{port}", name="second")
    config = tmp_path / "handoffd.conf"
    config.write_text(conf(HELLO, listeners=listeners))
    assert cli("-c", config).returncode == EXIT_UNAVAILABLE
    assert not path.exists()
