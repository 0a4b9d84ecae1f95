"""The document of the action `status`."""

from __future__ import annotations

import json
import signal
from typing import Any

from conftest import StartDaemon
from harness import Daemon, conf, until

HELLO = 'path = "/hello"; action = "respond"; body = "hi"'
SLEEP = 'path = "/sleep"; action = "sleep"; duration = "30ms"'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
PERCENTILES = ["p50", "p90", "p99", "p99.9"]


def route(daemon: Daemon, path: str) -> dict[str, Any]:
    return next(entry for entry in daemon.status()["routes"] if entry["path"] == path)


def check_latency(latency: dict[str, Any], count: int, least_ms: float) -> None:
    for span in ("last_minute", "since_start"):
        part = latency[span]
        assert part["count"] == count
        values = [part[name] for name in PERCENTILES]
        assert values == sorted(values)
        assert all(value >= least_ms for value in values)


def test_what_stands_in_it(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, SLEEP, server='loops = 2; drain_timeout = "100ms";'))
    until(lambda: len(daemon.status()["loops"]) == 2, "both loops measured")
    status = daemon.status()
    assert {"version", "started_at", "uptime_seconds", "draining", "requests"} <= status.keys()
    assert status["config"]["generation"] == 1
    assert status["reloads"] == {"succeeded": 0, "failed": 0}
    assert [entry["loop"] for entry in status["loops"]] == [0, 1]
    assert all(entry["lag_ms"]["since_start"]["count"] > 0 for entry in status["loops"])
    assert status["listeners"][0]["connections"]["answering"] == 1
    assert status["connections"]["answering"] == 1
    assert status["access_log"] == {"written": 0, "dropped": 0}
    daemon.reload("nonsense")
    assert daemon.status()["reloads"]["last"]["ok"] is False


def test_waiting_and_running_of_a_pool(start: StartDaemon) -> None:
    daemon = start(conf(SLEEP, pools="default: { threads = 1; };"))
    daemon.burst(4, "/sleep")
    pool = daemon.pool()
    check_latency(pool["run_ms"], 4, 30 * 63 / 64)
    check_latency(pool["wait_ms"], 4, 0)
    assert pool["wait_ms"]["since_start"]["p99"] >= 30  # behind another one
    assert pool["drain_rate"] > 0
    assert pool["cpu_seconds"] >= 0
    tasks = route(daemon, "/sleep")
    check_latency(tasks["run_ms"], 4, 30 * 63 / 64)
    check_latency(tasks["total_ms"], 4, 30 * 63 / 64)
    assert tasks["wait_ms"]["since_start"]["count"] == 4


def test_routes_count_by_class(start: StartDaemon) -> None:
    daemon = start(
        conf(
            HELLO,
            BLOCK,
            'path = "/moved"; action = "redirect"; location = "/"',
            'path = "/gone"; action = "respond"; status = 410',
            'path = "/broken"; action = "respond"; status = 500',
            pools="default: { threads = 1; queue_depth = 1; };",
        )
    )
    for path in ("/hello", "/hello", "/moved", "/gone", "/broken", "/none"):
        daemon.get(path)
    zero = {"1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0}
    assert route(daemon, "/hello")["requests"] == zero | {"2xx": 2}
    assert route(daemon, "/moved")["requests"] == zero | {"3xx": 1}
    assert route(daemon, "/gone")["requests"] == zero | {"4xx": 1}
    assert route(daemon, "/broken")["requests"] == zero | {"5xx": 1}
    assert daemon.status()["unmatched"]["requests"] == zero | {"4xx": 1}
    daemon.send_burst(1, "/block")
    daemon.until_pool(busy=1)
    daemon.send_burst(1, "/block")
    daemon.until_pool(queued=1)
    assert daemon.get("/block").status == 503
    blocked = route(daemon, "/block")
    assert (blocked["in_flight"], blocked["running"], blocked["queued"]) == (2, 1, 1)
    assert blocked["requests"] == zero | {"5xx": 1}
    assert blocked["tasks"]["rejected_by_reason"]["queue_full"] == 1


def test_the_signal_writes_the_same(start: StartDaemon) -> None:
    daemon = start(conf(HELLO))
    since = daemon.mark()
    daemon.send_signal(signal.SIGUSR1)
    line = daemon.wait_for_log(r'\{"version".*\}', since)
    assert json.loads(line[0]).keys() == daemon.status().keys()
