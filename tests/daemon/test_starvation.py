"""What is told when a pool's threads do not suffice."""

from __future__ import annotations

import re

from conftest import StartDaemon
from harness import conf, until

BLOCK = 'path = "/block/{x}"; action = "sleep"; duration = "1h"'
SLEEP = 'path = "/sleep"; action = "sleep"; duration = "20ms"'
NOTICE = 'starvation_notice = "200ms"; drain_timeout = "100ms";'
POOL = "default: { threads = 2; };"


def test_a_starved_pool_is_told_of_until_it_is_over(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK, SLEEP, pools=POOL, server=NOTICE))
    since = daemon.mark()
    running = daemon.send_burst(2, "/block/1")
    daemon.until_pool(busy=2)
    waiting = daemon.send_burst(3, "/sleep")
    text = daemon.wait_for_log(r"warning: (pool default: starved for .*)", since)[1]
    assert "2 of 2 threads busy, 3 waiting" in text
    assert "busiest routes: /block/{x} (2 running, 0 waiting), /sleep (0 running, 3 waiting)" in text
    assert re.search(r"(?!0\.0)[\d.]+ requests/s came and none has ended", text)
    assert "with 5 none would wait now" in text
    until(lambda: daemon.last_status_text().startswith("pool default: starved for "), "told by STATUS")
    running.close()
    daemon.wait_for_log(r"pool default: no longer starved, after \d+\.\d s", since)
    until(lambda: daemon.last_status_text().startswith("serving"), "no more told by STATUS")
    waiting.wait()


def test_how_many_threads_keep_up(start: StartDaemon) -> None:
    daemon = start(conf(SLEEP, pools="default: { threads = 1; };", server=NOTICE))
    since = daemon.mark()
    with daemon.load(4, "/sleep"):
        text = daemon.wait_for_log(r"warning: (pool default: starved for .*)", since)[1]
    found = re.search(
        r"; ([\d.]+) requests/s came and ran (\d+) ms on average: by Little's law (\d+) threads "
        r"keep up with them; with 4 none would wait now",
        text,
    )
    assert found is not None, text
    rate, run, threads = float(found[1]), float(found[2]), int(found[3])
    assert run >= 20
    assert abs(threads - rate * run / 1000) <= 1 + rate * 0.001


def test_waiting_for_a_cap_is_not_starving(start: StartDaemon) -> None:
    capped = BLOCK + "; concurrency = 1"
    daemon = start(conf(capped, 'path = "/other"; action = "sleep"; duration = "1h"; pool = "p"',
                        pools=POOL + " p: { threads = 1; };", server=NOTICE))
    since = daemon.mark()
    daemon.send_burst(4, "/block/1")
    daemon.until_pool(busy=1, queued=3)
    daemon.send_burst(2, "/other")
    # The pool `p` is noticed after the other one could have been.
    assert daemon.wait_for_log(r"pool (\w+): starved", since)[1] == "p"


def test_it_can_be_turned_off_and_on(start: StartDaemon) -> None:
    off = conf(BLOCK, pools=POOL, server='starvation_notice = 0; drain_timeout = "100ms";')
    daemon = start(off)
    since = daemon.mark()
    daemon.send_burst(3, "/block/1")
    daemon.until_pool(busy=2, queued=1)
    daemon.reload(conf(BLOCK, pools=POOL, server=NOTICE))
    daemon.wait_for_log(r"pool default: starved for 0\.[2-9]|pool default: starved for [1-9]", since)
