"""Several event loops: they share the listeners and the pools."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import MAIN_LISTENER, Daemon, conf, until
from rawhttp import Connection, request_bytes

LOOPS = 3
QUICK = 'path = "/s"; action = "sleep"; duration = "2ms"'
HELLO = 'path = "/hello"; action = "respond"; body = "hi"'


def loops_conf(*routes: str, drain: str = "100ms", **groups: str) -> str:
    return conf(*routes, server=f'loops = {LOOPS}; drain_timeout = "{drain}";', **groups)


def loop_threads(daemon: Daemon) -> int:
    return sum(name.startswith("loop/") for name in daemon.thread_names())


def test_every_loop_has_a_thread(start: StartDaemon) -> None:
    daemon = start(loops_conf(HELLO))
    until(lambda: daemon.get("/hello").text == "hi" and loop_threads(daemon) == LOOPS)


def test_one_loop_is_the_default(start: StartDaemon) -> None:
    daemon = start(conf(HELLO))
    until(lambda: daemon.get("/hello").text == "hi" and loop_threads(daemon) == 1)


def test_many_connections_are_all_served(start: StartDaemon) -> None:
    daemon = start(loops_conf(HELLO, QUICK))
    scripts = [[request_bytes("GET", path)] * 10 for path in ("/hello", "/s")] * 100
    crowd = daemon.crowd(scripts).wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 2000}


def test_the_books_of_a_shared_pool_are_exact(start: StartDaemon) -> None:
    daemon = start(loops_conf(QUICK, pools="default: { threads = 2; queue_depth = 3; };"))
    crowd = daemon.crowd([[request_bytes("GET", "/s")] * 50] * 30).wait()
    assert crowd.failures == []
    pool = daemon.until_pool(busy=0, queued=0)
    assert pool["submitted"] == 1500
    assert (pool["ran"], pool["rejected"]) == (crowd.statuses[200], crowd.statuses[503])


def test_exact_counts_under_a_full_queue(start: StartDaemon) -> None:
    route = 'path = "/s"; action = "sleep"; duration = "1s"'
    daemon = start(loops_conf(route, pools="default: { threads = 2; queue_depth = 3; };"))
    with daemon.frozen():
        crowd = daemon.send_burst(10, "/s")
    crowd.wait()
    assert crowd.statuses == {200: 5, 503: 5}


def test_a_reload_reaches_every_loop(start: StartDaemon) -> None:
    def config(text: str) -> str:
        return loops_conf(f'path = "/x"; action = "respond"; body = "{text}"')

    daemon = start(config("0"))
    connections = [daemon.connect() for _ in range(4 * LOOPS)]
    for text in ("1", "2", "3"):
        daemon.reload(config(text))
        assert {connection.get("/x").text for connection in connections} == {text}


def test_reloads_under_load_lose_nothing(start: StartDaemon) -> None:
    second = 'second: { address = "127.0.0.1:0"; };'
    daemon = start(loops_conf(QUICK))
    with daemon.load(20, "/s") as load:
        for threads in (1, 30, 4, 12):
            pools = f"default: {{ threads = {threads}; queue_depth = 100; }};"
            daemon.reload(loops_conf(QUICK, pools=pools, listeners=f"{MAIN_LISTENER} {second}"))
            load.wait_for_more(20)
            daemon.reload(loops_conf(QUICK, pools=pools))
            load.wait_for_more(20)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}


@pytest.mark.parametrize(
    ("drain", "duration", "status"), [("1h", "500ms", 200), ("100ms", "1h", 503)]
)
def test_every_loop_is_drained(
    start: StartDaemon, drain: str, duration: str, status: int
) -> None:
    route = f'path = "/s"; action = "sleep"; duration = "{duration}"'
    daemon = start(loops_conf(route, drain=drain, pools="default: { threads = 20; };"))
    idle = [daemon.connect() for _ in range(4 * LOOPS)]
    tasks = daemon.send_burst(30, "/s")
    daemon.until_pool(busy=20, queued=10)
    assert daemon.stop() == 0
    tasks.wait()
    assert tasks.failures == []
    assert tasks.statuses == {status: 30}
    for connection in idle:
        assert connection.read_eof() == b""


def test_a_unix_socket_for_all_loops(start: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "s"
    daemon = start(loops_conf(HELLO, listeners=f'main: {{ address = "unix:{path}"; }};'))
    assert [answer.text for answer in daemon.burst(60, "/hello")] == ["hi"] * 60
    daemon.stop()
    assert not path.exists()


# --- who accepts ----------------------------------------------------------------------------------


def connections_by_loop(daemon: Daemon) -> list[int]:
    return [entry["connections"] for entry in daemon.status()["loops"]]


def connect_and_count(daemon: Daemon, count: int) -> list[int]:
    """Connections of each loop once all that were just made are accepted; `status` has one of its own."""
    before = sum(connections_by_loop(daemon))
    for _ in range(count):
        daemon.connect()
    until(lambda: sum(connections_by_loop(daemon)) == before + count, "all accepted")
    return connections_by_loop(daemon)


def socket_of(daemon: Daemon, fd: str) -> str:
    """What a descriptor of the daemon is, as the kernel names it; "" once it is closed."""
    try:
        return os.readlink(f"/proc/{daemon.pid}/fd/{fd}")
    except FileNotFoundError:
        return ""


def pollers(daemon: Daemon, name: str) -> int:
    """How many loops poll that socket."""
    count = 0
    for fd in os.listdir(f"/proc/{daemon.pid}/fd"):
        if socket_of(daemon, fd) == "anon_inode:[eventpoll]":
            info = Path(f"/proc/{daemon.pid}/fdinfo/{fd}").read_text()
            polled = re.findall(r"^tfd:\s+(\d+)", info, re.M)
            count += any(socket_of(daemon, other) == name for other in polled)
    return count


def inherited(path: Path) -> tuple[socket.socket, dict[str, object]]:
    """A listening socket and the options for `start` that pass it on."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(1000)
    activate = str(Path(__file__).with_name("activate.py"))
    wrapper = [sys.executable, activate, f"{listening.fileno()}=web", "--"]
    return listening, {"wrapper": wrapper, "pass_fds": [listening.fileno()]}


