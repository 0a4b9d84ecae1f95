"""How late event loops come, and who made them late."""

from __future__ import annotations

import time
from typing import Callable

from conftest import StartDaemon
from harness import Daemon, conf, until
from promtext import scrape

METRICS = 'path = "/metrics"; action = "metrics"'
LAG = "handoffd_loop_lag_seconds"
BODY = 16 << 20  # as JSON it takes the loop well over 100 ms


def reached(moment: float) -> Callable[[], bool]:
    return lambda: time.monotonic() >= moment


def until_measured(daemon: Daemon, more_than: float = 0) -> None:
    until(lambda: scrape(daemon).sum(LAG + "_count") > more_than, "another look at the timer")


def test_every_loop_is_measured(start: StartDaemon) -> None:
    server = 'loops = 3; drain_timeout = "100ms";'
    daemon = start(conf(METRICS, server=server))
    until(lambda: len(list(scrape(daemon).all(LAG + "_count"))) == 3, "three loops measured")
    assert {labels["loop"] for labels, _ in scrape(daemon).all(LAG + "_sum")} == {"0", "1", "2"}


def test_a_loop_that_comes_late_shows_it(start: StartDaemon) -> None:
    daemon = start(conf(METRICS))
    until_measured(daemon)
    since = daemon.mark()
    with daemon.frozen():
        until(reached(time.monotonic() + 0.5), "half a second has gone by")
    daemon.wait_for_log(r"loop 0 came \d+ ms late", since)
    now = scrape(daemon)
    assert now.sum(LAG + "_sum") >= 0.35
    assert now.get(LAG + "_bucket", le="+Inf") > now.get(LAG + "_bucket", le="0.25")


def test_a_route_that_blocks_its_loop_is_named(start: StartDaemon) -> None:
    server = f'max_body_size = {BODY}; drain_timeout = "100ms";'
    route = 'path = "/heavy/{x}"; methods = [ "POST" ]; action = "echo"'
    daemon = start(conf(METRICS, route, server=server))
    since = daemon.mark()
    answer = daemon.request("POST", "/heavy/1", {"X-Request-Id": "the-heavy-one"}, b"\xff" * BODY)
    assert answer.status == 200
    daemon.wait_for_log(
        r"loop 0 was blocked for \d+ ms by the action echo of the route /heavy/\{x\}, "
        r"request the-heavy-one",
        since,
    )
