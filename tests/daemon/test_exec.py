"""Programs run for requests, well-behaved and hostile ones."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import StartDaemon
from harness import Daemon, conf, until

# A script is the rest of the path; the marker makes its processes recognisable among all others.
SHELL = """path = "/sh/*"; action = "exec"; command = [ "sh", "-c", "${path.rest}", "sh", "${query.a}" ];
    kill_grace = "GRACE"; max_output = "1m"; status_map = ( { exit = 3; status = 404; } )"""


def shell(grace: str = "5s") -> str:
    return SHELL.replace("GRACE", grace)


def sh(script: str, argument: str = "") -> str:
    return "/sh/" + quote(script, safe="") + "?a=" + quote(argument, safe="")


@pytest.fixture
def daemon(start: StartDaemon) -> Daemon:
    return start(conf(shell()))


def commands(daemon: Daemon, marker: str) -> list[int]:
    """Processes anywhere with that marker in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def children(daemon: Daemon) -> list[str]:
    """The daemon's child processes, zombies too."""
    return Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split() + [
        child
        for task in Path(f"/proc/{daemon.pid}/task").iterdir()
        for child in (task / "children").read_text().split()
        if task.name != str(daemon.pid)
    ]


# --- what it gets --------------------------------------------------------------------------------


def test_output_is_the_answer(daemon: Daemon) -> None:
    response = daemon.get(sh("printf 'a\\0b\\377'"))
    assert (response.status, response.body) == (200, b"a\0b\xff")
    assert response.header("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "'; id; '", '"', "$(id)", "`id`", "a\nb", "*", "-n", "\x01\xff", "\\", "a" * 3000],
)
def test_a_value_is_one_argument(start: StartDaemon, text: str) -> None:
    daemon = start(
        conf(
            'path = "/a"; action = "exec"; '
            'command = ["/usr/bin/printf", "<%s>", "${query.a}", "x${query.a}y"]'
        )
    )
    raw = text.encode("latin-1")
    response = daemon.get("/a?a=" + quote(raw, safe=""))
    assert response.body == b"<" + raw + b"><x" + raw + b"y>"
    assert daemon.get("/a?a=%00").status == 400


def test_an_argument_has_its_limit(start: StartDaemon) -> None:
    """The kernel takes 128 KiB for one argument, execve(2)."""
    daemon = start(
        conf('path = "/a"; action = "exec"; command = ["/usr/bin/printf", "%s", "${body}"]')
    )
    assert daemon.request("POST", "/a", body=b"x" * 100_000).body == b"x" * 100_000
    assert daemon.request("POST", "/a", body=b"x" * 200_000).status == 413


def test_the_environment_is_clean(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/e"; action = "exec"; command = [ "env" ]; '
            'env = { ONE = "1 ${query.a}"; TWO = "$(id)"; }',
            'path = "/p"; action = "exec"; command = [ "/usr/bin/env" ]; env = { PATH = "/mine"; }',
        )
    )
    response = daemon.get("/e?a=%22x")
    assert sorted(response.text.splitlines()) == [
        'ONE=1 "x',
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"REQUEST_ID={response.header('X-Request-Id')}",
        "TWO=$(id)",
    ]
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced = {"X-Request-Id": "mine", "traceparent": parent, "tracestate": "a=1"}
    assert sorted(daemon.get("/p", traced).text.splitlines()) == [
        "PATH=/mine", "REQUEST_ID=mine", f"TRACEPARENT={parent}", "TRACESTATE=a=1",
    ]
    wrong = {"X-Request-Id": "mine", "traceparent": "00-$(id)", "tracestate": "a=1"}
    assert sorted(daemon.get("/p", wrong).text.splitlines()) == ["PATH=/mine", "REQUEST_ID=mine"]


def test_nothing_is_inherited(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/fd"; action = "exec"; command = [ "ls", "/proc/self/fd" ]',
            'path = "/signals"; action = "exec"; '
            'command = [ "grep", "-E", "SigBlk|SigIgn", "/proc/self/status" ]',
        )
    )
    idle = daemon.connect()
    assert idle.get("/-/status").status == 200
    assert daemon.get("/fd").text.split() == ["0", "1", "2", "3"]  # the last is the directory
    masks = daemon.get("/signals").text.split()[1::2]
    assert [int(mask, 16) for mask in masks] == [0, 0]


def test_a_process_group_of_its_own(daemon: Daemon) -> None:
    pid, group = daemon.get(sh("cut -d' ' -f1,5 /proc/$$/stat")).text.split()
    assert pid == group


