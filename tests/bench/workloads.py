"""What is measured: each workload with its servers, how a round of it runs, and what it should come to."""

import contextlib
import http.client
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

import figures
import machine
import servers
import tools
from machine import DaemonError

CLIENTS = 50
HOLD = 0.05  # seconds that /sleep takes
LARGE = 20  # clients of large bodies
IDLE = 10000
FILES = {"file12": 12, "file16k": 16 << 10, "file1m": 1 << 20, "file100m": 100 << 20}
POST = 'wrk.method = "POST"\nwrk.body = string.rep("x", 1048576)\n'
OVERLOAD = 1.5  # times the capacity
IN_TIME = 0.06  # seconds: the sleep, the target of codel-lifo, and as much for the way
MIX = {"hello": 75, "spin": 20, "sleep": 5}
MIX_RATE = 1000

SERVERS = {
    **servers.ALL,
    **{each.name: each for each in (servers.Newest, servers.Nice, servers.FourHundred, servers.Before)},
}


@dataclass(frozen=True)
class Goal:
    """A bound for a figure of ours, or for our ratio to a peer's."""

    bound: float
    figure: str = "rate"
    peer: str = ""
    most: bool = False  # the bound is the highest good value, else the lowest

    def as_json(self):
        return {"bound": self.bound, "figure": self.figure, "peer": self.peer, "sign": "≤" if self.most else "≥"}


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    path: str
    peers: tuple
    measure: object  # of (server, context): a round's figures
    figure: str = "rate"  # that is compared
    lower: bool = False  # less of it is better
    compared: bool = True  # a ratio of it means something
    ours: str = "handoffd"
    threads: int = 40
    most_rounds: int = 1000
    usual: bool = True  # part of a run that names no workloads
    goals: tuple = ()
    extra: dict = field(default_factory=dict)  # what `measure` needs to know besides


@dataclass
class Context:
    """What all rounds of a run share."""

    workload: Workload
    folder: str
    seconds: int
    load_cpu: int


# ---- one round -----------------------------------------------------------------------------------


def throughput(server, context):
    """As many requests as the clients can make; and what a request costs the server."""
    extra = context.workload.extra
    pids = server.pids()
    cpu, switches = machine.cpu_seconds(pids), machine.context_switches(pids)
    found = tools.wrk(
        server.url(context.workload.path),
        context.seconds,
        context.load_cpu,
        extra.get("clients", CLIENTS),
        extra.get("fields", ()),
        os.path.join(context.folder, "post.lua") if context.workload.path == "post" else None,
    )
    used, count = machine.cpu_seconds(pids), found["requests"]
    if not count:
        raise DaemonError(f"nothing was answered within {context.seconds} s")
    found["user_us"], found["system_us"] = ((a - b) / count * 1e6 for a, b in zip(used, cpu))
    found["switches"] = machine.switches_since(switches, pids) / count
    return found


def sleeping(server, context):
    """A fixed number of sleeps, which ideally takes a whole number of rounds of all threads."""
    at_once = min(server.threads, CLIENTS)
    turns = round(context.seconds / HOLD)
    found = tools.load(server.port, [server.paths["sleep"]], context.load_cpu, c=CLIENTS, n=at_once * turns)
    figures_of = found.pop("paths")[server.paths["sleep"]]
    return {
        **found,
        **figures_of,
        "faults": figures_of["sent"] - figures_of["ok"],
        "rate": figures_of["ok"] / found["seconds"],
        "of_ideal": figures_of["ok"] * HOLD / at_once / found["seconds"],
        "p99_of_ideal": figures_of["p99"] / figures.fifo_p99(CLIENTS, server.threads, HOLD),
    }


def overload(server, context):
    """More than the threads can do, at its own pace; what is answered in time, of the capacity."""
    capacity = server.threads / HOLD
    duration = max(3, context.seconds * 3)
    path = server.paths["sleep"]
    rate = capacity * OVERLOAD
    found = tools.load(server.port, [path], context.load_cpu, c=4000, r=rate, s=duration, l=IN_TIME * 1e3)
    of_path = found.pop("paths")[path]
    return {
        **found,
        **of_path,
        "faults": of_path["sent"] - of_path["ok"] - of_path["status"].get("503", 0),
        "goodput": of_path["in_time"] / capacity / duration,
        "answered": of_path["ok"] / of_path["sent"],
        "rejected": of_path["status"].get("503", 0) / of_path["sent"],
    }


def mixed(server, context):
    """Short answers among work of a millisecond and sleeps, at their own pace."""
    paths = [f"{server.paths[name]}={weight}" for name, weight in MIX.items()]
    found = tools.load(server.port, paths, context.load_cpu, c=4000, r=MIX_RATE, s=max(2, context.seconds * 2))
    all_paths = found.pop("paths")
    faults = sum(each["sent"] - each["ok"] for each in all_paths.values())
    return {**found, **all_paths[server.paths["hello"]], "faults": faults, "paths": all_paths}


