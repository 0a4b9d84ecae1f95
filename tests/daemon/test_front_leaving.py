"""Clients that leave: half-closed, reset or hung up, at every moment that there is."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Callable

import pytest

from conftest import StartDaemon
from harness import Daemon, conf
from rawhttp import Connection, request_bytes

PATIENT = 'drain_timeout = "1h";'
SERVE = PATIENT + ' half_close = "serve";'
HELLO = 'path = "/hello"; action = "respond"; body = "hello"'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'
BRIEF = 'path = "/brief"; action = "sleep"; duration = "100ms"'
DELAY = 'path = "/delay"; action = "delay"; duration = "100ms"'
HELD = 'path = "/held"; action = "delay"; duration = "1h"'
ECHO = 'path = "/echo"; action = "echo"'
ONE_AND_ONE = "default: { threads = 1; queue_depth = 1; };"
LARGE = b"0123456789abcdef" * (4 << 16)
ENORMOUS = 16 << 20  # more than the kernel takes for a connection

both = pytest.mark.parametrize("server", [PATIENT, SERVE], ids=["abort", "serve"])


@pytest.fixture
def large(tmp_path: Path) -> str:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return f'path = "/large"; action = "respond"; body_file = "{path}"'


@pytest.fixture
def enormous(tmp_path: Path) -> str:
    path = tmp_path / "enormous"
    path.write_bytes(bytes(ENORMOUS))
    return f'path = "/enormous"; action = "respond"; body_file = "{path}"'


def ask(daemon: Daemon, *paths: str) -> Connection:
    """Sends requests and waits for nothing."""
    connection = daemon.connect()
    connection.send_requests(request_bytes("GET", path) for path in paths)
    return connection


def half_close(connection: Connection) -> None:
    connection.finish_sending()


def reset(connection: Connection) -> None:
    connection.reset()


def close(connection: Connection) -> None:
    connection.close()


LEAVE = pytest.mark.parametrize("leave", [half_close, reset, close])


def assert_books(daemon: Daemon) -> None:
    pool = daemon.pool()
    assert pool["submitted"] == pool["ran"] + pool["rejected"] + pool["queued"] + pool["running"]
    assert pool["rejected"] == sum(pool["rejected_by_reason"].values())


def assert_nothing_left(daemon: Daemon, descriptors: int) -> None:
    """Nobody is connected, nothing runs, and the daemon sees that and can stop at once."""
    daemon.until_descriptors(descriptors)
    daemon.until_pool(busy=0, queued=0, idle=daemon.pool()["threads"])
    assert_books(daemon)
    assert daemon.stop() == 0


# --- a FIN, and an answer from the loop -----------------------------------------------------------


@both
@pytest.mark.parametrize("path", ["/hello", "/large", "/delay", "/none"])
def test_the_loop_answers_a_half_closed_client(
    start: StartDaemon, large: str, server: str, path: str
) -> None:
    daemon = start(conf(HELLO, DELAY, large, server=server))
    at_rest = daemon.descriptors_at_rest()
    expected = daemon.get(path)
    for _ in range(20):
        with daemon.frozen():  # so that request and FIN are there at once
            connection = ask(daemon, path)
            connection.finish_sending()
        response = connection.read_response()
        assert (response.status, response.body) == (expected.status, expected.body)
        assert connection.read_eof() == b""
        connection.close()
    assert_nothing_left(daemon, at_rest)


@both
def test_a_fin_while_a_delay_is_held(start: StartDaemon, server: str) -> None:
    daemon = start(conf(DELAY, server=server))
    at_rest = daemon.descriptors_at_rest()
    connection = daemon.connect()
    connection.get("/-/status")
    connection.send_requests([request_bytes("GET", "/delay")])
    daemon.status()  # so the request has been read
    connection.finish_sending()
    assert connection.read_response().status == 200
    assert connection.read_eof() == b""
    assert_nothing_left(daemon, at_rest)


@both
def test_a_fin_in_the_middle_of_an_answer(start: StartDaemon, enormous: str, server: str) -> None:
    daemon = start(conf(enormous, server=server))
    at_rest = daemon.descriptors_at_rest()
    connection = daemon.connect(receive_buffer=1 << 17)
    connection.send_requests([request_bytes("GET", "/enormous")])
    left = len(connection.sock.recv(8)) + ENORMOUS
    connection.finish_sending()
    daemon.status()
    while data := connection.sock.recv(1 << 20):
        left -= len(data)
    assert left < 0  # the head came, too
    assert_nothing_left(daemon, at_rest)


@both
def test_pipelined_requests_before_a_fin_are_all_answered(
    start: StartDaemon, large: str, server: str
) -> None:
    daemon = start(conf(HELLO, DELAY, large, server=server))
    at_rest = daemon.descriptors_at_rest()
    paths = ["/hello", "/delay", "/none", "/large", "/delay", "/hello", "/large"]
    with daemon.frozen():
        connection = ask(daemon, *paths)
        connection.finish_sending()
    answers = [connection.read_response() for _ in paths]
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 200, 200, 200]
    assert [len(answer.body) for answer in answers if answer.body[:1] == b"0"] == [len(LARGE)] * 2
    assert not any(answer.closes for answer in answers[:-1])
    assert connection.read_eof() == b""
    assert_nothing_left(daemon, at_rest)


@both
@pytest.mark.parametrize(
    "half",
    [b"G", b"GET /hello HTTP/1.1\r\nHost: test\r\n", b"POST /hello HTTP/1.1\r\nHost: test\r\n"
     b"Content-Length: 5\r\n\r\n1234"],
    ids=["begin", "head", "body"],
)  # fmt: skip
def test_half_a_request_before_a_fin_is_none(
    start: StartDaemon, server: str, half: bytes
) -> None:
    daemon = start(conf(HELLO, ECHO, server=server))
    at_rest = daemon.descriptors_at_rest()
    for before in (b"", request_bytes("GET", "/hello")):
        connection = daemon.connect()
        connection.send(before + half)
        connection.finish_sending()
        if before:
            assert connection.read_response().text == "hello"
        rest = connection.read_eof()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert_nothing_left(daemon, at_rest)


# --- a FIN, and an answer from a thread -----------------------------------------------------------


def test_serve_answers_what_runs_and_what_waits(start: StartDaemon) -> None:
    daemon = start(conf(BRIEF, HELLO, pools=ONE_AND_ONE, server=SERVE))
    at_rest = daemon.descriptors_at_rest()
    connections = []
    for number in range(2):
        connections.append(ask(daemon, "/brief", "/hello"))
        daemon.until_pool(submitted=number + 1)
        connections[-1].finish_sending()
    for connection in connections:
        assert connection.read_response().text == "done\n"
        assert connection.read_response().text == "hello"
        assert connection.read_eof() == b""
    assert daemon.pool()["ran"] == 2
    assert_nothing_left(daemon, at_rest)


def test_serve_answers_a_fin_that_came_with_the_request(start: StartDaemon) -> None:
    daemon = start(conf(BRIEF, server=SERVE))
    at_rest = daemon.descriptors_at_rest()
    with daemon.frozen():
        connection = ask(daemon, "/brief")
        connection.finish_sending()
    assert connection.read_response().text == "done\n"
    assert connection.read_eof() == b""
    assert_nothing_left(daemon, at_rest)


def test_a_reload_changes_half_close(start: StartDaemon) -> None:
    daemon = start(conf(BRIEF, BLOCK, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    connection = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    connection.finish_sending()
    assert connection.read_eof() == b""
    daemon.reload(conf(BRIEF, BLOCK, server=SERVE))
    connection = ask(daemon, "/brief")
    connection.finish_sending()
    assert connection.read_response().text == "done\n"
    assert_nothing_left(daemon, at_rest)


@LEAVE
def test_a_task_that_waits_never_runs(
    start: StartDaemon, leave: Callable[[Connection], None]
) -> None:
    daemon = start(conf(BLOCK, pools=ONE_AND_ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    runs = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    for gone in range(1, 11):
        waits = ask(daemon, "/block")
        daemon.until_pool(queued=1)
        assert daemon.get("/block").json()["reason"] == "queue_full"
        leave(waits)
        pool = daemon.until_pool(queued=0)  # its place is free
        assert (pool["busy"], pool["ran"]) == (1, 0)
        assert pool["rejected_by_reason"]["client_gone"] == gone
        assert pool["rejected_by_reason"]["queue_full"] == gone
        assert_books(daemon)
        if leave is half_close:
            assert waits.read_eof() == b""
    leave(runs)
    pool = daemon.until_pool(busy=0)
    assert pool["ran"] == 1
    assert_nothing_left(daemon, at_rest)


@LEAVE
def test_a_task_that_runs_is_cancelled(
    start: StartDaemon, leave: Callable[[Connection], None]
) -> None:
    """The thread that is free again takes the one that waited."""
    daemon = start(conf(BLOCK, pools=ONE_AND_ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    connection = ask(daemon, "/block")
    daemon.until_pool(busy=1)
    for ran in range(10):
        waits = ask(daemon, "/block")
        daemon.until_pool(busy=1, queued=1)
        leave(connection)
        daemon.until_pool(busy=1, queued=0, ran=ran + 1)
        if leave is half_close:
            assert connection.read_eof() == b""
        connection = waits
    leave(connection)
    daemon.until_pool(busy=0)
    assert_nothing_left(daemon, at_rest)


@LEAVE
def test_many_leave_at_once(start: StartDaemon, leave: Callable[[Connection], None]) -> None:
    pools = "default: { threads = 8; queue_depth = 1000; };"
    daemon = start(conf(BLOCK, HELLO, pools=pools, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    connections = [ask(daemon, "/block") for _ in range(108)]
    daemon.until_pool(busy=8, queued=100)
    with daemon.frozen():
        for connection in connections:
            leave(connection)
    pool = daemon.until_pool(busy=0, queued=0)
    # A thread that is freed by one that leaves may begin with one whose leaving has not been read.
    assert pool["ran"] >= 8
    assert pool["ran"] + pool["rejected_by_reason"]["client_gone"] == 108
    assert daemon.get("/hello").text == "hello"
    assert_nothing_left(daemon, at_rest)


@LEAVE
def test_a_request_and_its_end_come_at_once(
    start: StartDaemon, leave: Callable[[Connection], None]
) -> None:
    daemon = start(conf(BLOCK, pools=ONE_AND_ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    for _ in range(20):
        with daemon.frozen():
            leave(ask(daemon, "/block"))
    assert_nothing_left(daemon, at_rest)


@LEAVE
def test_requests_behind_a_task_go_with_it(
    start: StartDaemon, leave: Callable[[Connection], None]
) -> None:
    daemon = start(conf(BLOCK, HELLO, pools=ONE_AND_ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    connection = ask(daemon, "/block", "/hello", "/block", "/hello")
    daemon.until_pool(busy=1)
    leave(connection)
    pool = daemon.until_pool(busy=0, queued=0, ran=1)
    assert pool["submitted"] == 1
    if leave is half_close:
        assert connection.read_eof() == b""
    assert_nothing_left(daemon, at_rest)


def test_a_fin_before_the_task_is_one_while_it_runs(start: StartDaemon) -> None:
    """The FIN comes while the first request is held; the task of the second begins after it."""
    daemon = start(conf(DELAY, BLOCK, pools=ONE_AND_ONE, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    connection = ask(daemon, "/delay", "/block")
    connection.finish_sending()
    assert connection.read_response().text == "done\n"
    daemon.until_pool(busy=0, queued=0)
    assert connection.read_eof() == b""
    assert_nothing_left(daemon, at_rest)


def test_a_reset_after_a_fin_is_noticed(start: StartDaemon) -> None:
    """Whatever a FIN may mean, whoever resets has left."""
    daemon = start(conf(BLOCK, pools=ONE_AND_ONE, server=SERVE))
    at_rest = daemon.descriptors_at_rest()
    runs, waits = ask(daemon, "/block"), None
    daemon.until_pool(busy=1)
    waits = ask(daemon, "/block")
    daemon.until_pool(queued=1)
    for connection in (runs, waits):
        connection.finish_sending()
    daemon.status()
    for connection in (waits, runs):
        connection.reset()
    daemon.until_pool(busy=0, queued=0)
    assert_nothing_left(daemon, at_rest)


# --- the rest of the moments ----------------------------------------------------------------------


@both
def test_a_reset_while_a_delay_is_held(start: StartDaemon, server: str) -> None:
    """For a FIN the daemon would wait: what the loop answers is sent in any case."""
    daemon = start(conf(HELD, HELLO, server=server))
    at_rest = daemon.descriptors_at_rest()
    connections = [ask(daemon, "/held") for _ in range(20)]
    daemon.status()
    for connection in connections:
        connection.reset()
    assert daemon.get("/hello").text == "hello"
    assert_nothing_left(daemon, at_rest)


@pytest.mark.parametrize("leave", [reset, close])
def test_while_an_answer_is_written(
    start: StartDaemon, enormous: str, leave: Callable[[Connection], None]
) -> None:
    daemon = start(conf(enormous, HELLO, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    for _ in range(10):
        connection = daemon.connect(receive_buffer=1 << 16)
        connection.send_requests([request_bytes("GET", "/enormous")])
        assert connection.sock.recv(8) == b"HTTP/1.1"
        leave(connection)
    assert daemon.get("/hello").text == "hello"
    assert_nothing_left(daemon, at_rest)


@LEAVE
@pytest.mark.parametrize(
    "begin",
    [b"", b"\r", b"GET /echo HT", b"GET /echo HTTP/1.1\r\nHost: test\r\nX-Half",
     b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n",
     b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n1234",
     b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12"],
    ids=["nothing", "blank", "line", "field", "no body", "half a body", "half a chunk"],
)  # fmt: skip
def test_in_the_middle_of_a_request(
    start: StartDaemon, leave: Callable[[Connection], None], begin: bytes
) -> None:
    daemon = start(conf(ECHO, server=PATIENT))
    at_rest = daemon.descriptors_at_rest()
    for kept in (False, True):
        for _ in range(5):
            connection = daemon.connect()
            if kept:
                assert connection.get("/echo").status == 200
            connection.send(begin)
            leave(connection)
    daemon.until_descriptors(at_rest)
    assert daemon.get("/echo").status == 200
    assert_nothing_left(daemon, at_rest)


# --- a storm --------------------------------------------------------------------------------------

OPENINGS = [
    b"",
    b"GE",
    b"GET /hello HTTP/1.1\r\nHost: te",
    b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf",
    b"POST /block HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf",
    b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    b"BAD\r\n\r\n",
    request_bytes("GET", "/hello"),
    request_bytes("GET", "/hello") * 50,
    request_bytes("GET", "/block"),
    request_bytes("POST", "/block", body=b"x" * 1000),
    request_bytes("GET", "/hello") + request_bytes("GET", "/block"),
    request_bytes("GET", "/block") + request_bytes("GET", "/hello") * 10,
    request_bytes("GET", "/block") + b"BAD\r\n\r\n",
    request_bytes("GET", "/brief") * 3 + b"GET /he",
    request_bytes("GET", "/delay") + request_bytes("GET", "/block"),
    request_bytes("GET", "/enormous"),
    request_bytes("GET", "/enormous") + request_bytes("GET", "/block"),
]


@pytest.mark.parametrize("loops", [1, 2])
def test_a_storm(start: StartDaemon, enormous: str, loops: int) -> None:
    seed = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TEST_SEED={seed}")
    chance = random.Random(seed)
    daemon = start(
        conf(
            *(HELLO, ECHO, BLOCK, BRIEF, DELAY, enormous),
            pools="default: { threads = 4; queue_depth = 8; };",
            server=PATIENT + f" loops = {loops};",
        )
    )
    at_rest = daemon.descriptors_at_rest()
    there: list[Connection] = []
    begun = ended = 0
    while ended < 300:
        if begun < 300 and len(there) < 40 and chance.random() < 0.6:
            there.append(daemon.connect(receive_buffer=1 << 16))
            there[-1].send(chance.choice(OPENINGS))
            begun += 1
        elif there:
            connection = there.pop(chance.randrange(len(there)))
            if chance.random() < 0.3 and not connection.is_quiet():
                connection.sock.recv(chance.choice([1, 1000, 100000]))
            if chance.random() < 0.2:
                try:
                    connection.finish_sending()
                except OSError:  # the daemon has refused it and gone
                    pass
            chance.choice([reset, reset, close])(connection)
            ended += 1
        if chance.random() < 0.1:
            assert_books(daemon)
    assert daemon.get("/hello").text == "hello"
    assert_nothing_left(daemon, at_rest)
