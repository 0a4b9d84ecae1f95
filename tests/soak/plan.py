"""What the daemon of a soak is configured with: every action, pools of every kind, and all of it changing.

A `Plan` makes configurations.  The base has everything, so that everything can be seen in it; `changed`
is a random variation.  Whatever varies leaves the meaning of a good request the same: which answers it
may get does not depend on the configuration of the moment, so that a client need not know it.

Every route exists twice: below /g for good clients, whose requests are counted one by one, and below /r
for the rude ones, of which nobody can say how far they got.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOOPS = 2
PORT = 17031
BODY_LIMIT = 128 << 10
HEAD_LIMIT = 8 << 10
LARGE = 1 << 20
STORED = "stored"
DISCIPLINES = ("fifo", "fair", "codel-lifo")
# Routes and listeners that come and go, and one pool.
MAYBES = 4
PASSING_LISTENERS = ("passing", "passing2")

# What the program `misbehave` can do, and the options that a route for it needs.
MISBEHAVIOURS = {
    "ignores-term": 'timeout = "100ms"; kill_grace = "100ms"',
    "stops-itself": 'timeout = "100ms"; kill_grace = "100ms"',
    "closes-output": "",
    "leaves-child": 'kill_grace = "1s"',
    "daemonizes": "",
    "keeps-output": 'kill_grace = "50ms"',
    "much-stderr": "",
    "merged-stderr": 'stderr = "merge"',
    "endless-output": 'max_output = "64k"',
    "crashes": "",
    "exits-7": "status_map = ( { exit = 7; status = 404; } )",
    "exits-9": 'stderr = "discard"',
    "reads-nothing": "",
    "no-head": "cgi = true",
    "streams-slowly": "stream = true",
    "streams-and-crashes": "stream = true",
    "streams-much": "stream = true",
}


def text(value: object) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Plan:
    """`patience`: seconds that no client on a busy machine may be late by."""

    def __init__(self, directory: Path, seed: int, patience: float, host: str) -> None:
        self.directory = directory
        self.patience = patience
        self.host = host
        self.marker = f"{host}-{os.getpid()}"
        self.chance = random.Random(seed)

    def address(self, listener: str) -> tuple[str, int] | str:
        if listener == "admin" or listener == "unix":
            return str(self.directory / f"{listener}.sock")
        if listener == "passing2":
            return str(self.directory / "passing2.sock")
        return self.host, PORT + ("main", "budget", "passing").index(listener)

    def write_files(self) -> None:
        (self.directory / STORED).mkdir()
        files = self.directory / "files"
        files.mkdir()
        for name, size in (("small.txt", 3000), ("large.bin", LARGE)):
            (files / name).write_bytes(file_content(name, size))
        self.write_page(0)

    def write_page(self, generation: int) -> None:
        """What a route reads at load: it tells the generation that it was loaded with."""
        new = self.directory / "page.new"
        new.write_text(f"page of {generation}\n" * 20)
        new.replace(self.directory / "page")

    # --- configurations -------------------------------------------------------------------------

    def base(self, generation: int) -> str:
        return self._config(generation, None)

    def changed(self, generation: int) -> str:
        return self._config(generation, self.chance)

    def broken(self) -> str:
        """None of these is a configuration."""
        good = self._config(0, self.chance)
        return self.chance.choice(
            [
                good.replace("discipline", "disciplin", 1),
                good.replace("threads = ", 'threads = "many"; stack_size = ', 1),
                good.replace('action = "sleep"', 'action = "slep"', 1),
                good + 'routes2: ( { path = "/x"; } );\n',
                good[: len(good) // 2],
                good.replace(text("/g/respond"), text("/g/page"), 1),
                '@include "missing.conf"\n' + good,
                "",  # nothing is a configuration; but this one opens a port that is taken
            ]
        ) or self._taken(good)

    def _taken(self, good: str) -> str:
        taken = f"taken: {{ address = {text('unix:' + str(self.directory / 'page'))}; }};"
        return good.replace("listeners: {", f"listeners: {{ {taken}", 1)

    def _config(self, generation: int, chance: random.Random | None) -> str:
        pools = self._pools(chance)  # before the routes, which depend on it
        routes = ",\n".join(f"  {{ {route} }}" for route in self._routes(generation, chance))
        return (
            f"server: {{ {self._server(chance)} }};\n"
            f"listeners: {{ {self._listeners(chance)} }};\n"
            f"pools: {{\n{pools}}};\n"
            f"routes: (\n{routes}\n);\n"
        )

    def _server(self, chance: random.Random | None) -> str:
        patience = f"{self.patience:g}s"
        fixed = (
            f"max_header_size = {HEAD_LIMIT}; max_body_size = {BODY_LIMIT}; "
            f'header_timeout = "{patience}"; body_timeout = "{patience}"; write_timeout = "{patience}"; '
            f'keepalive_timeout = "1h"; drain_timeout = "30s"; '
            f'access_log = "access.log"; access_log_format = "json"; '
        )
        if not chance:
            return fixed + f"loops = {LOOPS};"
        return fixed + (
            f"loops = {chance.choice([LOOPS] * 9 + [3])}; "  # takes a restart, so it never changes
            f"max_connections = {chance.choice([24, 10000, 10000, 10000])}; "
            f'half_close = "{chance.choice(["abort", "serve"])}"; '
            f"server_timing = {chance.choice(['true', 'false'])}; "
            f"server_tokens = {chance.choice(['true', 'false'])}; "
            f'starvation_notice = {chance.choice(["0", "1", "5"])};'
        )

    def _listeners(self, chance: random.Random | None) -> str:
        names = ["admin", "main", "budget", "unix"]
        names += [name for name in PASSING_LISTENERS if not chance or chance.random() < 0.5]
        found = []
        for name in names:
            address = self.address(name)
            where = f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"
            more = 'queue_budget_header = "X-Queue-Budget";' if name == "budget" else ""
            found.append(f"{name}: {{ address = {text(where)}; {more} }};")
        if chance:
            chance.shuffle(found)
        return " ".join(found)

    def _pools(self, chance: random.Random | None) -> str:
        names = ["default", "fifo", "fair", "codel", "demand", "tiny", "programs", "files"]
        if not chance or chance.random() < 0.5:
            names.append("maybe")
        self.has_maybe_pool = "maybe" in names
        return "".join(f"  {name}: {{ {self._pool(name, chance)} }};\n" for name in names)

    def _pool(self, name: str, chance: random.Random | None) -> str:
        disciplines = {"fifo": "fifo", "fair": "fair", "codel": "codel-lifo"}
        discipline = disciplines.get(name, "fifo")
        depth = 0 if name == "tiny" else 200
        on_demand = name == "demand"
        if not chance:
            return (
                f'threads = 4; queue_depth = {depth}; discipline = "{discipline}"; '
                + ('spawn = "on-demand"; idle_timeout = "20ms";' if on_demand else "")
            )
        if name not in disciplines:
            discipline = chance.choice(DISCIPLINES)
            on_demand = chance.random() < 0.4
        if depth:
            depth = chance.choice([1, 5, 30, 200])
        found = (
            f"threads = {chance.randint(1, 10)}; queue_depth = {depth}; "
            f'queue_timeout = {chance.choice([0, 0, 0.02, 0.2])}; discipline = "{discipline}"; '
            f"codel_target = {chance.choice([0.005, 0.05])}; codel_window = {chance.choice([0.02, 0.1])}; "
            f"nice = {chance.choice([0, 0, 0, 10])}; "
            f'stack_size = "{chance.choice(["256k", "256k", "512k"])}"; '
        )
        if on_demand:
            found += f'spawn = "on-demand"; idle_timeout = {chance.choice([0, 0.001, 0.05])};'
        return found

    def _routes(self, generation: int, chance: random.Random | None) -> list[str]:
        found = [
            'path = "/-/status"; action = "status"; listener = "admin"',
            'path = "/-/metrics"; action = "metrics"; listener = "admin"',
        ]
        for side in ("/g", "/r"):
            found += self._loop_routes(side, generation)
            found += self._pool_routes(side, chance)
            found += self._program_routes(side, chance)
            found += self._file_routes(side, chance)
        for i in range(MAYBES):
            if not chance or chance.random() < 0.5:
                found.append(f'path = "/g/maybe/{i}"; action = "sleep"; duration = 0; {self._run(chance)}')
        if chance:
            chance.shuffle(found)
        return found

    def _loop_routes(self, side: str, generation: int) -> list[str]:
        at = f'path = "{side}'
        return [
            at + f'/respond"; action = "respond"; body = "of {generation}: ${{query.x}} ${{request_id}}"',
            at + f'/headers"; action = "respond"; status = 201; headers = {{ X-Generation = "{generation}";'
            ' X-Agent = "${header.User-Agent}"; }',
            at + f'/page"; action = "respond"; body_file = "page"',
            at + f'/old/{{id}}"; action = "redirect"; location = "/new/${{path.id}}?of={generation}"',
            at + '/echo/*"; action = "echo"',
            at + '/delay"; action = "delay"; duration = "${param.for}"; ' + duration_parameter("1s"),
            at + '/pool/fifo"; action = "pool"; pool = "fifo"',
            at + '/pool/free"; action = "pool"; pool = "fair"; field = "available"',
            at + '/status"; action = "status"',
            at + '/metrics"; action = "metrics"',
            at + '/live"; action = "live"',
            at + '/ready"; action = "ready"',
        ]

    def _pool_routes(self, side: str, chance: random.Random | None) -> list[str]:
        nap = 'action = "sleep"; duration = "${param.for}"; ' + duration_parameter("1s")
        found = [
            f'path = "{side}/sleep/{pool}/{{n}}"; pool = "{pool}"; {nap}; {self._cap(chance)}'
            for pool in ("default", "fifo", "fair", "codel", "demand", "tiny")
        ]
        found += [
            f'path = "{side}/sleep/fair2"; pool = "fair"; {nap}; {self._cap(chance)}',
            f'path = "{side}/sleep/dedicated"; pool = "dedicated"; {nap}; concurrency = '
            + (str(chance.randint(1, 6)) if chance else "3"),
            f'path = "{side}/late"; action = "sleep"; duration = "1h"; timeout = "20ms"; pool = "fifo"',
            f'path = "{side}/spin"; action = "spin"; duration = "1ms"; {self._run(chance)}',
            f'path = "{side}/resolve/{{name}}"; action = "resolve"; name = "${{path.name}}"; '
            + self._run(chance),
            f'path = "{side}/digest/sha256"; action = "digest"; {self._run(chance)}',
            f'path = "{side}/digest/md5"; action = "digest"; algorithm = "md5"; {self._run(chance)}',
        ]
        return found

    def _program_routes(self, side: str, chance: random.Random | None) -> list[str]:
        env = f'env = {{ SOAK = "{self.marker}"; }}; pool = "programs"'
        program = text(HERE / "misbehave")
        found = [
            f'path = "{side}/exec/*"; action = "exec"; {env}; '
            'command = [ "/usr/bin/printf", "%s|%s|%s", "${path.rest}", "${query.x}", "${request_id}" ]',
            f'path = "{side}/cat"; action = "exec"; {env}; command = [ "/bin/cat" ]',
            f'path = "{side}/cat/stream"; action = "exec"; stream = true; {env}; command = [ "/bin/cat" ]',
            f'path = "{side}/cgi/*"; action = "exec"; cgi = true; {env}; command = [ {program}, "cgi" ]',
            f'path = "{side}/cgi-stream/*"; action = "exec"; cgi = true; stream = true; {env}; '
            f'command = [ {program}, "cgi" ]',
        ]
        found += [
            f'path = "{side}/bad/{kind}"; action = "exec"; {env}; command = [ {program}, "{kind}" ]; {more}'
            for kind, more in MISBEHAVIOURS.items()
        ]
        return found

    def _file_routes(self, side: str, chance: random.Random | None) -> list[str]:
        upload = f'action = "upload"; directory = "{STORED}"; fsync = "none"; pool = "files"'
        return [
            f'path = "{side}/files/*"; action = "file"; root = "files"; listing = "json"; pool = "files"',
            f'path = "{side}/up/{{name}}"; {upload}; name = "${{path.name}}"',
            f'path = "{side}/form"; {upload}; client_names = true',
            f'path = "{side}/stored/*"; action = "file"; root = "{STORED}"; pool = "files"; {self._cap(chance)}',
        ]

    def _run(self, chance: random.Random | None) -> str:
        """Where a route's action runs, if that makes no difference."""
        if not chance:
            return 'pool = "default"'
        pools = ["default", "fifo", "fair", "demand"] + ["maybe"] * 3 * self.has_maybe_pool
        return f'pool = "{chance.choice(pools)}"; {self._cap(chance)}'

    def _cap(self, chance: random.Random | None) -> str:
        if not chance or chance.random() < 0.5:
            return ""
        return (
            f"concurrency = {chance.choice([0, 1, 2, 3, 8])}; max_queue = {chance.choice([0, 2, 20, 200])}; "
            f"queue_timeout = {chance.choice([0, 0.02, 0.5])}; timeout = {chance.choice([0, 30])}"
        )


def own_host() -> str:
    """An address that nobody else on the machine listens on: a port that a reload has let go must not
    be a stranger's meanwhile."""
    pid = os.getpid()
    return f"127.{1 + pid // 62500 % 250}.{1 + pid // 250 % 250}.{1 + pid % 250}"


def duration_parameter(most: str) -> str:
    return (
        f'params = ( {{ name = "for"; type = "duration"; default = "1ms"; max = "{most}"; }} )'
    )


def file_content(name: str, size: int) -> bytes:
    """The same for everybody who knows the name."""
    return random.Random(name).randbytes(size)