@pytest.mark.parametrize("kind", ["tcp", "unix", "inherited"])
def test_connections_are_spread_over_the_loops(
    start: StartDaemon, tmp_path: Path, kind: str
) -> None:
    listeners = {
        "tcp": MAIN_LISTENER,
        "unix": f'main: {{ address = "unix:{tmp_path / "s"}"; }};',
        "inherited": 'main: { address = "systemd:web"; };',
    }[kind]
    listening, options = inherited(tmp_path / "inherited")
    with listening:
        options = options if kind == "inherited" else {}
        config = conf(HELLO, server="loops = 4;", listeners=listeners)
        daemon = start(config, **options)  # type: ignore[arg-type]
        until(lambda: len(connections_by_loop(daemon)) == 4, "every loop counts")
        assert max(connect_and_count(daemon, 7)) <= 3
        spread = connect_and_count(daemon, 393)
        assert sum(spread) == 401
        assert min(spread) >= 75, spread
        assert max(spread) <= 125, spread


def test_one_loop_at_a_time_polls_a_listening_socket(start: StartDaemon) -> None:
    """So a connection wakes no other loop in vain."""
    room = 2
    daemon = start(loops_conf(HELLO, drain="1h").replace("loops", f"max_connections = {LOOPS * room}; loops"))
    name = listening_socket(daemon)
    until(lambda: pollers(daemon, name) == 1, "one loop polls")
    opened: list[Connection] = []
    for _ in range(LOOPS * room - 2):
        opened.append(daemon.connect())
        assert opened[-1].get("/hello").text == "hi"
        until(lambda: pollers(daemon, name) == 1, "one loop polls")
    opened.append(daemon.connect())
    opened.append(daemon.connect())
    assert opened[-1].get("/hello").text == "hi"
    until(lambda: pollers(daemon, name) == 0, "every loop is full")
    opened.pop(0).close()
    until(lambda: pollers(daemon, name) == 1, "the one with room polls")
    assert daemon.get("/hello").text == "hi"


def listening_socket(daemon: Daemon) -> str:
    """The kernel's name of the one that listens on the daemon's TCP port."""
    port = daemon.address()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return f"socket:[{fields[9]}]"
    raise AssertionError(f"nobody listens on port {port}")


def test_a_loop_that_is_full_leaves_the_rest_to_others(start: StartDaemon) -> None:
    """Whatever loops the closed ones were on, as many can come again."""
    count = 2 * LOOPS
    daemon = start(loops_conf(HELLO).replace("loops", f"max_connections = {count}; loops"))
    for _ in range(20):
        there = [daemon.connect() for _ in range(count)]
        for connection in there:
            assert connection.get("/hello").text == "hi"
        for connection in there:
            connection.close()
