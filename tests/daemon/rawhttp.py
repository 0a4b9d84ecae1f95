"""A small HTTP/1.1 client that sees what is really on the wire.

It sends exactly the bytes it is given, frames answers strictly as RFC 9112 section 6 says and
raises ProtocolError for everything that a careful client must not accept.  `Connection` is one
blocking connection; `Crowd` drives many connections at once from a single thread.
"""

from __future__ import annotations

import json
import os
import re
import select
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Iterator, Mapping, Sequence, Union

# Only bounds a hang: nothing in a good run comes near it.
LIMIT = float(os.environ.get("TEST_LIMIT", "60"))

# ("127.0.0.1", 8080), ("::1", 8080), or the path of a unix socket.
Address = Union[tuple[str, int], str]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t\x20-\x7e]*)?")


class ProtocolError(AssertionError):
    """The peer sent something that is not an HTTP/1.1 answer."""


class ConnectionClosed(ProtocolError):
    """The peer closed the connection before an answer was whole."""


@dataclass(frozen=True)
class Response:
    version: str
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    # Crowd only: in which wake-up of the client the last byte came; a higher number came later.
    round: int = 0

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f"{len(values)} fields named {name}: {values}")
        return values[0] if values else None

    def tokens(self, name: str) -> set[str]:
        """The members of a comma-separated field, such as Allow."""
        return {token.strip() for value in self.all(name) for token in value.split(",")} - {""}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def closes(self) -> bool:
        options = {token.lower() for token in self.tokens("Connection")}
        return "close" in options or (self.version == "1.0" and "keep-alive" not in options)


class ResponseParser:
    """Takes bytes in any pieces and frames one answer after the other.

    `methods` holds the methods of the requests sent and not yet answered, oldest first: an answer
    to HEAD has no body whatever its head says.
    """

    def __init__(self) -> None:
        self.methods: list[str] = []
        self._buffer = b""
        self._eof = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def feed_eof(self) -> None:
        self._eof = True

    @property
    def pending(self) -> bytes:
        """What came behind the last whole answer."""
        return self._buffer

    def next(self) -> Response | None:
        """The next whole answer, or None while bytes are missing."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = _parse_head(self._buffer[:end])
        method = self.methods[0] if self.methods else "GET"
        framed = self._body(head, method, end + 4)
        if framed is None:
            return None
        body, used = framed
        self._buffer = self._buffer[used:]
        if self.methods and head.status >= 200:
            self.methods.pop(0)
        return Response(head.version, head.status, head.reason, head.fields, body)

    def _body(self, head: Response, method: str, start: int) -> tuple[bytes, int] | None:
        """The body that begins at `start` and the offset behind it."""
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            return b"", start
        coding = head.header("Transfer-Encoding")
        length = head.header("Content-Length")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise ProtocolError(f"bad framing: {head.fields}")
            return _dechunk(self._buffer, start)
        if length is not None:
            if not re.fullmatch("[0-9]+", length):
                raise ProtocolError(f"bad Content-Length {length!r}")
            end = start + int(length)
            return (self._buffer[start:end], end) if len(self._buffer) >= end else None
        return (self._buffer[start:], len(self._buffer)) if self._eof else None


def _parse_head(data: bytes) -> Response:
    first, *lines = data.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if not match:
        raise ProtocolError(f"bad status line {first!r}")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ProtocolError(f"bad field line {line!r}")
        fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
    minor, status, reason = (group.decode("latin-1") for group in match.groups())
    return Response(f"1.{minor}", int(status), reason, tuple(fields), b"")


def _dechunk(data: bytes, at: int) -> tuple[bytes, int] | None:
    body = b""
    while (end := data.find(b"\r\n", at)) >= 0:
        match = _CHUNK_SIZE.fullmatch(data[at:end])
        if not match:
            raise ProtocolError(f"bad chunk size {data[at:end]!r}")
        size, at = int(match[1], 16), end + 2
        if size == 0:
            return _skip_trailers(body, data, at)
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise ProtocolError("no CRLF behind a chunk")
        body += data[at : at + size]
        at += size + 2
    return None


def _skip_trailers(body: bytes, data: bytes, at: int) -> tuple[bytes, int] | None:
    if data[at : at + 2] == b"\r\n":
        return body, at + 2
    end = data.find(b"\r\n\r\n", at)
    return (body, end + 4) if end >= 0 else None


def request_bytes(
    method: str,
    target: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    host: str = "test",
) -> bytes:
    """A well-formed request; Content-Length is added where there is a body."""
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def method_of(request: bytes) -> str:
    return request.split(b" ", 1)[0].decode("latin-1")


def open_socket(
    address: Address, timeout: float = LIMIT, receive_buffer: int = 0
) -> socket.socket:
    """`receive_buffer`: bytes that the kernel takes for us; 0 leaves that to the kernel."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Connection:
    """One blocking connection; several requests may be sent before an answer is read."""

    def __init__(
        self, address: Address, timeout: float = LIMIT, receive_buffer: int = 0
    ) -> None:
        self.sock = open_socket(address, timeout, receive_buffer)
        self._parser = ResponseParser()
        self._eof = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Goes away with a RST, as a process that is killed may."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def finish_sending(self) -> None:
        """Half-closes: the peer sees the end of what we send and can still answer."""
        self.sock.shutdown(socket.SHUT_WR)

    def is_quiet(self, seconds: float = 0) -> bool:
        """Waits that long at most for something to come: False if it does, or has."""
        if self._eof or self._parser.pending:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(seconds * 1000)

    def send(self, data: bytes) -> None:
        """Sends raw bytes; answers are framed as those to GET."""
        self.sock.sendall(data)

    def expect_answers_to(self, requests: Iterable[bytes]) -> bytes:
        """Prepares for the answers to well-formed requests; returns these in one piece to send."""
        requests = list(requests)
        self._parser.methods += map(method_of, requests)
        return b"".join(requests)

    def send_requests(self, requests: Iterable[bytes]) -> None:
        """Sends well-formed requests in one piece."""
        self.send(self.expect_answers_to(requests))

    def send_request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        self._parser.methods.append(method)
        self.send(request_bytes(method, target, headers, body))

    def read_response(self) -> Response:
        while (response := self._parser.next()) is None:
            if self._eof:
                raise ConnectionClosed(f"closed after {self._parser.pending!r}")
            self._receive()
        return response

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        self.send_request(method, target, headers, body)
        return self.read_response()

    def get(
        self, target: str, headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    ) -> Response:
        return self.request("GET", target, headers)

    def read_eof(self) -> bytes:
        """Waits until the peer closes; returns what it still sent."""
        while not self._eof:
            self._receive()
        return self._parser.pending

    @property
    def pending(self) -> bytes:
        """What has come behind the last answer."""
        return self._parser.pending

    def receive_some(self, most: int) -> None:
        """Takes no more than that from the kernel, for a later answer."""
        self._receive(most)

    def _receive(self, most: int = 65536) -> None:
        data = self.sock.recv(most)
        if data:
            self._parser.feed(data)
        else:
            self._eof = True
            self._parser.feed_eof()


