"""The action `metrics`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import ROOT, Daemon, conf, until
from promtext import scrape
from rawhttp import request_bytes

METRICS = 'path = "/metrics"; action = "metrics"'
HELLO = 'path = "/hello"; action = "respond"; body = "hi"'
SLEEP = 'path = "/sleep"; action = "sleep"; duration = 0'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
DURATION = "http_server_request_duration_seconds"
HTTP_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

NAMES = {
    "handoffd_build_info": ("gauge", {"version", "libevent"}),
    "handoffd_config_last_reload_successful": ("gauge", set()),
    "handoffd_config_last_reload_success_timestamp_seconds": ("gauge", set()),
    "handoffd_config_reloads_total": ("counter", {"result"}),
    "handoffd_pool_threads": ("gauge", {"pool"}),
    "handoffd_pool_threads_busy": ("gauge", {"pool"}),
    "handoffd_pool_threads_idle": ("gauge", {"pool"}),
    "handoffd_pool_queue_length": ("gauge", {"pool"}),
    "handoffd_pool_queue_capacity": ("gauge", {"pool"}),
    "handoffd_pool_oldest_wait_seconds": ("gauge", {"pool"}),
    "handoffd_pool_tasks_total": ("counter", {"pool", "result"}),
    "handoffd_pool_rejected_total": ("counter", {"pool", "reason"}),
    "handoffd_pool_task_cpu_seconds_total": ("counter", {"pool"}),
    "handoffd_pool_queue_wait_seconds": ("histogram", {"pool"}),
    "handoffd_pool_task_duration_seconds": ("histogram", {"pool"}),
    DURATION: (
        "histogram",
        {"http_request_method", "http_route", "http_response_status_code"},
    ),
    "http_server_active_requests": ("gauge", {"http_route"}),
    "handoffd_connections": ("gauge", {"listener", "state"}),
    "handoffd_loop_lag_seconds": ("histogram", {"loop"}),
    "process_cpu_seconds_total": ("counter", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (packaging/install-deps installs it)")
    return path


def state_sum(daemon: Daemon, pool: str) -> tuple[float, float]:
    now = scrape(daemon)
    return now.get("handoffd_pool_tasks_submitted_total", pool=pool), (
        now.sum("handoffd_pool_tasks_total", pool=pool)
        + now.sum("handoffd_pool_rejected_total", pool=pool)
        + now.get("handoffd_pool_queue_length", pool=pool)
        + now.get("handoffd_pool_threads_busy", pool=pool)
    )


def test_names_kinds_and_labels(start: StartDaemon) -> None:
    daemon = start(conf(METRICS, SLEEP))
    daemon.get("/sleep")
    until(lambda: scrape(daemon).sum("handoffd_loop_lag_seconds_count") > 0)
    families = scrape(daemon).families
    for name, (kind, labels) in NAMES.items():
        assert families[name].kind == kind, name
        assert families[name].samples, name
        for _, has in families[name].samples:
            assert labels <= {label for label, _ in has}, name


def test_the_manual_describes_every_metric(start: StartDaemon) -> None:
    page = (ROOT / "man" / "handoffd-metrics.7").read_text().replace("\\-", "-")
    described = set(re.findall(r"^(?:\.It )?(?:\.)?Li ((?:handoffd|http|process)_\w+)", page, re.M))
    daemon = start(conf(METRICS))
    assert described == set(scrape(daemon).families)


def test_promtool_has_no_complaint(start: StartDaemon) -> None:
    promtool = tool("promtool")
    daemon = start(conf(METRICS, SLEEP, HELLO))
    for path in ("/sleep", "/hello", "/none", "/metrics"):
        daemon.get(path)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=daemon.get("/metrics").body, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wrong = subprocess.run([promtool, "check", "metrics"], input=b"a{b} 1\n", capture_output=True)
    assert wrong.returncode != 0


def test_requests_are_counted_by_method_route_and_status(start: StartDaemon) -> None:
    daemon = start(conf(METRICS, HELLO, 'path = "/jobs/{id}"; action = "respond"; status = 201'))
    for number in range(3):
        daemon.get(f"/jobs/{number}")
    daemon.request("HEAD", "/hello")
    daemon.get("/none")
    daemon.request("BREW", "/hello")
    with daemon.connect() as connection:
        connection.send(b"no request\r\n\r\n")
        assert connection.read_response().status == 400
    now = scrape(daemon)

    def count(method: str, route: str, status: int) -> float:
        return now.get(
            DURATION + "_count",
            http_request_method=method,
            http_route=route,
            http_response_status_code=str(status),
        )

    assert count("GET", "/jobs/{id}", 201) == 3
    assert count("HEAD", "/hello", 200) == 1
    assert count("GET", "", 404) == 1
    assert count("_OTHER", "", 400) == 1
    assert now.sum(DURATION + "_count") == 7 - (now.sum(DURATION + "_count", http_route="/-/status"))
    for labels, _ in now.all(DURATION + "_count"):
        assert labels["http_route"] in ("", "/jobs/{id}", "/hello", "/metrics")


def test_buckets_are_those_of_opentelemetry(start: StartDaemon) -> None:
    daemon = start(conf(METRICS, HELLO, 'path = "/slow"; action = "delay"; duration = "80ms"'))
    daemon.get("/hello")
    daemon.get("/slow")
    now = scrape(daemon)
    for route in ("/hello", "/slow"):
        buckets = sorted(
            (float(labels["le"]), value)
            for labels, value in now.all(DURATION + "_bucket", http_route=route)
        )
        assert [bound for bound, _ in buckets] == HTTP_BOUNDS + [float("inf")]
        values = [value for _, value in buckets]
        assert values == sorted(values)
        assert values[-1] == now.get(DURATION + "_count", http_route=route) == 1
    slow = {labels["le"]: v for labels, v in now.all(DURATION + "_bucket", http_route="/slow")}
    assert slow["0.075"] == 0
    assert now.get(DURATION + "_sum", http_route="/slow") >= 0.08


def test_label_values_are_escaped(start: StartDaemon) -> None:
    daemon = start(conf(METRICS, r'path = "/a\"b\\c{d}/{x}"; action = "live"').replace("{d}", "d"))
    assert daemon.get("/a%22b%5Ccd/1").status == 200
    assert scrape(daemon).get(DURATION + "_count", http_route='/a"b\\cd/{x}') == 1


def test_the_states_of_tasks_add_up(start: StartDaemon) -> None:
    daemon = start(
        conf(METRICS, BLOCK, SLEEP, pools="default: { threads = 2; queue_depth = 3; };")
    )
    for _ in range(4):
        assert daemon.get("/sleep").status == 200
    running = daemon.send_burst(2, "/block")
    daemon.until_pool(busy=2)
    waiting = daemon.send_burst(6, "/block")
    daemon.until_pool(busy=2, queued=3)
    waiting.wait(3)
    now = scrape(daemon)
    assert now.get("handoffd_pool_tasks_total", pool="default", result="ok") == 4
    assert now.get("handoffd_pool_rejected_total", pool="default", reason="queue_full") == 3
    assert now.get("handoffd_pool_queue_length", pool="default") == 3
    assert now.get("handoffd_pool_threads_busy", pool="default") == 2
    assert now.get("handoffd_pool_queue_capacity", pool="default") == 3
    assert now.get("handoffd_pool_oldest_wait_seconds", pool="default") > 0
    assert now.get("http_server_active_requests", http_route="/block") == 5
    assert now.get("handoffd_pool_queue_wait_seconds_count", pool="default") == 4
    assert state_sum(daemon, "default") == (12, 12)
    waiting.close()
    daemon.until_pool(busy=2, queued=0)
    running.close()
    until(
        lambda: scrape(daemon).get("http_server_active_requests", http_route="/block") == 0,
        "every task has come back",
    )
    now = scrape(daemon)
    assert now.get("handoffd_pool_rejected_total", pool="default", reason="client_gone") == 3
    assert now.get("handoffd_pool_tasks_total", pool="default", result="cancelled") == 2
    assert state_sum(daemon, "default") == (12, 12)
    gone = {"http_route": "/block", "http_response_status_code": "499"}
    assert now.get(DURATION + "_count", **gone) == 5


def test_connections_by_what_they_do(start: StartDaemon) -> None:
    daemon = start(conf(METRICS, BLOCK, HELLO, pools="default: { threads = 1; };"))

    def states() -> dict[str, float]:
        return {labels["state"]: v for labels, v in scrape(daemon).all("handoffd_connections")}

    idle = daemon.connect()
    idle.get("/hello")
    half = daemon.connect()
    half.send(b"GET /hello HT")
    blocked = daemon.send_burst(1, "/block")
    daemon.until_pool(busy=1)
    until(lambda: states()["reading"] == 1)
    # The scrape's own connection is one that answers, the control connection is idle.
    assert states() == {"idle": 2, "reading": 1, "answering": 2, "writing": 0, "closing": 0}
    idle.close()
    half.close()
    blocked.close()
    expected = {"idle": 1, "reading": 0, "answering": 1, "writing": 0, "closing": 0}
    until(lambda: states() == expected, str(expected))


def test_no_counter_goes_back_over_a_reload(start: StartDaemon) -> None:
    text = conf(METRICS, HELLO, SLEEP)
    daemon = start(text)
    for _ in range(3):
        daemon.get("/hello")
        daemon.get("/sleep")
    before = scrape(daemon).counters()
    for config in (conf(METRICS), conf(METRICS, 'path = "/metrics/x"; action = "live"'), text):
        daemon.reload(config)
        now = scrape(daemon).counters()
        for key, value in before.items():
            assert now[key] >= value, key
        before = now
    assert scrape(daemon).get(DURATION + "_count", http_route="/hello") == 3
    daemon.get("/hello")
    now = scrape(daemon)
    assert now.get(DURATION + "_count", http_route="/hello") == 4
    assert now.get("handoffd_config_reloads_total", result="success") == 3
    daemon.reload("nonsense")
    now = scrape(daemon)
    assert now.get("handoffd_config_last_reload_successful") == 0
    assert now.get("handoffd_config_reloads_total", result="failure") == 1


def test_a_pool_that_comes_again_goes_on_counting(start: StartDaemon) -> None:
    on_p = [route + '; pool = "p"' for route in (SLEEP, BLOCK)]
    spin = 'path = "/spin"; action = "spin"; duration = "30ms"; pool = "p"'
    text = conf(METRICS, spin, *on_p, pools="p: { threads = 1; };")
    daemon = start(text)
    for _ in range(3):
        daemon.get("/sleep")
    daemon.get("/spin")
    blocked = daemon.send_burst(1, "/block")
    daemon.until_pool("p", busy=1)
    before = scrape(daemon)
    assert before.get("handoffd_pool_task_cpu_seconds_total", pool="p") >= 0.03

    def ran(result: str) -> float:
        return scrape(daemon).get("handoffd_pool_tasks_total", pool="p", result=result)

    daemon.reload(conf(METRICS))
    assert list(scrape(daemon).all("handoffd_pool_tasks_total", pool="p")) == []
    daemon.reload(text)
    now = scrape(daemon).counters()
    for key, value in before.counters().items():
        assert now[key] >= value, key
    assert scrape(daemon).get("handoffd_pool_threads_busy", pool="p") == 1  # of the one removed
    submitted, states = state_sum(daemon, "p")
    assert submitted == states
    assert ran("ok") == 4
    daemon.get("/sleep")
    assert ran("ok") == 5
    blocked.close()  # the task of the pool that was removed
    until(lambda: ran("cancelled") == 1, "the old pool's last task counted")
    assert state_sum(daemon, "p") == (6, 6)


def test_several_loops_are_summed(start: StartDaemon) -> None:
    server = 'loops = 3; drain_timeout = "100ms";'
    daemon = start(conf(METRICS, HELLO, SLEEP, server=server))
    assert all(answer.status == 200 for answer in daemon.burst(60, "/hello"))
    assert all(answer.status == 200 for answer in daemon.burst(60, "/sleep"))
    now = scrape(daemon)
    assert now.get(DURATION + "_count", http_route="/hello") == 60
    assert now.get("handoffd_pool_task_duration_seconds_count", pool="default") == 60


def test_process_numbers_are_true(start: StartDaemon) -> None:
    daemon = start(conf(METRICS))
    now = scrape(daemon)
    statm = Path(f"/proc/{daemon.pid}/statm").read_text().split()
    assert now.get("process_threads") == len(os.listdir(f"/proc/{daemon.pid}/task"))
    # The connection of the scrape is closed by now.
    fds = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    assert fds <= now.get("process_open_fds") <= fds + 2
    assert now.get("process_virtual_memory_bytes") > 0
    assert now.get("process_resident_memory_bytes") <= 2 * int(statm[1]) * os.sysconf("SC_PAGESIZE")
    started = now.get("process_start_time_seconds")
    assert abs(started - os.stat(f"/proc/{daemon.pid}").st_ctime) < 3600


# ---- a real Prometheus ---------------------------------------------------------------------------


def listening_port(pid: int) -> int | None:
    """The port on which a process listens that was told to choose one."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(re.sub(r"\D", "", os.readlink(fd)))
        except FileNotFoundError:
            continue
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                return int(fields[1].rpartition(":")[2], 16)
    return None


