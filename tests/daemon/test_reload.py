"""SIGHUP: everything changes at once and nothing is lost, or nothing changes at all."""

from __future__ import annotations

import re
import signal
import socket
import stat
import time
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import MAIN_LISTENER, SANITIZED, conf, until
from rawhttp import ConnectionClosed, request_bytes

BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
QUICK = 'path = "/s"; action = "sleep"; duration = "5ms"'
SHOW = 'path = "/show"; action = "respond"; body = '

SECOND_LISTENER = 'second: { address = "127.0.0.1:0"; };'


def default_pool(threads: int, queue_depth: int = 1000) -> str:
    return f"default: {{ threads = {threads}; queue_depth = {queue_depth}; }};"


def storm_config(i: int) -> str:
    """Every second one is wrong; pools and listeners come, go and change."""
    if i % 2:
        return conf(QUICK, pools=default_pool(0))
    pools = f"{default_pool(4 + i % 7)} p{i % 3}: {{ threads = 2; }};"
    return conf(QUICK, pools=pools, listeners=MAIN_LISTENER + SECOND_LISTENER * (i % 4 // 2))


# --- pools --------------------------------------------------------------------------------------


def test_resize_under_load_both_ways(start: StartDaemon) -> None:
    daemon = start(conf(QUICK, pools=default_pool(4)))
    with daemon.load(50, "/s") as load:
        for threads in (64, 2, 40):
            load.wait_for_more(100)
            daemon.reload(conf(QUICK, pools=default_pool(threads)))
            daemon.until_pool(threads=threads, active=threads)
            load.wait_for_more(100)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}
    pool = daemon.until_pool(busy=0)
    assert (pool["submitted"], pool["ran"], pool["rejected"]) == (crowd.done, crowd.done, 0)


def test_new_threads_begin_with_what_waits(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK, pools=default_pool(1)))
    daemon.send_burst(10, "/block")
    daemon.until_pool(busy=1, queued=9)
    daemon.reload(conf(BLOCK, pools=default_pool(6)))
    daemon.until_pool(busy=6, queued=4)


def test_threads_that_are_too_many_finish_their_task(start: StartDaemon) -> None:
    slow = 'path = "/s"; action = "sleep"; duration = "300ms"'
    daemon = start(conf(slow, pools=default_pool(8)))
    crowd = daemon.send_burst(12, "/s")
    daemon.until_pool(submitted=12)
    daemon.reload(conf(slow, pools=default_pool(1)))
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 12}
    pool = daemon.until_pool(busy=0, active=1)
    assert (pool["threads"], pool["available"]) == (1, 1)


def test_queue_depth_changes_live(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK, pools=default_pool(1, 2)))
    waiting = daemon.send_burst(3, "/block")
    daemon.until_pool(busy=1, queued=2)
    assert daemon.get("/block").json()["reason"] == "queue_full"

    daemon.reload(conf(BLOCK, pools=default_pool(1, 4)))
    waiting_too = daemon.send_burst(2, "/block")
    daemon.until_pool(busy=1, queued=4, queue_depth=4)
    assert daemon.get("/block").json()["reason"] == "queue_full"

    # What waits stays, even if there is room for less now.
    daemon.reload(conf(BLOCK, pools=default_pool(1, 1)))
    daemon.until_pool(busy=1, queued=4, queue_depth=1)
    assert daemon.get("/block").json()["reason"] == "queue_full"
    assert (waiting.done, waiting_too.done) == (0, 0)


def test_a_pool_is_added(start: StartDaemon) -> None:
    daemon = start(conf(QUICK))
    route = 'path = "/more"; action = "sleep"; duration = "1ms"; pool = "more"'
    daemon.reload(conf(QUICK, route, pools="more: { threads = 3; };"))
    pool = daemon.pool("more")
    assert (pool["threads"], pool["active"]) == (3, 3)
    assert daemon.get("/more").status == 200
    daemon.until_pool("more", ran=1, busy=0)
    until(lambda: daemon.status() and daemon.pool_threads("more") == 3)