def fetch(
    address: Address,
    method: str,
    target: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """One request on a connection of its own."""
    with Connection(address) as connection:
        return connection.request(method, target, headers, body)


@dataclass
class _Client:
    """One member of a Crowd: sends its requests one after the other."""

    index: int
    requests: Iterator[bytes]
    sock: socket.socket | None = None
    parser: ResponseParser = field(default_factory=ResponseParser)
    unsent: bytes = b""
    waiting: bool = False

    def next_request(self) -> bool:
        request = next(self.requests, None)
        if request is None:
            return False
        self.unsent = request
        self.waiting = True
        self.parser.methods.append(method_of(request))
        return True


class Crowd:
    """Many clients at once, one thread, no blocking calls but the wait for events.

    Every client sends the requests of its iterator one after the other, over one connection as
    long as the server keeps it.  A request that ends without an answer is counted in `failures`
    and not sent again.
    """

    def __init__(self, address: Address, scripts: Iterable[Iterable[bytes]]) -> None:
        self.responses: list[tuple[int, Response]] = []  # (client, answer) as they came
        self.failures: list[tuple[int, str]] = []
        self._address = address
        self._selector = selectors.DefaultSelector()
        self._clients: list[_Client] = []
        self._round = 0
        try:
            self.add(*scripts)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, *scripts: Iterable[bytes]) -> None:
        """More clients: all their connections first, then all their first requests, as close to
        "at once" as it gets."""
        first = len(self._clients)
        clients = [_Client(first + i, iter(script)) for i, script in enumerate(scripts)]
        self._clients += clients
        for client in clients:
            self._connect(client)
        for client in clients:
            self._advance(client)

    def close(self) -> None:
        for client in self._clients:
            self._disconnect(client)
        self._selector.close()

    @property
    def done(self) -> int:
        return len(self.responses) + len(self.failures)

    @property
    def busy(self) -> int:
        """Requests sent (or being sent) and not answered."""
        return sum(client.waiting for client in self._clients)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(response.status for _, response in self.responses)

    def response_of(self, client: int) -> Response:
        """The only answer that this client has got."""
        (response,) = [answer for index, answer in self.responses if index == client]
        return response

    def forget_responses(self) -> None:
        """Those that have come so far."""
        assert self.failures == [], self.failures
        self.responses.clear()

    def wait(self, count: int | None = None, timeout: float = LIMIT) -> Crowd:
        """Turns until `count` requests are done in all, or (None) every script has ended."""
        deadline = time.monotonic() + timeout
        while self.busy and (count is None or self.done < count):
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.done} done, {self.busy} unanswered: {self.statuses}")
            self.turn(left)
        return self

    def turn(self, timeout: float) -> bool:
        """Handles the events of one wake-up; False if none came in time."""
        self._round += 1
        ready = self._selector.select(timeout)
        for key, events in ready:
            client: _Client = key.data
            try:
                if events & selectors.EVENT_WRITE:
                    self._write(client)
                if events & selectors.EVENT_READ:
                    self._read(client)
            except (OSError, ProtocolError) as error:
                self._fail(client, repr(error))
        return bool(ready)

    def _connect(self, client: _Client) -> None:
        client.sock = open_socket(self._address)
        client.sock.setblocking(False)
        client.parser = ResponseParser()
        self._selector.register(client.sock, selectors.EVENT_READ, client)

    def _disconnect(self, client: _Client) -> None:
        if client.sock is not None:
            self._selector.unregister(client.sock)
            client.sock.close()
            client.sock = None

    def _advance(self, client: _Client) -> None:
        """Sends the client's next request, or ends the client."""
        if not client.next_request():
            self._disconnect(client)
            return
        try:
            if client.sock is None:
                self._connect(client)
            self._write(client)
        except OSError as error:
            self._fail(client, repr(error))

    def _write(self, client: _Client) -> None:
        assert client.sock is not None
        try:
            sent = client.sock.send(client.unsent)
        except BlockingIOError:
            sent = 0
        client.unsent = client.unsent[sent:]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.unsent else 0)
        self._selector.modify(client.sock, events, client)

    def _read(self, client: _Client) -> None:
        assert client.sock is not None
        data = client.sock.recv(65536)
        if data:
            client.parser.feed(data)
        else:
            client.parser.feed_eof()
        response = client.parser.next()
        if response is not None:
            self._answered(client, response, closed=not data)
        elif not data:
            self._fail(client, f"closed after {client.parser.pending!r}")

    def _answered(self, client: _Client, response: Response, closed: bool) -> None:
        if not client.waiting:
            raise ProtocolError(f"an answer that nobody asked for: {response}")
        self.responses.append((client.index, replace(response, round=self._round)))
        client.waiting = False
        if closed or response.closes:
            self._disconnect(client)
        self._advance(client)

    def _fail(self, client: _Client, why: str) -> None:
        """A client whose request got no answer sends no other."""
        self._disconnect(client)
        client.waiting = False
        self.failures.append((client.index, why))