def hand_over(server, context):
    """One client that asks the loop and the pool in turns."""
    loop, pool = server.paths["hello"], server.paths["noop"]
    paths = tools.load(server.port, [loop, pool], context.load_cpu, c=1, s=context.seconds)["paths"]
    added = {p: paths[pool][p] - paths[loop][p] for p in ("p50", "p90", "p99")}
    return {**{f"added_{p}": value for p, value in added.items()}, "loop": paths[loop], "pool": paths[pool]}


def idle_memory(server, context):
    """Growth of the resident memory by many connections that have had one answer each."""
    count = min(IDLE, machine.raise_file_limit() - 500)
    fields = "".join(line + "\r\n" for line in tools.BROWSER)
    request = f"GET {server.paths['hello']} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()
    tools.load(server.port, [server.paths["hello"]], context.load_cpu, c=CLIENTS, n=1000)
    before = machine.resident_kib(server.pids())
    there = []
    try:
        while len(there) < count:
            batch = [_connect(server.port) for _ in range(min(200, count - len(there)))]
            there += batch
            for connection in batch:
                connection.sendall(request)
            for connection in batch:
                if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                    raise DaemonError(f"a connection got no answer, with {len(there)} open")
        after = machine.resident_kib(server.pids())
    finally:
        for connection in there:
            connection.close()
    return {"connections": count, "before_kib": before, "after_kib": after, "kib_each": (after - before) / count}


def _connect(port):
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def system_calls(server, context):
    """Counted by strace, which slows the server down: the clients are always ahead of it."""
    requests = 10000
    report = os.path.join(context.folder, "strace")
    command = [machine.program("strace"), "-c", "-f", "-o", report]
    for pid in server.pids():
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        if not select.select([tracer.stderr], [], [], 20)[0] or "attached" not in tracer.stderr.readline():
            raise DaemonError("strace could not attach to the server")
        tools.load(server.port, [server.paths["hello"]], context.load_cpu, c=CLIENTS, n=requests)
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
    finally:
        if tracer.poll() is None:
            tracer.kill()
            tracer.wait()
    with open(report, encoding="utf-8") as file:
        calls = tools.parse_strace(file.read())
    return {"calls": calls, "requests": requests, "per_request": sum(calls.values()) / requests}