def test_a_removed_pool_finishes_its_tasks(start: StartDaemon) -> None:
    route = 'path = "/old"; action = "sleep"; duration = "200ms"; pool = "old"'
    daemon = start(conf(QUICK, route, pools="old: { threads = 2; queue_depth = 10; };"))
    crowd = daemon.send_burst(6, "/old")
    daemon.until_pool("old", submitted=6)
    daemon.reload(conf(QUICK))
    assert "old" not in daemon.status()["pools"]
    assert daemon.get("/old").status == 404
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 6}
    until(lambda: daemon.get("/s").status == 200 and daemon.pool_threads("old") == 0)


def test_a_removed_pool_comes_back(start: StartDaemon) -> None:
    route = 'path = "/p"; action = "sleep"; duration = "100ms"; pool = "p"'
    with_pool = conf(QUICK, route, pools="p: { threads = 2; queue_depth = 50; };")
    daemon = start(with_pool)
    crowds = []
    for _ in range(5):
        crowds.append(daemon.send_burst(4, "/p"))
        daemon.until_pool("p", submitted=4)
        daemon.reload(conf(QUICK))
        daemon.reload(with_pool)
        daemon.until_pool("p", submitted=0)
    for crowd in crowds:
        assert crowd.wait().statuses == {200: 4}


def test_the_spawn_of_a_pool_changes(start: StartDaemon) -> None:
    on_demand = 'default: { threads = 3; spawn = "on-demand"; };'
    daemon = start(conf(QUICK, pools=on_demand))
    assert daemon.pool()["active"] == 0
    reload = daemon.reload(conf(QUICK, pools="default: { threads = 3; };"))
    if "spawn" not in reload.status:
        daemon.until_pool(active=3)


# --- routes -------------------------------------------------------------------------------------


