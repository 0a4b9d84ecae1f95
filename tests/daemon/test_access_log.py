"""The access log: a line for every request, in either form, that no client can forge."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, StartDaemon
from harness import ROOT, Daemon, conf, until
from promtext import scrape
from rawhttp import request_bytes

HELLO = 'path = "/hello"; action = "respond"; body = "Hello World!"'
SLEEP = 'path = "/sleep/{x}"; action = "sleep"; duration = "20ms"'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
METRICS = 'path = "/metrics"; action = "metrics"'
COMBINED = re.compile(
    r"(?P<client>\S+) - - \[(?P<time>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    r'"(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def server(log: Path | str, form: str = "combined") -> str:
    return (
        f'access_log = "{log}"; access_log_format = "{form}"; drain_timeout = "100ms";'
    )


def lines(daemon: Daemon, log: Path, count: int) -> list[str]:
    """The first lines of a file, once there are so many."""

    def read() -> list[str]:
        whole = [line for line in log.read_text().split("\n")[:-1] if "/-/status" not in line]
        daemon.status()
        return whole if len(whole) >= count else []

    return until(read, f"{count} lines in {log.name}")


def fields(daemon: Daemon, log: Path, count: int) -> list[dict[str, str]]:
    found = []
    for line in lines(daemon, log, count):
        match = COMBINED.fullmatch(line)
        assert match is not None, line
        found.append(match.groupdict())
    return found


def objects(daemon: Daemon, log: Path, count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(daemon, log, count)]


def test_off_by_default(start: StartDaemon, tmp_path: Path) -> None:
    daemon = start(conf(HELLO))
    daemon.get("/hello")
    assert "lines" not in daemon.thread_names()


def test_combined(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    daemon = start(conf(HELLO, SLEEP, server=server(log)))
    daemon.get("/hello?a=b", {"User-Agent": "Tester/1.0", "Referer": "http://example.org/"})
    daemon.get("/sleep/1")
    daemon.request("HEAD", "/hello")
    daemon.get("/none")
    found = fields(daemon, log, 4)
    assert [entry["request"] for entry in found] == [
        "GET /hello?a=b HTTP/1.1",
        "GET /sleep/1 HTTP/1.1",
        "HEAD /hello HTTP/1.1",
        "GET /none HTTP/1.1",
    ]
    assert [int(entry["status"]) for entry in found] == [200, 200, 200, 404]
    assert [int(entry["bytes"]) for entry in found[:3]] == [12, 5, 0]
    assert (found[0]["agent"], found[0]["referer"]) == ("Tester/1.0", "http://example.org/")
    assert found[3]["referer"] == "-"
    assert {entry["client"] for entry in found} == {"127.0.0.1"}
    assert log.stat().st_mode & 0o777 == 0o640 & ~current_umask()


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_json(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.json"
    daemon = start(conf(HELLO, SLEEP, server=server(log, "json")))
    daemon.get("/sleep/1", {"X-Request-Id": "mine", "traceparent": PARENT, "User-Agent": "caf\u00e9"})
    daemon.get("/none")
    task, none = objects(daemon, log, 2)
    assert task["route"] == "/sleep/{x}"
    assert task["pool"] == "default"
    assert (task["method"], task["target"], task["protocol"]) == ("GET", "/sleep/1", "HTTP/1.1")
    assert (task["status"], task["bytes"]) == (200, 5)
    assert task["request_id"] == "mine"
    assert task["trace_id"] == TRACE
    assert task["client"] == "127.0.0.1"
    assert task["queue_ms"] >= 0
    assert task["run_ms"] >= 20
    assert task["total_ms"] >= task["queue_ms"] + task["run_ms"]
    assert "reason" not in task
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", task["time"])
    assert (none["status"], none["reason"], none["bytes"]) == (404, "no_route", none["bytes"])
    assert "route" not in none and "pool" not in none and "trace_id" not in none


def test_a_dedicated_pool_has_the_name_that_it_has_elsewhere(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.json"
    daemon = start(conf(SLEEP + '; pool = "dedicated"; concurrency = 1', server=server(log, "json")))
    daemon.get("/sleep/1")
    (entry,) = objects(daemon, log, 1)
    assert entry["pool"] in daemon.status()["pools"]


def test_a_wrong_trace_is_not_taken(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.json"
    daemon = start(conf(HELLO, server=server(log, "json")))
    daemon.get("/hello", {"traceparent": PARENT.upper()})
    daemon.get("/hello", [("traceparent", PARENT), ("traceparent", PARENT)])
    daemon.get("/hello", {"traceparent": "01" + PARENT[2:] + "-more"})
    traces = [entry.get("trace_id") for entry in objects(daemon, log, 3)]
    assert traces == [None, None, TRACE]


def test_reasons_are_told(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.json"
    daemon = start(
        conf(
            BLOCK,
            pools="default: { threads = 1; queue_depth = 1; };",
            server=server(log, "json"),
        )
    )
    running = daemon.send_burst(1, "/block")
    daemon.until_pool(busy=1)
    waiting = daemon.send_burst(1, "/block")
    daemon.until_pool(queued=1)
    assert daemon.get("/block").status == 503
    waiting.close()
    running.close()
    entries = objects(daemon, log, 3)
    assert [(entry["status"], entry["reason"]) for entry in entries] == [
        (503, "queue_full"),
        (499, "client_gone"),
        (499, "client_gone"),
    ]
    assert all(entry["route"] == "/block" for entry in entries)
    assert entries[2]["run_ms"] > 0 and entries[1]["run_ms"] == 0 < entries[1]["queue_ms"]


@pytest.mark.parametrize("form", ["combined", "json"])
def test_what_the_guard_refuses_is_logged(start: StartDaemon, tmp_path: Path, form: str) -> None:
    log = tmp_path / "access.log"
    daemon = start(conf(HELLO, server=server(log, form)))
    for request in (b"no request\r\n\r\n", b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        with daemon.connect() as connection:
            connection.send(request)
            assert connection.read_response().status == 400
    if form == "json":
        first, second = objects(daemon, log, 2)
        assert (first["status"], first["client"]) == (400, "127.0.0.1")
        assert first["fault"] and second["fault"] != first["fault"]
        assert second["target"] == "/hello"
    else:
        plain = fields(daemon, log, 2)
        assert [entry["status"] for entry in plain] == ["400", "400"]
        assert plain[0]["request"] == "-"
        assert plain[1]["request"] == "GET /hello HTTP/1.1"


FORGERIES = [
    'x" 200 0 "-" "y',
    "x\\",
    'x\\" 200',
    "\u00e9\u00ff",
    "a\tb",
    '","status":200,"x":"',
    "\\u0022",
]


@pytest.mark.parametrize("form", ["combined", "json"])
def test_no_client_can_forge_a_line(start: StartDaemon, tmp_path: Path, form: str) -> None:
    log = tmp_path / "access.log"
    daemon = start(conf(HELLO, server=server(log, form)))
    sent = [text.encode("latin-1") for text in FORGERIES] + [b"\xc3\xa9 \xc3", b"\xf0\x9f\x98\x80"]
    for text in sent:
        with daemon.connect() as connection:
            connection.send(
                b"GET /hello HTTP/1.1\r\nHost: x\r\nUser-Agent: " + text + b"\r\nReferer: "
                + text + b"\r\n\r\n"
            )
            assert connection.read_response().status == 200
    if form == "json":
        found = objects(daemon, log, len(sent))
        assert [entry["status"] for entry in found] == [200] * len(sent)
        told = [entry["user_agent"] for entry in found]
        assert told[0] == FORGERIES[0] and told[5] == FORGERIES[5] and told[6] == FORGERIES[6]
        assert told[3] == "\ufffd\ufffd"
        assert told[7:] == ["\u00e9 \ufffd", "\U0001f600"]
    else:
        plain = fields(daemon, log, len(sent))
        assert [entry["status"] for entry in plain] == ["200"] * len(sent)
        for entry, text in zip(plain, sent):
            agent = re.sub(
                r"\\x([0-9A-F]{2})", lambda hexed: chr(int(hexed[1], 16)), entry["agent"]
            )
            assert agent == text.decode("latin-1")
            assert entry["agent"].isascii() and entry["agent"].isprintable()


@pytest.mark.parametrize("form", ["combined", "json"])
def test_long_fields_are_cut(start: StartDaemon, tmp_path: Path, form: str) -> None:
    log = tmp_path / "access.log"
    daemon = start(conf(HELLO, server='max_header_size = "256k";' + server(log, form)))
    long = "\u00e9" * 30000
    with daemon.connect() as connection:
        connection.send(
            b"GET /hello?" + b"%22" * 10000 + b" HTTP/1.1\r\nHost: x\r\nUser-Agent: "
            + long.encode() + b"\r\nReferer: " + b'"' * 20000 + b"\r\n\r\n"
        )
        assert connection.read_response().status == 200
    daemon.get("/hello", {"User-Agent": "after"})
    first, second = lines(daemon, log, 2)
    assert 10000 < len(first.encode()) < 24000
    assert "after" in second
    if form == "json":
        assert set(json.loads(first)["user_agent"]) == {"\u00e9"}
    else:
        assert COMBINED.fullmatch(first)


def test_a_moved_file_is_opened_anew_by_a_reload(start: StartDaemon, tmp_path: Path) -> None:
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    text = conf(HELLO, server=server(log))
    daemon = start(text)
    daemon.get("/hello?1")
    lines(daemon, log, 1)
    log.rename(old)
    daemon.get("/hello?2")
    lines(daemon, old, 2)
    daemon.reload(text)
    daemon.get("/hello?3")
    assert "/hello?3" in lines(daemon, log, 1)[0]
    log.rename(tmp_path / "access.log.2")
    daemon.reload("nonsense")
    daemon.get("/hello?4")
    until(log.exists, "opened again, though the configuration was refused")
    assert "/hello?4" in lines(daemon, log, 1)[0]


def test_a_reload_turns_it_on_and_off(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    daemon = start(conf(HELLO))
    daemon.get("/hello?0")
    daemon.reload(conf(HELLO, server=server(log, "json")))
    daemon.get("/hello?1")
    assert objects(daemon, log, 1)[0]["target"] == "/hello?1"
    daemon.reload(conf(HELLO, server=server(log)))
    daemon.get("/hello?2")
    assert '"GET /hello?2 HTTP/1.1"' in lines(daemon, log, 2)[1]
    daemon.reload(conf(HELLO))
    daemon.get("/hello?3")
    assert daemon.stop() == 0
    assert "/hello?3" not in log.read_text()
    assert "/hello?2" in log.read_text()


def test_all_lines_are_written_at_a_stop(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    daemon = start(conf(HELLO, server='loops = 2;' + server(log)))
    for number in range(200):
        daemon.get(f"/hello?{number}")
    assert daemon.stop() == 0
    found = re.findall(r"/hello\?(\d+) ", log.read_text())
    assert sorted(map(int, found)) == list(range(200))


def test_standard_error(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, server=server("stderr")))
    daemon.get("/hello?here")
    line = daemon.wait_for_log(r"^127\.0\.0\.1 - - \[.*GET /hello\?here HTTP/1.1").string
    assert COMBINED.fullmatch(line)


def test_a_file_that_cannot_be_opened(start: StartDaemon, cli: Cli, tmp_path: Path) -> None:
    wrong = conf(HELLO, server=server(tmp_path / "no" / "log"))
    daemon = start(conf(HELLO))
    status = daemon.reload(wrong).status
    assert "server.access_log" in status and "No such file" in status
    assert daemon.get("/hello").status == 200
    (tmp_path / "wrong.conf").write_text(wrong)
    done = cli("-c", str(tmp_path / "wrong.conf"))
    assert done.returncode == 71
    assert "server.access_log" in done.stderr


def test_a_full_disk_costs_lines_and_nothing_else(start: StartDaemon) -> None:
    daemon = start(conf(HELLO, METRICS, server=server("/dev/full")))
    for _ in range(5):
        assert daemon.get("/hello").status == 200
    daemon.wait_for_log("access log: cannot write: No space left on device")
    name = "handoffd_access_log_lines_total"
    until(lambda: scrape(daemon).get(name, result="dropped") >= 5, "dropped lines counted")
    assert scrape(daemon).get(name, result="written") == 0


def test_a_place_that_takes_nothing_holds_nobody_up(start: StartDaemon, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        daemon = start(conf(HELLO, METRICS, server=server(fifo)))
        request = request_bytes("GET", "/hello?" + "x" * 4000)
        since = daemon.mark()
        dropped = 0.0
        with daemon.connect() as connection:
            while not dropped:
                connection.send_requests([request] * 100)
                for _ in range(100):
                    assert connection.read_response().status == 200
                dropped = scrape(daemon).get("handoffd_access_log_lines_total", result="dropped")
        daemon.wait_for_log("access log: its place takes lines too slowly", since)
        assert daemon.stop() == 0
        daemon.wait_for_log("access log: its place takes no more lines", since)
    finally:
        os.close(reader)


def test_a_client_of_a_unix_socket(start: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    listeners = f'main: {{ address = "127.0.0.1:0"; }}; u: {{ address = "unix:{tmp_path}/s"; }};'
    daemon = start(conf(HELLO, listeners=listeners, server=server(log)))
    assert daemon.get("/hello", listener="u").status == 200
    assert fields(daemon, log, 1)[0]["client"] == "unix"


def test_goaccess_reads_it(start: StartDaemon, tmp_path: Path) -> None:
    goaccess = shutil.which("goaccess")
    if goaccess is None:
        pytest.skip("goaccess is not installed (packaging/install-deps installs it)")
    log, report = tmp_path / "access.log", tmp_path / "report.json"
    daemon = start(conf(HELLO, SLEEP, server=server(log)))
    for number in range(20):
        daemon.get("/hello", {"User-Agent": 'Mozilla/5.0 "quoted" \\ (X11)'})
        daemon.get(f"/sleep/{number % 2}")
    with daemon.connect() as connection:
        connection.send(b"no request\r\n\r\n")
        connection.read_eof()
    lines(daemon, log, 41)
    daemon.stop()
    text = "".join(
        line for line in log.read_text().splitlines(True) if "/-/status" not in line
    )
    log.write_text(text)
    subprocess.run(
        [goaccess, str(log), "--log-format=COMBINED", "--no-global-config", "-o", str(report)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    general = json.loads(report.read_text())["general"]
    assert general["total_requests"] == 41
    assert general["valid_requests"] == 41
    assert general["failed_requests"] == 0


def test_the_packaged_rotation_is_sound(tmp_path: Path) -> None:
    logrotate = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")
    if logrotate is None:
        pytest.skip("logrotate is not installed (packaging/install-deps installs it)")
    snippet = ROOT / "packaging" / "logrotate" / "handoffd"
    copy = tmp_path / "handoffd"
    copy.write_text(snippet.read_text())
    copy.chmod(0o644)
    done = subprocess.run(
        [logrotate, "--debug", "--state", str(tmp_path / "state"), str(copy)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert "/var/log/handoffd/" in done.stderr


JOURNAL = Path("/run/systemd/journal/socket")


def test_the_journal(start: StartDaemon) -> None:
    """Stands in for journald, where there is none and this may be done."""
    if JOURNAL.exists() or not os.access("/run", os.W_OK):
        pytest.skip("a journal runs here, or its socket cannot be made")
    JOURNAL.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(JOURNAL))
        try:
            daemon = start(conf(HELLO, server=server("journal")))
            daemon.get("/hello?here")
            journal.settimeout(60)
            entry = journal.recv(65536).decode()
        finally:
            JOURNAL.unlink()
    assert "PRIORITY=6" in entry.split("\n")
    message = next(line for line in entry.split("\n") if line.startswith("MESSAGE="))
    match = COMBINED.fullmatch(message.removeprefix("MESSAGE="))
    assert match is not None and match["request"] == "GET /hello?here HTTP/1.1"


@pytest.mark.parametrize("word, nearest", [("of", "off"), ("stdrr", "stderr"), ("journald", "journal")])
def test_a_misspelt_word_is_no_file(cli: Cli, tmp_path: Path, word: str, nearest: str) -> None:
    (tmp_path / "wrong.conf").write_text(conf(HELLO, server=server(word)))
    done = cli("-t", "-c", str(tmp_path / "wrong.conf"))
    assert done.returncode == 78
    assert f'wrong.conf:1: server.access_log: found "{word}"; did you mean "{nearest}"?' in done.stderr