def test_prometheus_scrapes_it(start: StartDaemon, tmp_path: Path) -> None:
    prometheus = tool("prometheus")
    daemon = start(conf(METRICS, HELLO))
    for _ in range(5):
        daemon.get("/hello")
    host, port = daemon.address()
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs:\n"
        "  - job_name: handoffd\n"
        "    scrape_interval: 1s\n"
        f"    static_configs: [{{ targets: ['{host}:{port}'] }}]\n"
    )
    process = subprocess.Popen(
        [
            prometheus,
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            "--web.listen-address=127.0.0.1:0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        query = f'sum({DURATION}_count{{http_route="/hello"}})'

        def ask() -> list[object]:
            if process.poll() is not None:
                raise AssertionError("prometheus has ended")
            web = listening_port(process.pid)
            daemon.status()  # `until` paces itself by a request
            if web is None:
                return []
            url = f"http://127.0.0.1:{web}/api/v1/query?query={urllib.request.quote(query)}"
            try:
                with urllib.request.urlopen(url) as answer:
                    return json.load(answer)["data"]["result"]
            except urllib.error.HTTPError as error:
                assert error.code == 503, error  # it listens before it is ready
                return []

        result = until(ask, "a sample in Prometheus")
        assert result[0]["value"][1] == "5"  # type: ignore[index]
    finally:
        process.kill()
        process.wait()
