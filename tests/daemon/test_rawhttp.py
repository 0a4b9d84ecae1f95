"""The tests' own client: it must not forgive what it is there to find."""

from __future__ import annotations

import socket
import threading
from typing import Callable, Iterator

import pytest

from rawhttp import (
    Connection,
    ConnectionClosed,
    Crowd,
    ProtocolError,
    Response,
    ResponseParser,
    request_bytes,
)

OK = b"HTTP/1.1 200 OK\r\n"


def parse_all(
    data: bytes, methods: list[str], eof: bool = False, step: int | None = None
) -> list[Response]:
    parser = ResponseParser()
    parser.methods = methods
    answers = []
    step = step or len(data)
    for at in range(0, len(data), step):
        parser.feed(data[at : at + step])
        while (response := parser.next()) is not None:
            answers.append(response)
    if eof:
        parser.feed_eof()
        if (response := parser.next()) is not None:
            answers.append(response)
    return answers


@pytest.mark.parametrize("step", [None, 1, 3])
def test_framing(step: int | None) -> None:
    data = (
        OK + b"Content-Length: 5\r\n\r\nHello"
        + OK + b"Content-Length: 7\r\n\r\n"  # to HEAD
        + b"HTTP/1.1 204 No Content\r\n\r\n"
        + OK + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n"
        + OK + b"Content-Length: 0\r\n\r\n"
    )
    answers = parse_all(data, ["GET", "HEAD", "GET", "GET", "GET"], step=step)
    assert [answer.body for answer in answers] == [b"Hello", b"", b"", b"abcd", b""]
    assert [answer.status for answer in answers] == [200, 200, 204, 200, 200]


def test_a_body_may_end_with_the_connection() -> None:
    assert parse_all(OK + b"\r\nall of it", ["GET"]) == []
    assert parse_all(OK + b"\r\nall of it", ["GET"], eof=True)[0].body == b"all of it"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        OK + b"Bad Name: x\r\n\r\n",
        OK + b"Name : x\r\n\r\n",
        OK + b"No colon\r\n\r\n",
        OK + b"A: b\nC: d\r\n\r\n",
        OK + b"A: b\0\r\n\r\n",
        OK + b" A: b\r\n\r\n",
        OK + b"Content-Length: x\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    ],
)
def test_what_is_no_answer_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_all(data, ["GET"])


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", OK + b"Content-Length: 5\r\n\r\nHell"])
def test_half_an_answer_is_none(data: bytes) -> None:
    assert parse_all(data, ["GET"], eof=True, step=1) == []


@pytest.fixture
def serve() -> Iterator[Callable[[list[bytes | None]], tuple[str, int]]]:
    """A server that gives each connection the next answer, or (None) hangs up."""
    threads: list[threading.Thread] = []

    def start(answers: list[bytes | None]) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener:
                for answer in answers:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer or b"")

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return listener.getsockname()

    yield start
    for thread in threads:
        thread.join()


def test_a_connection_that_ends_early_is_an_error(serve) -> None:
    with Connection(serve([OK + b"Content-Length: 5\r\n\r\nHell"])) as connection:
        with pytest.raises(ConnectionClosed):
            connection.get("/")


def test_a_crowd_counts_what_failed(serve) -> None:
    good = OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    address = serve([good, None, good, b"nonsense\r\n\r\n"])
    with Crowd(address, [[request_bytes("GET", "/")]] * 4) as crowd:
        crowd.wait()
        assert crowd.statuses == {200: 2}
        assert len(crowd.failures) == 2
