"""After a storm the daemon's sums are those of its clients, to the last request.

HANDOFFD_STORM sets the number of requests, 3000 if it is not set.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from pathlib import Path

from conftest import StartDaemon
from harness import Daemon, conf, until
from promtext import Scrape
from rawhttp import Connection, request_bytes

REQUESTS = int(os.environ.get("HANDOFFD_STORM", "3000"))
CLIENTS = 6
SEED = 20261124
DURATION = "http_server_request_duration_seconds_count"

# What is sent, how often, and the route that it belongs to.
MIX: list[tuple[int, str, bytes]] = [
    (30, "/hello", request_bytes("GET", "/hello")),
    (10, "/hello", request_bytes("HEAD", "/hello")),
    (20, "/nap/{x}", request_bytes("GET", "/nap/1")),
    (15, "/crowded", request_bytes("GET", "/crowded")),
    (5, "/late", request_bytes("GET", "/late")),
    (8, "", request_bytes("GET", "/none")),
    (4, "", request_bytes("DELETE", "/hello")),
    (3, "", b"GET /hello HTTP/1.1\r\n\r\n"),
    (5, "hang up", request_bytes("GET", "/block")),
]

ROUTES = [
    'path = "/metrics"; action = "metrics"; listener = "admin"',
    'path = "/hello"; action = "respond"; body = "Hello World!"; listener = "main"',
    'path = "/nap/{x}"; action = "sleep"; duration = "1ms"; listener = "main"',
    'path = "/crowded"; action = "sleep"; duration = "2ms"; pool = "small"; listener = "main"',
    'path = "/late"; action = "sleep"; duration = "1h"; timeout = "20ms"; pool = "late"; listener = "main"',
    'path = "/block"; action = "sleep"; duration = "1h"; pool = "block"; listener = "main"',
]
LISTENERS = 'main: { address = "127.0.0.1:0"; }; admin: { address = "127.0.0.1:0"; };'


def config(log: Path, threads: int) -> str:
    return conf(
        *ROUTES,
        listeners=LISTENERS,
        pools=f"default: {{ threads = {threads}; }}; small: {{ threads = 1; queue_depth = 1; }};"
        "late: { threads = 4; queue_depth = 1000; }; block: { threads = 4; queue_depth = 8; };",
        server=f'loops = 2; drain_timeout = "100ms"; access_log_format = "json"; access_log = "{log}";',
    )


class Storm:
    """Clients that send the mix until as many requests are out, and count what comes back."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.answers: Counter[tuple[str, int]] = Counter()
        self.hang_ups = 0
        self.failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, number: int) -> None:
        try:
            self._send_all(random.Random(SEED + number))
        except BaseException as failure:  # told by the test's own thread
            self.failures.append(failure)

    def _send_all(self, chance: random.Random) -> None:
        weights = [weight for weight, _, _ in MIX]
        connection: Connection | None = None
        for _ in range(REQUESTS // CLIENTS):
            _, route, request = chance.choices(MIX, weights)[0]
            if route == "hang up":
                hanging = Connection(self.daemon.address())
                hanging.send(request)
                hanging.close()
                with self._lock:
                    self.hang_ups += 1
                continue
            connection = connection or Connection(self.daemon.address())
            connection.send_requests([request])
            answer = connection.read_response()
            with self._lock:
                self.answers[route, answer.status] += 1
            if answer.closes:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        assert self.failures == []


def counted(now: Scrape) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for labels, value in now.all(DURATION):
        if labels["http_route"] not in ("/metrics", "/-/status"):
            found[labels["http_route"], int(labels["http_response_status_code"])] += int(value)
    return found


def logged(text: str) -> Counter[tuple[str, int]]:
    entries = [json.loads(line) for line in text.splitlines()]
    return Counter(
        (entry.get("route", ""), entry["status"])
        for entry in entries
        if entry.get("route") not in ("/metrics", "/-/status")
    )


def test_the_sums_are_those_of_the_clients(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    daemon = start(config(log, 4))
    storm = Storm(daemon)
    storm.start()
    reloads = 0
    before = scrape_admin(daemon).counters()
    while storm.running():
        daemon.reload(config(log, 3 + reloads % 4))
        reloads += 1
        now = scrape_admin(daemon).counters()
        assert all(now[key] >= value for key, value in before.items())
        before = now
    storm.join()
    until(
        lambda: sum(
            value
            for labels, value in scrape_admin(daemon).all("http_server_active_requests")
            if labels["http_route"] not in ("/metrics", "/-/status")
        )
        == 0,
        "nothing in flight",
    )
    until(lambda: tasks_in(scrape_admin(daemon)) == 0, "no thread is busy")
    end = scrape_admin(daemon)
    expected = storm.answers
    found = counted(end)
    gone = Counter({key: n for key, n in found.items() if key[0] == "/block"})
    assert found - gone == expected
    # Whoever hung up was refused, or left while it waited or ran.
    assert {status for _, status in gone} <= {499, 503}
    assert sum(gone.values()) == storm.hang_ups
    assert sum(expected.values()) + storm.hang_ups == REQUESTS // CLIENTS * CLIENTS
    assert end.get("handoffd_config_reloads_total", result="success") == reloads

    check_pools(end, expected, storm.hang_ups)
    assert daemon.stop() == 0
    assert logged(log.read_text()) == found


def scrape_admin(daemon: Daemon) -> Scrape:
    answer = daemon.get("/metrics", listener="admin")
    assert answer.status == 200
    return Scrape(answer.body.decode())


def tasks_in(now: Scrape) -> float:
    return now.sum("handoffd_pool_threads_busy") + now.sum("handoffd_pool_queue_length")


def check_pools(now: Scrape, answers: Counter[tuple[str, int]], hang_ups: int) -> None:
    def ran(pool: str, result: str) -> float:
        return now.get("handoffd_pool_tasks_total", pool=pool, result=result)

    def refused(pool: str, reason: str) -> float:
        return now.get("handoffd_pool_rejected_total", pool=pool, reason=reason)

    assert ran("default", "ok") == answers["/nap/{x}", 200]
    assert ran("small", "ok") == answers["/crowded", 200]
    assert refused("small", "queue_full") == answers["/crowded", 503]
    assert ran("late", "timeout") == answers["/late", 504]
    assert now.get("handoffd_pool_tasks_submitted_total", pool="block") == hang_ups
    assert (
        ran("block", "cancelled") + refused("block", "client_gone") + refused("block", "queue_full")
        == hang_ups
    )
    for pool in ("default", "small", "late", "block"):
        submitted = now.get("handoffd_pool_tasks_submitted_total", pool=pool)
        ended = now.sum("handoffd_pool_tasks_total", pool=pool)
        assert submitted == ended + now.sum("handoffd_pool_rejected_total", pool=pool)
        assert now.get("handoffd_pool_task_duration_seconds_count", pool=pool) == ended
        assert now.get("handoffd_pool_queue_wait_seconds_count", pool=pool) == ended