def large_bodies(server, context):
    """Growth of the highest resident memory by a body of a GiB in either direction."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    block = os.urandom(1 << 20)
    grown = {}

    def upload(mib):
        connection.putrequest("PUT", server.paths["store"])
        connection.putheader("Content-Length", str(mib << 20))
        connection.endheaders()
        for _ in range(mib):
            connection.send(block)
        connection.getresponse().read()

    def download():
        connection.request("GET", server.paths["stored"])
        response = connection.getresponse()
        while response.read(1 << 20):
            pass

    upload(1)
    download()
    for way, move in (("up", lambda: upload(1024)), ("down", download)):
        before = server.daemon.memory_kib("VmHWM")
        move()
        grown[way] = server.daemon.memory_kib("VmHWM") - before
    connection.close()
    os.unlink(os.path.join(context.folder, "stored", "body"))
    return {"grown_kib": max(grown.values()), **grown}


def starting(server, context):
    """From fork to READY=1, and the memory half a second later, of a daemon made for this round."""
    with type(server)(server.cpu, server.files, server.threads) as fresh:
        time.sleep(0.5)
        memory = {name: fresh.daemon.memory_kib(name) for name in ("VmRSS", "RssAnon", "RssFile")}
        return {"ready": fresh.daemon.ready_after, "mib": memory["VmRSS"] / 1024, **memory}


# ---- all of them ---------------------------------------------------------------------------------

POOLS = ("fastapi", "tomcat", "puma", "gunicorn", "mhd-pool")
SLEEPS = tuple(
    Workload(
        f"sleep{threads}",
        f"sleep of 50 ms, {threads} threads, {CLIENTS} clients",
        "sleep",
        POOLS,
        sleeping,
        threads=threads,
        most_rounds=3,
        goals=(Goal(0.985, "of_ideal"), Goal(1.05, "p99_of_ideal", most=True)),
    )
    for threads in (12, 40, 50, 60)
)

WORKLOADS = (
    Workload("start", "start to READY, 40 threads", "hello", (), starting, "ready", True, False,
             goals=(Goal(0.05, "ready", most=True), Goal(8, "mib", most=True))),
    Workload("hello", "answer from the loop", "hello", ("nginx", "mhd", "go", "node", "fastapi", "tomcat"), throughput,
             goals=(Goal(1.0, peer="nginx"), Goal(2, peer="go"), Goal(7, peer="fastapi"))),
    Workload("browser", "the same, with ten headers of a browser", "hello",
             ("nginx", "mhd", "go", "node", "fastapi", "tomcat"), throughput,
             extra={"fields": tools.BROWSER}, goals=(Goal(0.92, peer="nginx"),)),
    Workload("noop", "no-op handed to a thread", "noop",
             ("nginx", "mhd-pool", "go", "node", "fastapi", "tomcat", "puma", "gunicorn"), throughput,
             goals=(Goal(2.5, peer="nginx"), Goal(1.5, peer="mhd-pool"), Goal(2, peer="go"), Goal(8, peer="fastapi"),
                    Goal(0.3, "switches", most=True))),
    *SLEEPS,
    Workload("spin", "1 ms of CPU in a thread", "spin",
             ("mhd-pool", "go", "node", "fastapi", "tomcat", "puma", "gunicorn"), throughput),
    Workload("file", "file of 16 KiB", "file16k",
             ("nginx", "nginx-sendfile", "mhd-pool", "go", "node", "fastapi"), throughput),
    Workload("answer1m", "answer of 1 MiB", "answer1m", ("nginx", "nginx-sendfile"), throughput, "bytes",
             extra={"clients": LARGE}, goals=(Goal(1.0, "bytes", "nginx"), Goal(1.0, "bytes", "nginx-sendfile"))),
    Workload("post1m", "body of 1 MiB taken in", "post", ("nginx",), throughput,
             extra={"clients": LARGE}, goals=(Goal(0.9, peer="nginx"),)),
    Workload("pool400", "no-op, 400 threads against 40", "noop", ("handoffd",), throughput, ours="pool-of-400",
             goals=(Goal(0.95, peer="handoffd"),)),
    Workload("handover", "latency that a thread adds, light load", "noop", ("nginx", "fastapi", "node"), hand_over,
             "added_p50", True, goals=(Goal(10e-6, "added_p50", most=True), Goal(50e-6, "added_p99", most=True))),
    Workload("mixed", "short answers in a mixed load", "hello",
             ("nice-19", "go", "fastapi", "tomcat", "puma", "gunicorn", "mhd-pool"), mixed, "p99", True, most_rounds=3),
    Workload("overload", "1.5 times what 8 threads can do", "sleep",
             ("codel-lifo", "fastapi", "tomcat", "puma", "gunicorn"), overload, "goodput", False, False, threads=8,
             most_rounds=2),
    Workload("idle", "idle connections", "hello", ("nginx", "mhd", "go", "node", "fastapi"), idle_memory,
             "kib_each", True, most_rounds=1, goals=(Goal(2.5, "kib_each", most=True),)),
    Workload("file1m", "file of 1 MiB", "file1m", ("nginx", "nginx-sendfile"), throughput, "bytes", usual=False,
             extra={"clients": LARGE}),
    Workload("file100m", "file of 100 MiB", "file100m", ("nginx", "nginx-sendfile"), throughput, "bytes", usual=False,
             extra={"clients": 4}, goals=(Goal(0.9, "bytes", "nginx"), Goal(0.9, "bytes", "nginx-sendfile"))),
    Workload("bodies", "memory for a body of 1 GiB", "hello", (), large_bodies, "grown_kib", True, False, usual=False,
             most_rounds=1, goals=(Goal(8192, "grown_kib", most=True),)),
    Workload("syscalls", "system calls for an answer from the loop", "hello", ("nginx", "mhd", "go"), system_calls,
             "per_request", True, most_rounds=1, goals=(Goal(2.1, "per_request", most=True),)),
)


# ---- running -------------------------------------------------------------------------------------


@contextlib.contextmanager
def prepared_folder():
    """What servers serve and tools read, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="handoffd-bench-") as folder:
        os.chmod(folder, 0o755)  # for peers that give up root
        for name, length in FILES.items():
            with open(os.path.join(folder, name), "wb") as file:
                for _ in range(0, length, 1 << 20):
                    file.write(os.urandom(min(length, 1 << 20)))
        os.mkdir(os.path.join(folder, "stored"))
        with open(os.path.join(folder, "post.lua"), "w", encoding="ascii") as file:
            file.write(POST)
        yield folder


def warm_up(server, context):
    url = server.url(context.workload.path)
    script = os.path.join(context.folder, "post.lua") if context.workload.path == "post" else None
    tools.wrk(url, server.warm_up, context.load_cpu, script=script)


def run(workload, names, options, folder, say):
    """All rounds of a workload: (a list with the figures of each server by name, the reasons of those that
    failed by name)."""
    server_cpu, load_cpu = machine.cores()
    context = Context(workload, folder, options.seconds, load_cpu)
    failed, running, rounds = {}, {}, []
    with contextlib.ExitStack() as stack:
        for name in names:
            try:
                server = stack.enter_context(SERVERS[name](server_cpu, folder, workload.threads))
                server.check(workload.path)
                if workload.most_rounds > 1:
                    warm_up(server, context)
                running[name] = server
            except DaemonError as error:
                failed[name] = str(error)
        for number in range(min(options.rounds, workload.most_rounds)):
            rounds.append({})
            for name in figures.rotated(running, number):
                say(f"{workload.name}: round {number + 1}: {name}")
                if name not in failed:
                    try:
                        rounds[-1][name] = workload.measure(running[name], context)
                    except (DaemonError, OSError, subprocess.TimeoutExpired, machine.Missing) as error:
                        failed[name] = re.sub(r"\s+", " ", str(error))[:300]
    return rounds, failed