def test_routes_are_added_changed_and_removed(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "one"', 'path = "/old"; action = "live"'))
    daemon.reload(conf(f'{SHOW} "two"', 'path = "/new"; action = "live"'))
    assert daemon.get("/show").text == "two"
    assert daemon.get("/old").status == 404
    assert daemon.get("/new").status == 200


def test_a_kept_connection_sees_the_new_routes(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "one"'))
    with daemon.connect() as connection:
        assert connection.get("/show").text == "one"
        daemon.reload(conf(f'{SHOW} "two"'))
        assert connection.get("/show").text == "two"


def test_a_route_moves_to_another_pool(start: StartDaemon) -> None:
    pools = "a: { threads = 1; }; b: { threads = 1; };"
    route = 'path = "/s"; action = "sleep"; duration = 0; pool = '
    daemon = start(conf(f'{route} "a"', pools=pools))
    assert daemon.get("/s").status == 200
    daemon.reload(conf(f'{route} "b"', pools=pools))
    assert daemon.get("/s").status == 200
    daemon.until_pool("a", ran=1)
    daemon.until_pool("b", ran=1)


@pytest.mark.parametrize("action", ["sleep", "delay"])
def test_a_request_ends_under_the_configuration_it_began_with(
    start: StartDaemon, action: str
) -> None:
    def config(version: int) -> str:
        return conf(
            f'path = "/x"; action = "{action}"; duration = "500ms"; '
            f'headers = {{ X-Version = "{version}"; }}'
        )

    daemon = start(config(1))
    crowd = daemon.send_seen(3, "/x")
    daemon.reload(config(2))
    crowd.wait()
    assert [answer.header("X-Version") for _, answer in crowd.responses] == ["1"] * 3
    assert daemon.get("/x").header("X-Version") == "2"


# --- listeners ----------------------------------------------------------------------------------


def test_an_unchanged_listener_keeps_its_port(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "one"'))
    address = daemon.address()
    daemon.reload(conf(f'{SHOW} "two"'))
    assert daemon.address() == address
    assert daemon.get("/show").text == "two"


def test_listeners_come_and_go(start: StartDaemon) -> None:
    both = conf(f'{SHOW} "x"', listeners=f"{MAIN_LISTENER} {SECOND_LISTENER}")
    daemon = start(conf(f'{SHOW} "x"'))
    reload = daemon.reload(both)
    second = daemon.address("second")
    daemon.wait_for_log(r"listening on \S+ \(listener second\)", reload.since)
    assert daemon.get("/show", listener="second").text == "x"
    reload = daemon.reload(conf(f'{SHOW} "x"'))
    assert "second=" not in reload.status
    until(lambda: daemon.refuses_connections(second))
    assert daemon.get("/show").text == "x"


def test_a_listener_moves(start: StartDaemon, tmp_path: Path) -> None:
    daemon = start(conf(f'{SHOW} "x"'))
    old = daemon.address()
    for address in ("unix:" + str(tmp_path / "s"), "unix:" + str(tmp_path / "t"), "127.0.0.1:0"):
        daemon.reload(conf(f'{SHOW} "x"', listeners=f'main: {{ address = "{address}"; }};'))
        assert daemon.get("/show").text == "x"
        assert daemon.address() != old
        until(lambda: daemon.refuses_connections(old))
        old = daemon.address()
    assert not (tmp_path / "s").exists() and not (tmp_path / "t").exists()


def test_the_mode_of_a_unix_socket_changes(start: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "s"

    def config(mode: str) -> str:
        return conf(listeners=f'main: {{ address = "unix:{path}"; mode = "{mode}"; }};')

    daemon = start(config("0600"))
    daemon.reload(config("0666"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.parametrize("action", ["sleep", "delay"])
def test_requests_of_a_removed_listener_are_finished(start: StartDaemon, action: str) -> None:
    slow = f'path = "/slow"; action = "{action}"; duration = "300ms"'
    daemon = start(conf(slow, listeners=f"{MAIN_LISTENER} {SECOND_LISTENER}"))
    crowd = daemon.send_seen(5, "/slow", listener="second")
    daemon.reload(conf(slow))
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 5}


def test_a_kept_connection_of_a_removed_listener_is_told_to_close(start: StartDaemon) -> None:
    slow = 'path = "/slow"; action = "sleep"; duration = "200ms"'
    daemon = start(conf(slow, listeners=f"{MAIN_LISTENER} {SECOND_LISTENER}"))
    with daemon.connect("second") as connection:
        connection.send_request("GET", "/slow")
        daemon.until_pool(submitted=1)
        daemon.reload(conf(slow))
        assert connection.read_response().status == 200
        assert connection.read_eof() == b""


def test_a_kept_connection_stays_with_its_listener(start: StartDaemon) -> None:
    """Places in the configuration shift; what came in by one listener never counts as another."""
    secret = 'path = "/secret"; action = "live"; listener = "admin"'
    admin = 'admin: { address = "127.0.0.1:0"; };'
    daemon = start(conf(secret, listeners=f"{MAIN_LISTENER} {admin} {SECOND_LISTENER}"))
    by_main, by_admin = daemon.connect("main"), daemon.connect("admin")
    by_second = daemon.connect("second")
    connections = (by_main, by_admin, by_second)
    assert [c.get("/secret").status for c in connections] == [404, 200, 404]
    daemon.reload(conf(secret, listeners=f"{admin} {SECOND_LISTENER}"))
    assert [c.get("/secret").status for c in (by_admin, by_second)] == [200, 404]
    try:
        assert by_main.get("/secret").status in (404, 503)
    except (ConnectionClosed, OSError):
        pass  # closed with its listener
    daemon.reload(conf(secret, listeners=f"{SECOND_LISTENER} {MAIN_LISTENER} {admin}"))
    assert [c.get("/secret").status for c in (by_admin, by_second)] == [200, 404]


def test_who_has_connected_to_a_removed_listener_is_served(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "x"', listeners=f"{MAIN_LISTENER} {SECOND_LISTENER}"))
    address = daemon.address("second")
    daemon.write_config(conf(f'{SHOW} "x"'))
    with daemon.frozen():
        # Both are there when the daemon goes on: those who wait to be accepted, and the order to
        # remove what they have connected to.
        crowd = daemon.send_burst(50, "/show", listener="second")
        daemon.send_signal(signal.SIGHUP)
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 50}
    until(lambda: daemon.refuses_connections(address))


def test_an_address_may_become_wider_or_narrower(start: StartDaemon) -> None:
    daemon = start(conf(QUICK))
    host, port = daemon.address()
    with daemon.load(20, "/s") as load:
        for address in (f"0.0.0.0:{port}", f"{host}:{port}", f"{port}", f"{host}:{port}"):
            reload = daemon.reload(conf(QUICK, listeners=f'main: {{ address = "{address}"; }};'))
            assert "refused" not in reload.status
            load.wait_for_more(50)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}
    # Nobody else may listen on a part of it, neither now nor later.
    with socket.socket() as other:
        with pytest.raises(OSError):
            other.bind((host, port))


def test_a_storm_of_reloads_good_and_bad(start: StartDaemon) -> None:
    daemon = start(conf(QUICK))
    before = daemon.descriptors_at_rest()
    with daemon.load(20, "/s") as load:
        for i in range(200):
            reload = daemon.reload(storm_config(i))
            assert ("refused" in reload.status) == bool(i % 2)
            if i == 50:
                resident = daemon.resident_bytes()
        load.wait_for_more(50)
        grown = daemon.resident_bytes() - resident
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}
    assert SANITIZED or grown < 2 << 20
    daemon.reload(conf(QUICK))
    daemon.until_pool(busy=0)
    daemon.until_descriptors(before)


def test_other_listeners_come_and_go_under_load(start: StartDaemon) -> None:
    daemon = start(conf(QUICK))
    with daemon.load(20, "/s") as load:
        for _ in range(10):
            daemon.reload(conf(QUICK, listeners=f"{MAIN_LISTENER} {SECOND_LISTENER}"))
            load.wait_for_more(5)
            daemon.reload(conf(QUICK))
            load.wait_for_more(5)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}


# --- refused reloads ----------------------------------------------------------------------------

BROKEN = (
    'server: { drain_timeout = "100ms"; };\n'
    f"listeners: {{ {MAIN_LISTENER} }};\n"
    "pools: { default: { treads = 9; }; };\n"
    "routes: (\n"
    '  { path = "/new"; action = "slep"; },\n'
    '  { path = "/show"; action = "respond"; body = "two"; }\n'
    ");\n"
)


def test_a_broken_file_changes_nothing(start: StartDaemon) -> None:
    good = conf(f'{SHOW} "one"', QUICK, pools=default_pool(3))
    daemon = start(good)
    before = daemon.generation()
    reload = daemon.reload(BROKEN)
    # Every fault stands in the log, and the status text says where to look.
    daemon.wait_for_log(r'handoffd\.conf:3: .*pools\.default\.treads.*"threads"', reload.since)
    daemon.wait_for_log(r'handoffd\.conf:5: .*routes\[0\]\.action.*"slep".*"sleep"', reload.since)
    assert "refused" in reload.status
    assert reload.messages[-1].says("READY", "1")
    assert daemon.generation() == before
    assert daemon.pool()["threads"] == 3
    assert daemon.get("/show").text == "one"
    assert daemon.get("/new").status == 404
    assert daemon.get("/s").status == 200


@pytest.mark.parametrize(
    "text",
    [
        "routes: (",
        "routes: ( { path = } );",
        "\x01",
        "listeners: { };",
        '@include "none.conf"',
        "unknown = 1;",
    ],
)
def test_it_goes_on_after_any_broken_file(start: StartDaemon, text: str) -> None:
    daemon = start(conf(f'{SHOW} "one"'))
    reload = daemon.reload(text)
    assert "refused" in reload.status
    assert daemon.get("/show").text == "one"
    daemon.reload(conf(f'{SHOW} "two"'))
    assert daemon.get("/show").text == "two"


def test_it_goes_on_without_its_file(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "one"'))
    daemon.config_path.unlink()
    reload = daemon.reload()
    assert "refused" in reload.status
    daemon.wait_for_log(r"handoffd\.conf", reload.since)
    assert daemon.get("/show").text == "one"


def test_a_missing_body_file_refuses_the_reload(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "one"'))
    reload = daemon.reload(conf('path = "/show"; action = "respond"; body_file = "none.txt"'))
    assert "refused" in reload.status
    daemon.wait_for_log(r"routes\[0\]\.body_file.*none\.txt", reload.since)
    assert daemon.get("/show").text == "one"


def test_a_listener_that_cannot_be_bound_refuses_the_reload(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "one"'))
    host, port = daemon.address()
    good = 'good: { address = "127.0.0.1:0"; };'
    taken = f'taken: {{ address = "{host}:{port}"; }};'
    reload = daemon.reload(conf(f'{SHOW} "two"', listeners=f"{MAIN_LISTENER} {good} {taken}"))
    assert "refused" in reload.status
    daemon.wait_for_log(re.escape(f"{host}:{port}"), reload.since)
    assert "good=" not in reload.status
    assert daemon.get("/show").text == "one"


def test_a_good_reload_after_a_refused_one_clears_the_status(start: StartDaemon) -> None:
    daemon = start(conf())
    assert "refused" in daemon.reload(BROKEN).status
    assert "refused" not in daemon.reload(conf()).status


# --- what needs a restart -----------------------------------------------------------------------


def test_options_that_need_a_restart_are_named_and_keep_their_value(start: StartDaemon) -> None:
    def config(loops: int, body: str) -> str:
        return conf(f'{SHOW} "{body}"', server=f'loops = {loops}; drain_timeout = "100ms";')

    daemon = start(config(1, "one"))
    reload = daemon.reload(config(2, "two"))
    assert "server.loops" in reload.status
    daemon.wait_for_log(r"restart.*server\.loops|server\.loops.*restart", reload.since)
    # The rest has changed all the same.
    assert daemon.get("/show").text == "two"
    assert "server.loops" not in daemon.reload(config(1, "three")).status
    assert daemon.get("/show").text == "three"


# --- notifications ------------------------------------------------------------------------------


@pytest.mark.parametrize("next_config", [conf(), BROKEN], ids=["good", "broken"])
def test_reloading_comes_with_the_time_and_ready_follows(
    start: StartDaemon, next_config: str
) -> None:
    daemon = start(conf())
    for _ in range(5):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        messages = daemon.reload(next_config).messages
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        (reloading,) = [message for message in messages if message.says("RELOADING", "1")]
        stamp = reloading.get("MONOTONIC_USEC")
        assert stamp is not None and stamp.isdigit()
        assert before <= int(stamp) <= after
        assert messages[-1].says("READY", "1")


# --- storms -------------------------------------------------------------------------------------


def test_good_and_bad_reloads_under_load_lose_nothing(start: StartDaemon) -> None:
    daemon = start(conf(QUICK, pools=default_pool(4)))
    with daemon.load(20, "/s") as load:
        for i in range(30):
            if i % 3 == 2:
                daemon.reload(BROKEN)
            else:
                daemon.reload(conf(QUICK, pools=default_pool(1 + i)))
            load.wait_for_more(5)
        crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}


def test_many_signals_at_once_end_with_the_newest_file(start: StartDaemon) -> None:
    daemon = start(conf(f'{SHOW} "first"'))
    for i in range(50):
        daemon.write_config(conf(f'{SHOW} "{i}"'))
        daemon.send_signal(signal.SIGHUP)
    until(lambda: daemon.get("/show").text == "49")


def test_threads_and_descriptors_do_not_grow(start: StartDaemon) -> None:
    def config(pool: str) -> str:
        return conf(QUICK, pools=f"default: {{ threads = 3; }}; {pool}: {{ threads = 2; }};")

    daemon = start(config("a"))

    def resources() -> tuple[int, int]:
        daemon.close_connections()
        return len(daemon.thread_names()), daemon.descriptor_count()

    # The last answer's connection may still be open in the daemon, and a thread may still end.
    daemon.status()
    first = resources()
    for _ in range(20):
        daemon.reload(config("b"))
        daemon.reload(BROKEN)
        daemon.reload(config("a"))
        assert daemon.get("/s").status == 200

    def settled() -> bool:
        assert daemon.get("/s").status == 200
        return all(now <= before for now, before in zip(resources(), first))

    until(settled, f"back to {first}")


def test_pipelined_requests_around_a_reload(start: StartDaemon) -> None:
    daemon = start(conf(QUICK, f'{SHOW} "one"'))
    with daemon.connect() as connection:
        connection.send(request_bytes("GET", "/s") * 20)
        daemon.reload(conf(QUICK, f'{SHOW} "two"'))
        connection.send(request_bytes("GET", "/show"))
        assert [connection.read_response().status for _ in range(20)] == [200] * 20
        assert connection.read_response().text == "two"