def test_the_working_directory(start: StartDaemon, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    daemon = start(
        conf(
            'path = "/root"; action = "exec"; command = [ "pwd" ]',
            f'path = "/in/*"; action = "exec"; command = [ "pwd" ]; cwd = "{tmp_path}/${{path.rest}}"',
            f'path = "/q"; action = "exec"; command = [ "pwd" ]; cwd = "{tmp_path}/${{query.d}}"',
        )
    )
    assert daemon.get("/root").text == "/\n"
    assert daemon.get("/in/inner").text == f"{tmp_path}/inner\n"
    assert daemon.get("/q?d=inner").text == f"{tmp_path}/inner\n"
    assert daemon.get("/q?d=../..").status == 400
    assert daemon.get("/q?d=inner/../../x").status == 400
    assert daemon.get("/q?d=none").status == 500


# --- the body ------------------------------------------------------------------------------------


def test_the_body_is_its_input(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/cat"; action = "exec"; command = [ "cat" ]; max_body_size = "12m"',
            'path = "/none"; action = "exec"; command = [ "cat" ]; stdin = "none"',
        )
    )
    for body in (b"", b"abc", bytes(range(256)) * 40_000):
        assert daemon.request("POST", "/cat", body=body).body == body
    assert daemon.request("POST", "/none", body=b"abc").body == b""


def test_a_program_that_writes_first_does_not_lock_up(start: StartDaemon) -> None:
    script = "head -c 2000000 /dev/zero; cat"
    daemon = start(
        conf(
            f'path = "/x"; action = "exec"; command = [ "sh", "-c", "{script}" ]; '
            'max_body_size = "12m"; max_output = "20m"'
        )
    )
    body = os.urandom(10_000_000)
    assert daemon.request("POST", "/x", body=body).body == bytes(2_000_000) + body


def test_a_program_need_not_read(start: StartDaemon) -> None:
    daemon = start(conf(shell() + '; max_body_size = "12m"'))
    body = bytes(10_000_000)
    assert daemon.request("POST", sh("echo done"), body=body).text == "done\n"
    assert daemon.request("POST", sh("exec 0<&-; echo done"), body=body).text == "done\n"
    assert daemon.request("POST", sh("head -c 5"), body=body).body == bytes(5)


# --- how it ends ---------------------------------------------------------------------------------


def test_exit_codes_become_statuses(daemon: Daemon) -> None:
    assert daemon.get(sh("exit 0")).status == 200
    response = daemon.get(sh("echo not here; exit 3"))
    assert (response.status, response.text) == (404, "not here\n")
    response = daemon.get(sh("echo secret; exit 4"))
    assert response.status == 500
    assert response.json()["reason"] == "action_failed"
    assert "exit code 4" in response.json()["detail"]
    assert "secret" not in response.text


def test_a_signal_is_a_failure(daemon: Daemon) -> None:
    response = daemon.get(sh("kill -SEGV $$"))
    assert response.status == 500
    assert response.json()["reason"] == "action_failed"
    assert "signal 11" in response.json()["detail"]


