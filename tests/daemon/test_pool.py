"""Pools under load: the loop stays free, queues are bounded and first in, first out."""

from __future__ import annotations

import os
import shutil

import pytest

from conftest import StartDaemon
from harness import BINARY, EXIT_OSERR, Daemon, conf, until
from rawhttp import Response, request_bytes

FOR_EVER = 'path = "/block"; action = "sleep"; duration = "1h"'


def fill(
    daemon: Daemon, busy: int, queued: int, path: str = "/block", pool: str = "default"
) -> None:
    """Blocks threads and queue places, and sees that they are taken."""
    daemon.send_burst(busy + queued, path)
    daemon.until_pool(pool, busy=busy, queued=queued)


def assert_queue_full(response: Response, pool: str, route: str) -> None:
    assert response.status == 503
    assert response.header("Content-Type") == "application/problem+json"
    problem = response.json()
    assert problem["status"] == 503
    assert (problem["reason"], problem["pool"], problem["route"]) == ("queue_full", pool, route)
    retry_after = response.header("Retry-After")
    assert retry_after is not None and retry_after.isdigit()
    assert 1 <= int(retry_after) <= 30


def test_the_loop_answers_while_all_threads_sleep(start: StartDaemon) -> None:
    daemon = start(
        conf(
            FOR_EVER,
            'path = "/hello"; action = "respond"; body = "hi"',
            pools="default: { threads = 4; queue_depth = 10; };",
        )
    )
    fill(daemon, busy=4, queued=10)
    crowd = daemon.crowd([[request_bytes("GET", "/hello")] * 20] * 50).wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 1000}
    pool = daemon.pool()
    assert (pool["busy"], pool["queued"], pool["ran"]) == (4, 10, 0)


def test_exact_counts_under_a_full_queue(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = "1s"',
            pools="default: { threads = 2; queue_depth = 3; };",
        )
    )
    with daemon.frozen():  # so that all ten are there when it wakes
        crowd = daemon.send_burst(10, "/s")
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 5, 503: 5}
    for _, response in crowd.responses:
        if response.status == 503:
            assert_queue_full(response, "default", "/s")
    pool = daemon.until_pool(busy=0)
    assert (pool["submitted"], pool["ran"], pool["rejected"]) == (10, 5, 5)


def test_what_is_refused_is_refused_at_once(start: StartDaemon) -> None:
    daemon = start(conf(FOR_EVER, pools="default: { threads = 2; queue_depth = 3; };"))
    fill(daemon, busy=2, queued=3)
    for response in daemon.burst(20, "/block"):
        assert_queue_full(response, "default", "/block")
    pool = daemon.pool()
    assert (pool["busy"], pool["queued"], pool["rejected"]) == (2, 3, 20)


def test_depth_zero_runs_at_once_or_refuses(start: StartDaemon) -> None:
    daemon = start(conf(FOR_EVER, pools="default: { threads = 3; queue_depth = 0; };"))
    for running in (1, 2, 3):
        fill_one = daemon.send_burst(1, "/block")
        daemon.until_pool(busy=running, queued=0)
        assert fill_one.done == 0
    for response in daemon.burst(5, "/block"):
        assert_queue_full(response, "default", "/block")


def test_depth_zero_at_once(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = "1s"',
            pools="default: { threads = 4; queue_depth = 0; };",
        )
    )
    daemon.until_pool(idle=4)
    with daemon.frozen():
        crowd = daemon.send_burst(9, "/s")
    crowd.wait()
    assert crowd.statuses == {200: 4, 503: 5}


def test_a_full_pool_refuses_for_itself_alone(start: StartDaemon) -> None:
    daemon = start(
        conf(
            FOR_EVER + '; pool = "full"',
            'path = "/s"; action = "sleep"; duration = "1ms"',
            'path = "/other"; action = "sleep"; duration = "1ms"; pool = "other"',
            pools="full: { threads = 1; queue_depth = 0; }; other: { threads = 1; };",
        )
    )
    fill(daemon, busy=1, queued=0, pool="full")
    assert_queue_full(daemon.get("/block"), "full", "/block")
    assert daemon.get("/s").status == 200
    assert daemon.get("/other").status == 200


