"""Several event loops: they share the listeners and the pools."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import MAIN_LISTENER, Daemon, conf, until
from rawhttp import request_bytes

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