class Load:
    """A Crowd in a thread of its own: `clients` repeat `request` until `stop`."""

    def __init__(self, address: Address, request: bytes, clients: int) -> None:
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._error: BaseException | None = None
        scripts = [self._script(request) for _ in range(clients)]
        self.crowd = Crowd(address, scripts)
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.crowd.close()

    def wait_for_more(self, count: int) -> None:
        """Waits until `count` more requests are done."""
        with self._progress:
            target = self.crowd.done + count
            reached = self._progress.wait_for(
                lambda: self.crowd.done >= target or not self._thread.is_alive(), LIMIT
            )
        if not reached or self.crowd.done < target:
            raise AssertionError(f"load stuck: {self.crowd.statuses}, {self.crowd.failures}")

    def stop(self) -> Crowd:
        """Lets every client finish its request; the Crowd tells what came of it all."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self.crowd

    def _script(self, request: bytes) -> Iterator[bytes]:
        while not self._stopping.is_set():
            yield request

    def _run(self) -> None:
        try:
            while self.crowd.busy:
                if not self.crowd.turn(LIMIT):
                    raise AssertionError(f"no answer for {LIMIT} s: {self.crowd.statuses}")
                with self._progress:
                    self._progress.notify_all()
        except BaseException as error:
            self._error = error
        with self._progress:
            self._progress.notify_all()
