"""Processes that programs leave behind, where the daemon is the one who has to bury them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import StartDaemon
from harness import Daemon, conf, until

SHELL = """path = "/sh/*"; action = "exec"; command = [ "sh", "-c", "${path.rest}", "sh" ];
    status_map = ( { exit = 3; status = 404; } )"""
# Has left its group and session before its parent ends, and ends when somebody writes into the fifo.
LEAVE = "setsid sh -c 'echo > {fifo}; read x < {fifo}' >/dev/null 2>&1 & read x < {fifo}"

SUBREAPER = """
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""

# Stays outside, passes signals on and ends as the daemon does.
PROCESS_1 = """
import ctypes, os, signal, sys
CLONE_NEWPID = 0x20000000
assert ctypes.CDLL(None).unshare(CLONE_NEWPID) == 0
child = os.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: os.kill(child, number))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def can_unshare() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--pid", "--fork", "true"]).returncode == 0


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def children(pid: int) -> set[int]:
    return {
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    }


def sh(script: str) -> str:
    return "/sh/" + quote(script, safe="")


def leave_orphan(daemon: Daemon, adopter: int, fifo: Path) -> int:
    os.mkfifo(fifo)
    before = children(adopter)
    assert daemon.get(sh(LEAVE.format(fifo=fifo))).status == 200
    (orphan,) = children(adopter) - before
    assert parent(orphan) == adopter
    return orphan


def check_orphans(daemon: Daemon, adopter: int, directory: Path) -> None:
    orphans = []
    for number in range(5):
        fifo = directory / f"fifo{number}"
        orphans.append((leave_orphan(daemon, adopter, fifo), fifo))
    # Programs end at the same time, whose status somebody waits for.
    crowd = daemon.send_burst(40, sh("exit 3"))
    for _, fifo in orphans:
        fifo.write_text("end\n")
    assert crowd.wait().statuses == {404: 40}
    for orphan, _ in orphans:
        until(lambda pid=orphan: not Path(f"/proc/{pid}").exists(), "the orphan's burial")
    assert children(adopter) == set()
    assert daemon.get(sh("exit 3")).status == 404


def test_a_subreaper_buries_its_orphans(start: StartDaemon, tmp_path: Path) -> None:
    daemon = start(conf(SHELL), wrapper=[sys.executable, "-c", SUBREAPER])
    check_orphans(daemon, daemon.pid, tmp_path)


def test_process_1_buries_its_orphans(start: StartDaemon, tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("needs root, and PID namespaces")
    daemon = start(conf(SHELL), wrapper=[sys.executable, "-c", PROCESS_1])
    (process_1,) = children(daemon.pid)
    check_orphans(daemon, process_1, tmp_path)