def test_the_problem_names_the_pattern_and_not_the_path(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/job/{id}"; action = "sleep"; duration = "1h"',
            pools="default: { threads = 1; queue_depth = 0; };",
        )
    )
    fill(daemon, busy=1, queued=0, path="/job/1")
    assert_queue_full(daemon.get("/job/2"), "default", "/job/{id}")


def test_retry_after_grows_with_the_queue_up_to_half_a_minute(start: StartDaemon) -> None:
    """A task of 100 ms at least, one thread: 60 that wait need six seconds at least."""
    brief = 'path = "/s"; action = "sleep"; duration = "100ms"'

    def config(queue_depth: int) -> str:
        pools = f"default: {{ threads = 1; queue_depth = {queue_depth}; }};"
        return conf(brief, FOR_EVER, pools=pools)

    def hint() -> int:
        response = daemon.get("/block")
        assert_queue_full(response, "default", "/block")
        return int(response.header("Retry-After") or "")

    daemon = start(config(60))
    assert daemon.get("/s").status == 200
    fill(daemon, busy=1, queued=60)
    assert hint() > 1
    daemon.reload(config(600))
    daemon.send_burst(540, "/s")
    daemon.until_pool(queued=600)
    assert hint() > 6


def test_first_in_first_out(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = "40ms"',
            pools="default: { threads = 1; queue_depth = 100; };",
        )
    )
    count = 20
    crowd = daemon.crowd([])
    for i in range(count):
        crowd.add([request_bytes("GET", "/s")])
        # The next one is sent when this one has its place.
        daemon.until_pool(submitted=i + 1)
    crowd.wait()
    assert crowd.statuses == {200: count}
    rounds = [crowd.response_of(i).round for i in range(count)]
    assert rounds == sorted(rounds)
    assert len(set(rounds)) > 1


def test_many_tasks_through_few_threads(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/s"; action = "sleep"; duration = 0',
            pools="default: { threads = 3; queue_depth = 1000; };",
        )
    )
    crowd = daemon.crowd([[request_bytes("GET", "/s")] * 100] * 50).wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 5000}
    pool = daemon.until_pool(busy=0)
    assert (pool["submitted"], pool["ran"], pool["rejected"]) == (5000, 5000, 0)


def test_a_large_pool_runs_all_its_threads(start: StartDaemon) -> None:
    daemon = start(conf(FOR_EVER, pools="default: { threads = 300; queue_depth = 5; };"))
    fill(daemon, busy=300, queued=5)
    pool = daemon.pool()
    assert (pool["active"], pool["idle"], pool["available"]) == (300, 0, 0)


def test_every_pool_thread_has_a_name(start: StartDaemon) -> None:
    daemon = start(conf(pools="default: { threads = 3; }; extra: { threads = 2; };"))
    until(lambda: daemon.status() and daemon.pool_threads("default") == 3)
    until(lambda: daemon.status() and daemon.pool_threads("extra") == 2)


def test_auto_threads_follow_the_affinity_mask(start: StartDaemon) -> None:
    daemon = start(conf(pools='default: { threads = "auto"; };'))
    cpus = len(os.sched_getaffinity(0))
    assert daemon.pool()["threads"] == min(32, cpus + 4)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset(1)")
def test_auto_threads_on_one_processor(start: StartDaemon) -> None:
    cpu = min(os.sched_getaffinity(0))
    config = conf(pools='default: { threads = "auto"; };')
    daemon = start(config, wrapper=["taskset", "-c", str(cpu)])
    assert daemon.pool()["threads"] == 5


