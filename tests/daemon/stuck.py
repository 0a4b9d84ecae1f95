"""Holds single threads of a running process."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Iterator

import pytest

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WAIT_ALL = 0x40000000  # __WALL, waitpid(2)
_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request: int, thread: int) -> None:
    if _libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace request {request:#x} of thread {thread}")


def _thread_id(pid: int, name: str) -> int:
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"process {pid} has no thread {name}")


@contextlib.contextmanager
def stuck_thread(pid: int, name: str) -> Iterator[None]:
    """Holds one thread while all others go on, which no signal can do."""
    thread = _thread_id(pid, name)
    try:
        _ptrace(PTRACE_SEIZE, thread)
    except PermissionError as refusal:
        pytest.skip(f"the system does not let tests trace their children: {refusal}")
    _ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WAIT_ALL)
    try:
        yield
    finally:
        try:
            _ptrace(PTRACE_DETACH, thread)
        except ProcessLookupError:  # killed meanwhile, and not gone until its tracer knows
            os.waitpid(thread, WAIT_ALL)