def test_programs_that_cannot_be_started(start: StartDaemon, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    daemon = start(
        conf(
            'path = "/none"; action = "exec"; command = [ "/nonexistent/program" ]',
            'path = "/file"; action = "exec"; command = [ "/etc/passwd" ]',
            'path = "/directory"; action = "exec"; command = [ "/etc" ]',
            f'path = "/script"; action = "exec"; command = [ "{script}" ]',
        )
    )
    for path, detail in (
        ("/none", "No such file"),
        ("/file", "Permission denied"),
        ("/directory", "Permission denied"),
        ("/script", "No such file"),
    ):
        response = daemon.get(path)
        assert response.status == 500
        assert response.json()["reason"] == "action_failed"
        assert detail in response.json()["detail"]
    daemon.wait_for_log(r"error: request \S+: route /none: cannot run /nonexistent/program in /")


def test_output_is_bounded(daemon: Daemon) -> None:
    response = daemon.get(sh("head -c 1048576 /dev/zero"))
    assert (response.status, len(response.body)) == (200, 1 << 20)
    daemon.reload(conf(shell("10ms")))
    for script in ("head -c 1048577 /dev/zero", "yes", "trap '' PIPE TERM; while :; do echo y; done"):
        response = daemon.get(sh(script))
        assert response.status == 502
        assert response.json()["reason"] == "bad_output"


def test_closed_output_does_not_end_a_program(daemon: Daemon, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    response = daemon.get(sh("echo early; exec >&- 2>&-; sleep 0.2; echo late > $1; exit 3", str(proof)))
    assert (response.status, response.text) == (404, "early\n")
    assert proof.read_text() == "late\n"


def test_a_grandchild_with_the_pipe_does_not_hold_the_answer(daemon: Daemon) -> None:
    marker = "86399.25"
    assert daemon.get(sh(f"sleep {marker} & echo done")).text == "done\n"
    until(lambda: commands(daemon, marker) == [], "the grandchild's end")
    assert daemon.pool()["busy"] == 0


def test_a_stubborn_grandchild_is_killed_after_the_grace(start: StartDaemon) -> None:
    daemon = start(conf(shell("50ms")))
    marker = "86399.5"
    assert daemon.get(sh(f"trap '' TERM; sleep {marker} & echo done")).text == "done\n"
    until(lambda: commands(daemon, marker) == [], "the grandchild's end")


def test_a_grandchild_without_the_pipe_ends_with_the_program(daemon: Daemon) -> None:
    marker = "86399.75"
    assert daemon.get(sh(f"sleep {marker} >/dev/null 2>&1 & echo done")).text == "done\n"
    until(lambda: commands(daemon, marker) == [], "the grandchild's end")


def test_who_leaves_the_group_lives_on(daemon: Daemon) -> None:
    marker = "86398.125"
    wait = "while [ \"$(cut -d' ' -f6 /proc/$!/stat)\" != $! ]; do :; done"
    script = f"setsid sleep {marker} >/dev/null 2>&1 & {wait}"
    assert daemon.get(sh(script)).status == 200
    pids = commands(daemon, marker)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert len(pids) == 1


# --- early ends ----------------------------------------------------------------------------------

TREES = {
    "alone": "exec sleep {marker}",
    "with_children": "sleep {marker} & sleep {marker} & wait",
    "ignores_term": "trap '' TERM; while :; do sleep {marker}; done",
    "children_ignore_term": "(trap '' TERM; sleep {marker}) & (trap '' TERM; sleep {marker}) & wait",
    "orphans": "(sleep {marker} & sleep {marker} &) ; sleep {marker}",
    "output_closed": "exec >&- 2>&-; sleep {marker}",
    # timeout(1) leads a group of its own, so these end by themselves; nothing waits for them.
    "a_herd_of_timeouts": "for i in $(seq 40); do timeout 1 sleep {marker} & done; wait",
    "writes_forever": "while :; do echo {marker}; sleep 0.01; done",
}


def start_tree(start: StartDaemon, tree: str, marker: str) -> tuple[Daemon, object]:
    daemon = start(conf(shell("50ms"), server='drain_timeout = "50ms";'))
    connection = daemon.connect()
    connection.send_request("GET", sh(TREES[tree].format(marker=marker)))
    until(lambda: len(commands(daemon, marker)) >= 1, "the program's start")
    assert daemon.pool()["busy"] == 1
    return daemon, connection


@pytest.mark.parametrize("tree", sorted(TREES))
def test_a_client_that_leaves_ends_all(start: StartDaemon, tree: str) -> None:
    marker = f"7777.{sorted(TREES).index(tree)}01"
    daemon, connection = start_tree(start, tree, marker)
    connection.close()
    daemon.until_pool(busy=0)
    until(lambda: commands(daemon, marker) == [], "the end of every process")
    assert children(daemon) == []


@pytest.mark.parametrize("tree", sorted(TREES))
def test_a_stop_ends_all(start: StartDaemon, tree: str) -> None:
    marker = f"7777.{sorted(TREES).index(tree)}02"
    daemon, connection = start_tree(start, tree, marker)
    assert daemon.stop() == 0
    until(lambda: commands(daemon, marker) == [], "the end of every process")


@pytest.mark.parametrize("tree", sorted(TREES))
def test_a_timeout_ends_all(start: StartDaemon, tree: str) -> None:
    marker = f"7777.{sorted(TREES).index(tree)}03"
    daemon = start(conf(shell("50ms") + '; timeout = "300ms"'))
    response = daemon.get(sh(TREES[tree].format(marker=marker)))
    assert (response.status, response.json()["reason"]) == (504, "timeout")
    daemon.until_pool(busy=0)
    until(lambda: commands(daemon, marker) == [], "the end of every process")
    assert daemon.pool()["ran_by_result"]["timeout"] == 1


def test_a_leader_that_leaves_its_group_ends_too(start: StartDaemon) -> None:
    script = "import os, sys, time; os.setpgid(0, os.getpgid(os.getppid())); time.sleep(8888.5)"
    daemon = start(
        conf(
            f'path = "/x"; action = "exec"; command = [ "{sys.executable}", "-c", "{script}" ]; '
            'kill_grace = "50ms"'
        )
    )
    connection = daemon.connect()
    connection.send_request("GET", "/x")
    group = os.getpgid(daemon.pid)
    if not group:
        pytest.skip("the process group that the tests run in belongs to another PID namespace")

    def has_left() -> bool:
        return any(os.getpgid(pid) == group for pid in commands(daemon, "8888.5"))

    until(has_left, "the program in the daemon's group")
    connection.close()
    daemon.until_pool(busy=0)
    assert commands(daemon, "8888.5") == []


def test_failures_are_counted_as_such(daemon: Daemon) -> None:
    for script in ("exit 0", "exit 3", "exit 4", "kill $$", "yes"):
        daemon.get(sh(script))
    assert daemon.pool()["ran_by_result"] == {"ok": 2, "error": 3, "timeout": 0, "cancelled": 0}


def test_a_program_may_end_in_its_own_way(start: StartDaemon, tmp_path: Path) -> None:
    daemon = start(conf(shell("1h") + '; kill_signal = "USR1"'))
    proof = tmp_path / "proof"
    marker = "7777.303"
    connection = daemon.connect()
    script = f"trap 'echo ended > $1; exit' USR1; sleep {marker} & wait"
    connection.send_request("GET", sh(script, str(proof)))
    until(lambda: len(commands(daemon, f"sleep\0{marker}")) == 1, "the program's start")
    connection.close()
    daemon.until_pool(busy=0)
    assert proof.read_text() == "ended\n"


# --- standard error ------------------------------------------------------------------------------


def test_standard_error_is_logged(daemon: Daemon) -> None:
    response = daemon.get(sh("echo one >&2; printf 'two\\r\\n\\n\\033three' >&2; echo out"), {"X-Request-Id": "abc"})
    assert response.text == "out\n"
    for text in ("one", "two", r"\?three"):
        daemon.wait_for_log(rf"warning: request abc: route /sh/\*: stderr: {text}$")


def test_a_flood_of_standard_error_is_limited(daemon: Daemon) -> None:
    assert daemon.get(sh("seq 1 3000 >&2"), {"X-Request-Id": "flood"}).status == 200
    daemon.wait_for_log(r"request flood: .*: \d+ more lines not shown")
    assert len(re.findall(r"request flood: .* stderr: \d+$", daemon.log, re.M)) <= 100


def test_long_lines_are_cut_not_lost(daemon: Daemon) -> None:
    assert daemon.get(sh("head -c 1500 /dev/zero | tr '\\0' x >&2"), {"X-Request-Id": "long"}).status == 200

    def all_there() -> bool:
        parts = re.findall(r"request long: .* stderr: (x+)$", daemon.log, re.M)
        return sum(map(len, parts)) == 1500

    until(all_there, "1500 bytes in the log")


def test_standard_error_elsewhere(start: StartDaemon) -> None:
    command = 'command = [ "sh", "-c", "echo one; echo two >&2" ]'
    daemon = start(
        conf(
            f'path = "/m"; action = "exec"; {command}; stderr = "merge"',
            f'path = "/d"; action = "exec"; {command}; stderr = "discard"',
            f'path = "/l"; action = "exec"; {command}; stderr = "log"',
        )
    )
    assert daemon.get("/m").text == "one\ntwo\n"
    assert daemon.get("/d").text == "one\n"
    assert daemon.get("/l").text == "one\n"
    daemon.wait_for_log(r"route /l: stderr: two$")
    assert len(re.findall("stderr", daemon.log)) == 1


# --- many ----------------------------------------------------------------------------------------


def test_many_runs_leave_nothing(start: StartDaemon) -> None:
    daemon = start(
        conf(
            'path = "/t"; action = "exec"; command = [ "true" ]',
            'path = "/e"; action = "exec"; command = [ "sh", "-c", "echo e >&2; cat" ]; stderr = "discard"',
            'path = "/n"; action = "exec"; command = [ "/nonexistent" ]',
            pools="default: { threads = 4; };",
        )
    )
    daemon.burst(8, "/t")
    before = daemon.descriptors_at_rest()
    for path, status in (("/t", 200), ("/e", 200), ("/n", 500)):
        assert {response.status for response in daemon.burst(100, path)} == {status}
    daemon.until_descriptors(before)
    assert children(daemon) == []
    daemon.until_pool(busy=0)


def test_exit_codes_count_whoever_started_the_daemon(start: StartDaemon) -> None:
    """A parent may leave SIGCHLD ignored, and then nobody could wait for programs."""
    ignoring = [
        sys.executable,
        "-c",
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "os.execv(sys.argv[1], sys.argv[1:])",
    ]
    daemon = start(conf(shell()), wrapper=ignoring)
    assert daemon.get(sh("exit 3")).status == 404
    assert daemon.get(sh("exit 4")).status == 500
