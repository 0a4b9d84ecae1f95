"""What rude clients do.  A habit gets a new connection and leaves it in whatever state it likes."""

from __future__ import annotations

import hashlib
import random
import socket
import time
from dataclasses import dataclass
from typing import Callable

from asks import require
from plan import BODY_LIMIT, HEAD_LIMIT, LARGE, MISBEHAVIOURS, file_content
from rawhttp import Connection, request_bytes

Chance = random.Random

HELLO_TLS = bytes.fromhex("16030100a5010000a10303") + bytes(range(150))
NOT_HTTP = [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /r/digest/md5 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    b"POST /r/digest/md5 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n",
]


def leave(connection: Connection, chance: Chance) -> None:
    if chance.random() < 0.5:
        connection.reset()
    else:
        connection.close()


def wait(chance: Chance, most: float = 0.04) -> None:
    """How long a client takes is a part of its habit."""
    time.sleep(most * chance.random())


def slow_request(chance: Chance) -> bytes:
    """One that may wait or run for a while."""
    pool = chance.choice(["default", "fifo", "fair", "codel", "demand", "tiny"])
    targets = [f"/r/sleep/{pool}/1?for={chance.choice([1, 10, 100, 400])}ms"] * 20
    targets += ["/r/sleep/dedicated?for=100ms", "/r/sleep/fair2?for=50ms", "/r/delay?for=100ms"] * 2
    targets += ["/r/late", "/r/late", "/r/spin", "/r/resolve/localhost", "/r/cgi/x", "/r/exec/x"]
    targets += [f"/r/bad/{kind}" for kind in MISBEHAVIOURS]
    return request_bytes("GET", chance.choice(targets))


def body_request(chance: Chance, length: int) -> bytes:
    target = chance.choice(
        [f"/r/up/rude-{chance.randrange(10**9)}", "/r/digest/sha256", "/r/echo/x", "/r/cat", "/r/cat/stream"]
    )
    method = "PUT" if "/up/" in target else "POST"
    return request_bytes(method, target, {"Content-Length": str(length)})


def hangs_up(connection: Connection, chance: Chance) -> None:
    connection.send(slow_request(chance))
    wait(chance, chance.choice([0, 0.01, 0.2]))
    leave(connection, chance)


def leaves_in_head(connection: Connection, chance: Chance) -> None:
    request = request_bytes("GET", "/r/respond", {"X-Long": "x" * 500})
    connection.send(request[: chance.randrange(len(request))])
    wait(chance)
    leave(connection, chance)


def leaves_in_body(connection: Connection, chance: Chance) -> None:
    length = chance.choice([10, 3000, 100_000])
    connection.send(body_request(chance, length))
    connection.send(bytes(chance.randrange(length)))
    wait(chance)
    if chance.random() < 0.3:
        connection.finish_sending()
        connection.read_eof()
    leave(connection, chance)


def leaves_in_chunk(connection: Connection, chance: Chance) -> None:
    target = chance.choice(["/r/digest/md5", "/r/cat/stream", "/r/up/rude-chunked", "/r/echo/x"])
    method = "PUT" if "/up/" in target else "POST"
    connection.send(request_bytes(method, target, {"Transfer-Encoding": "chunked"}))
    for _ in range(chance.randrange(5)):
        connection.send(b"3e8\r\n" + bytes(1000) + b"\r\n")
    connection.send(b"3e8\r\n" + bytes(chance.randrange(1000)))
    wait(chance)
    leave(connection, chance)


def closes_half(connection: Connection, chance: Chance) -> None:
    connection.send(slow_request(chance))
    connection.finish_sending()
    connection.read_eof()


def reads_slowly(connection: Connection, chance: Chance) -> None:
    stop_after = chance.choice([0, 1, 10, 40, LARGE])
    # A window of a few KiB opens only with each delayed acknowledgement: not for a whole answer.
    buffer = 4096 if stop_after != LARGE else 65536
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    target, content = chance.choice(
        [
            ("/r/files/large.bin", file_content("large.bin", LARGE)),
            ("/r/bad/streams-much", bytes(1_000_000)),
        ]
    )
    connection.send(request_bytes("GET", target))
    for _ in range(min(stop_after, 40)):
        connection.receive_some(chance.choice([100, 4096, 20_000]))
        if b"503 " in connection.pending[:20]:
            break  # there is no more
        wait(chance, 0.02)
    if stop_after == LARGE:
        answer = connection.read_response()
        require(answer.status == 503 or answer.body == content, "something else was read slowly")
    leave(connection, chance)


