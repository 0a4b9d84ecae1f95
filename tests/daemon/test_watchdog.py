"""Signs of life for a service manager that watches (WATCHDOG_USEC, sd_watchdog_enabled(3))."""

from __future__ import annotations

import signal

import pytest

from conftest import StartDaemon
from harness import Daemon, conf
from stuck import stuck_thread

BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
TWO_LOOPS = 'loops = 2; drain_timeout = "100ms";'
WATCHED = {"WATCHDOG_USEC": "200000"}

def signs_of_life(daemon: Daemon, since: int = 0) -> int:
    return sum(m.says("WATCHDOG", "1") for m in daemon.notifications(since))


def wait_for_signs(daemon: Daemon, count: int) -> None:
    since = daemon.mark()
    for _ in range(count):
        since = daemon.wait_for_notification("WATCHDOG", "1", since)


def test_signs_of_life_keep_coming(start: StartDaemon) -> None:
    wait_for_signs(start(conf(server=TWO_LOOPS), env=WATCHED), 5)


def test_a_busy_pool_is_no_reason_to_fall_silent(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK, pools="default: { threads = 1; };"), env=WATCHED)
    daemon.send_burst(3, "/block")
    daemon.until_pool(busy=1, queued=2)
    wait_for_signs(daemon, 5)


@pytest.mark.parametrize("loop", ["loop/0", "loop/1"])
def test_a_stuck_loop_ends_them_until_it_turns_again(start: StartDaemon, loop: str) -> None:
    daemon = start(conf(server=TWO_LOOPS), env=WATCHED)
    wait_for_signs(daemon, 1)
    with stuck_thread(daemon.pid, loop):
        # The question that the loop does not answer comes after the last sign of life.
        number = loop.rpartition("/")[2]
        daemon.wait_for_log(rf"event loop {number} has not turned for \d+\.\d s")
        since = daemon.mark()
        daemon.send_signal(signal.SIGUSR1)  # the main thread still lives
        daemon.wait_for_log(r'"version"', since)
        assert signs_of_life(daemon, since) == 0
    wait_for_signs(daemon, 2)


def test_they_go_on_while_it_drains(start: StartDaemon) -> None:
    daemon = start(conf(BLOCK, server='drain_timeout = "1h";'), env=WATCHED)
    daemon.send_burst(1, "/block")
    daemon.until_pool(busy=1)
    daemon.send_signal(signal.SIGTERM)
    daemon.wait_for_notification("STOPPING", "1")
    wait_for_signs(daemon, 3)
    daemon.stop()


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": "50000", "WATCHDOG_PID": "1"}])
def test_nobody_who_does_not_watch_is_told(start: StartDaemon, env: dict[str, str]) -> None:
    daemon = start(conf(), env=env)
    daemon.reload()
    daemon.stop()
    assert signs_of_life(daemon) == 0
