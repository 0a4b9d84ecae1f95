"""The daemon under test: every action, and what can be told about it after a fault."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from faults import Faults
from harness import EXIT_OK, Daemon, conf, until
from rawhttp import Connection, ProtocolError, Response, request_bytes

BOUNDARY = "multipart/form-data; boundary=B"
PARTS = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nabc\r\n'
    b'--B\r\nContent-Disposition: form-data; name="b"\r\n\r\n7\r\n--B--\r\n'
)
FILE_PART = (
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="part.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nabc\r\n--B--\r\n"
)
FORM = "application/x-www-form-urlencoded"
CGI = 'printf "Content-Type: text/plain\\n\\n$REQUEST_METHOD"; cat'
BIG = 300_000


def all_actions(directory: Path) -> str:
    """A configuration with every action, and what they need in the directory."""
    (directory / "tree").mkdir(exist_ok=True)
    (directory / "up").mkdir(exist_ok=True)
    (directory / "tree/a.txt").write_text("a" * 20)
    (directory / "tree/big").write_bytes(b"x" * BIG)
    script = directory / "cgi"
    script.write_text(f"#!/bin/sh\n{CGI}\n")
    script.chmod(0o755)
    return conf(
        'path = "/hello"; action = "respond"; body = "hello"',
        'path = "/template/{id}"; action = "respond"; headers = { X-Id = "v${path.id}"; };'
        ' body = "${path.id} ${query.q} ${header.X-Y} ${remote_addr} ${request_id}"',
        'path = "/redirect"; action = "redirect"; location = "/hello?q=${query.q}"',
        'path = "/echo/*"; methods = [ "GET", "POST" ]; action = "echo";'
        ' params = ( { name = "q"; in = "query"; type = "int"; default = "1"; } )',
        'path = "/form"; methods = [ "POST" ]; action = "echo"; params = ('
        ' { name = "a"; in = "form"; type = "string"; pattern = "^[a-z]+$"; },'
        ' { name = "b"; in = "form"; type = "int"; } )',
        'path = "/delay"; action = "delay"; duration = "1ms"',
        'path = "/pool"; action = "pool"; pool = "default"',
        'path = "/threads"; action = "pool"; pool = "default"; field = "threads"',
        'path = "/metrics"; action = "metrics"',
        'path = "/live"; action = "live"',
        'path = "/ready"; action = "ready"',
        'path = "/sleep"; action = "sleep"; duration = "1ms"; timeout = "1h"',
        'path = "/spin"; action = "spin"; duration = "1ms"',
        'path = "/digest"; methods = [ "POST" ]; action = "digest"; algorithm = "sha256"',
        'path = "/exec"; methods = [ "GET", "POST" ]; action = "exec"; command = [ "/bin/cat" ];'
        ' env = { Q = "${query.q}"; }',
        'path = "/stream"; methods = [ "POST" ]; action = "exec"; command = [ "/bin/cat" ];'
        " stream = true",
        f'path = "/cgi/*"; methods = [ "GET", "POST" ]; action = "exec"; cgi = true;'
        f' command = [ "{script}" ]',
        f'path = "/file/*"; action = "file"; root = "{directory}/tree"; listing = "html"',
        f'path = "/list/*"; action = "file"; root = "{directory}/tree"; listing = "json"',
        f'path = "/up/{{name}}"; methods = [ "PUT", "POST" ]; action = "upload";'
        f' directory = "{directory}/up"; name = "${{path.name}}"; overwrite = true',
        'path = "/resolve"; action = "resolve"; name = "localhost"',
        'path = "/dedicated"; action = "sleep"; duration = "1ms"; pool = "dedicated";'
        " concurrency = 4",
        pools="default: { threads = 2; queue_timeout = 3600; };",
        server=f'drain_timeout = "100ms"; server_timing = true;'
        f' access_log = "{directory}/access.log"',
    )


def chunked(target: str) -> bytes:
    return (
        f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    )


REQUESTS = {
    "respond": request_bytes("GET", "/hello"),
    "template": request_bytes("GET", "/template/7?q=1", {"X-Y": "y"}),
    "redirect": request_bytes("GET", "/redirect?q=1"),
    "echo": request_bytes("POST", "/echo/a/b?q=1", {}, b"body"),
    "form": request_bytes("POST", "/form", {"Content-Type": FORM}, b"a=abc&b=1"),
    "multipart": request_bytes("POST", "/form", {"Content-Type": BOUNDARY}, PARTS),
    "wrong form": request_bytes("POST", "/form", {"Content-Type": FORM}, b"a=1&b=x"),
    "no route": request_bytes("GET", "/none"),
    "wrong method": request_bytes("DELETE", "/hello"),
    "options": request_bytes("OPTIONS", "/echo/a"),
    "head": request_bytes("HEAD", "/hello"),
    "delay": request_bytes("GET", "/delay"),
    "pool": request_bytes("GET", "/pool"),
    "field": request_bytes("GET", "/threads"),
    "metrics": request_bytes("GET", "/metrics"),
    "status": request_bytes("GET", "/-/status"),
    "live": request_bytes("GET", "/live"),
    "ready": request_bytes("GET", "/ready"),
    "sleep": request_bytes("GET", "/sleep"),
    "spin": request_bytes("GET", "/spin"),
    "digest": request_bytes("POST", "/digest", {}, b"abc"),
    "chunked": chunked("/digest"),
    "exec": request_bytes("POST", "/exec?q=1", {}, b"abc"),
    "stream": request_bytes("POST", "/stream", {}, b"abc"),
    "cgi": request_bytes("POST", "/cgi/a?b=c", {"X-Y": "y"}, b"abc"),
    "file": request_bytes("GET", "/file/a.txt"),
    "large file": request_bytes("GET", "/file/big"),
    "ranges": request_bytes("GET", "/file/big", {"Range": "bytes=0-5,10-20"}),
    "html listing": request_bytes("GET", "/file/"),
    "json listing": request_bytes("GET", "/list/"),
    "upload": request_bytes("PUT", "/up/x", {}, b"abc"),
    "form upload": request_bytes("POST", "/up/y", {"Content-Type": BOUNDARY}, FILE_PART),
    "resolve": request_bytes("GET", "/resolve"),
    "dedicated": request_bytes("GET", "/dedicated"),
}

# What the daemon itself says of a fault, and what it may make of a resolver or a program that had one.
FAILURES = {500, 503}
FAILURES_OF = {"resolve": {404, 502}, "cgi": {502}}

# Differ from answer to answer, or, for what has been stored, need not be told.
VOLATILE_FIELDS = {"date", "x-request-id", "server-timing", "last-modified", "etag", "content-length"}
VOLATILE_FIELDS |= {"location"}
LOOPS = re.compile(rb'"loops":\[.*?\],"connections"')  # empty until one has been late
NUMBERS = re.compile(rb"[0-9a-f]{32}|[0-9]+(?:[.][0-9]+)?(?:e[-+]?[0-9]+)?")


def shape_of_body(response: Response) -> object:
    """What does not change with what has been counted meanwhile."""
    kind = response.header("Content-Type") or ""
    if kind.startswith("text/plain; version="):  # metrics
        return tuple(line for line in response.text.splitlines() if line.startswith("#"))
    return NUMBERS.sub(b"0", LOOPS.sub(b"", response.body))


def shape(response: Response) -> tuple[object, ...]:
    """What two answers to the same request have in common."""
    fields = sorted(
        (name.lower(), NUMBERS.sub(b"0", value.encode()))
        for name, value in response.fields
        if name.lower() not in VOLATILE_FIELDS
    )
    return response.status, tuple(fields), shape_of_body(response)


@dataclass
class Outcome:
    """Of one request: its answer, or that there was none because the connection was closed."""

    response: Response | None
    text: str

    def is_fine(self, name: str, usual: Response) -> bool:
        """As ever, or an error: its status, its details if there was memory for them; or nothing."""
        if self.response is None:
            return True
        if self.response.status in FAILURES | FAILURES_OF.get(name, set()):
            return True
        if self.response.status == usual.status >= 400 and not self.response.body:
            return True
        return shape(self.response) == shape(usual)


_NUMBERS = itertools.count()


class Subject:
    """A daemon with the shim, its plan, and a connection to it that is opened anew when it closes."""

    def __init__(
        self,
        start: Callable[..., Any],
        directory: Path,
        config: str | None,
        *rules: str,
        **options: object,
    ) -> None:
        self.directory = directory
        self.faults = Faults(directory / f"faults{next(_NUMBERS)}", *rules)
        text = all_actions(directory) if config is None else config
        self.daemon: Daemon = start(text, env=self.faults.environment, **options)
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """One that has had an answer: what it needs has been allocated."""
        if self._connection is None:
            self._connection = self.daemon.connect()
            assert self._connection.get("/hello").status == 200
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def ask(self, request: bytes) -> Outcome:
        connection = self.connection()
        try:
            connection.send_requests([request])
            response = connection.read_response()
        except (ProtocolError, ConnectionError) as end:
            self.close()
            return Outcome(None, repr(end))
        if response.closes:
            self.close()
        return Outcome(response, repr(response))

    def start_or_end(self) -> tuple[str, int]:
        """What the daemon told last, READY=1 or its end, and how many faults it met until then."""
        text = self.daemon.timeline.wait(
            lambda e: e.text if e.kind == "exit" or "READY=1" in e.text else None, "start or end"
        )[0]
        failed = self.faults.done()
        self.faults.disarm()
        return text, failed

    def stops_whole(self) -> None:
        """After a fault: it answers, nothing is in flight, the books are exact, and it ends well."""
        assert self.daemon.get("/hello").text == "hello"
        self.at_rest()
        assert self.daemon.stop() == EXIT_OK

    def at_rest(self) -> dict[str, Any]:
        """Waits until nothing is in flight, and sees that the books are exact.  The status."""
        self.close()

        def rests() -> dict[str, Any] | None:
            nonlocal last
            last = self.daemon.status()
            connections = last["connections"]
            others = sum(count for state, count in connections.items())
            quiet = all(route["in_flight"] == 0 for route in last["routes"][:-1])
            done = all(p["queued"] == p["running"] == 0 for p in last["pools"].values())
            return last if quiet and done and others == 1 else None

        last: dict[str, Any] = {}
        status = until(rests, "a daemon at rest")
        for name, pool in status["pools"].items():
            parts = pool["ran"] + pool["rejected"] + pool["queued"] + pool["running"]
            assert pool["submitted"] == parts, (name, pool)
            assert pool["busy"] == 0, (name, pool)
        return status