def writes_garbage(connection: Connection, chance: Chance) -> None:
    garbage = [HELLO_TLS, b"\r\n" * 3000, chance.randbytes(3000), b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\n"]
    connection.send(chance.choice(garbage))
    connection.finish_sending()
    connection.read_eof()


def speaks_wrongly(connection: Connection, chance: Chance) -> None:
    connection.send(chance.choice(NOT_HTTP))
    answer = connection.read_response()
    require(400 <= answer.status < 505, f"{answer}")
    require(answer.closes and not connection.read_eof(), f"not the end: {answer}")


def sends_too_much(connection: Connection, chance: Chance) -> None:
    much = "x" * (HEAD_LIMIT + 10)
    status, request = chance.choice(
        [
            (414, request_bytes("GET", "/" + much)),
            (431, request_bytes("GET", "/r/respond", {"X-Much": much})),
            (431, request_bytes("GET", "/r/respond", [(f"X-{i}", "y") for i in range(120)])),
            (413, request_bytes("POST", "/r/digest/md5", {"Content-Length": str(BODY_LIMIT + 1)})),
            (413, request_bytes("POST", "/r/echo/x", {"Content-Length": "99999999999"}) + bytes(50_000)),
        ]
    )
    connection.send(request)
    answer = connection.read_response()
    require(answer.status == status, f"{status} expected: {answer}")


def trickles(connection: Connection, chance: Chance) -> None:
    body = chance.randbytes(30)
    request = request_bytes("POST", "/r/digest/sha256", {"X-Request-Id": "drop-by-drop"}, body)
    for i in range(len(request)):
        connection.send(request[i : i + 1])
        time.sleep(0.001)
    answer = connection.read_response()
    right = answer.status == 503 or answer.text.strip() == hashlib.sha256(body).hexdigest()
    require(right and answer.header("X-Request-Id") == "drop-by-drop", f"{answer}")


def says_nothing(connection: Connection, chance: Chance) -> None:
    wait(chance, 0.2)
    leave(connection, chance)


def asks_and_leaves(connection: Connection, chance: Chance) -> None:
    """A pipeline whose answers nobody reads."""
    connection.send(b"".join(slow_request(chance) for _ in range(chance.choice([2, 10, 40]))))
    wait(chance)
    leave(connection, chance)


def waits_to_continue(connection: Connection, chance: Chance) -> None:
    target = chance.choice(["/r/digest/md5", "/r/echo/x", "/r/cat/stream"])
    body = b"z" * 3000
    head = request_bytes("POST", target, {"Expect": "100-continue", "Content-Length": str(len(body))})
    connection.send(head)
    answer = connection.read_response()
    require(answer.status in (100, 503), f"{answer}")
    if answer.status != 100 or chance.random() < 0.3:
        leave(connection, chance)
        return
    connection.send(body)
    require(connection.read_response().status in (200, 503), "another answer than expected")


def lets_time_pass(connection: Connection, chance: Chance) -> None:
    """Until the daemon has had enough."""
    connection.send(chance.choice([b"", b"GET /r/resp", body_request(chance, 1000) + b"begun"]))
    connection.read_eof()


def never_reads(connection: Connection, chance: Chance) -> None:
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.send(request_bytes("GET", chance.choice(["/r/files/large.bin", "/r/bad/streams-much"])))
    time.sleep(5)
    leave(connection, chance)


@dataclass(frozen=True)
class Habit:
    weight: int
    practise: Callable[[Connection, Chance], None]
    patience: float = float("inf")  # longer timeouts would make this one last for too long


HABITS = [
    Habit(24, hangs_up),
    Habit(4, leaves_in_head),
    Habit(8, leaves_in_body),
    Habit(4, leaves_in_chunk),
    Habit(4, closes_half),
    Habit(3, reads_slowly),
    Habit(4, writes_garbage),
    Habit(4, speaks_wrongly),
    Habit(4, sends_too_much),
    Habit(2, trickles),
    Habit(2, says_nothing),
    Habit(4, asks_and_leaves),
    Habit(3, waits_to_continue),
    Habit(1, lets_time_pass, patience=5),
    Habit(1, never_reads, patience=5),
]
