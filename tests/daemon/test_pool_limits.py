"""What keeps routes from starving each other: caps, turns, and limits for waiting and running."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from conftest import StartDaemon
from harness import Daemon, conf, until
from rawhttp import Connection, Response, request_bytes

BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
BRIEF = 'path = "/brief"; action = "sleep"; duration = "1ms"'
HELLO = 'path = "/hello"; action = "respond"; body = "hello"'


def ask(daemon: Daemon, path: str) -> Connection:
    connection = daemon.connect()
    connection.send(request_bytes("GET", path))
    return connection


def tasks(daemon: Daemon, path: str) -> dict[str, Any]:
    """The books of a route."""
    for route in daemon.status()["routes"]:
        if route["path"] == path:
            assert isinstance(route["tasks"], dict)
            return route["tasks"]
    raise AssertionError(f"no route {path}")


def until_tasks(daemon: Daemon, path: str, **expected: int) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        seen = tasks(daemon, path)
        return seen if all(seen[key] == value for key, value in expected.items()) else None

    return until(reached, f"{path}: {expected}")  # type: ignore[return-value]


def check_books(books: dict[str, Any]) -> None:
    assert books["submitted"] == (
        books["ran"] + books["rejected"] + books["queued"] + books["running"]
    )
    assert books["ran"] == sum(books["ran_by_result"].values())
    assert books["rejected"] == sum(books["rejected_by_reason"].values())


def check_problem(response: Response, status: int, reason: str, route: str) -> None:
    assert response.status == status
    problem = response.json()
    assert (problem["status"], problem["reason"], problem["route"]) == (status, reason, route)
    if status == 503:
        assert 1 <= int(response.header("Retry-After") or "") <= 30


# ---- caps -----------------------------------------------------------------------------------


def test_a_route_never_holds_more_threads_than_its_cap(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BLOCK + "; concurrency = 2; max_queue = 3",
            BRIEF,
            pools="default: { threads = 4; queue_depth = 2; };",
        )
    )
    waiting = daemon.send_burst(5, "/block")
    pool = daemon.until_pool(busy=2, queued=3)
    assert pool["parked"] == 3
    check_problem(daemon.get("/block"), 503, "route_full", "/block")
    # Neither the threads nor the queue of the others are touched.
    assert [r.status for r in daemon.burst(3, "/brief")] == [200] * 3
    assert waiting.done == 0
    books = tasks(daemon, "/block")
    assert (books["running"], books["queued"], books["rejected"]) == (2, 3, 1)
    check_books(books)


def test_a_capped_route_works_off_its_own_queue(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BRIEF + "; concurrency = 3; max_queue = 500",
            pools="default: { threads = 8; queue_depth = 0; };",
        )
    )
    crowd = daemon.send_burst(300, "/brief").wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 300}
    books = until_tasks(daemon, "/brief", ran=300)
    assert books["rejected"] == 0
    assert daemon.pool()["highest_busy"] <= 3


def test_one_that_leaves_its_routes_queue_makes_room(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK + "; concurrency = 1; max_queue = 1"))
    ask(daemon, "/block")
    until_tasks(daemon, "/block", running=1)
    second = ask(daemon, "/block")
    until_tasks(daemon, "/block", queued=1)
    check_problem(daemon.get("/block"), 503, "route_full", "/block")
    second.close()
    books = until_tasks(daemon, "/block", queued=0)
    assert books["rejected_by_reason"]["client_gone"] == 1
    ask(daemon, "/block")
    until_tasks(daemon, "/block", queued=1)


def test_a_reload_changes_caps_while_tasks_wait(start: StartDaemon) -> None:
    def text(cap: int) -> str:
        return conf(
            BLOCK + f"; concurrency = {cap}; max_queue = 10", pools="default: { threads = 4; };"
        )

    daemon = start(text(1))
    daemon.send_burst(6, "/block")
    daemon.until_pool(busy=1, queued=5)
    daemon.reload(text(3))
    daemon.until_pool(busy=3, queued=3)
    daemon.reload(text(0))
    daemon.until_pool(busy=4, queued=2, parked=0)


# ---- turns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("discipline, flood_before", [("fair", 1), ("fifo", 20)])
def test_who_is_next(start: StartDaemon, discipline: str, flood_before: int) -> None:
    """Behind a flood of twenty, a request of another route runs second or last."""
    daemon = start(
        conf(
            'path = "/hold"; action = "sleep"; duration = "1h"; pool = "p"',
            BRIEF + '; pool = "p"',
            BLOCK + '; pool = "p"',
            pools=f'p: {{ threads = 1; discipline = "{discipline}"; }};',
        )
    )
    hold = ask(daemon, "/hold")
    daemon.until_pool("p", busy=1)
    daemon.send_burst(20, "/brief")
    daemon.until_pool("p", queued=20)
    ask(daemon, "/block")
    daemon.until_pool("p", queued=21)
    hold.close()
    until_tasks(daemon, "/block", running=1)  # and it keeps the only thread from now on
    ran = tasks(daemon, "/brief")["ran"]
    assert ran == flood_before if discipline == "fifo" else ran <= flood_before


def test_the_discipline_changes_for_those_that_wait(start: StartDaemon) -> None:
    def text(discipline: str) -> str:
        return conf(
            'path = "/hold"; action = "sleep"; duration = "1h"',
            BRIEF,
            BLOCK,
            pools=f'default: {{ threads = 1; discipline = "{discipline}"; }};',
        )

    daemon = start(text("fifo"))
    hold = ask(daemon, "/hold")
    daemon.until_pool(busy=1)
    daemon.send_burst(20, "/brief")
    daemon.until_pool(queued=20)
    ask(daemon, "/block")
    daemon.until_pool(queued=21)
    daemon.reload(text("fair"))
    hold.close()
    until_tasks(daemon, "/block", running=1)
    assert tasks(daemon, "/brief")["ran"] <= 1


def test_codel_lifo_gives_up_on_the_late_while_every_thread_is_stuck(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BLOCK,
            pools='default: { threads = 1; discipline = "codel-lifo"; codel_window = "20ms"; };',
        )
    )
    ask(daemon, "/block")
    daemon.until_pool(busy=1)
    for response in daemon.burst(5, "/block"):
        check_problem(response, 503, "queue_timeout", "/block")
    assert daemon.pool()["rejected_by_reason"]["queue_timeout"] == 5


# ---- waiting --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "route, pool",
    [
        ("", 'queue_timeout = "50ms";'),
        ('; queue_timeout = "50ms"', ""),
        ('; queue_timeout = "50ms"', 'queue_timeout = "1h";'),
        ('; concurrency = 1; max_queue = 1; queue_timeout = "50ms"', "queue_depth = 0;"),
    ],
    ids=["of the pool", "of the route", "the route's own wins", "parked"],
)
def test_a_wait_ends_while_every_thread_is_stuck(
    start: StartDaemon, route: str, pool: str
) -> None:
    daemon = start(conf(BLOCK + route, pools=f"default: {{ threads = 1; {pool} }};"))
    ask(daemon, "/block")
    daemon.until_pool(busy=1)
    check_problem(daemon.get("/block"), 503, "queue_timeout", "/block")
    pool_now = daemon.pool()
    assert (pool_now["busy"], pool_now["queued"]) == (1, 0)
    assert pool_now["rejected_by_reason"]["queue_timeout"] == 1
    check_books(pool_now)


def test_a_route_may_wait_for_longer_than_its_pool_says(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BLOCK,
            'path = "/patient"; action = "sleep"; duration = "1ms"; queue_timeout = 0',
            pools='default: { threads = 1; queue_timeout = "50ms"; };',
        )
    )
    hold = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    patient = ask(daemon, "/patient")
    until_tasks(daemon, "/patient", queued=1)
    check_problem(daemon.get("/block"), 503, "queue_timeout", "/block")
    hold.close()
    assert patient.read_response().status == 200


BUDGET = 'main: { address = "127.0.0.1:0"; queue_budget_header = "X-Queue-Budget"; };'


def test_a_client_may_state_its_budget(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BLOCK,
            'path = "/work"; action = "sleep"; duration = "20ms"',
            pools="default: { threads = 1; };",
            listeners=BUDGET + ' other: { address = "127.0.0.1:0"; };',
        )
    )
    for _ in range(3):  # so that the pool knows how long runs take
        assert daemon.get("/work", {"X-Queue-Budget": "1h"}).status == 200
    hold = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    # To be expected are 20 ms: this one is refused at once, without a wait.
    refused = daemon.get("/work", {"X-Queue-Budget": "1ms"})
    check_problem(refused, 503, "queue_timeout", "/work")
    # This one waits for its budget, and no longer.
    check_problem(daemon.get("/work", {"x-queue-budget": "100ms"}), 503, "queue_timeout", "/work")
    # Who is not trusted has no budget.
    stranger = daemon.connect("other")
    stranger.send(request_bytes("GET", "/work", [("X-Queue-Budget", "1ms")]))
    until_tasks(daemon, "/work", queued=1)
    hold.close()
    assert stranger.read_response().status == 200


@pytest.mark.parametrize("value", ["soon", "-1", "0", "1d", ""])
def test_a_budget_that_makes_no_sense(start: StartDaemon, value: str) -> None:
    daemon = start(conf(BRIEF, HELLO, listeners=BUDGET))
    response = daemon.get("/brief", {"X-Queue-Budget": value})
    assert response.status == 400
    assert f'"{value}"' in response.json()["detail"]
    assert daemon.get("/hello", {"X-Queue-Budget": value}).status == 200
    assert daemon.get("/brief", {"X-Queue-Budget": "5s"}).status == 200


# ---- running --------------------------------------------------------------------------------


def test_a_run_that_takes_too_long(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK + '; timeout = "50ms"', BRIEF))
    connection = daemon.connect()
    response = connection.get("/block")
    check_problem(response, 504, "timeout", "/block")
    # The connection goes on, and `sleep` gives its thread back.
    assert connection.get("/brief").status == 200
    pool = daemon.until_pool(busy=0)
    assert pool["ran_by_result"] == {"ok": 1, "error": 0, "timeout": 1, "cancelled": 0}
    check_books(pool)


def test_a_computing_run_is_stopped_too(start: StartDaemon) -> None:
    daemon = start(conf('path = "/spin"; action = "spin"; duration = "1h"; timeout = "50ms"'))
    check_problem(daemon.get("/spin"), 504, "timeout", "/spin")
    assert daemon.until_pool(busy=0)["ran_by_result"]["timeout"] == 1


def test_the_run_is_counted_from_its_start_and_not_from_the_wait(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BLOCK,
            'path = "/work"; action = "sleep"; duration = "1ms"; timeout = "300ms"',
            pools="default: { threads = 1; };",
        )
    )
    hold = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    waiting = ask(daemon, "/work")
    until(lambda: daemon.pool()["oldest_wait_ms"] > 400)
    hold.close()
    assert waiting.read_response().status == 200


def test_timed_out_runs_under_pipelining_and_http_1_0(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK + '; timeout = "50ms"', HELLO))
    connection = daemon.connect()
    connection.send_requests(
        [request_bytes("GET", "/block"), request_bytes("HEAD", "/block"), request_bytes("GET", "/hello")]
    )
    assert [connection.read_response().status for _ in range(3)] == [504, 504, 200]
    old = daemon.connect()
    old.send(b"GET /block HTTP/1.0\r\n\r\n")
    assert b" 504 " in old.read_eof()
    daemon.until_pool(busy=0)


def test_a_client_that_leaves_while_its_run_is_late(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK + '; timeout = "1h"', HELLO))
    connection = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    connection.close()
    pool = until(lambda: (p := daemon.pool())["ran"] == 1 and p)
    assert pool["ran_by_result"]["cancelled"] == 1
    assert daemon.get("/hello").status == 200


def test_a_stop_waits_for_a_run_that_nobody_waits_for(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK + '; timeout = "20ms"'))
    for response in daemon.burst(10, "/block"):
        assert response.status == 504
    assert daemon.stop() == 0


# ---- threads --------------------------------------------------------------------------------

DEDICATED = BLOCK + '; pool = "dedicated"; concurrency = 2; max_queue = 1'


def test_dedicated_threads(start: StartDaemon) -> None:
    daemon = start(
        conf(DEDICATED, BRIEF, 'path = "/n"; action = "pool"; pool = "dedicated:/block"; field = "active"')
    )
    name = "dedicated:/block"
    assert daemon.get("/n").text == "0"
    first = ask(daemon, "/block")
    daemon.until_pool(name, busy=1, active=1, threads=2)
    crowd = daemon.send_burst(2, "/block")
    daemon.until_pool(name, busy=2, queued=1)
    refusal = daemon.get("/block")
    check_problem(refusal, 503, "route_full", "/block")
    assert refusal.json()["pool"] == name
    assert daemon.get("/brief").status == 200
    first.close()
    daemon.until_pool(name, busy=2, queued=0)
    crowd.close()
    daemon.until_pool(name, busy=0, active=0)
    until(lambda: daemon.pool_threads("dedicated:") == 0)


def test_a_dedicated_route_over_reloads(start: StartDaemon) -> None:
    daemon = start(conf(DEDICATED))
    daemon.send_burst(2, "/block")
    daemon.until_pool("dedicated:/block", busy=2)
    daemon.reload(conf(DEDICATED.replace("concurrency = 2", "concurrency = 3")))
    daemon.send_burst(1, "/block")
    daemon.until_pool("dedicated:/block", busy=3, threads=3)
    daemon.reload(conf(BLOCK))
    daemon.send_burst(1, "/block")
    daemon.until_pool("default", busy=1)
    assert "dedicated:/block" not in daemon.status()["pools"]


def test_idle_threads_end(start: StartDaemon) -> None:
    daemon = start(
        conf(
            BRIEF,
            pools='default: { threads = 8; spawn = "on-demand"; idle_timeout = "50ms"; };',
        )
    )
    assert [r.status for r in daemon.burst(20, "/brief")] == [200] * 20
    daemon.until_pool(active=0)
    until(lambda: daemon.pool_threads("default") == 0)
    assert daemon.get("/brief").status == 200


def thread_niceness(daemon: Daemon, name: str) -> set[int]:
    """The nice values of the threads whose name begins so; a new one takes both as it begins."""
    found = set()
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        head, _, rest = (task / "stat").read_text().rpartition(")")
        if head.partition("(")[2].startswith(name):
            found.add(int(rest.split()[16]))
    return found


def test_niceness(start: StartDaemon) -> None:
    daemon = start(conf(pools="low: { threads = 2; nice = 7; };"))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    until(lambda: thread_niceness(daemon, "low/") == {min(own + 7, 19)})
    until(lambda: thread_niceness(daemon, "loop/") == {own})
    daemon.reload(conf(pools="low: { threads = 3; nice = 9; };"))
    until(lambda: thread_niceness(daemon, "low/") == {min(own + 7, 19), min(own + 9, 19)})


# ---- live changes under load ----------------------------------------------------------------


def test_everything_about_a_pool_changes_under_load(start: StartDaemon) -> None:
    def text(threads: int, discipline: str, spawn: str, pool: str, extra: str = "") -> str:
        return conf(
            f'path = "/work"; action = "sleep"; duration = "2ms"; pool = "{pool}"',
            'path = "/other"; action = "sleep"; duration = "1ms"',
            pools=f"""default: {{ threads = {threads}; discipline = "{discipline}";
                      spawn = "{spawn}"; stack_size = "{128 + threads}k"; }}; {extra}""",
        )

    other = "other: { threads = 3; };"
    steps = [
        text(4, "fifo", "eager", "default"),
        text(64, "fair", "eager", "default"),
        text(2, "fair", "on-demand", "default"),
        text(40, "fifo", "on-demand", "other", other),
        text(1, "fair", "eager", "other", other),
        text(8, "fifo", "eager", "default"),
    ]
    daemon = start(steps[0])
    load = daemon.load(50, "/work")
    load.wait_for_more(100)
    for text_now in steps[1:] + steps:
        daemon.reload(text_now)
        load.wait_for_more(200)
    crowd = load.stop()
    assert crowd.failures == []
    assert set(crowd.statuses) == {200}
    pool = daemon.until_pool(busy=0, queued=0)
    check_books(pool)
    assert pool["rejected"] == 0


def test_books_after_a_storm(start: StartDaemon) -> None:
    """Everything that can become of a task, and the sums agree with what the clients saw."""
    daemon = start(
        conf(
            BRIEF + "; concurrency = 2; max_queue = 2",
            'path = "/late"; action = "sleep"; duration = "1h"; timeout = "2ms"',
            'path = "/queue"; action = "sleep"; duration = "3ms"; queue_timeout = "2ms"',
            pools="default: { threads = 4; queue_depth = 8; };",
        )
    )
    crowds = [daemon.send_burst(100, path) for path in ("/brief", "/late", "/queue") * 2]
    gone = [ask(daemon, "/queue") for _ in range(30)]
    for connection in gone:
        connection.close()
    seen: dict[int, int] = {}
    for crowd in crowds:
        crowd.wait()
        assert crowd.failures == []
        for status, count in crowd.statuses.items():
            seen[status] = seen.get(status, 0) + count
    pool = daemon.until_pool(busy=0, queued=0)
    check_books(pool)
    ran, rejected = pool["ran_by_result"], pool["rejected_by_reason"]
    assert ran["timeout"] == seen.get(504, 0)
    answered_503 = rejected["queue_full"] + rejected["route_full"] + rejected["queue_timeout"]
    # Those who left may have been served, refused or noticed in time.
    left = ran["ok"] + answered_503 - seen.get(200, 0) - seen.get(503, 0)
    assert 0 <= left <= 30
    assert left + rejected["client_gone"] + ran["cancelled"] <= 30
    sums: dict[str, int] = {}
    for route in daemon.status()["routes"]:
        if "tasks" in route:
            check_books(route["tasks"])
            for key in ("submitted", "ran", "rejected"):
                sums[key] = sums.get(key, 0) + route["tasks"][key]
    assert sums == {key: pool[key] for key in sums}


def test_the_cliff_and_its_cure(start: StartDaemon) -> None:
    """Fifty clients on forty threads: ten wait, whatever the CPU has to do; the number is the cure."""

    def text(threads: int) -> str:
        return conf(BLOCK, pools=f"default: {{ threads = {threads}; }};")

    daemon = start(text(40))
    crowd = daemon.send_burst(50, "/block")
    assert daemon.until_pool(busy=40, queued=10)["available"] == 0
    daemon.reload(text(60))
    pool = daemon.until_pool(busy=50, queued=0)
    assert (pool["available"], pool["active"]) == (10, 60)
    assert crowd.done == 0 and crowd.failures == []
