"""Makes calls of a running daemon fail, by a library that is preloaded into it (plan.c, calls.c).

A plan is a list of rules, one string each; the first rule that matches a call and whose turn it is
decides about it:

    CALL[,CALL...] [FILTER...] [WHEN...] WHAT

    CALL    a function's name, or `alloc` for malloc, calloc, realloc, posix_memalign, aligned_alloc;
            `openat2` and `execve` mean the system calls, `clock` each reading of the time of day
    FILTER  path=TEXT      the file's name contains this, that of a descriptor, too
            fd=KIND        the descriptor is a file, socket, pipe or anonymous, or has this number
            thread=TEXT    the calling thread's name begins so
            without=TEXT[,TEXT...]  nobody in the chain of callers is in a library or an exported
                           function whose name contains one of these
            distinct       nobody has called from this place before: the same chain of callers
    WHEN    nth=N          that call alone, counted among those that the filters leave over
            from=N         each call from that one on
            times=N        so often, then no more
    WHAT    errno=NAME     it fails with this; getaddrinfo with EAI_...
            short=N        it reads or writes N bytes at most; short=half: half of what it is asked for
            shift=SECONDS  the time of day is off by so much
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import subprocess
from pathlib import Path
from typing import Iterator

from harness import BINARY

SHIM = BINARY.with_name("faults.so")

MAX_RULES = 8
MAX_FRAMES = 30
PLAN_SIZE = 2048
_LAYOUT = struct.Struct(f"=II{MAX_RULES}Q{MAX_RULES}QqII{MAX_FRAMES}Q32s128s{PLAN_SIZE}s")
_PLAN_AT = _LAYOUT.size - PLAN_SIZE


class Faults:
    """The file by which the library is told what to do.  Give `environment` to the daemon."""

    def __init__(self, path: Path, *rules: str) -> None:
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _LAYOUT.size)
        self.environment = {"LD_PRELOAD": str(SHIM), "FAULTS_FILE": str(path)}
        self._generation = 0
        self.arm(*rules)

    def arm(self, *rules: str) -> None:
        """A new plan; all counts begin anew."""
        text = "\n".join(rules).encode()
        assert len(text) < PLAN_SIZE and len(rules) <= MAX_RULES
        struct.pack_into("=I", self._memory, 0, self._generation + 1)
        self._memory[_PLAN_AT : _PLAN_AT + len(text) + 1] = text + b"\0"
        self._generation += 2
        struct.pack_into("=I", self._memory, 0, self._generation)

    def disarm(self) -> None:
        self.arm()

    @contextlib.contextmanager
    def armed(self, *rules: str) -> Iterator[None]:
        self.arm(*rules)
        try:
            yield
        finally:
            self._check()
            self.disarm()

    def _fields(self) -> tuple:  # type: ignore[type-arg]
        return _LAYOUT.unpack(self._memory[:])

    def _check(self) -> None:
        fault = self._fields()[-2].partition(b"\0")[0]
        assert not fault, fault.decode()

    def _count(self, at: int) -> int:
        self._check()
        fields = self._fields()
        return fields[at] if fields[1] == self._generation else 0

    def seen(self, rule: int = 0) -> int:
        """Calls that the filters of a rule have let through since the plan was armed."""
        return self._count(2 + rule)

    def done(self, rule: int = 0) -> int:
        """How often a rule has done what it says."""
        return self._count(2 + MAX_RULES + rule)

    def blocks(self) -> int:
        """Blocks of the heap that are allocated now."""
        return self._fields()[2 + 2 * MAX_RULES]

    def last(self, pid: int | None = None) -> str:
        """The last call that was made fail, and who made it as far as names are known."""
        fields = self._fields()
        count = fields[3 + 2 * MAX_RULES]
        frames = fields[5 + 2 * MAX_RULES :][:count]
        call = fields[-3].partition(b"\0")[0].decode()
        return call + "".join(f"\n    {name}" for name in _names(frames, pid))


def _names(frames: tuple[int, ...], pid: int | None) -> list[str]:
    """By the mappings of the process, while it is there."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return [hex(frame) for frame in frames]
    bases: dict[str, int] = {}
    spans = []
    for line in maps:
        parts = line.split(None, 5)
        if len(parts) == 6 and parts[5].startswith("/"):
            low, high = (int(number, 16) for number in parts[0].split("-"))
            bases.setdefault(parts[5], low)
            spans.append((low, high, parts[5]))
    names = []
    for frame in frames:
        file = next((file for low, high, file in spans if low <= frame < high), None)
        if file is None or file == str(SHIM):
            continue
        offset = frame - bases[file] - 1
        line = subprocess.run(["addr2line", "-Cfpe", file, hex(offset)], capture_output=True, text=True).stdout.strip()
        names.append(f"{Path(file).name}+{offset:#x} {line}")
    return names
