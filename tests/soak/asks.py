"""What good clients ask for, and what makes an answer a right one."""

from __future__ import annotations

import hashlib
import os
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from plan import BODY_LIMIT, LARGE, MAYBES, STORED, file_content
from promtext import Scrape
from rawhttp import Response, request_bytes

# What a pool may say instead of running something.
BUSY = {"queue_full", "queue_timeout", "route_full"}


class Wrong(AssertionError):
    """An answer that no configuration allows."""


def require(condition: object, what: str) -> None:
    if not condition:
        raise Wrong(what)


@dataclass
class Ask:
    """One request.  `check` judges an answer with status 200 (or whatever `statuses` are expected beside
    that); refusals for want of room are judged in the same way for all routes that may be refused."""

    route: str  # as the daemon's numbers name it
    method: str
    target: str
    check: Callable[[Response], None]
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    blocking: bool = False  # may be refused
    passing: bool = False  # the route comes and goes
    unrouted: tuple[int, ...] = ()  # statuses that are counted for no route
    done: Callable[[], None] = lambda: None  # after the answer
    id: str = ""
    sent_at: float = 0.0
    generation: int = 0  # that was in force when it was sent

    def request(self) -> bytes:
        headers = {"X-Request-Id": self.id, "User-Agent": "good", **self.headers}
        return request_bytes(self.method, self.target, headers, self.body)

    def judge(self, answer: Response) -> None:
        require(answer.header("X-Request-Id") == self.id, "the id of another request")
        require(answer.header("Date"), "no Date")
        if self.method == "HEAD":
            require(answer.body == b"", "a body for HEAD")
        if answer.status == 503 and self.blocking:
            self._judge_refusal(answer)
        elif answer.status == 404 and self.passing:
            require(answer.json()["reason"] == "no_route", "another reason than no_route")
        else:
            self.check(answer)

    def _judge_refusal(self, answer: Response) -> None:
        require(1 <= int(answer.header("Retry-After") or 0) <= 30, "a wrong Retry-After")
        if self.method != "HEAD":
            problem = answer.json()
            require(problem["reason"] in BUSY and problem["status"] == 503, f"refused as {problem}")

    def counted_as(self, answer: Response) -> str:
        if answer.status in self.unrouted or (answer.status == 404 and self.passing):
            return ""
        return self.route


def expect(status: int, body: bytes | None = None) -> Callable[[Response], None]:
    def check(answer: Response) -> None:
        require(answer.status == status, f"status {answer.status}, not {status}")
        require(body is None or answer.body == body, f"another body than {body!r:.200}")

    return check


def expect_problem(status: int, reason: str | None = None) -> Callable[[Response], None]:
    def check(answer: Response) -> None:
        require(answer.status == status, f"status {answer.status}, not {status}")
        problem = answer.json()
        require(problem["status"] == status and problem.get("reason") == reason, f"{problem}")

    return check


