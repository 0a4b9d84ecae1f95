"""What the benches need of the machine: cores, processes, their accounts in /proc."""

import contextlib
import datetime
import os
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "demo"))

from daemon import TOP, Daemon, DaemonError, binary  # noqa: E402

__all__ = ["TOP", "Daemon", "DaemonError", "binary"]
INSTALL = "sh packaging/install-deps --bench"
TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A tool or peer that is not installed; the text says which, and what would install it."""


def cores():
    """(server core, load core); the same one twice on a machine with a single core."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1] if len(allowed) > 1 else allowed[0]


def program(name, package=None):
    """Path of a program, also of one that only root has in PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not there (Debian package {package or name})")
    return found


def pinned(command, cpu, **options):
    """Starts a program on one core."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}), **options)


def end(process, patience=10, group=False):
    """Stops a program that was started here; with its whole group, if it was given one."""
    if group:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_cleanly():
    """From now on SIGTERM ends this script through its `with` blocks, which stop what it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def reserved_port():
    """A socket that holds a free port of 127.0.0.1 for a server that sets SO_REUSEADDR, as all do. While it
    is open the kernel gives the port to nobody who asks for any port."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def await_port(port, processes, patience=30):
    """Waits until somebody listens; DaemonError when one of the processes has ended."""
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            for process in processes:
                if process.poll() is not None:
                    raise DaemonError(f"{process.args[0]} ended with {process.returncode}") from None
            if time.monotonic() > deadline:
                raise DaemonError(f"{processes[-1].args[0]} does not listen") from None
            time.sleep(0.02)


def raise_file_limit():
    """Raises the limit of descriptors to the hard one, for what is started from now on too."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# ---- accounts of a server: its process and all that it has started -------------------------------


def family(pids):
    """These processes and their children, grandchildren..."""
    found = list(pids)
    for pid in found:
        for task in _tasks(pid):
            found += [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
    return found


def _tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # has ended meanwhile


def context_switches(pids):
    """Voluntary ones of each thread, by the two ids."""
    found = {}
    for pid in pids:
        for task in _tasks(pid):
            count = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", _read(f"/proc/{pid}/task/{task}/status"), re.M)
            if count:
                found[pid, task] = int(count[1])
    return found


def switches_since(before, pids):
    """How many there were meanwhile; those of threads that have ended are lost."""
    return sum(count - before.get(thread, 0) for thread, count in context_switches(pids).items())


def cpu_seconds(pids, of_children=False):
    """(user, system) of all threads, ended ones included; or of the children that were waited for."""
    user = system = 0
    first = 13 if of_children else 11
    for pid in pids:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if fields:
            user, system = user + int(fields[first]), system + int(fields[first + 1])
    return user / TICKS, system / TICKS


def resident_kib(pids):
    """Memory of all processes, with what they share counted once for each."""
    total = 0
    for pid in pids:
        found = re.search(r"^VmRSS:\s+(\d+)", _read(f"/proc/{pid}/status"), re.M)
        total += int(found[1]) if found else 0
    return total


# ---- the machine itself --------------------------------------------------------------------------


def busy_ticks():
    """(busy, stolen by the host) clock ticks of all CPUs since the start."""
    fields = [int(field) for field in _read("/proc/stat").split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, soft, steal = fields[:8]
    return user + nice + system + irq + soft, steal


def own_ticks():
    """Clock ticks that this process and all that it has waited for have used."""
    return round(sum(os.times()[:4]) * TICKS)


class Quiet:
    """How much of the CPUs others have used since this was made."""

    def __init__(self):
        self._began = (time.monotonic(), busy_ticks(), own_ticks())

    def others(self):
        """Parts of one CPU that other processes used, and that the host took away. What was started here
        counts as ours once it has ended."""
        began, (busy, steal), own = self._began
        passed = (time.monotonic() - began) * TICKS
        now_busy, now_steal = busy_ticks()
        used = now_busy - busy - (own_ticks() - own)
        return {"others": max(0.0, used / passed), "stolen": (now_steal - steal) / passed}


def describe():
    cpu = re.search(r"^model name\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release"), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", _read("/proc/meminfo"), re.M)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": system[1] if system else "",
        "cpu": cpu[1] if cpu else platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_kib": int(memory[1]) if memory else 0,
    }