def test_the_default_pool_exists_unwritten(start: StartDaemon) -> None:
    route = 'path = "/s"; action = "sleep"; duration = 0'
    daemon = start(conf(route, pools="x: { threads = 1; };"))
    assert daemon.get("/s").status == 200
    pool = daemon.pool()
    assert (pool["threads"], pool["active"], pool["queue_depth"]) == (40, 40, 400)


# --- threads made on demand ---------------------------------------------------------------------


ON_DEMAND = 'default: { threads = 4; queue_depth = 10; spawn = "on-demand"; };'


def test_on_demand_begins_without_threads(start: StartDaemon) -> None:
    pool = start(conf(pools=ON_DEMAND)).pool()
    assert (pool["threads"], pool["active"], pool["busy"], pool["available"]) == (4, 0, 0, 4)


def test_on_demand_makes_a_thread_only_when_none_is_idle(start: StartDaemon) -> None:
    quick = 'path = "/s"; action = "sleep"; duration = "1ms"'
    daemon = start(conf(quick, FOR_EVER, pools=ON_DEMAND))
    for _ in range(5):
        assert daemon.get("/s").status == 200
        assert daemon.until_pool(busy=0, idle=1)["active"] == 1
    daemon.send_burst(1, "/block")
    daemon.until_pool(busy=1, active=1)
    assert daemon.get("/s").status == 200
    daemon.until_pool(busy=1, idle=1, active=2)


def test_on_demand_makes_no_more_than_threads(start: StartDaemon) -> None:
    daemon = start(conf(FOR_EVER, pools=ON_DEMAND))
    for busy in (1, 2, 3, 4):
        daemon.send_burst(1, "/block")
        daemon.until_pool(busy=busy, active=busy, queued=0)
    fill_queue = daemon.send_burst(10, "/block")
    daemon.until_pool(busy=4, active=4, queued=10)
    assert fill_queue.done == 0
    assert_queue_full(daemon.get("/block"), "default", "/block")
    assert daemon.pool_threads("default") == 4


def test_on_demand_with_depth_zero(start: StartDaemon) -> None:
    pools = 'default: { threads = 2; queue_depth = 0; spawn = "on-demand"; };'
    daemon = start(conf(FOR_EVER, pools=pools))
    fill(daemon, busy=2, queued=0)
    assert_queue_full(daemon.get("/block"), "default", "/block")


# --- threads that cannot be made ----------------------------------------------------------------


def is_sanitized() -> bool:
    marks = (b"__asan_init", b"__tsan_init")
    return BINARY.is_file() and any(mark in BINARY.read_bytes() for mark in marks)


needs_address_space_limit = pytest.mark.skipif(
    shutil.which("prlimit") is None or is_sanitized(),
    reason="needs prlimit(1), and a build that gets along with little address space",
)
TWO_GIB = ["prlimit", f"--as={2 << 30}"]


@needs_address_space_limit
def test_threads_that_cannot_be_made_at_start_end_it(start_unready: StartDaemon) -> None:
    config = conf(pools='hungry: { threads = 60; stack_size = "64m"; };')
    daemon = start_unready(config, wrapper=TWO_GIB)
    daemon.wait_exit(EXIT_OSERR)
    assert "hungry" in daemon.log
    assert not any(message.says("READY", "1") for message in daemon.notifications())


@needs_address_space_limit
def test_a_task_whose_thread_cannot_be_made_waits_for_another(start: StartDaemon) -> None:
    route = 'path = "/s"; action = "sleep"; duration = "50ms"; pool = "hungry"'
    pool = 'hungry: { threads = 60; queue_depth = 100; stack_size = "64m"; spawn = "on-demand"; };'
    daemon = start(conf(route, pools=pool), wrapper=TWO_GIB)
    with daemon.frozen():
        crowd = daemon.send_burst(80, "/s")
    crowd.wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 80}
    daemon.wait_for_log("hungry")
    assert 0 < daemon.pool("hungry")["active"] < 60