class Asker:
    """Makes requests for one connection; remembers which generation it has seen last."""

    def __init__(self, chance: random.Random, directory: Path, name: str) -> None:
        self.chance = chance
        self.directory = directory
        self.name = name
        self.count = 0
        self.seen = 0  # no answer of this connection may be older

    def new_connection(self) -> None:
        self.seen = 0

    def next(self) -> Ask:
        weights = [weight for weight, _ in KINDS]
        kind = self.chance.choices(KINDS, weights)[0][1]
        ask = kind(self)
        self.count += 1
        ask.id = f"{self.name}-{self.count}"
        return ask

    def _saw(self, ask: Ask, generation: int) -> None:
        require(generation >= ask.generation, f"generation {generation} after {ask.generation}")
        require(generation >= self.seen, f"generation {generation} after {self.seen} was answered")
        self.seen = generation

    def _word(self) -> str:
        return f"w{self.chance.randrange(10**9)}"

    def _bytes(self, most: int) -> bytes:
        return self.chance.randbytes(int(most * self.chance.random() ** 3))

    # --- from the loop --------------------------------------------------------------------------

    def respond(self) -> Ask:
        word = self._word()

        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            if ask.method == "HEAD":
                return
            match = re.fullmatch(rf"of (\d+): {word} {ask.id}", answer.text)
            require(match, f"the body {answer.text!r}")
            self._saw(ask, int(match[1]))  # type: ignore[index]

        method = self.chance.choice(["GET", "GET", "GET", "HEAD"])
        ask = Ask("/g/respond", method, f"/g/respond?x={word}", check)
        return ask

    def headers(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 201, f"status {answer.status}")
            require(answer.header("X-Agent") == "good", "another agent")
            self._saw(ask, int(answer.header("X-Generation") or 0))

        ask = Ask("/g/headers", "GET", "/g/headers", check)
        return ask

    def page(self) -> Ask:
        def check(answer: Response) -> None:
            lines = answer.text.splitlines()
            require(answer.status == 200 and len(lines) == 20 and len(set(lines)) == 1, answer.text)
            self._saw(ask, int(lines[0].split()[-1]))

        ask = Ask("/g/page", "GET", "/g/page", check)
        return ask

    def redirect(self) -> Ask:
        word = self._word()

        def check(answer: Response) -> None:
            require(answer.status == 302, f"status {answer.status}")
            match = re.fullmatch(rf"/new/{word}\?of=(\d+)", answer.header("Location") or "")
            require(match, f"to {answer.header('Location')}")
            self._saw(ask, int(match[1]))  # type: ignore[index]

        ask = Ask("/g/old/{id}", "GET", f"/g/old/{word}", check)
        return ask

    def echo(self) -> Ask:
        word, body = self._word(), self._bytes(2000).hex().encode()

        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            echoed = answer.json()
            got = (echoed["method"], echoed["path"], echoed["params"], echoed["body"])
            right = ("POST", f"/g/echo/{word}", {"rest": word}, body.decode())
            require(got == right, f"{got!r:.300}")

        return Ask("/g/echo/*", "POST", f"/g/echo/{word}?x={word}", check, body=body)

    def delay(self) -> Ask:
        ms = self.chance.randint(0, 30)

        def check(answer: Response) -> None:
            require(answer.status == 200 and answer.body == b"done\n", f"{answer}")
            require(time.monotonic() - ask.sent_at >= ms / 1000, f"before {ms} ms were over")

        ask = Ask("/g/delay", "GET", f"/g/delay?for={ms}ms", check)
        return ask

    def pool(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            require_books("pool fifo", answer.json())

        return Ask("/g/pool/fifo", "GET", "/g/pool/fifo", check)

    def free(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 200 and 0 <= int(answer.text) <= 10, f"{answer}")

        return Ask("/g/pool/free", "GET", "/g/pool/free", check)

    def status(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            require_status_books(answer.json())

        return Ask("/g/status", "GET", "/g/status", check)

    def metrics(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            require_metrics_books(Scrape(answer.text))

        return Ask("/g/metrics", "GET", "/g/metrics", check)

    def live(self) -> Ask:
        return Ask("/g/live", "GET", "/g/live", expect(200, b"live\n"))

    def ready(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status in (200, 503), f"status {answer.status}")

        return Ask("/g/ready", "GET", "/g/ready", check)

    def nowhere(self) -> Ask:
        check = expect_problem(404, "no_route")
        return Ask("", "GET", f"/g/nowhere/{self._word()}", check)

    def not_allowed(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 405, f"status {answer.status}")
            require(answer.tokens("Allow") == {"GET", "HEAD", "OPTIONS"}, answer.header("Allow") or "")

        return Ask("", "DELETE", "/g/respond", check)

    def options(self) -> Ask:
        return Ask("", "OPTIONS", "/g/sleep/fifo/x", expect(204, b""))

    # --- from threads ---------------------------------------------------------------------------

    def sleep(self) -> Ask:
        pool = self.chance.choice(["default", "fifo", "fair", "codel", "demand", "tiny", "f2", "dd"])
        places = {
            "f2": ("/g/sleep/fair2", "/g/sleep/fair2"),
            "dd": ("/g/sleep/dedicated", "/g/sleep/dedicated"),
        }
        route, path = places.get(pool, (f"/g/sleep/{pool}/{{n}}", f"/g/sleep/{pool}/{self.count}"))
        ms = self.chance.choice([0, 0, 1, 5, 20])

        def check(answer: Response) -> None:
            require(answer.status == 200 and answer.body == b"done\n", f"{answer}")
            require(time.monotonic() - ask.sent_at >= ms / 1000, f"before {ms} ms were over")

        ask = Ask(route, "GET", f"{path}?for={ms}ms", check, blocking=True)
        if self.chance.random() < 0.05:
            ask.headers["X-Queue-Budget"] = "20ms"  # means something on one listener only
        return ask

    def bad_parameter(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 422, f"status {answer.status}")
            errors = answer.json()["errors"]
            require([(e["in"], e["name"]) for e in errors] == [("query", "for")], f"{errors}")

        return Ask("/g/sleep/fair2", "GET", "/g/sleep/fair2?for=long", check)

    def late(self) -> Ask:
        return Ask("/g/late", "GET", "/g/late", expect_problem(504, "timeout"), blocking=True)

    def spin(self) -> Ask:
        return Ask("/g/spin", "GET", "/g/spin", expect(200, b"done\n"), blocking=True)

    def resolve(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            addresses = {entry["address"] for entry in answer.json()["addresses"]}
            require(addresses & {"127.0.0.1", "::1"}, f"{addresses}")

        return Ask("/g/resolve/{name}", "GET", "/g/resolve/localhost", check, blocking=True)

    def digest(self) -> Ask:
        kind = self.chance.choice(["sha256", "md5"])
        body = self._bytes(60_000)
        right = hashlib.new(kind, body).hexdigest()

        def check(answer: Response) -> None:
            require(answer.status == 200 and answer.text.strip() == right, f"{answer}")

        ask = Ask(f"/g/digest/{kind}", "POST", f"/g/digest/{kind}", check, body=body, blocking=True)
        return ask

    def too_large(self) -> Ask:
        ask = Ask("/g/digest/sha256", "POST", "/g/digest/sha256", expect(413))
        ask.headers["Content-Length"] = str(BODY_LIMIT + 1)
        return ask

    def maybe(self) -> Ask:
        path = f"/g/maybe/{self.chance.randrange(MAYBES)}"
        return Ask(path, "GET", path, expect(200, b"done\n"), blocking=True, passing=True)

    # --- programs -------------------------------------------------------------------------------

    def run(self) -> Ask:
        word = self._word()

        def check(answer: Response) -> None:
            require(answer.status == 200 and answer.text == f"a {word}|{word}|{ask.id}", f"{answer}")

        ask = Ask("/g/exec/*", "GET", f"/g/exec/a%20{word}?x={word}", check, blocking=True)
        return ask

    def cat(self) -> Ask:
        path = self.chance.choice(["/g/cat", "/g/cat/stream"])
        body = b"x" + self._bytes(60_000)
        return Ask(path, "POST", path, expect(200, body), body=body, blocking=True)

    def cgi(self) -> Ask:
        kind, word = self.chance.choice(["cgi", "cgi-stream"]), self._word()

        def check(answer: Response) -> None:
            require(answer.status == 200 and answer.header("X-Method") == "GET", f"{answer}")
            require(answer.text == f"/{word}|x={word}|{ask.id}", answer.text)

        ask = Ask(f"/g/{kind}/*", "GET", f"/g/{kind}/{word}?x={word}", check, blocking=True)
        return ask

    def misbehaving(self) -> Ask:
        kind = self.chance.choice(list(ENDS))
        route = f"/g/bad/{kind}"
        ask = Ask(route, "POST", route, ENDS[kind], blocking=True)
        if kind == "reads-nothing":
            ask.body = b"x" * 50_000
        return ask

    # --- files ----------------------------------------------------------------------------------

    def file(self) -> Ask:
        name, size = self.chance.choice([("small.txt", 3000)] * 4 + [("large.bin", LARGE)])
        content = file_content(name, size)
        first = self.chance.randrange(size)
        last = min(size - 1, first + int((size if size < LARGE else 200_000) * self.chance.random()))

        def check(answer: Response) -> None:
            if "Range" in ask.headers:
                require(answer.status == 206, f"status {answer.status}")
                right = f"bytes {first}-{last}/{size}"
                require(answer.header("Content-Range") == right, f"not {right}")
                require(answer.body == content[first : last + 1], "other bytes of the file")
            else:
                require(answer.status == 200 and answer.body == content, "another file")

        ask = Ask("/g/files/*", "GET", f"/g/files/{name}", check, blocking=True)
        if size == LARGE or self.chance.random() < 0.5:
            ask.headers["Range"] = f"bytes={first}-{last}"
        return ask

    def listing(self) -> Ask:
        def check(answer: Response) -> None:
            require(answer.status == 200, f"status {answer.status}")
            names = {entry["name"]: entry.get("size") for entry in answer.json()}
            require(names == {"small.txt": 3000, "large.bin": LARGE}, f"{names}")

        return Ask("/g/files/*", "GET", "/g/files/", check, blocking=True)

    def beyond(self) -> Ask:
        ask = Ask("/g/files/*", "GET", "/g/files/small.txt", expect(416), blocking=True)
        ask.headers["Range"] = "bytes=5000-6000"
        return ask

    def upload(self) -> Ask:
        self.uploads = getattr(self, "uploads", 0) + 1
        name = f"{self.name}-{self.uploads}"
        body = b"y" + self._bytes(60_000)
        path = self.directory / STORED / name
        as_form = self.chance.random() < 0.2

        def check(answer: Response) -> None:
            require(answer.status == 201, f"status {answer.status}")
            told = answer.json()
            told = told[0] if as_form else told
            require((told["name"], told["size"]) == (name, len(body)), f"{told}")
            require(path.read_bytes() == body, "something else was stored")
            os.unlink(path)

        def refused() -> None:
            require(not path.exists(), "stored all the same")

        if not as_form:
            return Ask("/g/up/{name}", "PUT", f"/g/up/{name}", check, body=body, blocking=True, done=refused)
        form = (
            b"--b\r\nContent-Disposition: form-data; name=f; filename=%s\r\n\r\n" % name.encode()
        ) + body.hex().encode() + b"\r\n--b--\r\n"
        body = body.hex().encode()
        ask = Ask("/g/form", "POST", "/g/form", check, body=form, blocking=True, done=refused)
        ask.headers["Content-Type"] = "multipart/form-data; boundary=b"
        return ask


# What a program that misbehaves is answered with.
ENDS: dict[str, Callable[[Response], None]] = {
    "ignores-term": expect_problem(504, "timeout"),
    "stops-itself": expect_problem(504, "timeout"),
    "closes-output": expect(200, b"early\n"),
    "leaves-child": expect(200, b"left\n"),
    "daemonizes": expect(200, b"gone\n"),
    "keeps-output": expect(200, b"kept\n"),
    "much-stderr": expect(200, b"done\n"),
    "merged-stderr": expect(200, b"".join(b"line %d of much, which nobody asked for\n" % i for i in range(300))),
    "endless-output": expect_problem(502, "bad_output"),
    "crashes": expect_problem(500, "action_failed"),
    "exits-7": expect(404, b"seven\n"),
    "exits-9": expect_problem(500, "action_failed"),
    "reads-nothing": expect(200, b"deaf\n"),
    "no-head": expect_problem(502, "bad_output"),
    "streams-slowly": expect(200, b"".join(b"piece %d\n" % i for i in range(1, 7))),
    "streams-and-crashes": expect(200, b"before\n"),
    "streams-much": expect(200, bytes(1_000_000)),
}

# How often, and what.
KINDS: list[tuple[int, Callable[[Asker], Ask]]] = [
    (12, Asker.respond),
    (6, Asker.headers),
    (6, Asker.page),
    (6, Asker.redirect),
    (6, Asker.echo),
    (4, Asker.delay),
    (3, Asker.pool),
    (3, Asker.free),
    (1, Asker.status),
    (1, Asker.metrics),
    (2, Asker.live),
    (2, Asker.ready),
    (2, Asker.nowhere),
    (2, Asker.not_allowed),
    (2, Asker.options),
    (30, Asker.sleep),
    (2, Asker.bad_parameter),
    (2, Asker.late),
    (2, Asker.spin),
    (2, Asker.resolve),
    (8, Asker.digest),
    (1, Asker.too_large),
    (4, Asker.maybe),
    (3, Asker.run),
    (3, Asker.cat),
    (3, Asker.cgi),
    (4, Asker.misbehaving),
    (6, Asker.file),
    (1, Asker.listing),
    (1, Asker.beyond),
    (4, Asker.upload),
]


# --- books ----------------------------------------------------------------------------------------


def require_books(who: str, books: dict[str, Any]) -> None:
    """Every task is in one state."""
    parts = books["ran"] + books["rejected"] + books["queued"] + books["running"]
    require(books["submitted"] == parts, f"{who}: {books}")
    require(books["ran"] == sum(books["ran_by_result"].values()), f"{who}: {books}")
    require(books["rejected"] == sum(books["rejected_by_reason"].values()), f"{who}: {books}")


def require_status_books(status: dict[str, Any]) -> None:
    for name, pool in status["pools"].items():
        require_books(f"pool {name}", pool)
        require(pool["busy"] == pool["running"], f"pool {name}: {pool}")
    for route in status["routes"]:
        if "tasks" in route:
            require_books(f"route {route['path']}", route["tasks"])


def require_metrics_books(now: Scrape) -> None:
    for labels, submitted in now.all("handoffd_pool_tasks_submitted_total"):
        pool = labels["pool"]
        parts = [
            now.sum("handoffd_pool_tasks_total", pool=pool),
            now.sum("handoffd_pool_rejected_total", pool=pool),
            now.get("handoffd_pool_queue_length", pool=pool),
            now.get("handoffd_pool_threads_busy", pool=pool),
        ]
        require(submitted == sum(parts), f"pool {pool}: {submitted} is not {parts}")
