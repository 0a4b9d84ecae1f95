"""The service as its unit describes it: start, reload, watchdog, stop, sandbox, journal, exit codes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from harness import EXIT_CONFIG, EXIT_UNAVAILABLE, EXIT_USAGE, until
from rawhttp import Crowd, fetch, request_bytes
from conftest import CONFIG
from service import ADDRESS, SYSTEMD_VERSION, Service, config, run
from stuck import stuck_thread

HELLO = 'path = "/hello"; action = "respond"; body = "hi"'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
ONE_THREAD = "pools: { default: { threads = 1; queue_depth = 1; }; };"
FAST_WATCHDOG = "[Service]\nWatchdogSec=4s\n"


def burst(n: int, path: str) -> Crowd:
    return Crowd(ADDRESS, [[request_bytes("GET", path)]] * n)


# --- start and reload ---------------------------------------------------------------------------


def test_start_returns_when_it_serves(service: Service) -> None:
    service.configure(config(HELLO))
    service.systemctl("start")
    assert fetch(ADDRESS, "GET", "/hello").text == "hi"
    assert service.show("ActiveState") == "active"
    assert "main=127.0.0.1:8080" in service.show("StatusText")


def test_reload(service: Service) -> None:
    service.configure(config(HELLO))
    service.systemctl("start")
    service.configure(config(HELLO.replace("hi", "ho")))
    service.systemctl("reload")
    # With Type=notify nobody waits for the daemon once the signal is sent.
    until(lambda: fetch(ADDRESS, "GET", "/hello").text == "ho")
    assert service.show("ActiveState") in ("active", "reloading")
    assert service.restarts == 0


def test_a_hangup_signal_that_systemd_has_not_sent(service: Service) -> None:
    service.configure(config(HELLO))
    service.systemctl("start")
    pid = service.pid
    for generation in (2, 3):
        service.signal("HUP")
        until(lambda: service.generation() == generation)
    service.until_shown("ActiveState", "active")
    assert service.pid == pid


def test_a_refused_reload_is_told_by_systemctl_status(service: Service) -> None:
    service.configure(config(HELLO))
    service.systemctl("start")
    service.configure(config(HELLO, more="pools: { default: { thread = 3; }; };"))
    service.systemctl("reload", check=False)
    until(lambda: "reload refused" in service.show("StatusText"))
    service.until_shown("ActiveState", "active")
    text = service.systemctl("status", "--lines=0").stdout
    assert re.search(r"Status:.*reload refused.*handoffd\.conf:2: .*thread", text)
    assert fetch(ADDRESS, "GET", "/hello").text == "hi"


@pytest.mark.skipif(SYSTEMD_VERSION < 253, reason="notify-reload needs systemd 253")
def test_notify_reload_waits_for_the_daemon(service: Service, installed: None) -> None:
    example = Path("/usr/local/share/doc/handoffd/examples/notify-reload.conf")
    service.drop_in(example.read_text())
    service.configure(config(HELLO))
    service.systemctl("start")
    for i in range(1, 11):
        service.configure(config(HELLO.replace("hi", str(i))))
        service.systemctl("reload")
        assert fetch(ADDRESS, "GET", "/hello").text == str(i)
        assert service.generation() == i + 1, "one reload each time"
    service.configure("nonsense")
    service.systemctl("reload", check=False)
    assert "reload refused" in service.show("StatusText")
    assert service.show("ActiveState") == "active"
    assert fetch(ADDRESS, "GET", "/hello").text == "10"


# --- watchdog -----------------------------------------------------------------------------------


def test_a_stuck_loop_gets_it_restarted(service: Service) -> None:
    service.drop_in(FAST_WATCHDOG)
    service.configure(config(HELLO))
    service.systemctl("start")
    with stuck_thread(service.pid, "loop/0"):
        entry = service.wait_for_journal(PRIORITY="3", SYSLOG_IDENTIFIER="handoffd")
        assert entry["MESSAGE"].startswith("event loop 0 has not turned for")
        until(lambda: any("atchdog timeout" in e["MESSAGE"] for e in service.journal(_PID="1")))
    until(lambda: service.restarts == 1)
    service.until_shown("ActiveState", "active")
    assert fetch(ADDRESS, "GET", "/hello").text == "hi"


def test_a_stopped_process_gets_it_restarted(service: Service) -> None:
    service.drop_in(FAST_WATCHDOG)
    service.configure(config(HELLO))
    service.systemctl("start")
    service.signal("STOP")
    until(lambda: service.restarts == 1)
    service.until_shown("ActiveState", "active")
    assert fetch(ADDRESS, "GET", "/hello").text == "hi"


def test_a_busy_pool_does_not(service: Service) -> None:
    service.drop_in(FAST_WATCHDOG)
    service.configure(config(BLOCK, more="server: { drain_timeout = 0; };" + ONE_THREAD))
    service.systemctl("start")
    with burst(2, "/block"):
        until(lambda: service.status()["pools"]["default"]["queued"] == 1)
        for _ in range(6):  # longer than WatchdogSec, by systemd's own account
            last = service.show("WatchdogTimestampMonotonic")
            until(lambda: service.show("WatchdogTimestampMonotonic") != last)
        assert service.restarts == 0


# --- stop ---------------------------------------------------------------------------------------


def test_a_long_drain_is_given_the_time_it_asks_for(service: Service) -> None:
    service.drop_in("[Service]\nTimeoutStopSec=1s\n")
    slow = 'path = "/slow"; action = "sleep"; duration = "4s"'
    service.configure(config(slow, more='server: { drain_timeout = "1h"; };'))
    service.systemctl("start")
    with burst(3, "/slow") as crowd:
        until(lambda: service.status()["pools"]["default"]["busy"] == 3)
        stop = subprocess.Popen(["systemctl", "stop", service.unit])
        until(lambda: "finishing 3 requests" in service.show("StatusText"))
        crowd.wait()
        assert crowd.failures == [] and crowd.statuses == {200: 3}
        assert stop.wait() == 0
    assert service.show("Result") == "success"


# --- how it can fail ------------------------------------------------------------------------------


def test_a_wrong_configuration_is_not_tried_again(service: Service) -> None:
    service.configure("server: { loops = 0; };\n")
    assert service.systemctl("start", check=False).returncode != 0
    assert service.show("ActiveState") == "failed"
    assert service.show("ExecMainStatus") == str(EXIT_CONFIG)
    assert service.restarts == 0
    assert "handoffd.conf:1: server.loops" in service.systemctl("status", check=False).stdout
    entry = service.wait_for_journal(PRIORITY="3", SYSLOG_IDENTIFIER="handoffd")
    assert "handoffd.conf:1: server.loops" in entry["MESSAGE"]


def test_nor_is_a_wrong_command_line(service: Service) -> None:
    service.drop_in("[Service]\nExecStart=\nExecStart=/usr/local/sbin/handoffd --nonsense\n")
    service.systemctl("start", check=False)
    assert service.show("ExecMainStatus") == str(EXIT_USAGE)
    assert service.restarts == 0


def test_an_address_in_use_is_tried_again_until_it_is_free(service: Service) -> None:
    service.drop_in("[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\n")
    service.configure(config(HELLO))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(ADDRESS)
        other.listen()
        service.systemctl("start", "--no-block")
        until(lambda: service.restarts >= 2)
        ends = [e for e in service.journal(_PID="1") if "exited" in e["MESSAGE"]]
        assert ends and all(f"status={EXIT_UNAVAILABLE}/" in e["MESSAGE"] for e in ends)
    service.until_shown("ActiveState", "active")


# --- sandbox --------------------------------------------------------------------------------------


def test_sandbox(service: Service) -> None:
    service.configure(config(HELLO))
    service.systemctl("start")
    pid = service.pid
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    uids = {int(uid) for uid in status["Uid"].split()}
    assert len(uids) == 1 and 61184 <= uids.pop() <= 65519, "not a user of DynamicUser="
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    limits = Path(f"/proc/{pid}/limits").read_text()
    hard = int(re.search(r"Max open files +\d+ +(\d+)", run("cat", "/proc/1/limits").stdout)[1])
    assert int(re.search(r"Max open files +(\d+)", limits)[1]) == min(65536, hard)

    def touch(path: str) -> str:
        done = run("nsenter", "-t", str(pid), "-m", "touch", path, check=False)
        return "" if done.returncode == 0 else done.stderr

    for path in ("/usr/x", "/etc/x", str(CONFIG.parent / "x"), "/var/x", "/opt/x"):
        assert "Read-only" in touch(path), path
    for path in ("/var/lib/handoffd/x", "/var/log/handoffd/x", "/run/handoffd/x", "/tmp/x"):
        assert touch(path) == "", path
    assert not Path("/tmp/x").exists(), "its /tmp is a private one"
    devices = run("nsenter", "-t", str(pid), "-m", "ls", "/dev").stdout.split()
    assert "null" in devices and not {"mem", "sda", "vda", "kmsg"} & set(devices)


def test_programs_run_in_the_sandbox_too(service: Service) -> None:
    script = """
        id -u
        touch /usr/x || echo usr is read-only
        touch /var/lib/handoffd/made && echo state can be written
        mount -t tmpfs none /mnt || echo no mounting
        kill -0 1 || echo no killing
        ls -d /proc/1 || echo processes of others are not seen
        grep Seccomp: /proc/self/status
    """
    words = script.replace("\n", ";").replace('"', '\\"').strip("; ")
    program = f'path = "/run"; action = "exec"; command = [ "/bin/sh", "-c", "{words}" ]'
    service.configure(config(program))
    service.systemctl("start")
    response = fetch(ADDRESS, "GET", "/run")
    assert response.status == 200, response
    uid, *lines = response.text.splitlines()
    assert 61184 <= int(uid) <= 65519
    assert lines == [
        "usr is read-only",
        "state can be written",
        "no mounting",
        "no killing",
        "processes of others are not seen",
        "Seccomp:\t2",
    ]
    assert Path("/var/lib/handoffd/made").stat().st_mode & 0o777 == 0o600


def test_what_the_daemon_does_the_sandbox_allows(service: Service) -> None:
    service.configure(
        config(
            'path = "/digest"; action = "digest"; pool = "cpu"',
            'path = "/resolve"; action = "resolve"; name = "localhost"; family = "ipv4"',
            'path = "/spin"; action = "spin"; duration = "1ms"; pool = "cpu"',
            'path = "/metrics"; action = "metrics"',
            more='pools: { cpu: { threads = 2; nice = 19; spawn = "on-demand"; }; };',
        )
    )
    service.systemctl("start")
    assert fetch(ADDRESS, "POST", "/digest", body=b"x").status == 200
    assert "127.0.0.1" in fetch(ADDRESS, "GET", "/resolve").text
    assert fetch(ADDRESS, "GET", "/spin").status == 200
    metrics = fetch(ADDRESS, "GET", "/metrics").text
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
        assert f"\nprocess_{name} " in metrics
    nices = {
        int((task / "stat").read_text().rsplit(")", 1)[1].split()[16])
        for task in Path(f"/proc/{service.pid}/task").iterdir()
        if (task / "comm").read_text().startswith("cpu/")
    }
    assert nices == {19}
    # Nothing was refused that somebody has noticed.
    assert service.journal(PRIORITY="4", SYSLOG_IDENTIFIER="handoffd") == []
    assert service.journal(PRIORITY="3", SYSLOG_IDENTIFIER="handoffd") == []


def test_a_unix_listener_in_the_runtime_directory(service: Service) -> None:
    path = "/run/handoffd/admin.sock"
    service.configure(config(HELLO, listeners=f'a: {{ address = "unix:{path}"; mode = "0600"; }};'))
    service.systemctl("start")
    assert fetch(path, "GET", "/hello").text == "hi"
    assert os.stat(path).st_mode & 0o777 == 0o600
    service.systemctl("stop")
    assert not os.path.lexists(path)


# --- journal --------------------------------------------------------------------------------------


def test_the_journal_knows_what_a_message_is_about(service: Service) -> None:
    service.configure(config(BLOCK, more="server: { drain_timeout = 0; };" + ONE_THREAD))
    service.systemctl("start")
    with burst(2, "/block"):
        until(lambda: service.status()["pools"]["default"]["queued"] == 1)
        assert fetch(ADDRESS, "GET", "/block", {"X-Request-Id": "mine-1"}).status == 503
        entry = service.wait_for_journal(HANDOFFD_POOL="default", REQUEST_ID="mine-1")
    assert entry["HANDOFFD_ROUTE"] == "/block"
    assert entry["PRIORITY"] == "4"
    assert entry["SYSLOG_IDENTIFIER"] == "handoffd"
    assert entry["CODE_FILE"] == "src/dispatch.c"
    assert int(entry["CODE_LINE"]) > 0 and entry["CODE_FUNC"]
    assert entry["_SYSTEMD_UNIT"] == service.unit
    listening = service.wait_for_journal(HANDOFFD_LISTENER="main")
    assert "127.0.0.1:8080" in listening["MESSAGE"] and listening["PRIORITY"] == "6"
